# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages that a role brings to a host, and takes away again.

    with tempfile.TemporaryDirectory() as folder:
        differences = compare(Manifest.load(), request, folder)          # reads; downloads into folder
        result, warnings = prediction(differences)                       # what apt would do
        with Manifest.change() as manifest:
            trouble = refresh(differences)
            apply(manifest, compare(manifest, request, folder), trouble)

What a transaction will install is recorded before it runs, and what it did install after it, so that giving back
purges exactly what came with us, also after a run that was interrupted.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import Manifest
from ansible_collections.nspa.proaudio.plugins.module_utils._packages import apt
from ansible_collections.nspa.proaudio.plugins.module_utils._packages.apt import Archive, Package, PackageError, Plan
from ansible_collections.nspa.proaudio.plugins.module_utils._packages.owners import (
    NOTHING,
    GiveBack,
    adopted,
    dropped,
    give_back,
)

KIND = "packages"
FIRST = "packages_before"
"""Kind of the entries that hold, for each role, the names of all packages before its first transaction."""


class Request(NamedTuple):
    """What a role asks for. `files`: pairs of a path or URL, and a SHA-256; `lists_max_age` in seconds."""

    role: str
    names: Sequence[str] = ()
    files: Sequence[Tuple[str, str]] = ()
    present: bool = True
    recommends: bool = False
    lists_max_age: int = 86400


class Differences(NamedTuple):
    """What `apply` would do.

    `names`: all packages asked for; `install`: those to come from the archives, as asked for; `archives`: verified
    package files; `manual`: came as a dependency, and is now asked for; `claim`: brought by another role; `disclaim`:
    so, and not asked for any more; `options`: for apt; `back`: what the role gives back; `litter`: left of the
    manifest by an interrupted run.
    """

    request: Request
    names: List[str]
    install: List[str]
    archives: List[Archive]
    manual: List[str]
    claim: List[str]
    disclaim: List[str]
    options: List[str]
    back: GiveBack
    litter: List[str]

    @property
    def any(self) -> bool:
        books = self.claim or self.disclaim or self.litter
        return bool(self.transaction or self.manual or any(self.back) or books)

    @property
    def transaction(self) -> bool:
        """Whether packages come or go."""
        return bool(self.install or self.archives or self.back.purge or self.back.remove)


# -- for preflight


def missing(names: Iterable[str]) -> List[str]:
    """Those of `names` that are not installed. Raises PackageError where there is no apt."""
    _need_apt()
    there = apt.installed()
    return [name for name in names if not _satisfied(name, there)]


def unreachable_archives(timeout: int = 10) -> List[Tuple[str, str]]:
    """The package archives of this host that do not answer: pairs of address and reason. Raises PackageError."""
    _need_apt()
    return apt.unreachable(timeout)


# -- comparing


def compare(manifest: Manifest, request: Request, folder: str) -> Differences:
    """What differs from what a role asks for. Reads only; package files from URLs are fetched into `folder`.

    Raises PackageError, with nothing changed, for whatever forbids to go on.
    """
    _need_apt()
    _check(request)
    request = request._replace(names=[apt.canonical(name) for name in request.names])
    role, entries = request.role, manifest.entries(KIND)
    first = manifest.get(FIRST, role)
    claimed = [name for name, entry in entries.items() if role in entry.get("also", [])]
    owned = manifest.owned(KIND, role)
    # A record of what was there before goes with the last package, unless a run was interrupted.
    litter = [*manifest.litter(), *([FIRST] if first and not owned else [])]
    if not request.present and not owned and not claimed:
        return Differences(request, [], [], [], [], [], [], [], NOTHING, litter)
    there, automatic = apt.installed(), apt.automatic()
    names: List[str] = []
    install: List[str] = []
    archives: List[Archive] = []
    if request.present:
        names, archives = _archives(manifest, request, there, folder)
        new = [archive.name for archive in archives]
        install = [name for name in request.names if not _satisfied(name, there) and _bare(name) not in new]
        names = list(dict.fromkeys([*map(_bare, request.names), *names]))
    # A file, or a version, that is asked for by name is meant, also when a later one is installed.
    options = ["--allow-downgrades"] if archives or any("=" in name for name in install) else []
    if any(archive.name in there and there[archive.name].configured for archive in archives):
        options.append("--reinstall")
    marked = [name for name, entry in owned.items() if entry.get("marked") and not entry.get("asked")]
    manual = [name for name in names if name in there and (name in automatic or name in marked)]
    claim = [name for name in names if _claimable(entries.get(name), role, name in automatic)]
    disclaim = [name for name in claimed if name not in names]
    earlier = set(json.loads(manifest.blob(first["before"]["blob"]).decode("utf-8"))) if first else None
    future = dict(there)
    if dropped(entries, role, names) and (install or archives):
        future.update(_coming(install, archives, request, options))
    back = give_back(entries, role, set(names), future, automatic, earlier)
    return Differences(request, names, install, archives, manual, claim, disclaim, options, back, litter)


