# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading /proc and /sys, and what the running kernel says of itself."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple, Optional


class Realtime(NamedTuple):
    """Whether the kernel is PREEMPT_RT, and how that is known."""

    active: bool
    evidence: str


def read(path: str, root: Path = Path("/")) -> Optional[str]:
    """The text of a file of the kernel without its last newline; None where it is not there or not to be read."""
    try:
        return (root / path.lstrip("/")).read_text(encoding="utf-8", errors="replace").rstrip("\n")
    except OSError:
        return None


def realtime(root: Path = Path("/"), version: Optional[str] = None) -> Realtime:
    """Whether the running kernel is PREEMPT_RT.

    The patch set has /sys/kernel/realtime; the mainline's PREEMPT_RT (since 6.12) has not, and says so in its version
    alone, as ``#1 SMP PREEMPT_RT ...`` (init/Makefile, UTS_VERSION). `version` stands for ``uname -v``.
    """
    if read("/sys/kernel/realtime", root) == "1":
        return Realtime(True, "/sys/kernel/realtime is 1")
    version = os.uname().version if version is None else version
    return Realtime(bool(re.search(r"\bPREEMPT_RT\b", version)), version)


def command_line(root: Path = Path("/")) -> str:
    """The command line of the running kernel, without the loader's BOOT_IMAGE (proc(5), /proc/cmdline)."""
    return re.sub(r"^BOOT_IMAGE=\S+\s*", "", (read("/proc/cmdline", root) or "").strip())


def is_nspa(release: str) -> bool:
    """Whether a kernel's release is that of a Linux-NSPA, such as ``6.19.11-rt1-1-nspa``: its packages end so."""
    return re.search(r"-nspa\b", release) is not None
