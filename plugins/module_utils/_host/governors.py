# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that set the CPU frequency governor by themselves, and undo what anybody else sets."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Dict, Mapping, NamedTuple

from ansible_collections.nspa.proaudio.plugins.module_utils._core import programs
from ansible_collections.nspa.proaudio.plugins.module_utils._host import processes, systemd


class Daemon(NamedTuple):
    """One of them: the unit that runs it, or its process where a user's session starts it."""

    unit: str = ""
    process: str = ""


#: By name. GameMode sets it while a game runs, and then back to what it was told is the default.
DAEMONS: Mapping[str, Daemon] = {
    "power-profiles-daemon": Daemon(unit="power-profiles-daemon.service"),
    "tuned": Daemon(unit="tuned.service"),
    "tuned-ppd": Daemon(unit="tuned-ppd.service"),
    "TLP": Daemon(unit="tlp.service"),
    "auto-cpufreq": Daemon(unit="auto-cpufreq.service"),
    "GameMode": Daemon(process="gamemoded"),
}

_GAMEMODE = "write desiredgov=performance and defaultgov=performance under [general] in /etc/gamemode.ini"


def running(root: Path = Path("/"), run: systemd.Run = programs.run) -> Dict[str, str]:
    """Those that run here, each with what keeps it from the governor."""
    units = {daemon.unit: name for name, daemon in DAEMONS.items() if daemon.unit}
    active = systemd.Systemd(run).active(*units) if systemd.runs(root) else []
    found = {units[unit]: f"systemctl disable --now {unit}" for unit in active if unit in units}
    names = set()
    for process in processes.everything(root):
        with contextlib.suppress(OSError):
            names.add(process.name())
    found.update({name: _GAMEMODE for name, daemon in DAEMONS.items() if daemon.process in names - {""}})
    return found
