# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages that a role brings to a host, and takes away again.

What a transaction will install or take away is recorded before it runs, and what it did after it, so that putting
back purges exactly what came with us, also after a run that was interrupted. A change has been applied when a
comparison finds nothing more to do.
"""

from __future__ import annotations

import filecmp
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

from ansible_collections.nspa.proaudio.plugins.module_utils._core.change import Concern, Purpose
from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import Manifest
from ansible_collections.nspa.proaudio.plugins.module_utils._packages import room
from ansible_collections.nspa.proaudio.plugins.module_utils._packages.manager import PackageManager, find
from ansible_collections.nspa.proaudio.plugins.module_utils._packages.model import (
    Archive,
    Asked,
    Outcome,
    Package,
    PackageError,
    Transaction,
    without_password,
)
from ansible_collections.nspa.proaudio.plugins.module_utils._packages.owners import (
    NOTHING,
    PutBack,
    adopted,
    dropped,
    gone,
    lacking,
    put_back,
)

KIND = "packages"
FIRST = "packages_before"
"""Kind of the entries that hold, for each role, the names of all packages before its first transaction."""
ROUNDS = 2
"""Transactions after which there must be nothing more to do; what the first one leaves, another one may finish."""
OPTIONS: Dict[str, Any] = {
    "names": {"type": "list", "elements": "str", "default": []},
    "files": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {"src": {"type": "str", "required": True}, "sha256": {"type": "str", "required": True}},
    },
    "install_recommends": {"type": "bool", "default": False},
    "lists_max_age": {"type": "int", "default": 86400},
}


class Request(NamedTuple):
    """What a role asks for. `files`: pairs of a path or URL, and a SHA-256; `lists_max_age` in seconds."""

    role: str
    names: Sequence[str] = ()
    files: Sequence[Tuple[str, str]] = ()
    present: bool = True
    recommends: bool = False
    lists_max_age: int = 86400

    @classmethod
    def of(cls, role: str, wanted: Optional[Mapping[str, Any]]) -> Request:
        """From the module's options; None where nothing is wanted."""
        if wanted is None:
            return cls(role, present=False)
        files = [(item["src"], item["sha256"]) for item in wanted["files"]]
        return cls(role, wanted["names"], files, True, wanted["install_recommends"], wanted["lists_max_age"])


@dataclass
class Work:
    """What is to be done.

    `names`: all packages asked for; `install`: those to come from the archives, with dependencies that have to be
    unpacked again, or never were; `archives`: verified package files; `manual`: came as a dependency, and is now
    asked for; `claim`: brought by another role; `disclaim`: so, and not asked for any more; `back`: what the role
    puts back; `running`: what goes only when another kernel runs; `keep`: was to go, by the package manager's record,
    and stays; `torn`: whether one of those that go has incomplete files; `litter`: left of the manifest by an
    interrupted run; `unfinished`: an interrupted transaction is to be finished; `doubt`: a package file that is not
    known to be installed, which a mere judgement does not look into.
    """

    names: List[str] = field(default_factory=list)
    install: List[Asked] = field(default_factory=list)
    archives: List[Archive] = field(default_factory=list)
    manual: List[str] = field(default_factory=list)
    claim: List[str] = field(default_factory=list)
    disclaim: List[str] = field(default_factory=list)
    back: PutBack = NOTHING
    running: List[str] = field(default_factory=list)
    keep: List[str] = field(default_factory=list)
    torn: bool = False
    litter: List[str] = field(default_factory=list)
    unfinished: bool = False
    doubt: bool = False
    recommends: bool = False

    @property
    def any(self) -> bool:
        """Whether there is anything to do."""
        books = self.claim or self.disclaim or self.litter
        return bool(self.moves or self.manual or any(self.back) or self.keep or books or self.unfinished or self.doubt)

    @property
    def moves(self) -> bool:
        """Whether packages come or go."""
        return bool(self.install or self.archives or self.going)

    @property
    def going(self) -> List[str]:
        """The packages that go."""
        return [*self.back.purge, *self.back.remove]

    @property
    def dependencies(self) -> List[str]:
        """What is installed and was not asked for."""
        return [item.name for item in self.install if item.name not in self.names]

    def transaction(self, unknown: Sequence[Asked] = ()) -> Transaction:
        """What the package manager is asked to do, without the names that it does not know yet."""
        install = [item for item in self.install if item not in unknown]
        return Transaction(install, self.archives, self.back.purge, self.back.remove, self.recommends)


