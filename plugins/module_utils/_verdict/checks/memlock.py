# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A session may lock the promised memory, and a process of it really does."""

from __future__ import annotations

from ansible_collections.nspa.proaudio.plugins.module_utils._verdict import limits, people
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.machine import Machine
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.model import Answer, Check, Settings


def _ask(machine: Machine, settings: Settings) -> Answer:
    wanted = people.memlock_kb(settings)
    limit = limits.Limit(
        "memlock",
        "Max locked memory",
        "unlimited" if wanted is None else f"{wanted} kB",
        reaches=lambda value: wanted is not None and int(value) >= wanted * 1024,
        show=lambda value: f"{int(value) // 1024} kB",
        proof=lambda place: place.locks,
    )
    return limits.ask(machine, settings, limit)


CHECK = Check("memlock", "Locked memory of sessions", _ask, people.SETTINGS, role="rt_limits", bare=True, broken=True)
