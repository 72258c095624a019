#!/usr/bin/python
# Copyright: (c) 2026, nspa.proaudio contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The priorities of interrupt threads on the running machine."""

from __future__ import annotations

DOCUMENTATION = r"""
module: irq_priorities
short_description: Give the threads of interrupts their places in the priority plan
version_added: "1.0.0"
author: nspa.proaudio contributors (@nine7nine)
description:
  - Gives the interrupt threads of sound cards and of USB controllers real-time priorities under C(SCHED_FIFO), and
    lowers any other interrupt thread that stands above O(other).
  - With O(state=absent) every thread that has one of these priorities gets the kernel's own, 50.
  - This module sets the threads that there are now. Those of cards that come later, and of the next boot, belong to a
    unit that udev starts, which the role C(sched_tuning) installs.
  - A kernel that runs no interrupt in a thread (no C(threadirqs), no PREEMPT_RT) and a container are left alone, and
    RV(left_alone) says so.
options:
  role:
    description: The name of the set, normally that of the role.
    type: str
    required: true
  state:
    description: Whether the threads have the priorities, or the kernel's own.
    type: str
    choices: [present, absent]
    default: present
  sound:
    description:
      - The priority of the interrupts of sound cards, 1 to 98. Required with O(state=present), as the others are.
    type: int
  usb:
    description: The priority of the interrupts of USB controllers, 1 to 98.
    type: int
  other:
    description: The highest priority that any other interrupt may have, 1 to 98.
    type: int
attributes:
  check_mode:
    support: full
    description: Says what would change and changes nothing.
  diff_mode:
    support: full
    description: Shows the priority of each thread before and after.
  idempotent:
    support: full
    description: A second run changes nothing.
  platform:
    support: full
    platforms: linux
    description: Needs root.
"""

EXAMPLES = r"""
- name: Let sound cards interrupt the audio server, and everything else wait for it
  nspa.proaudio.irq_priorities:
    role: sched_tuning
    sound: 95
    usb: 90
    other: 50
"""

RETURN = r"""
priorities:
  description: The threads that differed, with the priorities that they have now, or would have in check mode.
  returned: always
  type: dict
  sample: {IRQ 36 snd_hda_intel:card0: 95}
left_alone:
  description: Why there is nothing to set, one sentence each.
  returned: always
  type: list
  elements: str
  sample: ['a container shares its host''s interrupts: their order is set there']
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nspa.proaudio.plugins.module_utils._core.change import carry_out
from ansible_collections.nspa.proaudio.plugins.module_utils._host import irq_priorities


def main():
    concern = irq_priorities.CONCERN
    module = AnsibleModule(
        argument_spec=concern.argument_spec(), required_if=concern.required_if(), supports_check_mode=True
    )
    carry_out(module, concern)


if __name__ == "__main__":
    main()
