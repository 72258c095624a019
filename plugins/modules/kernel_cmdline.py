#!/usr/bin/python
# Copyright: (c) 2026, nspa.proaudio contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel command line: wanted, at the next boot, and now."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kernel_cmdline
short_description: Set kernel parameters and compare them with what runs
version_added: "1.0.0"
author: nspa.proaudio contributors (@nine7nine)
description:
  - Puts kernel parameters on every normal entry of the boot menu and says whether the running kernel has them.
  - GRUB is told through a file of its own in C(/etc/default/grub.d); no packaged file is edited. Recovery entries
    stay as they are, as a way back.
  - A machine whose boot loader this module cannot manage (a container, a kernel that comes from outside,
    another loader) is left alone, and the result says why.
options:
  role:
    description:
      - The role that wants this. What it no longer wants is put back, and only one role can manage it on a machine.
    type: str
    required: true
  parameters:
    description:
      - Parameters as the kernel reads them, for example C(threadirqs) or C(preempt=full).
      - A near miss of a well-known parameter is refused, since the kernel ignores unknown ones in silence; so is what
        a shell or GRUB's script language would read, and a well-known parameter with two values.
      - One that is given several times (C(hugepagesz)) counts as the kernel reads it, in this order.
    type: list
    elements: str
    default: []
  state:
    description: Whether the parameters are on the boot menu, or everything this module did is put back.
    type: str
    choices: [present, absent]
    default: present
attributes:
  check_mode:
    support: full
    description: Says what would change and changes nothing.
  diff_mode:
    support: full
    description: Shows the drop-in file and the command line of the default boot entry.
  idempotent:
    support: full
    description: A second run changes nothing.
  platform:
    support: full
    platforms: linux
    description: GRUB 2 of Debian and its derivatives is managed; others are recognised.
"""

EXAMPLES = r"""
- name: Put interrupts in threads
  nspa.proaudio.kernel_cmdline:
    role: boot_params
    parameters:
      - threadirqs

- name: Put everything back
  nspa.proaudio.kernel_cmdline:
    role: boot_params
    state: absent
"""

RETURN = r"""
loader:
  description: The boot loader, whether it is managed, and how it was recognised.
  returned: always
  type: dict
  sample: {name: grub, managed: true, reason: /boot/grub/grub.cfg}
running:
  description: The command line of the running kernel.
  returned: always
  type: str
next_boot:
  description:
    - The command line of the entry that boots next, as the boot menu says it; in check mode, as it would say it.
    - Empty when the boot loader is not managed.
  returned: always
  type: str
reboot_reasons:
  description: Why a reboot is due, one sentence each; empty when what runs is what is wanted.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nspa.proaudio.plugins.module_utils._boot import wanted
from ansible_collections.nspa.proaudio.plugins.module_utils._core.change import carry_out


def main():
    spec = wanted.KERNEL_CMDLINE.argument_spec()
    carry_out(AnsibleModule(argument_spec=spec, supports_check_mode=True), wanted.KERNEL_CMDLINE)


if __name__ == "__main__":
    main()
