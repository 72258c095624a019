# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A session may raise its limit of open files to the promised one: esync and ntsync use one for each object."""

from __future__ import annotations

from ansible_collections.nspa.proaudio.plugins.module_utils._verdict import limits, people
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.machine import Machine
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.model import Answer, Check, Settings


def _ask(machine: Machine, settings: Settings) -> Answer:
    wanted: int = settings["rt_limits_nofile"]
    limit = limits.Limit(
        "nofile",
        "Max open files",
        f"up to {wanted}",
        reaches=lambda value: int(value) >= wanted,
        hard=True,
    )
    return limits.ask(machine, settings, limit)


CHECK = Check(
    "nofile", "Open files of sessions", _ask, (*people.SETTINGS, "rt_limits_nofile"), role="rt_limits", broken=True
)
