# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The package manager of Debian and its derivatives, through its own commands: apt, and dpkg below it.

A package is named as apt prints it: ``libc6`` for the machine's own architecture, ``libc6:i386`` for another one.
"""

from __future__ import annotations

import concurrent.futures
import fcntl
import functools
import os
import re
import shutil
import struct
import tempfile
import time
from pathlib import Path
from subprocess import CompletedProcess
from typing import Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

from ansible_collections.nspa.proaudio.plugins.module_utils._core import programs
from ansible_collections.nspa.proaudio.plugins.module_utils._packages.model import (
    Archive,
    Asked,
    Outcome,
    Package,
    PackageError,
    Transaction,
    without_password,
)

LOCK_TIMEOUT = 300
"""Seconds to wait for another apt or dpkg, such as unattended-upgrades after boot."""
NETWORK_TIMEOUT = 30
"""Seconds without an answer after which a server counts as gone (apt's own default)."""
HELPER = "/usr/lib/apt/apt-helper"
# A name by Debian Policy 5.6.1, and not one that apt-get would read as "remove it"; a version by 5.6.12; what
# Release files call themselves. None of them starts with a hyphen.
ASKED = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9+.-]*[a-z0-9+](?::[a-z0-9][a-z0-9-]*)?)"
    r"(?:=(?P<version>[A-Za-z0-9][A-Za-z0-9.+:~-]*)|/(?P<release>[A-Za-z0-9][A-Za-z0-9.+_~-]*))?"
)
# Where kernels lie: /boot by tradition, the folder of their modules where /boot is filled from there (Debian's from
# 7.2 on, Arch's).
KERNEL = re.compile(r"^/boot/vmlinu[xz]-(?P<boot>[^/]+)$|^(?:/usr)?/lib/modules/(?P<modules>[^/]+)/vmlinuz$")
# Reads only: leaves apt's cache files and its log alone.
NO_TRACE = ("-oDir::Cache::pkgcache=", "-oDir::Cache::srcpkgcache=", "-oDir::Log::Planner=/dev/null")
VARIABLES = {"DEBIAN_FRONTEND": "noninteractive", "APT_LISTCHANGES_FRONTEND": "none", "UCF_FORCE_CONFFOLD": "1"}


class Offer(NamedTuple):
    """What the package lists have of a package: descriptions of the lists by version, the latest version first."""

    candidate: str
    versions: Dict[str, List[str]]


