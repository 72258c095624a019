# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program that writes waits for the disk after a fixed amount, and not after a share of a large memory."""

from __future__ import annotations

from ansible_collections.nspa.proaudio.plugins.module_utils._verdict import tunable
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.machine import Machine
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.model import Answer, Check, Settings, worst


def _ask(machine: Machine, settings: Settings) -> Answer:
    names = ("dirty_background_bytes", "dirty_bytes")
    return worst([tunable.sysctl(machine, f"vm.{name}", settings[f"sched_tuning_{name}"]) for name in names])


CHECK = Check(
    "dirty_bytes",
    "Unwritten data",
    _ask,
    ("sched_tuning_dirty_bytes", "sched_tuning_dirty_background_bytes"),
    role="sched_tuning",
    bare=True,
)
