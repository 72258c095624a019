# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The answer on a kernel tunable: what the running kernel has, and what the next boot will give it."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.machine import Machine
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.model import AGAIN, Answer


def left_alone(by_setting: bool) -> Answer:
    """The answer where the value is not this machine's, or not wanted."""
    return Answer("vacuous", "left to the kernel" if by_setting else "a container runs on its host's settings", "")


def judge(machine: Machine, name: str, value: int, live: bool, seen: Answer) -> Answer:
    """`seen` where the value stands now (`live`) and after a boot; else the same evidence, and what stands in the way.

    systemd-sysctl sets it at boot from many files, of which one wins (sysctl.d(5)): it is named when it is not ours.
    """
    coming = machine.set_at_boot(name)
    if coming is not None and coming[0] != str(value):
        evidence = f"{seen.evidence}; {coming[1]} sets it to {coming[0]} at the next boot"
        remedy = f"Take {name} out of {coming[1]}, or set it to {value} there, and run the playbook nspa.proaudio.site."
        return replace(seen, status="fail", evidence=evidence, remedy=remedy)
    if not live:
        return replace(seen, status="fail", remedy=AGAIN)
    if coming is None:
        evidence = f"{seen.evidence}; no file sets it at the next boot"
        return replace(seen, status="fail", evidence=evidence, remedy=AGAIN)
    return seen