# -- for preflight


def missing(names: Iterable[str]) -> List[str]:
    """Those of `names` that are not installed. Raises PackageError where there is no package manager."""
    manager = find()
    there = manager.installed()
    return [name for name in names if not _satisfied(manager.read(name), there, {}, manager)]


def unreachable(names: Iterable[str], timeout: int = 10) -> List[Tuple[str, str]]:
    """The package archives that are needed to install what is missing of `names`, and that do not answer.

    Pairs of address and reason. timeout: in seconds, for each. Raises PackageError where there is no package manager.
    """
    manager = find()
    return manager.unreachable([manager.read(name) for name in missing(names)], timeout)


# -- comparing


def compare(
    manifest: Manifest,
    role: str,
    wanted: Optional[Mapping[str, Any]],
    purpose: Purpose,
    manager: Optional[PackageManager] = None,
) -> PackagesChange:
    """What differs from what a role asks for. Reads only; package files are copied and fetched into a private place.

    manager: of this host, if not the one that is found. Raises PackageError, with nothing changed, for whatever
    forbids to go on.
    """
    request = Request.of(role, wanted)
    litter = _litter(manifest, role)
    if not request.present and not manifest.owned(KIND, role) and not _claimed(manifest, role):
        return PackagesChange(request, None, Work(litter=litter))
    manager = manager or find()
    change = PackagesChange(request, manager, _work(manifest, request, purpose, manager))
    if purpose is Purpose.PREDICT and change.work.moves:
        change.predict(manager)
    return change


