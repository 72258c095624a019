# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A session may use the promised nice value, and a process of it really does.

Wine asks for -20, and is refused in silence with less.
"""

from __future__ import annotations

from ansible_collections.nspa.proaudio.plugins.module_utils._verdict import limits, people
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.machine import Machine
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.model import Answer, Check, Settings


def _ask(machine: Machine, settings: Settings) -> Answer:
    wanted: int = settings["rt_limits_nice"]
    limit = limits.Limit(
        "nice",
        "Max nice priority",
        str(wanted),
        # The kernel counts from 1 (nice 19) to 40 (nice -20): getrlimit(2), RLIMIT_NICE.
        reaches=lambda value: 20 - int(value) <= wanted,
        show=lambda value: str(min(20 - int(value), 19)),
        proof=lambda place: place.nices,
    )
    return limits.ask(machine, settings, limit)


CHECK = Check("nice", "Nice value of sessions", _ask, people.SETTINGS, role="rt_limits", bare=True, broken=True)
