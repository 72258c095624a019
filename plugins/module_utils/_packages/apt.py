# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The package manager of Debian and its derivatives, through its own commands.

Everything `_packages` needs of a package manager is in the public functions here; another one offers the same.
A package is named as apt prints it: ``libc6`` for the machine's own architecture, ``libc6:i386`` for another one.
"""

from __future__ import annotations

import concurrent.futures
import functools
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

from ansible_collections.nspa.proaudio.plugins.module_utils._core import programs
from ansible_collections.nspa.proaudio.plugins.module_utils._core.errors import HostError

LOCK_TIMEOUT = 300
"""Seconds to wait for another apt or dpkg, such as unattended-upgrades after boot."""
NETWORK_TIMEOUT = 30
"""Seconds without an answer after which a server counts as gone (apt's own default)."""
HELPER = "/usr/lib/apt/apt-helper"


class PackageError(HostError):
    """Packages cannot be read, installed or removed as asked; the text says what to do."""


class Package(NamedTuple):
    """An installed package, or what is left of one. `configured` False: half installed, or only its settings."""

    name: str
    version: str
    configured: bool
    remains: bool
    depends: List[List[str]]
    recommends: List[List[str]]
    provides: List[str]


class Archive(NamedTuple):
    """A package file that is verified and ready to be installed."""

    path: str
    name: str
    version: str
    sha256: str


class Plan(NamedTuple):
    """What a transaction would do: versions by name; `removed` are names."""

    installed: Dict[str, str]
    upgraded: Dict[str, str]
    removed: List[str]


def available() -> bool:
    """Whether this host has apt and dpkg."""
    return all(shutil.which(command) for command in ("apt-get", "apt-cache", "dpkg-query", "dpkg-deb"))


# -- what is there


def installed() -> Dict[str, Package]:
    """All packages that dpkg knows, by name."""
    own = _own_architecture()
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
    text = _output(["dpkg-query", "-W", "-f", "\\t".join(f"${{{field}}}" for field in fields) + "\\n"], may_fail=True)
    packages = {}
    for line in text.splitlines():
        name, architecture, version, status, pre, depends, recommends, provides = line.split("\t")
        name = _full_name(name, architecture, own)
        packages[name] = Package(
            name=name,
            version=version,
            configured=status[1:2] == "i",
            remains=status[1:2] == "c",
            depends=_relations(pre) + _relations(depends),
            recommends=_relations(recommends),
            provides=[word for clause in _relations(provides) for word in clause],
        )
    return {name: package for name, package in packages.items() if package.version}


def automatic() -> Set[str]:
    """Names of the packages that came only as dependencies, and that autoremove may take away."""
    own = _own_architecture()
    try:
        text = Path(_paths()["states"]).read_text(encoding="utf-8")
    except FileNotFoundError:
        return set()
    found = set()
    for paragraph in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line)
        if fields.get("Auto-Installed") == "1":
            found.add(_full_name(fields["Package"], fields["Architecture"], own))
    return found


def canonical(name: str) -> str:
    """A name as apt prints it, which leaves out the machine's own architecture."""
    return re.sub(f":{re.escape(_own_architecture())}(?==|$)", "", name)


def known(names: Iterable[str], frugal: bool = False) -> Set[str]:
    """Those of `names` (name, or name=version) that the package lists of this host know."""
    names = list(names)
    if not names:
        return set()
    command = ["apt-cache", *_cache_options(frugal), "policy", *[name.split("=")[0] for name in names]]
    found: Set[str] = set()
    name = ""
    for line in _output(command).splitlines():
        version = re.match(r"^ (?:\*\*\*|   ) (\S+) ", line)
        if not line.startswith(" "):
            name = line.rstrip(":")
        elif line.startswith("  Candidate: ") and "(none)" not in line:
            found.add(name)
        elif version:
            found.add(f"{name}={version.group(1)}")
    return found & set(names)