def refresh(differences: Differences) -> str:
    """Fetch the package lists, if something comes, and they are old or do not know its name.

    Returns what went wrong with some of them. Raises PackageError for names that stay unknown.
    """
    names = differences.install
    if not names and not differences.archives:
        return ""
    trouble = ""
    if apt.lists_age() > differences.request.lists_max_age or not set(names) <= apt.known(names):
        trouble = apt.refresh()
    unknown = sorted(set(names) - apt.known(names))
    if unknown:
        raise PackageError(
            f"No package archive of this host has {', '.join(unknown)}. Nothing was changed. "
            + (trouble or "Check the spelling, and whether the archive it is in is among apt's sources.")
        )
    return trouble


def prediction(differences: Differences) -> Tuple[Dict[str, Any], List[str]]:
    """What a module returns in check mode, and warnings. Reads only, and leaves apt's own cache files alone.

    Raises PackageError if the transaction would fail, or take away something that is not ours.
    """
    there = apt.installed() if differences.transaction else {}
    plan, warnings = Plan({}, {}, []), []
    if differences.transaction:
        known = apt.known(differences.install, frugal=True)
        unknown = [name for name in differences.install if name not in known]
        plan = _simulate(differences, [name for name in differences.install if name not in unknown], frugal=True)
        _guard_kernels(plan.removed)
        plan.installed.update({_bare(name): "" for name in unknown})
        if unknown:
            warnings = [
                f"The package lists on this host do not know {', '.join(unknown)}. A real run fetches them first; "
                f"if they do not know it then either, it stops with nothing changed."
            ]
    earlier = {name: there[name].version for name in [*plan.upgraded, *plan.removed] if name in there}
    return _result(differences, plan, earlier, _is_running(apt.kernels(plan.removed))), warnings


# -- applying


def apply(manifest: Manifest, differences: Differences, trouble: str = "") -> Dict[str, Any]:
    """Make the differences go away; `manifest` comes from `Manifest.change` and `differences` was compared with it.

    trouble: what `refresh` returned. Returns what a module returns. Raises PackageError.
    """
    request = differences.request
    before = after = apt.installed()
    images: List[str] = []
    if differences.transaction:
        try:
            plan = _simulate(differences, differences.install, frugal=False)
        except PackageError as error:
            raise PackageError(f"{error} {trouble}".strip()) from error
        images = apt.kernels(plan.removed)
        _guard_kernels(plan.removed)
        _record_plan(manifest, differences, plan, before)
        manifest.save()
        try:
            targets = [*differences.install, *[archive.path for archive in differences.archives]]
            apt.transact(targets, differences.back.purge, request.recommends, differences.options)
            if differences.back.remove:
                apt.remove(differences.back.remove)
        finally:
            after = apt.installed()
            _record_outcome(manifest, differences, before, after)
            manifest.save()
    if differences.manual:
        _record_marks(manifest, differences, after)
        manifest.save()
    apt.mark(differences.manual, automatic_=False)
    apt.mark([name for name in _automatic_again(manifest, differences) if name in after], automatic_=True)
    _settle(manifest, differences)
    manifest.save()
    lacking = [name for name in differences.names if name not in after or not after[name].configured]
    if lacking:
        raise PackageError(
            f"{', '.join(lacking)} did not get installed completely, although the package manager reported no error. "
            f"Run 'dpkg --configure -a' on the host and look at its output."
        )
    earlier = {name: package.version for name, package in before.items()}
    return _result(differences, _outcome(before, after), earlier, _is_running(images))


