# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""systemd reads the files of its units once, and again when it is told to.

Whether it has read a file is asked of systemd itself (NeedDaemonReload in org.freedesktop.systemd1(5)), so that a run
that was interrupted between the two is finished by the next one.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Callable, Iterable, List

from ansible_collections.nspa.proaudio.plugins.module_utils._core import programs
from ansible_collections.nspa.proaudio.plugins.module_utils._core.errors import HostError

Run = Callable[..., Any]

#: A unit, or a drop-in of one, among the administrator's (systemd.unit(5)).
_UNIT = re.compile(r"^/etc/systemd/system/([^/]+\.[a-z]+?)(\.d/[^/]+\.conf)?$")


def of(paths: Iterable[str]) -> List[str]:
    """The units to which these files belong."""
    return sorted({match.group(1) for match in map(_UNIT.match, paths) if match})


def unread(paths: Iterable[str], run: Run = programs.run, root: Path = Path("/")) -> List[str]:
    """Those units of these files that systemd runs by an earlier state of their files."""
    units = of(paths)
    if not units or not (root / "run/systemd/system").is_dir():
        return []
    said = run("systemctl", "show", "--property=Id", "--property=NeedDaemonReload", "--", *units).stdout
    return re.findall(r"^Id=(\S+)\nNeedDaemonReload=yes$", said, re.MULTILINE)


def reload(run: Run = programs.run, root: Path = Path("/")) -> None:
    """Let systemd read the files of its units again. Raises HostError."""
    if not (root / "run/systemd/system").is_dir():
        return
    done = run("systemctl", "daemon-reload")
    if done.returncode:
        raise HostError(
            f"systemd did not read its units' files again: {done.stderr.strip() or done.returncode}. "
            f"Run 'systemctl daemon-reload' on this machine and look at what it says, then run this again."
        )