def lists_age() -> float:
    """Seconds since the package lists were fetched; infinite if they never were."""
    lists = Path(_paths()["lists"])
    if not any(path.is_file() and path.name != "lock" for path in lists.glob("*")):
        return float("inf")
    return time.time() - lists.stat().st_mtime


def read_archive(path: str, sha256: str) -> Archive:
    """What a package file holds. Raises PackageError if it is none, or not for this machine."""
    done = _run(["dpkg-deb", "-f", path, "Package", "Version", "Architecture"])
    fields = dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)
    if done.returncode != 0 or not {"Package", "Version", "Architecture"} <= set(fields):
        raise PackageError(
            f"{path} is not a Debian package, although its checksum is the one given. "
            f"Was a web page saved instead of the package?"
        )
    own = _own_architecture()
    known = [own, "all", *_output(["dpkg", "--print-foreign-architectures"]).split()]
    if fields["Architecture"] not in known:
        raise PackageError(
            f"{path} is for the architecture {fields['Architecture']}; this machine takes {', '.join(known)}. "
            f"Use the package for {own}."
        )
    return Archive(path, _full_name(fields["Package"], fields["Architecture"], own), fields["Version"], sha256)


def describe(versions: Mapping[str, str], archives: Sequence[Archive]) -> Dict[str, Package]:
    """Packages that are not installed yet, in these versions, from the archives or from package files."""
    files = {archive.name: archive.path for archive in archives}
    texts = [_output(["dpkg-deb", "-f", path]) for path in files.values()]
    listed = [f"{name}={version}" for name, version in versions.items() if name not in files]
    if listed:
        texts += _output(["apt-cache", *_cache_options(frugal=True), "show", *listed]).split("\n\n")
    found = {}
    for text in texts:
        fields = dict(line.split(": ", 1) for line in text.splitlines() if re.match(r"^[A-Za-z-]+: ", line))
        if "Package" in fields:
            name = _full_name(fields["Package"], fields["Architecture"], _own_architecture())
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


def kernels(names: Iterable[str]) -> List[str]:
    """The kernel images that these packages brought."""
    names = list(names)
    if not names:
        return []
    listed = _output(["dpkg-query", "-L", *names], may_fail=True).splitlines()
    return sorted({path for path in listed if path.startswith(("/boot/vmlinuz-", "/boot/vmlinux-"))})


# -- what would be, and doing it


def simulate(
    install: Sequence[str],
    purge: Sequence[str],
    recommends: bool = False,
    options: Sequence[str] = (),
    frugal: bool = False,
) -> Plan:
    """What `transact` would do with the same arguments. Raises PackageError if it would fail."""
    command = ["apt-get", "-s", *_cache_options(frugal), *_install_options(recommends), *options, "install"]
    done = _run([*command, *install, *[f"{name}-" for name in purge]])
    if done.returncode != 0:
        raise PackageError(explain(done.stdout))
    plan = Plan({}, {}, [])
    for line in done.stdout.splitlines():
        match = re.match(r"^(Inst|Remv|Purg) (\S+)(?: \[([^\]]*)\])?(?: \((\S+))?", line)
        if not match:
            continue
        word, name, before, after = match.groups()
        if word != "Inst":
            plan.removed.append(name)
        elif before is None:
            plan.installed[name] = after
        else:
            plan.upgraded[name] = after
    return plan


def transact(
    install: Sequence[str], purge: Sequence[str], recommends: bool = False, options: Sequence[str] = ()
) -> None:
    """Install and purge in one transaction. Raises PackageError."""
    if not install and not purge:
        return
    command = ["apt-get", "-y", "--purge", *_install_options(recommends), *options, "install"]
    done = _run([*command, *install, *[f"{name}-" for name in purge]])
    if done.returncode != 0:
        raise PackageError(explain(done.stdout))


def remove(names: Sequence[str]) -> None:
    """Remove packages, and leave their settings. Raises PackageError."""
    done = _run(["apt-get", "-y", *_install_options(False), "install", *[f"{name}-" for name in names]])
    if done.returncode != 0:
        raise PackageError(explain(done.stdout))