def diff(result: Dict[str, Any]) -> List[Dict[str, str]]:
    """A result in the form of Ansible's --diff."""
    earlier = result["before"]
    later = {**result["installed"], **result["upgraded"]}
    return [
        {
            "before_header": "packages",
            "after_header": "packages",
            "before": "".join(f"{name} {earlier[name]}\n" for name in sorted(earlier)),
            "after": "".join(f"{name} {later[name]}".rstrip() + "\n" for name in sorted(later)),
        }
    ]


def _result(differences: Differences, plan: Plan, earlier: Dict[str, str], running: bool) -> Dict[str, Any]:
    changed = [*plan.upgraded, *plan.removed]
    return {
        "changed": differences.any,
        "names": list(dict.fromkeys(differences.names)),
        "installed": plan.installed,
        "upgraded": plan.upgraded,
        "removed": sorted(plan.removed),
        "before": {name: earlier[name] for name in changed if name in earlier},
        "kept": {name: why for name, why in differences.back.forget.items() if why},
        "running_kernel_removed": running,
    }


def _outcome(before: Dict[str, Package], after: Dict[str, Package]) -> Plan:
    """What changed between two lists of packages."""
    old = {name: package.version for name, package in before.items() if not package.remains}
    new = {name: package.version for name, package in after.items() if not package.remains}
    return Plan(
        installed={name: new[name] for name in sorted(set(new) - set(old))},
        upgraded={name: new[name] for name in sorted(set(new) & set(old)) if new[name] != old[name]},
        removed=sorted(set(old) - set(new)),
    )


def _is_running(images: Iterable[str]) -> bool:
    return any(image.split("-", 1)[1] == os.uname().release for image in images)


# -- details


def _need_apt() -> None:
    if not apt.available():
        raise PackageError(
            "This host has no apt and dpkg; this collection installs packages on Debian and its derivatives only. "
            "Install the packages by hand."
        )


def _check(request: Request) -> None:
    for name in request.names:
        if not re.match(r"^[a-z0-9][a-z0-9+.-]*[a-z0-9+](:[a-z0-9-]+)?(=\S+)?$", name):
            raise PackageError(
                f"'{name}' is not the name of a package. Wanted: name, name:architecture or name=version."
            )
    for source, sha256 in request.files:
        shown = apt.without_password(source)
        if not re.match(r"^(/|https?://)", source):
            raise PackageError(f"'{shown}' is neither an absolute path on the host nor an http(s) address.")
        if not re.match(r"^[0-9a-fA-F]{64}$", sha256):
            raise PackageError(
                f"{shown}: sha256 is '{sha256}', and 64 hexadecimal digits are wanted. Take the checksum from whoever "
                f"published the package, or from 'sha256sum' for one you built yourself."
            )


def _bare(name: str) -> str:
    return name.split("=")[0]


def _satisfied(name: str, there: Dict[str, Package]) -> bool:
    bare, _equals, version = name.partition("=")
    package = there.get(bare)
    return package is not None and package.configured and version in ("", package.version)


def _known(manifest: Manifest, role: str, sha256: str, there: Dict[str, Package]) -> Optional[str]:
    """The package that this role installed from a file with this checksum, if that very build is installed."""
    for name, entry in manifest.owned(KIND, role).items():
        package = there.get(name)
        same = entry.get("sha256") == sha256.lower() and package is not None and package.version == entry["version"]
        if same and package is not None and package.configured:
            return name
    return None