class PackagesChange:
    """What differs between the packages of a host and what a role asks for; `manager` is None where nothing does."""

    def __init__(self, request: Request, manager: Optional[PackageManager], work: Work) -> None:
        self.request = request
        self.manager = manager
        self.work = work
        self.warnings: List[str] = []
        self._names = work.names
        self._kept = _reasons(work)
        self._outcome = Outcome({}, {}, [])
        self._earlier: Dict[str, str] = {}
        self._running = False

    @property
    def changed(self) -> bool:
        """Whether anything differs."""
        return self.work.any

    def predict(self, manager: PackageManager) -> None:
        """Work out what `apply` would do. Raises PackageError if it would fail, or take away what is not ours."""
        there = manager.installed()
        known = manager.known(self.work.install)
        unknown = [item for item in self.work.install if item not in known]
        if self.work.torn and not self.work.install and not self.work.archives:
            # They go as they are, whatever the package manager says of them.
            outcome = Outcome({}, {}, self.work.going)
        else:
            outcome = _simulate(self.work, self.work.transaction(unknown), manager)
        self._running = _is_running(_guard_kernels(outcome.removed, manager))
        outcome.installed.update({item.name: "" for item in unknown})
        if unknown:
            self.warnings.append(
                f"The package lists on this machine do not know {', '.join(map(str, unknown))}. A real run fetches "
                f"them first; if they do not know it then either, it stops with nothing changed."
            )
        self._outcome = Outcome(
            outcome.installed,
            {name: version for name, version in outcome.upgraded.items() if there[name].version != version},
            sorted(name for name in outcome.removed if name in there and not there[name].remains),
        )
        self._earlier = {name: package.version for name, package in there.items()}

    def apply(self, manifest: Manifest) -> None:
        """Bring it about; `manifest` comes from `Manifest.change`. Raises PackageError."""
        manager = self.manager
        if manager is None:
            manifest.forget(FIRST, self.request.role)
            manifest.save()
            return
        # What another run left at work is waited for: a package that it is just bringing is not gone.
        manager.wait()
        before = manager.installed()
        self._kept = {}
        for number in range(ROUNDS + 1):
            work = self._next(manifest, manager, refresh=number == 0)
            self._names = work.names
            self._kept.update(_reasons(work))
            if not work.any:
                break
            if number == ROUNDS:
                raise PackageError(f"{_rest(work)} although the package manager reported no error. {manager.repair}")
            self._do(manifest, work, manager)
        self._outcome = _outcome(before, manager.installed())
        self._earlier = {name: package.version for name, package in before.items()}

    def result(self) -> Dict[str, Any]:
        """What the module returns."""
        changed = [*self._outcome.upgraded, *self._outcome.removed]
        return {
            "names": list(dict.fromkeys(self._names)),
            "installed": self._outcome.installed,
            "upgraded": self._outcome.upgraded,
            "removed": self._outcome.removed,
            "before": {name: self._earlier[name] for name in changed if name in self._earlier},
            "kept": self._kept,
            "running_kernel_removed": self._running,
        }

    def diff(self) -> List[Dict[str, str]]:
        """The packages that come, change and go, with their versions."""
        result = self.result()
        earlier, later = result["before"], self._outcome.coming()
        return [
            {
                "before_header": "packages",
                "after_header": "packages",
                "before": "".join(f"{name} {earlier[name]}\n" for name in sorted(earlier)),
                "after": "".join(f"{name} {later[name]}".rstrip() + "\n" for name in sorted(later)),
            }
        ]

    def _next(self, manifest: Manifest, manager: PackageManager, refresh: bool) -> Work:
        """What is to be done now, with an interrupted transaction finished and the package lists up to date."""
        work = _work(manifest, self.request, Purpose.APPLY, manager)
        if work.torn or work.unfinished or (work.moves and manager.interrupted()):
            self._finish(manifest, work, manager)
            work = _work(manifest, self.request, Purpose.APPLY, manager)
        if refresh and (work.install or work.archives):
            trouble = manager.refresh(work.install, self.request.lists_max_age)
            if trouble:
                self.warnings.append(f"Not all package lists could be brought up to date. {trouble}")
            known = manager.known(work.install)
            unknown = [str(item) for item in work.install if item not in known]
            if unknown:
                raise PackageError(
                    f"No package archive of this machine has {', '.join(unknown)}. Nothing was changed. "
                    + (trouble or "Check the spelling, and whether the archive it is in is among the package sources.")
                )
            work = _work(manifest, self.request, Purpose.APPLY, manager)
        return work

    def _finish(self, manifest: Manifest, work: Work, manager: PackageManager) -> None:
        """Finish an interrupted transaction, if it was one of ours: what others began is for them to decide."""
        there = manager.installed()
        foreign = _foreign(manifest, there) if manager.interrupted() else []
        if foreign:
            raise PackageError(
                f"An installation of {', '.join(foreign)}, which is none of this collection's, was interrupted on this "
                f"machine, and the package manager waits for its end. {manager.repair}"
            )
        going = work.going if work.torn else []
        images = _guard_kernels(going, manager)
        _record_work(manifest, self.request, work, Outcome({}, {}, []), there)
        manifest.save()
        manager.finish(going)
        self._running = self._running or _is_running(images)

    def _do(self, manifest: Manifest, work: Work, manager: PackageManager) -> None:
        role = self.request.role
        after = manager.installed()
        if work.moves:
            before = after
            try:
                outcome = _simulate(work, work.transaction(), manager)
            except PackageError as error:
                raise PackageError(" ".join([str(error), *self.warnings])) from error
            images = _guard_kernels(outcome.removed, manager)
            _record_work(manifest, self.request, work, outcome, before)
            manifest.save()
            try:
                manager.transact(work.transaction())
            finally:
                after = manager.installed()
                _record_outcome(manifest, role, work, before, after)
                manifest.save()
            self._running = self._running or _is_running(images)
        if work.manual:
            _record_marks(manifest, role, work, after)
            manifest.save()
        manager.keep([name for name in work.keep if name in after and not after[name].remains])
        manager.mark(work.manual, automatic=False)
        again = _automatic_again(manifest, role, work)
        manager.mark([name for name in again if name in after and not after[name].remains], automatic=True)
        _settle(manifest, role, work)
        manifest.save()


CONCERN = Concern("packages", OPTIONS, compare)


