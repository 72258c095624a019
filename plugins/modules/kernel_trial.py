#!/usr/bin/python
# Copyright: (c) 2026, nspa.proaudio contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a kernel's trial stands, and its end by hand."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kernel_trial
short_description: Follow the trial of a new kernel, or end it by hand
version_added: "1.0.0"
author: nspa.proaudio contributors (@nine7nine)
description:
  - M(nspa.proaudio.boot_default) with O(nspa.proaudio.boot_default#module:trial) gives a new kernel one boot. A unit on
    the machine looks at that boot, and makes the kernel the default or goes back to the earlier one.
  - With O(state=followed) this says how the trial ended. While the new kernel is being looked at, or the machine
    reboots, the action plugin asks again and says so, until it has ended or O(timeout) is over.
  - O(state=confirmed) and O(state=failed) end the trial by hand, as the unit does; nothing is rebooted.
options:
  state:
    description: What to do.
    type: str
    choices: [followed, confirmed, failed]
    default: followed
  timeout:
    description: Seconds to follow a trial for, 1 or more.
    type: int
    default: 900
attributes:
  action:
    support: full
    description: Following is done on the controller, over reboots of the machine.
  check_mode:
    support: full
    description: Says how the trial stands, and ends none.
  diff_mode:
    support: none
    description: What changes is the boot menu, which M(nspa.proaudio.boot_default) shows.
  idempotent:
    support: full
    description: A second run changes nothing.
  platform:
    support: full
    platforms: linux
    description: Needs root.
"""

EXAMPLES = r"""
- name: See how the kernel did
  nspa.proaudio.kernel_trial:

- name: Give the kernel up that is on trial
  nspa.proaudio.kernel_trial:
    state: failed
"""

RETURN = r"""
trial:
  description: The last trial, or null if there was none.
  returned: always
  type: dict
  sample:
    release: 6.12.48+deb13-rt-amd64
    state: confirmed
    earlier: 6.12.48+deb13-amd64
    running: true
    told: 6.12.48+deb13-rt-amd64 was tried, and confirmed on 2026-11-26 17:40 UTC
    log: []
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nspa.proaudio.plugins.module_utils._boot import trial
from ansible_collections.nspa.proaudio.plugins.module_utils._command.trial import conclude
from ansible_collections.nspa.proaudio.plugins.module_utils._core.errors import HostError
from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import Manifest


def main():
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["followed", "confirmed", "failed"], "default": "followed"},
            "timeout": {"type": "int", "default": 900},
        },
        supports_check_mode=True,
    )
    changed = False
    try:
        known = trial.recorded(Manifest.load())
        wanted = module.params["state"]
        if wanted != "followed":
            if known is None:
                module.fail_json(msg=f"state={wanted} ends a trial, and no kernel is on trial on this machine.")
            changed = known.state != wanted
            if changed and not known.lasts:
                module.fail_json(msg=f"The trial has ended: {known.told()}. Run the playbook nspa.proaudio.site.")
            if changed and wanted == trial.CONFIRMED and os.uname().release != known.release:
                module.fail_json(msg=f"{known.release} cannot be confirmed: {os.uname().release} runs. Boot it first.")
            if changed and not module.check_mode:
                known = trial.ended(known, wanted, "by hand")
                conclude(known)
    except HostError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=changed, trial=_shown(known) if known else None)


def _shown(known):
    return {
        "release": known.release,
        "state": known.state,
        "earlier": known.earlier,
        "running": os.uname().release == known.release,
        "told": known.told(),
        "log": list(known.log),
    }


if __name__ == "__main__":
    main()