def _same_build(manifest: Manifest, archive: Archive, there: Dict[str, Package]) -> bool:
    """Whether what is installed is what the file holds; only our own record can tell builds of one version apart."""
    package, entry = there.get(archive.name), manifest.get(KIND, archive.name)
    if package is None or not package.configured or package.version != archive.version:
        return False
    return entry is None or entry.get("sha256") in (None, archive.sha256)


def _archive(source: str, sha256: str, folder: str) -> Archive:
    """The package file at a path or URL, verified. Raises PackageError."""
    shown, sha256 = apt.without_password(source), sha256.lower()
    path = Path(source)
    if not source.startswith("/"):
        path = Path(folder) / f"{hashlib.sha256(source.encode()).hexdigest()[:16]}.part"
        if not path.exists():
            apt.download(source, str(path))
    try:
        found = _sha256(path)
    except OSError as error:
        raise PackageError(
            f"{shown} cannot be read: {error.strerror}. It has to be a file on the host itself; copy it there first."
        ) from error
    if found != sha256:
        raise PackageError(
            f"{shown} has the SHA-256 {found}, and {sha256} is wanted. It is damaged, or another file than you meant; "
            f"nothing was installed. Compare with what its publisher says."
        )
    archive = apt.read_archive(str(path), sha256)
    # apt takes files only by a name that ends in .deb.
    link = Path(folder) / f"{archive.name.replace(':', '_')}_{sha256[:16]}.deb"
    if not link.is_symlink():
        link.symlink_to(path)
    return archive._replace(path=str(link))


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _claimable(entry: Optional[Dict[str, Any]], role: str, automatic: bool) -> bool:
    """Whether this is a package of another role, to which this one has to say that it wants it too."""
    if entry is None or entry["owner"] == role or role in entry.get("also", []):
        return False
    return not adopted(entry, automatic)


def _archives(
    manifest: Manifest, request: Request, there: Dict[str, Package], folder: str
) -> Tuple[List[str], List[Archive]]:
    """The packages in the files of a request, and the verified files of those that are to be installed."""
    names, archives = [], []
    for source, sha256 in request.files:
        name = _known(manifest, request.role, sha256, there)
        if name is None:
            archive = _archive(source, sha256, folder)
            name = archive.name
            if not _same_build(manifest, archive, there):
                archives.append(archive)
        if name in names:
            raise PackageError(
                f"{apt.without_password(source)}: another file in the list is also the package {name}. "
                f"Which one shall it be?"
            )
        names.append(name)
    return names, archives


def _coming(
    install: Sequence[str], archives: Sequence[Archive], request: Request, options: Sequence[str]
) -> Dict[str, Package]:
    """The packages that would come, so that nothing they depend on is given back. Unknown names are left out."""
    known = apt.known(install, frugal=True)
    targets = [name for name in install if name in known] + [archive.path for archive in archives]
    plan = apt.simulate(targets, [], request.recommends, options, frugal=True)
    return apt.describe({**plan.installed, **plan.upgraded}, archives)


def _simulate(differences: Differences, install: Sequence[str], frugal: bool) -> Plan:
    targets = [*install, *[archive.path for archive in differences.archives]]
    gone = [*differences.back.purge, *differences.back.remove]
    plan = apt.simulate(targets, gone, differences.request.recommends, differences.options, frugal)
    extra = sorted(set(plan.removed) - set(gone))
    if extra:
        what = ", ".join([*install, *[archive.name for archive in differences.archives]]) or "to give back packages"
        raise PackageError(
            f"{what}: the package manager would have to remove {', '.join(extra)}, "
            f"which this collection did not install. Nothing was changed. Decide what you want to keep; "
            f"to go on, remove {', '.join(extra)} yourself."
        )
    return plan


