# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether this is a container, which runs the kernel of its host."""

from __future__ import annotations

import re
from pathlib import Path

from ansible_collections.nspa.proaudio.plugins.module_utils._core import proc


def kind(root: Path = Path("/")) -> str:
    """Name the kind of container that we run in, or return an empty string.

    Asked as systemd-detect-virt(1) asks: what the container's manager leaves for those inside it (systemd's
    CONTAINER_INTERFACE: /run/systemd/container, the variable ``container`` of the first process), and the marks of
    managers that leave none of that.
    """
    for path in ("/run/systemd/container", "/run/host/container-manager"):
        said = proc.read(path, root)
        if said is not None:
            return said.strip() or "container"
    first = re.search(r"(?:^|\0)container=([^\0]+)", proc.read("/proc/1/environ", root) or "")
    if first:
        return first.group(1)
    for mark, name in ((".dockerenv", "docker"), ("run/.containerenv", "podman")):
        if (root / mark).exists():
            return name
    if (root / "proc/vz").exists() and not (root / "proc/bc").exists():
        return "openvz"
    if re.search("microsoft|wsl", proc.read("/proc/sys/kernel/osrelease", root) or "", re.IGNORECASE):
        return "wsl"
    return ""