def mark(names: Sequence[str], automatic_: bool) -> None:
    """Say that packages came as dependencies (autoremove may take them), or were asked for."""
    if names:
        _output(["apt-mark", "auto" if automatic_ else "manual", *names])


def refresh() -> str:
    """Fetch the package lists; returns what went wrong with some of them, empty if nothing did."""
    deadline = time.monotonic() + LOCK_TIMEOUT
    done = _run(["apt-get", "-q", *_network_options(), "update"])
    # apt waits for dpkg's lock, and not for that of the lists, which the daily update may hold after boot.
    while "Could not get lock" in done.stdout and time.monotonic() < deadline:
        time.sleep(1)
        done = _run(["apt-get", "-q", *_network_options(), "update"])
    trouble = [line for line in done.stdout.splitlines() if line.startswith(("E:", "W: Failed to fetch"))]
    if done.returncode == 0 and not trouble:
        # When no list changed apt touches nothing; note that they were looked at.
        os.utime(_paths()["lists"])
        return ""
    return explain("\n".join(trouble) or done.stdout)


def download(url: str, target: str) -> None:
    """Fetch a file by apt's own transports and proxies. Raises PackageError."""
    done = _run([HELPER, *_network_options(), "download-file", url, target])
    if done.returncode != 0 or not Path(target).is_file():
        raise PackageError(f"{without_password(url)} cannot be fetched: {_reason(done.stdout)}")


def unreachable(timeout: int) -> List[Tuple[str, str]]:
    """The archives apt is set up with that do not answer within `timeout` seconds: pairs of address and reason."""
    # Without --no-release-info apt lists only the archives that it has fetched before.
    command = ["apt-get", *_cache_options(frugal=True), "indextargets", "--no-release-info", "--format", "$(BASE_URI)"]
    text = _output(command, may_fail=True)
    addresses = sorted({line for line in text.splitlines() if line and not line.startswith("cdrom:")})
    if not addresses:
        return []
    with tempfile.TemporaryDirectory(prefix="nspa-proaudio-") as folder:

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
    return [(without_password(address), text) for address, text in zip(addresses, reasons) if text]


# -- words


def explain(output: str) -> str:
    """What apt said, with what to do about it."""
    rules = (
        (
            r"dpkg was interrupted|dpkg --configure -a",
            "An earlier installation on this host was interrupted. Run 'dpkg --configure -a' there, then run again.",
        ),
        (
            r"No space left on device|don't have enough free space|not enough free disk space",
            "The disk is full: make room (apt-get clean, old kernels), then run again.",
        ),
        (
            r"Could not get lock|Unable to acquire the dpkg frontend lock|Unable to lock",
            f"Another program has been using the package manager for more than {LOCK_TIMEOUT} seconds. "
            f"Wait until it has ended, then run again.",
        ),
        (
            r"Could not resolve|Temporary failure resolving|Could not connect|Connection (?:failed|refused|timed out)"
            r"|Network is unreachable|Unable to connect|connection timed out",
            "An archive cannot be reached. Check this host's network and apt's sources and proxy, then run again.",
        ),
        (
            r"NO_PUBKEY|is not signed|not authenticated|unauthenticated|signatures? (?:were|was|couldn't)",
            "An archive is not signed with a key this host trusts. Install its key, or remove it from apt's sources.",
        ),
        (
            r"Unable to locate package|has no installation candidate|Unable to find a source package",
            "No archive of this host has it. Check the spelling, and whether the archive section it is in is enabled.",
        ),
        (
            r"Held packages were changed|held broken packages|unmet dependencies|Broken packages",
            "The packages do not fit what is installed or held on this host. Run 'apt-get -f install' and look at "
            "'apt-mark showhold' there.",
        ),
        (r"Hash Sum mismatch|unexpected size", "An archive is just being updated. Wait some minutes, then run again."),
        (r"are you root|Permission denied", "This needs root: become: true."),
    )
    remedy = next((text for pattern, text in rules if re.search(pattern, output, re.IGNORECASE)), "")
    return f"{remedy or 'The package manager failed.'} It said: {_reason(output)}"


