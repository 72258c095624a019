# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A session may use real-time priorities up to the promised one, and a process of it really does."""

from __future__ import annotations

from ansible_collections.nspa.proaudio.plugins.module_utils._verdict import limits, people
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.machine import Machine
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.model import Answer, Check, Settings


def _ask(machine: Machine, settings: Settings) -> Answer:
    wanted: int = settings["rt_limits_rtprio"]
    limit = limits.Limit(
        "rtprio",
        "Max realtime priority",
        str(wanted),
        reaches=lambda value: int(value) >= wanted,
        proof=lambda place: place.fifo,
        refused_to_root=lambda: machine.refuses_fifo(wanted),
    )
    return limits.ask(machine, settings, limit)


CHECK = Check(
    "rtprio", "Real-time priority of sessions", _ask, people.SETTINGS, role="rt_limits", bare=True, broken=True
)