def _work(manifest: Manifest, request: Request, purpose: Purpose, manager: PackageManager) -> Work:
    """What is to be done for a request."""
    role, entries = request.role, manifest.entries(KIND)
    asked = [manager.read(name) for name in request.names]
    _check_files(request)
    there, automatic = manager.installed(), manager.automatic()
    work = Work(litter=_litter(manifest, role), recommends=request.recommends)
    work.unfinished = manager.interrupted() and not _foreign(manifest, there)
    if request.present:
        for source, sha256 in request.files:
            name = _from_file(manifest, role, sha256, there)
            if name is None and purpose is Purpose.JUDGE:
                work.doubt = True
                return work
            archive = None if name else room.archive(source, sha256, manager)
            name = name or (archive.name if archive else "")
            if name in work.names:
                raise PackageError(
                    f"{without_password(source)}: another file in the list is also the package {name}. "
                    f"Which one shall it be?"
                )
            work.names.append(name)
            if archive and not _same_build(manifest, archive, there):
                work.archives.append(archive)
        new = [archive.name for archive in work.archives]
        work.install = [
            item for item in asked if item.name not in new and not _satisfied(item, there, entries, manager)
        ]
        work.names = list(dict.fromkeys([*[item.name for item in asked], *work.names]))
    owned = manifest.owned(KIND, role)
    # One that was about to go has lost its mark of a dependency already.
    marked = [
        name
        for name, entry in owned.items()
        if (entry.get("marked") or entry.get("leaving")) and not entry.get("asked")
    ]
    work.manual = [name for name in work.names if name in there and (name in automatic or name in marked)]
    work.claim = [name for name in work.names if _claimable(entries.get(name), role, name in automatic)]
    work.disclaim = [name for name in _claimed(manifest, role) if name not in work.names]
    future = dict(there)
    off = dropped(entries, role, work.names)
    if purpose is not Purpose.JUDGE and off and (work.install or work.archives):
        future.update(_coming(work, manager))
    # The kernel that runs is the way back from one that has yet to show that it works.
    work.running = [name for name in off if request.present and _is_running(manager.kernels([name], depends=True))]
    wanted = {*work.names, *work.running}
    work.back = put_back(entries, role, wanted, future, automatic, _earlier(manifest, role))
    stays = [name for name in {**owned, **dict.fromkeys(work.names)} if name in there and name not in work.going]
    work.keep = [name for name in stays if there[name].doomed and there[name].configured]
    work.torn = any(there[name].torn for name in work.going)
    if request.present:
        named = {item.name for item in work.install}
        work.install += [Asked(name) for name in _torn(owned, work, there)]
        # A package that was left without what it depends on is completed only if that is asked for, too.
        missing = [Asked(name) for name in lacking(there, set(owned) - set(work.going)) if name not in named]
        work.install += [item for item in missing if item in manager.known(missing)]
    return work


def _outcome(before: Mapping[str, Package], after: Mapping[str, Package]) -> Outcome:
    """What changed between two lists of packages."""
    old = {name: package.version for name, package in before.items() if not package.remains}
    new = {name: package.version for name, package in after.items() if not package.remains}
    return Outcome(
        installed={name: new[name] for name in sorted(set(new) - set(old))},
        upgraded={name: new[name] for name in sorted(set(new) & set(old)) if new[name] != old[name]},
        removed=sorted(set(old) - set(new)),
    )


def _reasons(work: Work) -> Dict[str, str]:
    running = dict.fromkeys(work.running, "its kernel runs; a later run, with another kernel, removes it")
    return {**{name: why for name, why in work.back.forget.items() if why}, **running}


def _is_running(releases: Iterable[str]) -> bool:
    return os.uname().release in set(releases)


# -- details


def _litter(manifest: Manifest, role: str) -> List[str]:
    """What an interrupted run left; a record of what was there before goes with the last package."""
    first = manifest.get(FIRST, role) is not None and not manifest.owned(KIND, role)
    return [*manifest.litter(), *([FIRST] if first else [])]


def _claimed(manifest: Manifest, role: str) -> List[str]:
    """The packages of other roles that this one asked for too."""
    return [name for name, entry in manifest.entries(KIND).items() if role in entry.get("also", [])]


def _earlier(manifest: Manifest, role: str) -> Optional[Set[str]]:
    """The names of all packages before the role's first transaction; None if there was none."""
    first = manifest.get(FIRST, role)
    return set(json.loads(manifest.blob(first["before"]["blob"]).decode("utf-8"))) if first else None


def _check_files(request: Request) -> None:
    for source, sha256 in request.files:
        shown = without_password(source)
        if not re.match(r"(/|https?://)", source):
            raise PackageError(f"'{shown}' is neither an absolute path on this machine nor an http(s) address.")
        if not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
            raise PackageError(
                f"{shown}: sha256 is '{sha256}', and 64 hexadecimal digits are wanted. Take the checksum from whoever "
                f"published the package, or from 'sha256sum' for one you built yourself."
            )