def without_password(url: str) -> str:
    """An address as it may be shown."""
    return re.sub(r"://[^/@\s]*@", "://", url)


# -- details


@functools.lru_cache(maxsize=None)
def _own_architecture() -> str:
    return _output(["dpkg", "--print-architecture"]).strip()


def _full_name(name: str, architecture: str, own: str) -> str:
    return name if architecture in (own, "all", "") else f"{name}:{architecture}"


def _relations(text: str) -> List[List[str]]:
    """A dependency field as a list of clauses, each the names of its alternatives."""
    clauses = [clause for clause in text.split(",") if clause.strip()]
    return [[re.split(r"[\s(:\[]", option.strip())[0] for option in clause.split("|")] for clause in clauses]


def _paths() -> Dict[str, str]:
    """Where apt keeps its package lists and marks on this host."""
    text = _output(["apt-config", "shell", "lists", "Dir::State::lists/d", "states", "Dir::State::extended_states/f"])
    return dict(re.findall(r"^(\w+)='(.*)'$", text, re.MULTILINE))


def _install_options(recommends: bool) -> List[str]:
    wanted = "true" if recommends else "false"
    return [
        "-q",
        *_network_options(),
        f"-oAPT::Install-Recommends={wanted}",
        "-oAPT::Get::AutomaticRemove=false",
        "-oAPT::Keep-Downloaded-Packages=false",
        "-oDpkg::Use-Pty=0",
        f"-oDPkg::Lock::Timeout={LOCK_TIMEOUT}",
        "-oDpkg::Options::=--force-confdef",
        "-oDpkg::Options::=--force-confold",
    ]


def _network_options(timeout: int = NETWORK_TIMEOUT, retries: int = 2) -> List[str]:
    return [
        f"-oAcquire::http::Timeout={timeout}",
        f"-oAcquire::https::Timeout={timeout}",
        f"-oAcquire::Retries={retries}",
    ]


def _cache_options(frugal: bool) -> List[str]:
    """frugal: leave apt's cache files and its log alone, as check mode does."""
    if not frugal:
        return []
    return ["-oDir::Cache::pkgcache=", "-oDir::Cache::srcpkgcache=", "-oDir::Log::Planner=/dev/null"]


def _try(url: str, target: str, timeout: int) -> str:
    command = [HELPER, *_network_options(timeout, retries=0), "download-file", url, target]
    try:
        done = _run(command, timeout=timeout * 2)
    except subprocess.TimeoutExpired:
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


def _environment() -> Dict[str, str]:
    return dict(
        programs.environment(),
        DEBIAN_FRONTEND="noninteractive",
        APT_LISTCHANGES_FRONTEND="none",
        UCF_FORCE_CONFFOLD="1",
    )


class _Done(NamedTuple):
    returncode: int
    stdout: str


def _run(command: Sequence[str], timeout: Optional[float] = None) -> _Done:
    """Run a command to its end, with all that it says in `stdout`.

    It writes into a file and runs in a session of its own: when this process is killed, or the connection breaks,
    a package manager must not be stopped half way by a broken pipe.
    """
    try:
        with tempfile.TemporaryFile() as said:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                env=_environment(),
                timeout=timeout,
                start_new_session=True,
                check=False,
            )
            said.seek(0)
            return _Done(done.returncode, said.read().decode("utf-8", "replace"))
    except OSError as error:
        raise PackageError(f"{command[0]} cannot be run on this host: {error.strerror}.") from error


def _output(command: Sequence[str], may_fail: bool = False) -> str:
    done = _run(command)
    if done.returncode != 0 and not may_fail:
        raise PackageError(explain(done.stdout))
    return done.stdout
