#!/usr/bin/python
# Copyright: (c) 2026, nspa.proaudio contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict on the running machine."""

from __future__ import annotations

DOCUMENTATION = r"""
module: readiness
short_description: Ask the running machine whether it is ready for real-time audio
version_added: "1.0.0"
author: nspa.proaudio contributors (@nine7nine)
description:
  - Checks on the running machine what the settings of this collection's roles ask for, and returns the verdict.
  - The running machine is asked. A user is logged in anew, and a process of that login and one of the user's systemd
    manager really take real-time priorities and lock memory; a wineserver is started to see its capability; futexes
    are waited on; a C(SCHED_RR) thread is asked for its time slice.
  - Neither the manifest of this collection nor its files in C(/etc) are read to see what is in effect. Two things
    that have yet to happen are worked out from files, whoever wrote them - what the boot menu starts next, and what
    C(systemd-sysctl) sets at the next boot - because what is lost at the next boot is not ready.
  - Which kernel is the right one depends on O(settings). With C(linux_nspa_source=distro) it is the newest installed
    kernel of C(linux_nspa_distro_packages), or of the distribution's real-time kernel package where that is empty; a
    package may be named with C(=version), C(:architecture) or C(/suite), and means that package alone. Otherwise it is
    the one that the boot menu starts by default, since an installed package file does not say which kernel it brought.
  - A kernel that is not Linux-NSPA and a Wine that is not Wine-NSPA are called stand-ins. Variables that the installed
    Wine does not read are C(vacuous), never C(pass).
  - What a session or a user's program printed is shortened, and shown with control characters replaced.
  - The action plugin fills in the settings and prints the verdict as a table.
options:
  settings:
    description: The roles' variables. The action plugin fills this in.
    type: dict
    default: {}
  enforce:
    description: Whether a failed check fails the task. Never in check mode, which looks at a machine before its change.
    type: bool
    default: false
attributes:
  action:
    support: full
    description: The settings are gathered and the table is printed on the controller.
  check_mode:
    support: full
    description: This module never changes anything.
  diff_mode:
    support: none
    description: There is nothing to show.
  idempotent:
    support: full
    description: This module never changes anything.
  platform:
    support: full
    platforms: linux
    description: Needs root, and systemd to look at sessions.
  facts:
    support: full
    description: Sets C(readiness_report).
"""

EXAMPLES = r"""
- name: Ask the running machine, and stop if it is not ready
  nspa.proaudio.readiness:
    enforce: true
"""

RETURN = r"""
ansible_facts:
  description: The verdict.
  returned: always
  type: dict
  contains:
    readiness_report:
      description: The report; its form is described by docs/verdict.schema.json.
      type: dict
      sample:
        schema: 1
        verdict: pass
        counts: {pass: 1, vacuous: 0, pending: 0, blocked: 0, fail: 0}
        checks:
          # one for each question that applies, in the order of the table
          - id: preempt_rt
            title: Real-time preemption
            status: pass
            evidence: PREEMPT_RT (/sys/kernel/realtime is 1)
            wanted: a PREEMPT_RT kernel
            remedy: ''
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nspa.proaudio.plugins.module_utils._core.errors import HostError
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict import model, registry


def main():
    module = AnsibleModule(
        argument_spec={
            "settings": {"type": "dict", "default": {}},
            "enforce": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    try:
        report = registry.verdict(module.params["settings"])
    except HostError as error:
        module.fail_json(msg=str(error))
    facts = {"readiness_report": report}
    refusal = model.refusal(report) if module.params["enforce"] and not module.check_mode else ""
    if refusal:
        module.fail_json(msg=refusal, ansible_facts=facts)
    module.exit_json(changed=False, ansible_facts=facts)


if __name__ == "__main__":
    main()
