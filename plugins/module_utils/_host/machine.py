# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What kind of machine this is, and whether it can become a pro-audio host."""

from __future__ import annotations

import os
import pwd
from dataclasses import asdict
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from ansible_collections.nspa.proaudio.plugins.module_utils._boot import grub
from ansible_collections.nspa.proaudio.plugins.module_utils._packages import packages as installing

#: Distributions on which the tests run this collection, by os-release's ID and VERSION_ID.
SUPPORTED: Dict[str, Tuple[str, ...]] = {"debian": ("12", "13")}


#: Debian's PREEMPT_RT kernel by machine (uname -m).
RT_KERNELS: Dict[str, List[str]] = {"x86_64": ["linux-image-rt-amd64"], "aarch64": ["linux-image-rt-arm64"]}


def os_release(root: Path = Path("/")) -> Dict[str, str]:
    """Read os-release(5): names in capitals, values without their quotes."""
    for place in ("etc/os-release", "usr/lib/os-release"):
        try:
            text = (root / place).read_text(encoding="utf-8")
        except OSError:
            continue
        pairs = (line.partition("=") for line in text.splitlines() if "=" in line and not line.startswith("#"))
        return {name: value.strip().strip("\"'") for name, _equals, value in pairs}
    return {}


def kernel_packages(chosen: List[str]) -> List[str]:
    """Return the distribution's kernel packages to install: those that the user chose, else the PREEMPT_RT kernel."""
    return chosen or RT_KERNELS.get(os.uname().machine, [])


def examine(
    users: List[str], packages: List[str], kernels: Optional[List[str]] = None, root: Path = Path("/")
) -> Tuple[List[str], Dict[str, Any]]:
    """Look at this machine; return what stands in the way (sentences) and what the roles need to know.

    :param users: users who must exist.
    :param packages: packages that will be installed; if one is missing, the package archives must answer.
    :param kernels: the distribution's kernel packages that the user chose; None if its kernel is not wanted.
    """
    release = os_release(root)
    problems: List[str] = []
    distribution, version = release.get("ID", "unknown"), release.get("VERSION_ID", "unknown")
    name = release.get("PRETTY_NAME", f"{distribution} {version}")
    uids: Dict[str, int] = {}
    loader = grub.detect(root)
    kernel = kernel_packages(kernels) if kernels is not None and loader.managed else []

    if version not in SUPPORTED.get(distribution, ()):
        supported = ", ".join(f"{key} {' and '.join(values)}" for key, values in SUPPORTED.items())
        problems.append(f"the distribution is {name} (ID={distribution}, VERSION_ID={version}): wanted {supported}")
    for user in users:
        try:
            uids[user] = pwd.getpwnam(user).pw_uid
        except KeyError:
            problems.append(
                f"rt_limits_users names '{user}', but this machine has no such user: "
                f"mend the name, or create the user first (adduser {user})"
            )
    if os.geteuid() != 0:
        problems.append(
            "this needs root: log in as root, or let Ansible use sudo (become: true, and --ask-become-pass "
            "if your sudo asks for a password)"
        )
    if not problems:
        problems += _archives(packages + kernel)
    return problems, {
        "distribution": distribution,
        "version": version,
        "name": name,
        "architecture": os.uname().machine,
        "container": grub.container(root),
        "kernel": os.uname().release,
        "loader": asdict(loader),
        "kernel_packages": kernel,
        "uids": uids,
    }


def _archives(packages: List[str]) -> List[str]:
    """Say which package archives do not answer, if any package has yet to be installed."""
    missing = installing.missing(packages)
    if not missing:
        return []
    return [
        f"to install {', '.join(missing)} this machine needs its package archive {uri}, "
        f"which does not answer: {error}. Check the network (and the proxy, if there is one) with "
        "'apt-get update', then run this again"
        for uri, error in installing.unreachable_archives()
    ]
