# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The distributions: one row for each, with what differs between them and is no package manager's or boot loader's.

A derivative is recognised by the ID_LIKE of its os-release, and gets the row of what it comes from. That says what
its packages and groups are called, not that anything was tried on it: `Distribution.tested` is true for nothing but
the versions on which the tests run.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Tuple

#: What needs a package, by the words of the table.
USER_MANAGER = "user manager"


@dataclass(frozen=True)
class Names:
    """The rule for the names of users and groups."""

    existing: str  #: regular expression for what an account may be called that somebody else made
    created: str  #: the stricter one for a group that is made
    longest: int  #: characters of a name that is made

    def problem(self, name: str) -> str:
        """Say why no user and no group can have this name; empty if they can."""
        if re.fullmatch(self.existing, name):
            return ""
        return (
            f"{name!r} is no name of a user or group: it starts with a letter or a digit, and has no space, colon, "
            "comma or slash in it. Mend the name"
        )

    def problem_of_new(self, name: str) -> str:
        """Say why no group of this name can be made; empty if one can."""
        if self.problem(name):
            return self.problem(name)
        if re.fullmatch(self.created, name) and len(name) <= self.longest:
            return ""
        return (
            f"no group {name!r} can be made: its name starts with a letter, has only letters, digits, '_' and '-' in "
            f"it, and is not longer than {self.longest}. Choose another name"
        )


@dataclass(frozen=True)
class Distribution:
    """What differs from one distribution to another."""

    id: str  #: as in os-release(5)
    name: str
    versions: Tuple[str, ...]  #: VERSION_ID of those on which the tests run
    realtime_kernels: Mapping[str, Tuple[str, ...]]  #: packages of its PREEMPT_RT kernel, by machine (uname -m)
    audio_group: str  #: the group to which its own audio packages give real-time priorities
    packages: Mapping[str, str]  #: the package that brings a thing, by the words above
    names: Names

    def tested(self, release: Mapping[str, str]) -> bool:
        """Whether the tests run on exactly this os-release; false for a derivative."""
        return release.get("ID") == self.id and release.get("VERSION_ID") in self.versions

    def kernels(self, machine: Optional[str] = None) -> List[str]:
        """Return the packages of its real-time kernel for a machine (this one's uname -m); none where it has none."""
        return list(self.realtime_kernels.get(os.uname().machine if machine is None else machine, ()))


# The weakest rule that adduser has for anybody, which is also what the format of passwd(5) allows: def_min_regex in
# Debian's AdduserCommon.pm, without control characters too. For what is made, its SYS_NAME_REGEX (adduser.conf(5)),
# and the length that groupadd(8) allows.
_SHADOW = Names(existing=r"(?![-+~])[^:,\s/\x00-\x1f\x7f]+", created=r"[A-Za-z_][A-Za-z0-9_-]*\$?", longest=32)

DEBIAN = Distribution(
    id="debian",
    name="Debian",
    versions=("12", "13"),
    realtime_kernels={"x86_64": ("linux-image-rt-amd64",), "aarch64": ("linux-image-rt-arm64",)},
    # jackd2 writes limits for @audio when it is asked to; PipeWire's file names @pipewire, which Debian does not make.
    audio_group="audio",
    packages={USER_MANAGER: "libpam-systemd"},
    names=_SHADOW,
)

#: All rows, by ID.
TABLE: Dict[str, Distribution] = {row.id: row for row in (DEBIAN,)}


def os_release(root: Path = Path("/")) -> Dict[str, str]:
    """Read os-release(5): names in capitals, values without their quotes; empty where there is none."""
    for place in ("etc/os-release", "usr/lib/os-release"):
        try:
            text = (root / place).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        pairs = (line.partition("=") for line in text.splitlines() if "=" in line and not line.startswith("#"))
        return {name.strip(): _unquoted(value.strip()) for name, _equals, value in pairs}
    return {}


def identify(release: Mapping[str, str]) -> Optional[Distribution]:
    """Find the row of an os-release: by its ID, else by the nearest of ID_LIKE; None where none fits."""
    # Of ID_LIKE the nearest relative comes first (os-release(5)); a system without ID is "linux".
    for name in (release.get("ID", "linux"), *release.get("ID_LIKE", "").split()):
        if name in TABLE:
            return TABLE[name]
    return None


def names(root: Path = Path("/")) -> Names:
    """Return the rule for names of users and groups here; on a distribution that is not known, shadow's own."""
    found = identify(os_release(root))
    return found.names if found else _SHADOW


def _unquoted(value: str) -> str:
    """Read a value as a shell does (os-release(5)): quotes around it, a backslash before what would mean something."""
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        quote, value = value[0], value[1:-1]
        return value if quote == "'" else re.sub(r'\\([\\"$`])', r"\1", value)
    return value
