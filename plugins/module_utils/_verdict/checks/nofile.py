# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A session may open as many files as promised, and a process of it really does: esync and ntsync need one an object.

Above the limits of sessions stands fs.nr_open, the kernel's own (Documentation/admin-guide/sysctl/fs.rst).
"""

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
        proof=lambda place: place.opens,
    )
    most = machine.read("/proc/sys/fs/nr_open") or ""
    if most.isdigit() and int(most) < wanted:
        remedy = (
            f"Run: sysctl -w fs.nr_open={wanted}, take out what lowers it (grep -rs nr_open /etc/sysctl.conf "
            "/etc/sysctl.d), and log in anew."
        )
        return Answer("fail", f"fs.nr_open is {most}: nobody may open more files", limit.wanted, remedy)
    return limits.ask(machine, settings, limit)


CHECK = Check("nofile", "Open files of sessions", _ask, people.SETTINGS, role="rt_limits", broken=True)
