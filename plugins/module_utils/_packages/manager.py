# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this collection asks of a package manager, and which ones it knows.

Another one is a file beside ``apt.py`` with a class that answers these questions, and its name in `MANAGERS`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Dict, Iterable, List, Mapping, Protocol, Sequence, Set, Tuple

from ansible_collections.nspa.proaudio.plugins.module_utils._packages import apt
from ansible_collections.nspa.proaudio.plugins.module_utils._packages.model import (
    Archive,
    Asked,
    Outcome,
    Package,
    PackageError,
    Transaction,
)


class PackageManager(Protocol):
    """The package manager of a host. Whatever it cannot do raises PackageError, with what to do about it."""

    name: str
    """What people call it."""
    repair: str
    """The sentence that says how to finish by hand what was interrupted."""
    suffix: str
    """What the names of its package files end with."""

    @property
    def root(self) -> Path:
        """The folder that its packages are unpacked into; / but in tests."""

    def available(self) -> bool:
        """Whether this host has it."""

    # -- what is there

    def read(self, text: str) -> Asked:
        """What a text asks for, by this package manager's own rule for names. PackageError for what is no name."""

    def installed(self) -> Dict[str, Package]:
        """All packages on the host, and what is left of some, by name."""

    def automatic(self) -> Set[str]:
        """Names of the packages that came only as dependencies, and that it may take away as no longer needed."""

    def kernels(self, names: Iterable[str], depends: bool = False) -> Dict[str, str]:
        """The paths of the kernels that installed packages brought, by release.

        names: packages as somebody asks for them; those that are not installed bring nothing.
        depends: with the packages that these depend on, as for one that only stands for the newest kernel.
        """

    # -- what could be there

    def known(self, asked: Sequence[Asked]) -> Dict[Asked, str]:
        """The versions that would be installed now; what no package list of this host knows is left out."""

    def satisfies(self, asked: Asked, version: str) -> bool:
        """Whether a version that is installed is what was asked for; of a release, that one or a later one."""

    def describe(self, versions: Mapping[str, str], archives: Sequence[Archive]) -> Dict[str, Package]:
        """Packages that are not installed yet, in these versions, from the package lists or from package files."""

    def read_file(self, path: str, sha256: str) -> Archive:
        """What a package file holds. PackageError if it is none, or not for this machine."""

    def download(self, url: str, target: str) -> None:
        """Fetch a package file to a path, by the package manager's own transports and proxies."""

    def unreachable(self, asked: Sequence[Asked], timeout: int) -> List[Tuple[str, str]]:
        """The archives that these packages need and that do not answer within `timeout` seconds: address and reason."""

    # -- changing it

    def simulate(self, transaction: Transaction) -> Outcome:
        """What `transact` would do; leaves no trace. PackageError if it would fail."""

    def refresh(self, asked: Sequence[Asked], max_age: float) -> str:
        """Fetch the package lists if they are older than `max_age` seconds, or do not know one of `asked`.

        Returns what went wrong with some of them, empty if nothing did. What comes is worked out afterwards, with
        `simulate`, and recorded before `transact`: hence this is no part of that.
        """

    def transact(self, transaction: Transaction) -> None:
        """Do it. PackageError if it failed; the host may then be anywhere between before and after."""

    def mark(self, names: Sequence[str], automatic: bool) -> None:
        """Say that packages came as dependencies, or that they were asked for."""

    def keep(self, names: Sequence[str]) -> None:
        """Say of packages that are there, and were to go, that they stay."""

    # -- others, and what was interrupted

    def busy(self) -> bool:
        """Whether somebody is changing packages just now."""

    def wait(self) -> None:
        """Return when nobody else is changing packages. PackageError if that takes too long."""

    def interrupted(self) -> bool:
        """Whether it was stopped in the middle of its work, and says that it has to be finished first."""

    def finish(self, going: Sequence[str] = ()) -> None:
        """Finish what was interrupted, as far as that goes; a package that cannot be finished stays half-way.

        going: packages that are to go, with one among them that would have to be unpacked again first: they go as they
        are. Their settings may stay, for `transact`.
        """


MANAGERS: Sequence[Callable[[], PackageManager]] = (apt.Apt,)
"""Asked in this order whether they are there."""


def find() -> PackageManager:
    """The package manager of this host. Raises PackageError where it has none that we know."""
    managers = [make() for make in MANAGERS]
    for manager in managers:
        if manager.available():
            return manager
    raise PackageError(
        f"This machine has no package manager that this collection knows ({', '.join(item.name for item in managers)})."
        f" Install the packages by hand."
    )