def _satisfied(
    asked: Asked, there: Mapping[str, Package], entries: Mapping[str, Dict[str, Any]], manager: PackageManager
) -> bool:
    """Whether a package that was asked for is installed, complete and as asked for."""
    package, entry = there.get(asked.name), entries.get(asked.name, {})
    if package is None or not package.configured:
        return False
    if asked.release and (entry.get("release"), entry.get("version")) == (asked.release, package.version):
        return True
    return manager.satisfies(asked, package.version)


def _from_file(manifest: Manifest, role: str, sha256: str, there: Mapping[str, Package]) -> Optional[str]:
    """The package that this role installed from a file with this checksum, if that very build is installed."""
    for name, entry in manifest.owned(KIND, role).items():
        package = there.get(name)
        same = entry.get("sha256") == sha256.lower() and package is not None and package.version == entry["version"]
        if same and package is not None and package.configured:
            return name
    return None


def _same_build(manifest: Manifest, archive: Archive, there: Mapping[str, Package]) -> bool:
    """Whether what is installed is what the file holds; only our own record can tell builds of one version apart."""
    package, entry = there.get(archive.name), manifest.get(KIND, archive.name)
    if package is None or not package.configured or package.version != archive.version:
        return False
    return entry is None or entry.get("sha256") in (None, archive.sha256)


def _claimable(entry: Optional[Dict[str, Any]], role: str, automatic: bool) -> bool:
    """Whether this is a package of another role, to which this one has to say that it wants it too."""
    if entry is None or entry["owner"] == role or role in entry.get("also", []):
        return False
    return not adopted(entry, automatic)


def _torn(owned: Iterable[str], work: Work, there: Mapping[str, Package]) -> List[str]:
    """The dependencies of ours that stopped half-way when they were to go, and that are to stay."""
    going = {*work.going, *work.back.hand_over, *work.back.forget}
    return [name for name in owned if name in there and there[name].torn and name not in going | set(work.names)]


def _coming(work: Work, manager: PackageManager) -> Dict[str, Package]:
    """The packages that would come, so that nothing they depend on is put back. Unknown names are left out."""
    known = manager.known(work.install)
    unknown = [item for item in work.install if item not in known]
    coming = manager.simulate(work.transaction(unknown)._replace(purge=(), remove=())).coming()
    return manager.describe(coming, work.archives)


def _simulate(work: Work, transaction: Transaction, manager: PackageManager) -> Outcome:
    """What a transaction would do. Raises PackageError if it would fail, or take away what is not ours."""
    outcome = manager.simulate(transaction)
    extra = sorted(set(outcome.removed) - {*transaction.purge, *transaction.remove})
    if extra:
        what = [*map(str, work.install), *[archive.name for archive in work.archives]] or ["to put back packages"]
        raise PackageError(
            f"{', '.join(what)}: the package manager would have to remove {', '.join(extra)}, "
            f"which this collection did not install. Nothing was changed. Decide what you want to keep; "
            f"to go on, remove {', '.join(extra)} yourself."
        )
    return outcome


def _guard_kernels(removed: Sequence[str], manager: PackageManager) -> List[str]:
    """The releases of the kernels that go. Raises PackageError if no other one stays, with which to boot."""
    going = manager.kernels(removed)
    if going and not _kernels_that_stay(going, manager.root):
        raise PackageError(
            f"{', '.join(going.values())} is the only kernel on this machine, which would not boot without it. "
            f"Nothing was changed. Install another kernel first."
        )
    return list(going)


def _kernels_that_stay(going: Mapping[str, str], root: Path) -> List[Path]:
    """The kernels that a machine can still boot: those in /boot, or in their modules' folders where /boot has none.

    In /boot a kernel is called by its release, or by its package where it is a copy (Arch: vmlinuz-linux).
    """

    def goes(image: Path) -> bool:
        release = image.name.split("-", 1)[1]
        return release in going or any(_same_content(image, root / path.lstrip("/")) for path in going.values())

    images = sorted((root / "boot").glob("vmlinu[xz]-*"))
    if images:
        return [image for image in images if not goes(image)]
    return [image for image in sorted((root / "usr/lib/modules").glob("*/vmlinuz")) if image.parent.name not in going]


def _same_content(one: Path, other: Path) -> bool:
    return one.is_file() and other.is_file() and filecmp.cmp(str(one), str(other), shallow=False)


def _foreign(manifest: Manifest, there: Mapping[str, Package]) -> List[str]:
    """The packages of others that are neither complete nor gone."""
    half = [name for name, package in there.items() if not package.configured and not package.remains]
    return sorted(set(half) - set(manifest.entries(KIND)))


