# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking PID 1 and logind, through the programs that come with them."""

from __future__ import annotations

import contextlib
import re
import subprocess
from pathlib import Path
from typing import Dict, List, Optional, Protocol

from ansible_collections.nspa.proaudio.plugins.module_utils._core import programs

#: Seconds for an answer.
ANSWER = 20.0


class Run(Protocol):
    """Runs a program to its end, as `programs.run` does, and raises ProgramError as that does."""

    def __call__(self, *command: str, timeout: Optional[float] = None) -> subprocess.CompletedProcess[str]: ...


def runs(root: Path = Path("/")) -> bool:
    """Whether systemd runs this machine (sd_booted(3))."""
    return (root / "run/systemd/system").is_dir()


class Systemd:
    """The systemd that runs this machine."""

    def __init__(self, run: Run = programs.run) -> None:
        self._run = run

    def unit(self, unit: str, *names: str) -> Dict[str, str]:
        """Properties of a unit by name; empty texts where there is no such unit or property."""
        found = self._properties("systemctl", "show", unit, *[f"--property={name}" for name in names])
        return {name: found.get(name, "") for name in names}

    def property(self, unit: str, name: str) -> str:
        """One property of a unit; empty where there is none."""
        return self.unit(unit, name)[name]

    def each(self, name: str, *units: str) -> List[str]:
        """One property of several units, in their order; empty where there is none."""
        said = self._run("systemctl", "show", f"--property={name}", "--", *units, timeout=ANSWER).stdout
        values = [block.strip().partition("=")[2] for block in said.split("\n\n")]
        return (values + [""] * len(units))[: len(units)]

    def active(self, *units: str) -> List[str]:
        """Those of these units that are active, or are about to be."""
        said = self._run(
            *["systemctl", "show", "--property=Id", "--property=ActiveState", "--", *units], timeout=ANSWER
        ).stdout
        return re.findall(r"^Id=(\S+)\nActiveState=(?:active|activating|reloading)$", said, re.MULTILINE)

    def environment(self) -> List[str]:
        """The names of the variables that PID 1 hands to every unit."""
        return sorted(self._properties("systemctl", "show-environment"))

    def sessions(self, uid: int, *names: str) -> List[Dict[str, str]]:
        """Properties of each session of a user that logind knows of; none where there is no logind."""
        wanted = [f"--property={name}" for name in names]
        numbers = self._properties("loginctl", "show-user", str(uid), "--property=Sessions").get("Sessions", "")
        found = [self._properties("loginctl", "show-session", number, *wanted) for number in numbers.split()]
        return [{name: session.get(name, "") for name in names} for session in found]

    def lingers(self, uid: int) -> bool:
        """Whether a user's manager runs without a session, too."""
        return self._properties("loginctl", "show-user", str(uid), "--property=Linger").get("Linger") == "yes"

    def order(self, *command: str) -> None:
        """Have something ended. What is said to it does not matter: whoever orders looks at what is left."""
        with contextlib.suppress(programs.ProgramError):
            self._run(*command, timeout=ANSWER)

    def _properties(self, *command: str) -> Dict[str, str]:
        lines = self._run(*command, timeout=ANSWER).stdout.splitlines()
        return {name: value for name, _equals, value in (line.partition("=") for line in lines)}