class Apt:
    """The package manager of this host; `options` are for all of apt's own commands."""

    name = "apt"
    repair = "Run 'dpkg --configure -a' on this machine, then run again."
    suffix = ".deb"

    def __init__(self, options: Sequence[str] = ()) -> None:
        self._options = list(options)

    @property
    def root(self) -> Path:
        """The folder that packages are unpacked into (dpkg(1), DPKG_ROOT)."""
        return Path(os.environ.get("DPKG_ROOT") or "/")

    def available(self) -> bool:
        """Whether this host has apt and dpkg."""
        return all(shutil.which(command) for command in ("apt-get", "apt-cache", "dpkg-query", "dpkg-deb"))

    # -- what is there

    def read(self, text: str) -> Asked:
        """What a text asks for. Raises PackageError if it is no name."""
        match = ASKED.fullmatch(text)
        if match is None:
            raise PackageError(
                f"{text!r} is not the name of a package. Wanted: name, name:architecture, name=version or name/release."
            )
        name = re.sub(f":(?:{re.escape(self._architecture)}|all)$", "", match["name"])
        return Asked(name, match["version"] or "", match["release"] or "")

    def installed(self) -> Dict[str, Package]:
        """All packages that dpkg knows, by name."""
        fields = (
            "Package",
            "Architecture",
            "Version",
            "db:Status-Abbrev",
            "Pre-Depends",
            "Depends",
            "Recommends",
            "Provides",
        )
        text = _output(
            ["dpkg-query", "-W", "-f", "\\t".join(f"${{{field}}}" for field in fields) + "\\n"], may_fail=True
        )
        packages = {}
        for line in text.splitlines():
            name, architecture, version, status, pre, depends, recommends, provides = line.split("\t")
            name = self._full_name(name, architecture)
            packages[name] = Package(
                name=name,
                version=version,
                # A package is complete, too, when its triggers are still to be run (dpkg(1), triggers-pending).
                configured=status[1:2] in ("i", "t"),
                remains=status[1:2] == "c",
                depends=_relations(pre) + _relations(depends),
                recommends=_relations(recommends),
                provides=[word for clause in _relations(provides) for word in clause],
                torn=status[1:2] == "H",
                doomed=status[:1] in ("r", "p"),
            )
        return {name: package for name, package in packages.items() if package.version}

    def automatic(self) -> Set[str]:
        """Names of the packages that came only as dependencies, and that autoremove may take away."""
        try:
            text = Path(self._paths["states"]).read_text(encoding="utf-8")
        except FileNotFoundError:
            return set()
        found = set()
        for paragraph in text.split("\n\n"):
            fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line)
            if fields.get("Auto-Installed") == "1":
                found.add(self._full_name(fields["Package"], fields["Architecture"]))
        return found

    def kernels(self, names: Iterable[str], depends: bool = False) -> Dict[str, str]:
        """The paths of the kernels that installed packages brought, by release; see `PackageManager`."""
        there = self.installed()
        asked = {name if name in there else self.read(name).name for name in names} & set(there)
        if not asked:
            return {}
        if depends:
            return _kernels(sorted(_closure(there, asked)))
        found = _kernels(sorted(asked))
        # From 7.2 on the kernel lies in a package of its own, and goes into /boot by the script of linux-image-RELEASE.
        for release, path in _kernels(sorted(_direct(there, asked) - asked)).items():
            if asked & {f"linux-image-{release}", f"linux-image-{release}-unsigned"}:
                found[release] = path
        return found

    # -- what could be there

    def known(self, asked: Sequence[Asked]) -> Dict[Asked, str]:
        """The versions that would be installed now, of those that the package lists of this host know."""
        offers = self._offers([item.name for item in asked])
        releases = self._releases() if any(item.release for item in asked) else {}
        found = {}
        for item in asked:
            offer = offers.get(item.name)
            version = _choose(item, offer, releases) if offer else ""
            if version:
                found[item] = version
        return found

    def satisfies(self, asked: Asked, version: str) -> bool:
        """Whether a version that is installed is what was asked for; of a release, that one or a later one."""
        if asked.version:
            return version == asked.version
        if not asked.release:
            return True
        wanted = self.known([asked]).get(asked)
        if wanted is None:
            return False
        return version == wanted or _run(["dpkg", "--compare-versions", version, "gt", wanted]).returncode == 0

    def describe(self, versions: Mapping[str, str], archives: Sequence[Archive]) -> Dict[str, Package]:
        """Packages that are not installed yet, in these versions, from the archives or from package files."""
        files = {archive.name: archive.path for archive in archives}
        texts = [_output(["dpkg-deb", "-f", path]) for path in files.values()]
        listed = [f"{name}={version}" for name, version in versions.items() if name not in files]
        if listed:
            texts += _output([*self._cache("show"), "--", *listed]).split("\n\n")
        found = {}
        for text in texts:
            fields = dict(line.split(": ", 1) for line in text.splitlines() if re.match(r"^[A-Za-z-]+: ", line))
            if "Package" in fields:
                name = self._full_name(fields["Package"], fields["Architecture"])
                found[name] = Package(
                    name=name,
                    version=fields["Version"],
                    configured=False,
                    remains=False,
                    depends=_relations(fields.get("Pre-Depends", "")) + _relations(fields.get("Depends", "")),
                    recommends=_relations(fields.get("Recommends", "")),
                    provides=[word for clause in _relations(fields.get("Provides", "")) for word in clause],
                )
        return found

    def read_file(self, path: str, sha256: str) -> Archive:
        """What a package file holds. Raises PackageError if it is none, or not for this machine."""
        done = _run(["dpkg-deb", "-f", path, "Package", "Version", "Architecture"])
        fields = dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)
        if done.returncode != 0 or not {"Package", "Version", "Architecture"} <= set(fields):
            raise PackageError(
                "it is not a Debian package, although its checksum is the one given. "
                "Was a web page saved instead of the package?"
            )
        able = [self._architecture, "all", *_output(["dpkg", "--print-foreign-architectures"]).split()]
        if fields["Architecture"] not in able:
            raise PackageError(
                f"it is for the architecture {fields['Architecture']}; this machine takes {', '.join(able)}. "
                f"Use the package for {self._architecture}."
            )
        name = self._full_name(fields["Package"], fields["Architecture"])
        return Archive(path, name, fields["Version"], sha256)

    def download(self, url: str, target: str) -> None:
        """Fetch a file by apt's own transports and proxies. Raises PackageError."""
        done = _run([HELPER, *_network_options(), "download-file", url, target])
        if done.returncode != 0 or not Path(target).is_file():
            raise PackageError(f"{without_password(url)} cannot be fetched: {_reason(done.stdout)}")

    def unreachable(self, asked: Sequence[Asked], timeout: int) -> List[Tuple[str, str]]:
        """The archives that these packages need and that do not answer within `timeout` seconds: address and reason.

        Where the package lists know no way to install them, what the archives that answer have is looked at.
        """
        if not asked:
            return []
        # To find out what is needed takes apt seconds, and is only of interest where something does not answer.
        every = set(self._addresses().values())
        silent = _silent(sorted(every), timeout)
        if not silent:
            return []
        needed = self._needed(asked)
        if needed is None and set(silent) != every:
            needed = self._needed_of_those_that_answer(asked, timeout)
        if needed is not None:
            # A version that several archives have is fetched from whichever answers.
            lacking = set().union(*[group for group in needed if group <= set(silent)])
            silent = {address: reason for address, reason in silent.items() if address in lacking}
        return [(without_password(address), reason) for address, reason in silent.items()]

    # -- changing it

    def simulate(self, transaction: Transaction) -> Outcome:
        """What `transact` would do. Raises PackageError if it would fail."""
        command = ["apt-get", *self._options, "-s", *NO_TRACE, *self._install_options(transaction), "install", "--"]
        gone = [f"{name}-" for name in (*transaction.purge, *transaction.remove)]
        done = _run([*command, *self._targets(transaction), *gone])
        if done.returncode != 0:
            raise PackageError(explain(done.stdout))
        outcome = Outcome({}, {}, [])
        for line in done.stdout.splitlines():
            match = re.match(r"^(Inst|Remv|Purg) (\S+)(?: \[([^\]]*)\])?(?: \((\S+))?", line)
            if not match:
                continue
            word, name, before, after = match.groups()
            if word != "Inst":
                outcome.removed.append(name)
            elif before is None:
                outcome.installed[name] = after
            else:
                outcome.upgraded[name] = after
        return outcome

    def refresh(self, asked: Sequence[Asked], max_age: float) -> str:
        """Fetch the package lists if they are old or do not know `asked`; returns what went wrong with some of them."""
        if self._lists_age() <= max_age and set(self.known(asked)) == set(asked):
            return ""
        deadline = time.monotonic() + LOCK_TIMEOUT
        done = self._update()
        # apt waits for dpkg's lock, and not for that of the lists, which the daily update may hold after boot.
        while "Could not get lock" in done.stdout and time.monotonic() < deadline:
            time.sleep(1)
            done = self._update()
        trouble = [line for line in done.stdout.splitlines() if line.startswith(("E:", "W: Failed to fetch"))]
        if done.returncode == 0 and not trouble:
            # When no list changed apt touches nothing; note that they were looked at.
            os.utime(self._paths["lists"])
            return ""
        return explain("\n".join(trouble) or done.stdout)

    def transact(self, transaction: Transaction) -> None:
        """Install, purge and remove. Raises PackageError."""
        targets = [*self._targets(transaction), *[f"{name}-" for name in transaction.purge]]
        options = self._install_options(transaction)
        if targets:
            _output(["apt-get", *self._options, "-y", "--purge", *options, "install", "--", *targets])
        if transaction.remove:
            names = [f"{name}-" for name in transaction.remove]
            _output(["apt-get", *self._options, "-y", *options, "install", "--", *names])

    def mark(self, names: Sequence[str], automatic: bool) -> None:
        """Say that packages came as dependencies (autoremove may take them), or were asked for."""
        if names:
            _output(["apt-mark", *self._options, "auto" if automatic else "manual", "--", *names])

    def keep(self, names: Sequence[str]) -> None:
        """Say of packages that are there, and were to go, that they stay."""
        if names:
            _output(["sh", "-c", 'printf "%s install\\n" "$@" | dpkg --set-selections', "sh", *names])

    # -- others, and what was interrupted

    def busy(self) -> bool:
        """Whether another apt or dpkg is at work; its locks are asked, and not taken."""
        return any(_is_locked(self._dpkg / name) for name in ("lock-frontend", "lock"))

    def wait(self) -> None:
        """Return when no other apt or dpkg is at work. Raises PackageError after LOCK_TIMEOUT seconds."""
        deadline = time.monotonic() + LOCK_TIMEOUT
        while self.busy():
            if time.monotonic() >= deadline:
                raise PackageError(explain("E: Could not get lock: dpkg is still at work."))
            time.sleep(0.2)

    def interrupted(self) -> bool:
        """Whether dpkg left its journal behind, with which apt does nothing more."""
        try:
            names = os.listdir(self._dpkg / "updates")
        except FileNotFoundError:
            return False
        return any(name.isdigit() for name in names) and not self.busy()

    def finish(self, going: Sequence[str] = ()) -> None:
        """Configure what was unpacked, write dpkg's journal into its records, and remove what goes and is torn.

        apt does nothing at all while the journal is there, or a package has to be unpacked again that no archive has.
        Raises PackageError if the journal stays.
        """
        self.wait()
        own = _output(["apt-config", *self._options, "dump", "--format", "%v%n", "DPkg::Options"]).split("\n")
        command = ["dpkg", *[line for line in own if line], "--force-confdef", "--force-confold"]
        done = _run([*command, "--configure", "-a"])
        if self.interrupted():
            raise PackageError(f"dpkg was interrupted on this machine. {self.repair} It said: {_reason(done.stdout)}")
        if going:
            _run([*command, "--force-remove-reinstreq", "--remove", "--", *going])

    # -- details

    @functools.cached_property
    def _architecture(self) -> str:
        return _output(["dpkg", "--print-architecture"]).strip()

    @functools.cached_property
    def _paths(self) -> Dict[str, str]:
        """Where apt keeps its package lists and marks on this host, and dpkg the state of its packages."""
        asked = ("lists", "Dir::State::lists/d", "states", "Dir::State::extended_states/f")
        text = _output(["apt-config", *self._options, "shell", *asked, "status", "Dir::State::status/f"])
        return dict(re.findall(r"^(\w+)='(.*)'$", text, re.MULTILINE))

    @property
    def _dpkg(self) -> Path:
        """The folder of dpkg's records."""
        return Path(self._paths["status"]).parent

    def _full_name(self, name: str, architecture: str) -> str:
        return name if architecture in (self._architecture, "all", "") else f"{name}:{architecture}"

    def _cache(self, word: str) -> List[str]:
        return ["apt-cache", *self._options, *NO_TRACE, word]

    def _update(self, timeout: int = NETWORK_TIMEOUT, retries: int = 2) -> CompletedProcess[str]:
        return _run(["apt-get", *self._options, "-q", *_network_options(timeout, retries), "update"])

    def _lists_age(self) -> float:
        """Seconds since the package lists were fetched; infinite if they never were."""
        lists = Path(self._paths["lists"])
        if not any(path.is_file() and path.name != "lock" for path in lists.glob("*")):
            return float("inf")
        return time.time() - lists.stat().st_mtime

    def _offers(self, names: Iterable[str]) -> Dict[str, Offer]:
        """What the package lists have of packages, by name (apt-cache(8), policy)."""
        names = list(names)
        found: Dict[str, Offer] = {}
        offer, version = Offer("", {}), ""
        for line in _output([*self._cache("policy"), "--", *names]).splitlines() if names else ():
            header = re.match(r"^(\S+):$", line)
            candidate = re.match(r"^  Candidate: (\S+)$", line)
            row = re.match(r"^ (?:\*\*\*|   ) (\S+) -?[0-9]+$", line)
            source = re.match(r"^ {8,}-?[0-9]+ (.+)$", line)
            if header:
                offer = found.setdefault(header[1], Offer("", {}))
            elif candidate and candidate[1] != "(none)":
                offer = found[list(found)[-1]] = offer._replace(candidate=candidate[1])
            elif row:
                version = row[1]
                offer.versions[version] = []
            elif source:
                offer.versions[version].append(source[1])
        return found

    def _index_targets(self, *fields: str, release_info: bool) -> Iterator[List[str]]:
        """These fields of each package list that apt is set up with; with `release_info`, of each that was fetched."""
        command = ["apt-get", *self._options, *NO_TRACE, "indextargets"]
        command += ["--format", "|".join(f"$({field})" for field in fields), "Created-By: Packages"]
        if not release_info:
            command.insert(-1, "--no-release-info")
        for line in _output(command, may_fail=True).splitlines():
            values = line.split("|")
            if len(values) == len(fields):
                yield values

    def _releases(self) -> Dict[str, Set[str]]:
        """The names of the releases that package lists are of, by the lists' descriptions."""
        rows = self._index_targets("DESCRIPTION", "SUITE", "CODENAME", "VERSION", release_info=True)
        return {row[0]: {value for value in row[1:] if not value.startswith("$(")} for row in rows}

    def _addresses(self) -> Dict[str, str]:
        """The addresses of the archives that apt is set up with, by the descriptions of their package lists."""
        rows = self._index_targets("DESCRIPTION", "BASE_URI", release_info=False)
        return {row[0]: row[1] for row in rows if not row[1].startswith("cdrom:")}

    def _targets(self, transaction: Transaction) -> List[str]:
        """What to install, as apt-get takes it.

        What a package of a release depends on comes from there too, where nothing else does (apt-get(8), install). So
        a version that is not the default of its package, and the latest of a release, is asked for by the release.
        """
        versions = [item for item in transaction.install if item.version]
        offers, releases = (self._offers([item.name for item in versions]), self._releases()) if versions else ({}, {})
        targets = []
        for item in transaction.install:
            offer = offers.get(item.name)
            if offer and item.version and item.version != offer.candidate:
                homes = {word for source in offer.versions.get(item.version, ()) for word in releases.get(source, ())}
                asked = [Asked(item.name, "", word) for word in sorted(homes)]
                item = next((one for one in asked if _choose(one, offer, releases) == item.version), item)
            targets.append(str(item))
        return [*targets, *[archive.path for archive in transaction.archives]]

    def _install_options(self, transaction: Transaction) -> List[str]:
        options = [
            "-q",
            *_network_options(),
            f"-oAPT::Install-Recommends={'true' if transaction.recommends else 'false'}",
            "-oAPT::Get::AutomaticRemove=false",
            "-oAPT::Keep-Downloaded-Packages=false",
            "-oDpkg::Use-Pty=0",
            f"-oDPkg::Lock::Timeout={LOCK_TIMEOUT}",
            "-oDpkg::Options::=--force-confdef",
            "-oDpkg::Options::=--force-confold",
        ]
        # A file, or a version, that is asked for by name is meant, also when a later one is installed.
        if transaction.archives or any(item.version for item in transaction.install):
            options.append("--allow-downgrades")
        there = self.installed() if transaction.archives or transaction.install else {}
        again = [archive.name in there and not there[archive.name].remains for archive in transaction.archives]
        if any(again) or any(item.name in there and there[item.name].torn for item in transaction.install):
            options.append("--reinstall")
        return options

    def _needed(self, asked: Sequence[Asked]) -> Optional[List[Set[str]]]:
        """For each package that would come, the archives that have it; None if the package lists know no way."""
        if set(self.known(asked)) != set(asked):
            return None
        try:
            coming = self.simulate(Transaction(install=asked)).coming()
        except PackageError:
            return None
        offers, addresses = self._offers(coming), self._addresses()
        groups = []
        for name, version in coming.items():
            sources = offers[name].versions.get(version, ()) if name in offers else ()
            groups.append({addresses[source] for source in sources if source in addresses})
        return [group for group in groups if group]

    def _needed_of_those_that_answer(self, asked: Sequence[Asked], timeout: int) -> Optional[List[Set[str]]]:
        """As `_needed`, with package lists fetched for this question alone."""
        with tempfile.TemporaryDirectory(prefix="nspa-proaudio-", dir="/var/tmp") as folder:
            # apt fetches as a user of its own, for whom the folder is open; the lists are public.
            os.chmod(folder, 0o755)
            (Path(folder) / "partial").mkdir()
            other = Apt([*self._options, *NO_TRACE, f"-oDir::State::lists={folder}/"])
            other._update(timeout, retries=0)
            return other._needed(asked)


