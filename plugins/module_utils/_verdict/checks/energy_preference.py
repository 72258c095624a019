# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A processor with a scale of its own between speed and saving prefers what is wanted."""

from __future__ import annotations

from ansible_collections.nspa.proaudio.plugins.module_utils._verdict import tunable
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.machine import Machine
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.model import Answer, Check, Settings

_PATTERN = "/sys/devices/system/cpu/cpu*/cpufreq/energy_performance_preference"


def _ask(machine: Machine, settings: Settings) -> Answer:
    if settings["sched_tuning_governor_owner"] == "daemon":
        return Answer("vacuous", "left to the daemon that sets the governor", "")
    lacking = "this processor has no such preference"
    return tunable.attribute(machine, _PATTERN, settings["sched_tuning_energy_preference"], lacking)


CHECK = Check(
    "energy_preference",
    "Speed or saving",
    _ask,
    ("sched_tuning_energy_preference", "sched_tuning_governor_owner"),
    role="sched_tuning",
)
