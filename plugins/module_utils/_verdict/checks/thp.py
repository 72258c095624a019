# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Transparent huge pages go to whom the setting says: the kernel moves memory for them while a program waits.

A PREEMPT_RT kernel has none (mm/Kconfig, TRANSPARENT_HUGEPAGE).
"""

from __future__ import annotations

from ansible_collections.nspa.proaudio.plugins.module_utils._verdict import tunable
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.machine import Machine
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.model import Answer, Check, Settings

_PATH = "/sys/kernel/mm/transparent_hugepage/enabled"


def _ask(machine: Machine, settings: Settings) -> Answer:
    lacking = f"the kernel {machine.release} makes none"
    return tunable.attribute(machine, _PATH, settings["sched_tuning_huge_pages"], lacking)


CHECK = Check("thp", "Memory in huge pages", _ask, ("sched_tuning_huge_pages",), role="sched_tuning")
