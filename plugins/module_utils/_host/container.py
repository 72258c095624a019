# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether this machine is a container, which runs the kernel of its host."""

from __future__ import annotations

from pathlib import Path


def kind(root: Path = Path("/")) -> str:
    """Name the kind of container that we run in, or an empty string (systemd, CONTAINER_INTERFACE.md)."""
    try:
        return (root / "run/systemd/container").read_text(encoding="utf-8").strip() or "container"
    except OSError:
        pass
    for mark, name in ((".dockerenv", "docker"), ("run/.containerenv", "podman")):
        if (root / mark).exists():
            return name
    return ""
