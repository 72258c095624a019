#!/usr/bin/python
# Copyright: (c) 2026, nspa.proaudio contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel tunables of the running machine: sysctls, attributes below /sys and the CPU frequency governor."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kernel_tunables
short_description: Set sysctls, attributes and the CPU governor on the running machine
version_added: "1.0.0"
author: nspa.proaudio contributors (@nine7nine)
description:
  - Brings the live values of sysctls, of attributes below C(/sys) and of every CPU's frequency governor to what is
    wanted, in one call.
  - What this kernel or this machine does not have is left alone, and RV(left_alone) says so.
  - Remembers the value that each had, so that O(state=absent) puts it back, unless somebody else changed it since.
  - Reads back what the kernel took. When it refuses a value or makes another one of it, the module fails, and what it
    set is put back.
  - This module sets what runs now; the files that set the same at boot belong to M(nspa.proaudio.host_files). When
    another file wins at boot (sysctl.d(5)), a warning names it.
options:
  role:
    description:
      - The name of the set of tunables, normally that of the role. What is given is the whole set; a tunable that this
        name owned before and that is not given is put back.
    type: str
    required: true
  state:
    description: Whether the values are set, or those that stood there before are put back.
    type: str
    choices: [present, absent]
    default: present
  sysctls:
    description:
      - Sysctls by name, for example C(vm.swappiness). C(net.ipv4.conf.eth0/1.forwarding) and
        C(net/ipv4/conf/eth0.1/forwarding) are two names of the same.
      - C(vm.dirty_bytes) and C(vm.dirty_ratio) are two ways to say the same, and so are their C(background)
        sisters; what is put back is the one that was set.
      - A value of null leaves the kernel's own.
    type: dict
    default: {}
  attributes:
    description:
      - Attributes below C(/sys), by path; a path with C(*) or C(?) is every attribute that it matches. Of an attribute
        that lists words with one in brackets, that one is the value.
      - A value of null, or an empty text, leaves the kernel's own.
    type: dict
    default: {}
  governor:
    description:
      - The CPU frequency governor, for example C(performance). Empty leaves it alone.
      - A machine without frequency scaling (most virtual machines) is left alone and the result says so, and so is a
        CPU that is offline.
    type: str
    default: ''
  boot_file:
    description:
      - The file in which the role sets the same sysctls at boot. In check mode, where it may not be written yet, it is
        taken to say what O(sysctls) says.
    type: path
    default: /etc/sysctl.d/90-nspa-proaudio.conf
attributes:
  check_mode:
    support: full
    description: Says what would change and changes nothing.
  diff_mode:
    support: full
    description: Shows each value before and after.
  idempotent:
    support: full
    description: A second run changes nothing.
  platform:
    support: full
    platforms: linux
    description: Reads and writes /proc/sys and /sys.
"""

EXAMPLES = r"""
- name: Keep programs in memory and the CPUs awake
  nspa.proaudio.kernel_tunables:
    role: sched_tuning
    sysctls:
      vm.swappiness: 10
      kernel.sched_rr_timeslice_ms: 50
    attributes:
      /sys/kernel/mm/transparent_hugepage/enabled: madvise
    governor: performance
"""

RETURN = r"""
values:
  description: The live values as the kernel shows them after this run, or as they would be in check mode, by name.
  returned: always
  type: dict
  sample: {vm.swappiness: '10'}
left_alone:
  description: What this machine does not have or cannot set now, one sentence each.
  returned: always
  type: list
  elements: str
  sample: ['no CPU frequency scaling here: the governor is left to the hypervisor or the firmware']
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nspa.proaudio.plugins.module_utils._core.change import carry_out
from ansible_collections.nspa.proaudio.plugins.module_utils._host import tunables


def main():
    carry_out(AnsibleModule(argument_spec=tunables.CONCERN.argument_spec(), supports_check_mode=True), tunables.CONCERN)


if __name__ == "__main__":
    main()
