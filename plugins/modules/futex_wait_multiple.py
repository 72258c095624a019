#!/usr/bin/python
# Copyright: (c) 2026, nspa.proaudio contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verify at run time that the kernel can wait on several futexes at once."""

from __future__ import annotations

DOCUMENTATION = r"""
module: futex_wait_multiple
short_description: Verify at run time that the kernel can wait on several futexes at once
version_added: "1.0.0"
description:
  - Wine's fast synchronisation (fsync, and ntsync in newer versions) needs a kernel that can wait on several things at
    once. Which interface it needs depends on the Wine, and no version number tells whether the running kernel has it.
  - This module asks the running kernel by doing it. It waits on several objects, lets another thread wake one, and
    checks that the kernel names the right one; it also tries values that changed, timeouts, the longest list, and on
    x86-64 the same again as a 32-bit program.
  - It changes nothing, needs no privilege, and comes back even if the kernel does not. Every wait happens in a child
    process with a deadline.
options:
  require:
    description:
      - The interfaces that must be C(supported). The module fails and names what is missing.
      - V(any) stands for at least one of them.
      - The empty list means to report only.
    type: list
    elements: str
    default: []
    choices:
      - any
      - futex_wait_multiple
      - futex_wait_multiple_13
      - futex2
      - futex_waitv
      - ntsync
      - nspa_ntsync
      - winesync
  samples:
    description:
      - How many wakes to time for each interface that works, 0 to 100000.
      - The default shows the order of magnitude in a few milliseconds. Use V(5000) or more for a figure to compare.
    type: int
    default: 50
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: >-
      Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
    support: N/A
    details: This module changes nothing.
  idempotent:
    description: >-
      When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
    support: full
  platform:
    description: Target OS or families that can be operated against.
    support: full
    platforms: linux
author:
  - nspa.proaudio contributors (@nine7nine)
"""

EXAMPLES = r"""
- name: Show what this kernel offers to Wine
  nspa.proaudio.futex_wait_multiple:

- name: Stop here unless fsync of Wine-NSPA 8.x will work
  nspa.proaudio.futex_wait_multiple:
    require: [futex_waitv]

- name: Measure how long a wake takes
  nspa.proaudio.futex_wait_multiple:
    samples: 5000
  register: probe
"""

RETURN = r"""
interfaces:
  description: What was found, by the name of the interface.
  returned: always
  type: dict
  contains:
    status:
      description: >-
        C(supported); C(degraded), it works with a stated defect; C(broken), it is there and gives wrong results;
        C(absent); C(blocked), something forbids to ask.
      type: str
      sample: supported
    evidence:
      description: What was seen.
      type: str
      sample: wakes for the right one of 3 and of 128 futexes, private and shared
    number:
      description: The system call, the opcode of C(futex), or the ioctl that was used.
      type: int
      sample: 449
    variant:
      description: >-
        Which of the historical kernel patches this is, told by its behaviour: V(op31), V(v55), V(v521), V(op13) or
        V(rfc).
      type: str
    timeouts:
      description: How it takes a timeout, V(relative), V(absolute-monotonic) or V(absolute-realtime).
      type: str
      sample: absolute-monotonic
    wake_index_ok:
      description: Whether each wake named the right object; null where none was tried.
      type: bool
    wake_latency_us:
      description: How long a wake took, in microseconds; null where none was timed.
      type: dict
      sample: {min: 6.1, p50: 9.7, p99: 44.2, max: 44.2, samples: 50}
    answer:
      description: >-
        What the kernel said to the first question, an empty list or a new object. Wine asks no more than that.
      type: str
      sample: EINVAL
    compat32:
      description: >-
        The same for 32-bit programs; its status can also be C(vacuous), where the kernel runs none.
      type: dict
    module:
      description: "For drivers: V(loaded), V(available) to modprobe, or V(none)."
      type: str
    ordinary_user:
      description: "For drivers: whether a user without privileges may open the device."
      type: bool
wine_sync:
  description: The best that a Wine made for this host could use, V(ntsync), V(fsync), V(esync) or V(server).
  returned: always
  type: str
  sample: fsync
wine_series:
  description: >-
    What each series of Wine would choose on this host, through which interface, and whether that works. It detects in
    its own way, which is less careful than this module's.
  returned: always
  type: dict
  sample:
    5.x: {chooses: esync, through: null, works: true}
    8.x: {chooses: fsync, through: futex_waitv, works: true}
hazards:
  description: What would make a Wine misbehave here, and what to do. One sentence each.
  returned: always
  type: list
  elements: str
kernel:
  description: >-
    The running kernel: its release, its machine, whether it is real-time (PREEMPT_RT), whether it is a Linux-NSPA,
    and whether a seccomp filter stands between the probe and it.
  returned: always
  type: dict
  sample: {release: 6.1.0-40-amd64, machine: x86_64, realtime: false, nspa: false, seccomp_filter: false}
measured_with:
  description: The conditions under which C(wake_latency_us) was measured.
  returned: always
  type: dict
  sample: {policy: SCHED_OTHER, priority: 0, waker_cpu: 0, waiter_cpu: 1, samples: 50}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nspa.proaudio.plugins.module_utils._sync import probe


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "require": {
                "type": "list",
                "elements": "str",
                "default": [],
                "choices": ["any", *probe.INTERFACES],
            },
            "samples": {"type": "int", "default": probe.DEFAULT_SAMPLES},
        },
        supports_check_mode=True,
    )
    samples = module.params["samples"]
    if not 0 <= samples <= probe.MOST_SAMPLES:
        module.fail_json(msg=f"samples is {samples}; it must be 0 to {probe.MOST_SAMPLES}.")
    result = probe.probe(samples=samples)
    lacking = probe.missing(result, module.params["require"])
    if lacking:
        module.fail_json(msg=" ".join(lacking), **result)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
