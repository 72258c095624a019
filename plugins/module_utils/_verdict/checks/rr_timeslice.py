# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A SCHED_RR thread gets the time slice that is wanted, and will: the kernel is asked for a thread's own."""

from __future__ import annotations

from typing import Optional

from ansible_collections.nspa.proaudio.plugins.module_utils._verdict import tunable
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.machine import Machine
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.model import Answer, Check, Settings

_TICK = 10
"""Milliseconds: the kernel counts in ticks, at most 10 ms each (HZ 100)."""


def _ask(machine: Machine, settings: Settings) -> Answer:
    value: Optional[int] = settings["sched_tuning_rr_timeslice_ms"]
    if value is None or machine.container:
        return tunable.left_alone(value is None)
    wanted = f"{value} ms"
    try:
        seen = machine.round_robin_ms()
    except OSError as error:
        evidence = f"no SCHED_RR thread may be started here: {error.strerror}"
        return Answer("blocked", evidence, wanted, "Run this as root on the machine itself.")
    evidence = f"{seen:.0f} ms, as a SCHED_RR thread gets it"
    live = abs(seen - value) < _TICK
    return tunable.judge(machine, "kernel.sched_rr_timeslice_ms", value, live, Answer("pass", evidence, wanted))


CHECK = Check(
    "rr_timeslice",
    "Time slice of SCHED_RR",
    _ask,
    ("sched_tuning_rr_timeslice_ms",),
    role="sched_tuning",
    bare=True,
    broken=True,
)