# -- words


def explain(output: str) -> str:
    """What apt said, with what to do about it."""
    rules = (
        (
            r"dpkg was interrupted|dpkg --configure -a",
            f"An earlier installation on this machine was interrupted. {Apt.repair}",
        ),
        (
            r"No space left on device|don't have enough free space|not enough free disk space",
            "The disk is full: make room (apt-get clean, old kernels), then run again.",
        ),
        (
            r"Sub-process \S*dpkg (?:exited unexpectedly|received)",
            f"dpkg was stopped half-way. Run again, which finishes what it left; or by hand: {Apt.repair}",
        ),
        (
            r"Could not get lock|Unable to acquire the dpkg frontend lock|Unable to lock",
            f"Another program has been using the package manager for more than {LOCK_TIMEOUT} seconds. "
            f"Wait until it has ended, then run again.",
        ),
        (
            r"Could not resolve|Temporary failure resolving|Could not connect|Connection (?:failed|refused|timed out)"
            r"|Network is unreachable|Unable to connect|connection timed out",
            "An archive cannot be reached. Check this machine's network and apt's sources and proxy, then run again.",
        ),
        (
            r"NO_PUBKEY|is not signed|not authenticated|unauthenticated|signatures? (?:were|was|couldn't)",
            "An archive is not signed with a key that this machine trusts. Install its key, or remove it from apt's "
            "sources.",
        ),
        (
            r"Unable to locate package|has no installation candidate|Unable to find a source package",
            "No archive of this machine has it. Check the spelling, and whether the section of the archive is enabled "
            "that it is in.",
        ),
        (
            r"Held packages were changed|held broken packages|unmet dependencies|Broken packages"
            r"|Unable to satisfy dependencies",
            "The packages do not fit what is installed or held on this machine. Run 'apt-get -f install' and look at "
            "'apt-mark showhold' there.",
        ),
        (r"Hash Sum mismatch|unexpected size", "An archive is just being updated. Wait some minutes, then run again."),
        (r"are you root|Permission denied", "This needs root: become: true."),
    )
    remedy = next((text for pattern, text in rules if re.search(pattern, output, re.IGNORECASE)), "")
    return f"{remedy or 'The package manager failed.'} It said: {_reason(output)}"


