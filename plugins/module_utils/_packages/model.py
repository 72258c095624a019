# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages, as every package manager knows them."""

from __future__ import annotations

import re
from typing import Dict, List, NamedTuple, Sequence

from ansible_collections.nspa.proaudio.plugins.module_utils._core.errors import HostError


class PackageError(HostError):
    """Packages cannot be read, installed or removed as asked; the text says what to do."""


class Asked(NamedTuple):
    """A package as somebody asks for it: in this `version`, or from this `release` of an archive, where given.

    `name` is the one that the package manager uses for it in all that it says.
    """

    name: str
    version: str = ""
    release: str = ""

    def __str__(self) -> str:
        """As the user wrote it, save for what `name` leaves out."""
        return self.name + (f"={self.version}" if self.version else "") + (f"/{self.release}" if self.release else "")


class Package(NamedTuple):
    """A package on the host, or what is left of one.

    `configured`: it is there, complete. `remains`: only its settings are. Neither: it stopped half-way, coming or
    going, and counts as there; `torn`: with its files incomplete, so that it has to be unpacked again. `doomed`: the
    package manager's own record says that it shall go. The relations are lists of clauses, each the names of its
    alternatives.
    """

    name: str
    version: str
    configured: bool
    remains: bool
    depends: List[List[str]]
    recommends: List[List[str]]
    provides: List[str]
    torn: bool = False
    doomed: bool = False


class Archive(NamedTuple):
    """A package file that is verified, in a place where nobody else can change it."""

    path: str
    name: str
    version: str
    sha256: str


class Transaction(NamedTuple):
    """What is to come and to go in one go; whatever is not named stays as it is.

    `remove` leaves the settings of a package, `purge` leaves nothing. `recommends`: what is only recommended comes too.
    """

    install: Sequence[Asked] = ()
    archives: Sequence[Archive] = ()
    purge: Sequence[str] = ()
    remove: Sequence[str] = ()
    recommends: bool = False


class Outcome(NamedTuple):
    """What a transaction would do, or did: versions by name; `removed` are names."""

    installed: Dict[str, str]
    upgraded: Dict[str, str]
    removed: List[str]

    def coming(self) -> Dict[str, str]:
        """Versions of all that comes, by name."""
        return {**self.installed, **self.upgraded}


def without_password(text: str) -> str:
    """An address, or a text with addresses, as it may be shown."""
    return re.sub(r"://[^/@\s]*@", "://", text)