def _guard_kernels(gone: Sequence[str]) -> None:
    """Refuse to remove the last kernel; the running one may go when another one can boot."""
    images = set(apt.kernels(gone))
    boot = Path(os.environ.get("DPKG_ROOT") or "/") / "boot"
    others = [path.name for path in sorted(boot.glob("vmlinu[xz]-*")) if f"/boot/{path.name}" not in images]
    if images and not others:
        raise PackageError(
            f"{', '.join(sorted(images))} is the only kernel on this host, which would not boot without it. "
            f"Nothing was changed. Install another kernel first (on Debian: linux-image-amd64)."
        )


def _record_plan(manifest: Manifest, differences: Differences, plan: Plan, before: Dict[str, Package]) -> None:
    role = differences.request.role
    if manifest.get(FIRST, role) is None and differences.request.present:
        names = sorted(name for name, package in before.items() if not package.remains)
        manifest.record(FIRST, role, role, manifest.keep(json.dumps(names).encode("utf-8")))
    for name, version in [*plan.installed.items(), *plan.upgraded.items()]:
        _record(manifest, differences, name, version, before.get(name))


def _record(manifest: Manifest, differences: Differences, name: str, version: str, before: Optional[Package]) -> None:
    """One package that comes, or came, with the transaction; others' entries stay theirs."""
    role = differences.request.role
    entry = manifest.get(KIND, name)
    if entry is not None and entry["owner"] != role:
        return
    state: Optional[Dict[str, Any]] = None
    if before is not None:
        state = {"version": before.version, "remains": before.remains}
    details: Dict[str, Any] = {"version": version, "asked": name in differences.names}
    for archive in differences.archives:
        if archive.name == name:
            details["sha256"] = archive.sha256
    manifest.record(KIND, name, role, state, **details)


def _record_outcome(
    manifest: Manifest, differences: Differences, before: Dict[str, Package], after: Dict[str, Package]
) -> None:
    """What the transaction did, in place of what it was planned to do."""
    role = differences.request.role
    did = _outcome(before, after)
    for name, version in [*did.installed.items(), *did.upgraded.items()]:
        _record(manifest, differences, name, version, before.get(name))
    for name in manifest.owned(KIND, role):
        if name not in after:
            manifest.forget(KIND, name)


def _record_marks(manifest: Manifest, differences: Differences, after: Dict[str, Package]) -> None:
    role = differences.request.role
    for name in differences.manual:
        entry = manifest.get(KIND, name)
        if entry is not None:
            entry["asked" if entry["owner"] == role else "marked"] = True
        elif name in after:
            state = {"version": after[name].version, "remains": False, "auto": True}
            manifest.record(KIND, name, role, state, version=after[name].version, asked=True)


def _automatic_again(manifest: Manifest, differences: Differences) -> List[str]:
    """The packages that are mere dependencies again, as before they were asked for."""
    role, entries = differences.request.role, manifest.entries(KIND)
    last = [name for name in differences.disclaim if entries[name]["also"] == [role]]
    return [
        *differences.back.automatic,
        *[name for name in last if entries[name].get("marked") and not entries[name].get("asked")],
    ]


def _settle(manifest: Manifest, differences: Differences) -> None:
    """Who owns what after the transaction, as far as no package came or went."""
    role = differences.request.role
    for name in differences.claim:
        entry = manifest.entries(KIND)[name]
        entry["also"] = [*entry.get("also", []), role]
    for name in set(differences.back.automatic) & set(manifest.entries(KIND)):
        manifest.entries(KIND)[name]["asked"] = False
    for name, heir in differences.back.hand_over.items():
        entry = manifest.entries(KIND)[name]
        entry["owner"] = heir
        entry["asked"] = heir in entry.get("also", [])
        entry["also"] = [other for other in entry.get("also", []) if other != heir]
    for name in [*differences.back.forget, *differences.back.remove]:
        manifest.forget(KIND, name)
    for name in differences.disclaim:
        entry = manifest.entries(KIND)[name]
        entry["also"] = [other for other in entry["also"] if other != role]
        entry["marked"] = bool(entry.get("marked") and entry["also"])
    if not manifest.owned(KIND, role):
        manifest.forget(FIRST, role)
