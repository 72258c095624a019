# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Debian's packages come from: what this machine's own apt says, with another suite.

No mirror is named anywhere in the test bed. A machine whose apt knows no Debian archive (another distribution) can
name one in the variable NSPA_BED_MIRROR.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .common import BedError, need

# The host's loopback, as a guest behind QEMU's user network sees it.
HOST_FROM_GUEST = "10.0.2.2"

TARGET_FORMAT = "$(REPO_URI)|$(ORIGIN)|$(LABEL)"

# What the machine's apt is told about fetching, and the guest must be told too.
FETCH_OPTION = re.compile(r'^Acquire::(?:(?:https?|ftp)::Proxy(?:::\S+)?|Check-(?:Valid-Until|Date))\s+"[^"]+";$')


@dataclass(frozen=True)
class Archive:
    """A Debian mirror, a security mirror (or none), and the apt options needed to reach them."""

    main: str
    security: str | None = None
    options: tuple[str, ...] = ()

    def sources(self, suite: str, backports: bool, exists: Callable[[str, str], bool]) -> list[str]:
        """The lines of sources.list for SUITE; EXISTS(uri, suite) tells whether the mirror has a suite.

        An old suite keeps what is left of it: updates, security and backports are taken where they still exist.
        """
        if not exists(self.main, suite):
            raise BedError(
                f"Wanted Debian {suite}; the mirror {self.main} does not have it (any more). Name a mirror "
                f"that has, in the variable NSPA_BED_MIRROR."
            )
        lines = [f"deb {self.main} {suite} main"]
        if exists(self.main, f"{suite}-updates"):
            lines.append(f"deb {self.main} {suite}-updates main")
        if self.security and exists(self.security, f"{suite}-security"):
            lines.append(f"deb {self.security} {suite}-security main")
        if backports:
            if not exists(self.main, f"{suite}-backports"):
                raise BedError(
                    f"Wanted a kernel from {suite}-backports; the mirror {self.main} does not have it "
                    "(any more). Take a kernel of the suite itself, or name another mirror in NSPA_BED_MIRROR."
                )
            lines.append(f"deb {self.main} {suite}-backports main")
        return lines


def parse_index_targets(text: str) -> tuple[str | None, str | None]:
    """The Debian mirror and the Debian security mirror in what `apt-get indextargets` printed in TARGET_FORMAT."""
    main = security = None
    for line in text.splitlines():
        uri, origin, label = [*line.split("|"), "", ""][:3]
        if origin == "Debian" and label == "Debian":
            main = main or uri
        elif origin == "Debian" and label == "Debian-Security":
            security = security or uri
    return main, security


def parse_fetch_options(text: str) -> tuple[str, ...]:
    """The lines about proxies and validity in what `apt-config dump` printed, ready for a file in apt.conf.d."""
    return tuple(line for line in text.splitlines() if FETCH_OPTION.match(line))


def as_seen_from_guest(text: str) -> str:
    """TEXT with the host's loopback replaced by the address under which a virtual machine reaches the host."""
    return re.sub(r"(?<=//)(?:127\.0\.0\.1|localhost)(?=[:/])", HOST_FROM_GUEST, text)


def of_this_machine() -> Archive:
    """Ask this machine's apt."""
    need("apt-get", "apt-config")
    environment = dict(os.environ, LC_ALL="C.UTF-8")

    def output(*command: str) -> str:
        return subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=True).stdout

    main, security = parse_index_targets(output("apt-get", "indextargets", "--format", TARGET_FORMAT))
    named = os.environ.get("NSPA_BED_MIRROR")
    if named:
        main, security = named.rstrip("/") + "/", os.environ.get("NSPA_BED_SECURITY_MIRROR")
    if not main:
        raise BedError(
            "Wanted the address of a Debian mirror; this machine's apt knows none (apt-get indextargets shows no "
            "archive of origin Debian). Run apt-get update, or name a mirror in the variable NSPA_BED_MIRROR."
        )
    return Archive(main, security, parse_fetch_options(output("apt-config", "dump")))


def suite_exists(uri: str, suite: str) -> bool:
    """Whether the archive at URI has SUITE, asked with apt's own downloader, so that its proxy and login data hold."""
    with tempfile.TemporaryDirectory() as directory:
        for name in ("InRelease", "Release"):
            address, target = f"{uri.rstrip('/')}/dists/{suite}/{name}", str(Path(directory) / name)
            done = subprocess.run(
                ["/usr/lib/apt/apt-helper", "-o", "Acquire::Retries=2", "download-file", address, target],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=False,
            )
            if done.returncode == 0:
                return True
    return False
