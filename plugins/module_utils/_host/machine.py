# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What kind of machine this is, and whether it can become a pro-audio host."""

from __future__ import annotations

import os
import pwd
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from ansible_collections.nspa.proaudio.plugins.module_utils._boot import loaders
from ansible_collections.nspa.proaudio.plugins.module_utils._host import container, distributions
from ansible_collections.nspa.proaudio.plugins.module_utils._packages import packages as installing


@dataclass
class Question:
    """What the settings want of a machine, as far as it must be able to do it.

    `users` must exist; `packages` will be installed, and the archives that have them must answer; `kernels`: the
    distribution's kernel packages that were chosen, none for its real-time kernel, None if its kernel is not wanted.
    """

    users: Sequence[str] = ()
    packages: Sequence[str] = ()
    kernels: Optional[Sequence[str]] = None


def examine(asked: Question, root: Path = Path("/"), uid: Optional[int] = None) -> Tuple[List[str], Dict[str, Any]]:
    """Look at this machine; return what stands in the way (sentences) and what the roles need to know.

    uid: the user that we are, for a test.
    """
    release = distributions.os_release(root)
    distribution = distributions.identify(release)
    loader = loaders.detect(root)
    kernels: List[str] = []
    if asked.kernels is not None and loader.managed:
        kernels = list(asked.kernels) or (distribution.kernels() if distribution else [])
    uids, problems = _accounts(asked.users, distributions.names(root))
    problems = [*_distribution(release, distribution), *_systemd(root), *problems]
    if (os.geteuid() if uid is None else uid) != 0:
        problems.append(
            "this needs root: log in as root, or let Ansible use sudo (become: true, and --ask-become-pass "
            "if your sudo asks for a password)"
        )
    if not problems:
        problems += _archives([*asked.packages, *kernels])
    return problems, {
        "distribution": release.get("ID", "unknown"),
        "version": release.get("VERSION_ID", "unknown"),
        "name": _name(release),
        "architecture": os.uname().machine,
        "container": container.kind(root),
        "kernel": os.uname().release,
        "loader": asdict(loader),
        "kernel_packages": kernels,
        "uids": uids,
    }


def _name(release: Dict[str, str]) -> str:
    return release.get("PRETTY_NAME") or f"{release.get('ID', 'unknown')} {release.get('VERSION_ID', '')}".strip()


def _distribution(release: Dict[str, str], found: Optional[distributions.Distribution]) -> List[str]:
    if found is not None and found.tested(release):
        return []
    wanted = ", ".join(f"{row.id} {' and '.join(row.versions)}" for row in distributions.TABLE.values())
    seen = f"ID={release.get('ID', 'unknown')}, VERSION_ID={release.get('VERSION_ID', 'unknown')}"
    return [f"the distribution is {_name(release)} ({seen}): wanted {wanted}"]


def _systemd(root: Path) -> List[str]:
    """Limits, the user manager and the verdict are systemd's; without it a run would stop half-way."""
    if (root / "run/systemd/system").is_dir():  # sd_booted(3)
        return []
    return [
        "systemd did not start this machine (there is no /run/systemd/system): wanted a machine that runs systemd, "
        "which carries the limits to sessions; boot it with systemd, or run this on the machine itself if this is a "
        "chroot or a container without systemd"
    ]


def _accounts(users: Sequence[str], names: distributions.Names) -> Tuple[Dict[str, int], List[str]]:
    uids: Dict[str, int] = {}
    problems = []
    for user in users:
        problem = names.problem(user)
        if problem:
            problems.append(f"rt_limits_users: {problem}")
            continue
        try:
            uids[user] = pwd.getpwnam(user).pw_uid
        except KeyError:
            problems.append(
                f"rt_limits_users names '{user}', but this machine has no such user: "
                f"mend the name, or create the user first (adduser {user})"
            )
    return uids, problems


def _archives(packages: Sequence[str]) -> List[str]:
    """Say which package archives do not answer, of those that have what is yet to be installed."""
    missing = installing.missing(packages)
    if not missing:
        return []
    return [
        f"to install {', '.join(missing)} this machine needs its package archive {address}, "
        f"which does not answer: {error}. Check the network (and the proxy, if there is one) with "
        "'apt-get update', then run this again"
        for address, error in installing.unreachable(missing)
    ]
