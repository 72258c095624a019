# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The running kernel swaps as reluctantly as is wanted, and will."""

from __future__ import annotations

from typing import Optional

from ansible_collections.nspa.proaudio.plugins.module_utils._verdict import tunable
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.machine import Machine
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.model import Answer, Check, Settings


def _ask(machine: Machine, settings: Settings) -> Answer:
    value: Optional[int] = settings["sched_tuning_swappiness"]
    if value is None or machine.container:
        return tunable.left_alone(value is None)
    seen = machine.read("/proc/sys/vm/swappiness") or "unknown"
    return tunable.judge(machine, "vm.swappiness", value, seen == str(value), Answer("pass", seen, str(value)))


CHECK = Check(
    "swappiness", "Swappiness", _ask, ("sched_tuning_swappiness",), role="sched_tuning", bare=True, broken=True
)
