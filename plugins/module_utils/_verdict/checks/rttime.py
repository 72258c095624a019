# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""No real-time thread of a session is killed for using its CPU for long, as RLIMIT_RTTIME would (getrlimit(2))."""

from __future__ import annotations

from ansible_collections.nspa.proaudio.plugins.module_utils._verdict import limits, people
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.machine import Machine
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.model import Answer, Check, Settings


def _ask(machine: Machine, settings: Settings) -> Answer:
    limit = limits.Limit(
        "rttime",
        "Max realtime timeout",
        "unlimited",
        reaches=lambda value: False,
        show=lambda value: f"{value} µs",
    )
    return limits.ask(machine, settings, limit)


CHECK = Check("rttime", "CPU time of real-time threads", _ask, people.SETTINGS, role="rt_limits")
