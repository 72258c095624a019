# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users may have as many interrupts a second from the clocks rtc and hpet as is wanted."""

from __future__ import annotations

from typing import Optional

from ansible_collections.nspa.proaudio.plugins.module_utils._verdict import tunable
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.machine import Machine
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.model import Answer, Check, Settings, worst


def _ask(machine: Machine, settings: Settings) -> Answer:
    value: Optional[int] = settings["sched_tuning_timer_frequency"]
    rtc = tunable.attribute(machine, "/sys/class/rtc/rtc*/max_user_freq", value, "there is no rtc")
    hpet = tunable.sysctl(machine, "dev.hpet.max-user-freq", value)
    if {rtc.status, hpet.status} == {"pass", "vacuous"}:
        return rtc if rtc.status == "pass" else hpet  # one clock is enough
    return worst([rtc, hpet])


CHECK = Check(
    "timer_frequency", "Timers of users", _ask, ("sched_tuning_timer_frequency",), role="sched_tuning", bare=True
)