# -- details


def _run(command: Sequence[str], timeout: Optional[float] = None) -> CompletedProcess[str]:
    """Run a command to its end, with all that it says in `stdout`, whatever becomes of us."""
    return programs.run(*command, timeout=timeout, variables=VARIABLES, apart=True)


def _output(command: Sequence[str], may_fail: bool = False) -> str:
    done = _run(command)
    if done.returncode != 0 and not may_fail:
        raise PackageError(explain(done.stdout))
    return done.stdout


def _choose(asked: Asked, offer: Offer, releases: Mapping[str, Set[str]]) -> str:
    """The version that apt would take; empty if there is none."""
    if asked.version:
        return asked.version if asked.version in offer.versions else ""
    if not asked.release:
        return offer.candidate
    for version, sources in offer.versions.items():
        if any(asked.release in releases.get(source, ()) for source in sources):
            return version
    return ""


def _relations(text: str) -> List[List[str]]:
    """A dependency field as a list of clauses, each the names of its alternatives."""
    clauses = [clause for clause in text.split(",") if clause.strip()]
    return [[re.split(r"[\s(:\[]", option.strip())[0] for option in clause.split("|")] for clause in clauses]


def _direct(there: Mapping[str, Package], names: Iterable[str]) -> Set[str]:
    """The packages that these depend on by their own names, as far as installed."""
    words = {word for name in names for clause in there[name].depends for word in clause}
    return words & set(there)


