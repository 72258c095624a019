#!/usr/bin/python
# Copyright: (c) 2026, nspa.proaudio contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel that boots when nobody touches the keyboard."""

from __future__ import annotations

DOCUMENTATION = r"""
module: boot_default
short_description: Choose the kernel that boots by default
version_added: "1.0.0"
author: nspa.proaudio contributors (@nine7nine)
description:
  - Makes the newest kernel of the given packages the boot loader's default, by name, never by its place in the menu.
  - GRUB is told through a file of its own in C(/etc/default/grub.d); no packaged file is edited.
  - The entry is one of this system; another system's with the same release is never chosen. A menu that has no entry
    for the kernel yet, or that names a kernel which is gone, is made anew.
  - When another file of GRUB's settings chooses another default, the module fails, names that file, and everything is
    as it was.
  - A machine whose boot loader this module cannot manage is left alone, and the result says why.
options:
  role:
    description:
      - The role that wants this. What it no longer wants is put back, and only one role can manage it on a machine.
    type: str
    required: true
  packages:
    description:
      - Installed kernel packages, or packages that depend on them, such as C(linux-image-rt-amd64).
      - Required with O(state=present).
    type: list
    elements: str
    default: []
  trial:
    description:
      - Whether that kernel gets one boot to show that it works, before it becomes the default.
      - The one that runs stays the default meanwhile, and the loader is told to boot the new one once. A unit on the
        machine, which the role C(linux_nspa) installs, makes it the default when the system has come up with it, with
        the parameters that M(nspa.proaudio.kernel_cmdline) wants, and with a way to wait on several things at once.
      - Packages that are not installed yet are no error then. The kernel that runs is made the default, which their
        installation would change otherwise.
      - C(auto) does so where the loader can boot an entry once and the running kernel has one; otherwise the kernel
        becomes the default at once, with a warning. C(always) fails there. C(never) never does.
      - A kernel that failed is not tried again until its image is another one.
    type: str
    choices: [auto, always, never]
    default: never
  retry:
    description: Try a kernel again that failed.
    type: bool
    default: false
  state:
    description: Whether that kernel is made the default, or the earlier choice is put back.
    type: str
    choices: [present, absent]
    default: present
attributes:
  check_mode:
    support: full
    description: Says what would change and changes nothing.
  diff_mode:
    support: full
    description: Shows the drop-in file and the default boot entry.
  idempotent:
    support: full
    description: A second run changes nothing.
  platform:
    support: full
    platforms: linux
    description: GRUB 2 of Debian and its derivatives is managed; others are recognised.
"""

EXAMPLES = r"""
- name: Boot Debian's real-time kernel by default
  nspa.proaudio.boot_default:
    role: linux_nspa
    packages:
      - linux-image-rt-amd64

- name: Put the earlier choice back
  nspa.proaudio.boot_default:
    role: linux_nspa
    state: absent
"""

RETURN = r"""
loader:
  description: The boot loader, whether it is managed, and how it was recognised.
  returned: always
  type: dict
  sample: {name: grub, managed: true, reason: /boot/grub/grub.cfg}
running:
  description: The release of the running kernel.
  returned: always
  type: str
  sample: 6.12.48+deb13-cloud-amd64
next_boot:
  description:
    - The release of the kernel that boots next; in check mode, of that which would.
    - Empty when the boot loader is not managed, and when what boots next is no Linux.
  returned: always
  type: str
  sample: 6.12.48+deb13-rt-amd64
reboot_reasons:
  description: Why a reboot is due, one sentence each; empty when what runs is what is wanted.
  returned: always
  type: list
  elements: str
trial:
  description:
    - The last kernel that got one boot; null where none did. C(state) is C(arming), C(armed), C(confirmed) or
      C(failed), and C(told) says it in a sentence.
  returned: always
  type: dict
  sample:
    state: armed
    told: 6.12.48+deb13-rt-amd64 has one boot to show that it works; if it does not, 6.12.48+deb13-amd64 boots again
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nspa.proaudio.plugins.module_utils._boot import wanted
from ansible_collections.nspa.proaudio.plugins.module_utils._core.change import carry_out


def main():
    spec = wanted.BOOT_DEFAULT.argument_spec()
    carry_out(AnsibleModule(argument_spec=spec, supports_check_mode=True), wanted.BOOT_DEFAULT)


if __name__ == "__main__":
    main()
