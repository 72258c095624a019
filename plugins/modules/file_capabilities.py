#!/usr/bin/python
# Copyright: (c) 2026, nspa.proaudio contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Capabilities of programs."""

from __future__ import annotations

DOCUMENTATION = r"""
module: file_capabilities
short_description: Give programs capabilities, and put back what they had
version_added: "1.0.0"
author: nspa.proaudio contributors (@nine7nine)
description:
  - Reads and writes the extended attribute C(security.capability) itself, so it needs neither C(setcap) nor C(getcap)
    on the host, and does not depend on how a version of libcap spells what it prints.
  - Refuses what the kernel would ignore, which are scripts, symlinks, files that are no program, and file systems
    mounted with C(nosuid), and says which program is meant.
  - What a program carried before is recorded in C(/var/lib/nspa-proaudio/manifest.json). A program that is no longer in
    the list, and every one with O(state=absent), gets that back, unless somebody else changed it since.
  - A program that is replaced while this looks at it, as by an upgrade, is left alone, and the module fails.
options:
  role:
    description:
      - The name of the set of programs, normally that of the role. The list given is the whole set; a program that
        this name owned before and that is not in the list is put back.
    type: str
    required: true
  state:
    description: Whether the programs carry what is listed, or all programs of O(role) what they carried before.
    type: str
    choices: [present, absent]
    default: present
  files:
    description: The programs.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description:
          - Absolute path of a program, or a pattern with C(*), C(?) and C([]). A pattern means those of its matches
            that are programs; scripts and symlinks among them are left alone.
          - A program that does not exist is an error; in check mode it is predicted to change, as it may belong to
            a package that is not installed yet.
        type: str
        required: true
      capabilities:
        description:
          - Capabilities as C(setcap) reads them, for example V(cap_sys_nice+ep) or V(cap_net_raw,cap_sys_nice=ep).
            The program carries exactly these.
        type: str
        required: true
attributes:
  check_mode:
    support: full
    description: Says what would change and changes nothing.
  diff_mode:
    support: full
    description: The capabilities of each program, before and after.
  idempotent:
    support: full
    description: A second run changes nothing, however the capabilities are spelled.
  platform:
    support: full
    platforms: linux
    description: Any Linux with Python 3.8 or later.
"""

EXAMPLES = r"""
- name: Let the Wine server raise the priority of its threads
  nspa.proaudio.file_capabilities:
    role: wine_nspa
    files:
      - path: /usr/lib/wine/wineserver64
        capabilities: cap_sys_nice+ep

- name: Put the programs back as they were
  nspa.proaudio.file_capabilities:
    role: wine_nspa
    state: absent
"""

RETURN = r"""
changed_files:
  description: Programs whose capabilities differ.
  returned: always
  type: list
  elements: str
  sample: [/usr/lib/wine/wineserver64]
changes:
  description: What differs at each program.
  returned: always
  type: list
  elements: dict
  contains:
    path:
      description: The program.
      type: str
    before:
      description: Its capabilities before; empty for none.
      type: str
    after:
      description: Its capabilities after; empty for none.
      type: str
      sample: cap_sys_nice=ep
    missing:
      description: Whether the program does not exist yet (only in check mode).
      type: bool
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nspa.proaudio.plugins.module_utils._core.change import carry_out
from ansible_collections.nspa.proaudio.plugins.module_utils._host import capabilities


def main():
    concern = capabilities.CONCERN
    carry_out(AnsibleModule(argument_spec=concern.argument_spec(), supports_check_mode=True), concern)


if __name__ == "__main__":
    main()