def _closure(there: Mapping[str, Package], names: Set[str]) -> Set[str]:
    """These packages and all that they depend on by their own names, directly or through others."""
    found: Set[str] = set()
    more = set(names)
    while more:
        found |= more
        more = _direct(there, more) - found
    return found


def _kernels(names: Sequence[str]) -> Dict[str, str]:
    """The kernel images in the lists of these packages, by release; that in /boot where there are two."""
    text = _output(["dpkg-query", "-L", "--", *names], may_fail=True) if names else ""
    found = {}
    for path in sorted(text.splitlines(), reverse=True):
        match = KERNEL.match(path)
        if match:
            found[match["boot"] or match["modules"]] = path
    return dict(sorted(found.items()))


def _is_locked(path: Path) -> bool:
    """Whether another process holds the lock on a file (fcntl(2), F_GETLK); False if there is no such file."""
    layout = "hhqqi"  # struct flock: type, whence, start, length, process
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        answer = fcntl.fcntl(descriptor, fcntl.F_GETLK, struct.pack(layout, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    finally:
        os.close(descriptor)
    return bool(struct.unpack(layout, answer)[0] != fcntl.F_UNLCK)


def _network_options(timeout: int = NETWORK_TIMEOUT, retries: int = 2) -> List[str]:
    return [
        f"-oAcquire::http::Timeout={timeout}",
        f"-oAcquire::https::Timeout={timeout}",
        f"-oAcquire::Retries={retries}",
    ]


def _silent(addresses: Sequence[str], timeout: int) -> Dict[str, str]:
    """Those archives that do not answer, with the reasons."""
    if not addresses:
        return {}
    with tempfile.TemporaryDirectory(prefix="nspa-proaudio-", dir="/var/tmp") as folder:

        def reason(number: int, address: str) -> str:
            answer = ""
            # An archive has an InRelease; very plain ones have a Release, or only the list itself.
            for name in ("InRelease", "Release", "Packages", "Packages.gz"):
                answer = _try(f"{address.rstrip('/')}/{name}", str(Path(folder) / f"{number}.{name}"), timeout)
                if not re.search(r"\b404\b|not found|no such file", answer, re.IGNORECASE):
                    return answer
            return answer

        with concurrent.futures.ThreadPoolExecutor(max_workers=8) as pool:
            reasons = list(pool.map(reason, range(len(addresses)), addresses))
    return {address: text for address, text in zip(addresses, reasons) if text}


def _try(url: str, target: str, timeout: int) -> str:
    try:
        done = _run([HELPER, *_network_options(timeout, retries=0), "download-file", url, target], timeout * 2)
    except programs.ProgramError:
        return f"no answer within {timeout * 2} seconds"
    return "" if done.returncode == 0 else _reason(done.stdout)


def _reason(output: str) -> str:
    """The lines in which apt says what is wrong, or its last ones."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    wrong = [line[3:] for line in lines if line.startswith("E: ")]
    if not wrong or any(line.startswith("Sub-process ") for line in wrong):
        # dpkg or a script of a package failed; why is further up.
        wrong = [line for line in lines if line.startswith(("Err:", "W: "))] + lines[-8:]
    unmet = [line for line in lines if re.match(r"^\S+ : (?:Pre)?(?:Depends|Conflicts|Breaks|Recommends): ", line)]
    return without_password("; ".join(dict.fromkeys([*unmet, *wrong])) or "nothing")