def _rest(work: Work) -> str:
    """What is still to be done, in words."""
    coming = [*map(str, work.install), *[archive.name for archive in work.archives]]
    going = work.going
    parts = [f"{', '.join(coming)} did not get installed completely"] if coming else []
    parts += [f"{', '.join(going)} did not go completely"] if going else []
    return " and ".join(parts) or "Packages are not as they should be"


# -- recording


def _record_work(
    manifest: Manifest, request: Request, work: Work, outcome: Outcome, before: Mapping[str, Package]
) -> None:
    """What is about to come and to go."""
    role = request.role
    if manifest.get(FIRST, role) is None and request.present and outcome.coming():
        names = sorted(name for name, package in before.items() if not package.remains)
        manifest.record(FIRST, role, role, manifest.keep(json.dumps(names).encode("utf-8")))
    for name, version in outcome.coming().items():
        _record(manifest, role, work, name, version, before.get(name))
    for name in (*work.going, *work.dependencies):
        entry = manifest.get(KIND, name)
        if entry is None:
            entry = manifest.record(KIND, name, role, None, version=before[name].version, asked=False)
        entry["leaving"] = True


def _record(manifest: Manifest, role: str, work: Work, name: str, version: str, before: Optional[Package]) -> None:
    """One package that comes, or came, with the transaction; others' entries stay theirs."""
    entry = manifest.get(KIND, name)
    if entry is not None and entry["owner"] != role:
        return
    state: Optional[Dict[str, Any]] = None
    if before is not None:
        state = {"version": before.version, "remains": before.remains}
    details: Dict[str, Any] = {"version": version, "asked": name in work.names}
    for archive in work.archives:
        if archive.name == name:
            details["sha256"] = archive.sha256
    entry = manifest.record(KIND, name, role, state, **details)
    entry.pop("release", None)
    for item in work.install:
        if item.name == name and item.release:
            entry["release"] = item.release


def _record_outcome(
    manifest: Manifest, role: str, work: Work, before: Mapping[str, Package], after: Mapping[str, Package]
) -> None:
    """What the transaction did, in place of what it was to do. Only what is really gone is forgotten."""
    for name, version in _outcome(before, after).coming().items():
        _record(manifest, role, work, name, version, before.get(name))
    for name, entry in manifest.owned(KIND, role).items():
        if gone(entry, after.get(name)):
            manifest.forget(KIND, name)


def _record_marks(manifest: Manifest, role: str, work: Work, after: Mapping[str, Package]) -> None:
    for name in work.manual:
        entry = manifest.get(KIND, name)
        if entry is not None:
            entry["asked" if entry["owner"] == role else "marked"] = True
        elif name in after:
            state = {"version": after[name].version, "remains": False, "auto": True}
            manifest.record(KIND, name, role, state, version=after[name].version, asked=True)


def _automatic_again(manifest: Manifest, role: str, work: Work) -> List[str]:
    """The packages that are mere dependencies again, as before they were asked for."""
    entries = manifest.entries(KIND)
    last = [name for name in work.disclaim if entries[name]["also"] == [role]]
    return [
        *work.back.automatic,
        *work.dependencies,
        *[name for name in last if entries[name].get("marked") and not entries[name].get("asked")],
    ]


def _settle(manifest: Manifest, role: str, work: Work) -> None:
    """Who owns what after the transaction, as far as no package came or went."""
    for name in work.claim:
        entry = manifest.entries(KIND)[name]
        entry["also"] = [*entry.get("also", []), role]
    for name in set(work.back.automatic) & set(manifest.entries(KIND)):
        manifest.entries(KIND)[name]["asked"] = False
    for name, heir in work.back.hand_over.items():
        entry = manifest.entries(KIND)[name]
        entry["owner"] = heir
        entry["asked"] = heir in entry.get("also", [])
        entry["also"] = [other for other in entry.get("also", []) if other != heir]
    for name in work.back.forget:
        manifest.forget(KIND, name)
    for name in work.disclaim:
        entry = manifest.entries(KIND)[name]
        entry["also"] = [other for other in entry["also"] if other != role]
        entry["marked"] = bool(entry.get("marked") and entry["also"])
    for name in set(manifest.owned(KIND, role)) - set(work.going):
        manifest.entries(KIND)[name].pop("leaving", None)
    if not manifest.owned(KIND, role):
        manifest.forget(FIRST, role)
