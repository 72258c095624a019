# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A wineserver: what it may really do when an ordinary user starts it, and which variables its Wine reads at all."""

from __future__ import annotations

import contextlib
import glob
import os
import pwd
import signal
import string
import subprocess
import tempfile
import time
from pathlib import Path
from typing import BinaryIO, Iterable, Iterator, List, Set

from ansible_collections.nspa.proaudio.plugins.module_utils._core import programs
from ansible_collections.nspa.proaudio.plugins.module_utils._core.errors import HostError
from ansible_collections.nspa.proaudio.plugins.module_utils._host import processes
from ansible_collections.nspa.proaudio.plugins.module_utils._host.processes import CAP_SYS_NICE, Process

#: Seconds until the server must run; an emulated machine needs about one.
START = 20.0

#: Seconds in which a running server's rights are looked at: the program is there a moment before they are.
SETTLE = 0.5

#: Seconds in which a server and its children go when they are killed.
ENDING = 5.0

#: Where a prefix is made: whoever calls may have a TMPDIR that no other user can enter (libpam-tmpdir).
SHARED = "/tmp"

#: The most that is read of a program or library, in bytes; those of Wine have a few million.
MOST = 64 * 1024 * 1024

# Libraries of Wine that read variables: ntdll, as a Unix library and as a Windows one, and its older names.
_LIBRARIES = ("ntdll.so", "ntdll.dll.so", "ntdll.dll")
# Where a Wine keeps its libraries, from the wineserver's own folder: bin of a prefix (/opt/*/bin, /usr/bin), or the
# folder of helpers in which Debian keeps the real wineserver (/usr/lib/wine).
_FOLDERS = (".", "../lib", "../lib64", "../lib/*-linux-gnu*", "..", "../*-linux-gnu*")

_LETTERS = string.ascii_uppercase + string.digits + "_"  # of which the names of variables are made


class WineserverError(HostError):
    """The server did not start; the message says what it said."""


def find(pattern: str) -> List[str]:
    """Return the real wineservers that *pattern* matches, sorted: programs (ELF) of that name, no symlinks."""
    return [path for path in sorted(glob.glob(pattern)) if _is_wineserver(Path(path))]


def holds_cap_sys_nice(path: str, user: str) -> bool:
    """Start the wineserver *path* as *user* on an empty prefix and say whether it holds cap_sys_nice.

    A capability on the file is not yet one of the process: a nosuid mount, no_new_privs or a bounding set
    takes it away without a word, so the running process is asked (proc(5), CapEff). The server ends with it.

    :param user: who shall use it; not root, who has every capability without one on the file.
    :raises WineserverError: when the server does not run.
    """
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        raise WineserverError(
            f"{path} cannot be started as {user}, who has no account on this machine: create the account."
        ) from None
    if account.pw_uid == 0:
        raise WineserverError(
            f"{path} was to be started as {user}, who holds every capability anyway, so nothing would be proven: "
            "name the people who make music here in rt_limits_users."
        )
    rights = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--init-groups"]
    with _prefix(account, rights) as prefix, tempfile.TemporaryFile(dir=SHARED) as output:
        starter = subprocess.Popen(
            ["timeout", "--signal=KILL", f"{2 * START:g}", *rights, path, "--foreground"],  # in case that we are ended
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={"PATH": "/usr/bin:/bin", "HOME": account.pw_dir, "WINEPREFIX": prefix, "WINEDEBUG": "-all"},
            cwd="/",
            start_new_session=True,
        )
        try:
            return _holds(_started(starter, path, output), CAP_SYS_NICE)
        finally:
            _end(starter)


def variables_read(path: str, names: Iterable[str]) -> Set[str]:
    """Return which environment variables of *names* the Wine of the wineserver *path* can read at all.

    A program that reads a variable has its name in it, as a whole text that ends there (getenv(3)) or at ``=``. What
    is in neither the wineserver nor the ntdll beside it, setting it does nothing for this Wine.
    """
    wanted = set(names)
    found: Set[str] = set()
    for program in [Path(path), *_libraries(Path(path))]:
        contents = _contents(program, MOST)
        found.update(name for name in wanted - found if _holds_name(contents, name))
    return found


# -- starting a server


@contextlib.contextmanager
def _prefix(account: pwd.struct_passwd, rights: List[str]) -> Iterator[str]:
    """An empty folder of the user's for Wine. It goes with the user's rights, since the user owns what is in it."""
    prefix = tempfile.mkdtemp(prefix="nspa-proaudio-prefix-", dir=SHARED)
    os.chown(prefix, account.pw_uid, account.pw_gid)
    status = os.stat(prefix)
    try:
        yield prefix
    finally:
        # The server keeps its socket in a folder named by device and inode of the prefix, in one below /tmp: that is
        # .wine-UID (server/request.c), or wine- and six random letters (Debian).
        name = f"server-{status.st_dev:x}-{status.st_ino:x}"
        sockets = [path for hidden in ("*", ".*") for path in glob.glob(f"{SHARED}/{hidden}/{name}")]
        with contextlib.suppress(programs.ProgramError):
            programs.run(*rights, "rm", "-rf", "--", *sockets, prefix, timeout=START)
            programs.run(*rights, "rmdir", "--", *[os.path.dirname(path) for path in sockets], timeout=START)


def _started(starter: subprocess.Popen[bytes], path: str, output: BinaryIO) -> Process:
    """Wait until the server runs: the process in the starter's session that is that program."""
    deadline = time.monotonic() + START
    while starter.poll() is None and time.monotonic() < deadline:
        for process in processes.of_session(starter.pid):
            with contextlib.suppress(OSError):
                if process.runs(path):
                    return process
        time.sleep(0.01)
    output.seek(0)
    said = processes.shown(output.read(4096).decode("utf-8", "replace").split(), most=500)
    ended = f"it ended with status {starter.poll()}" if starter.poll() is not None else f"nothing ran for {START:g} s"
    raise WineserverError(f"{path} did not start: {said or ended}. See what {path} --version says.")


def _holds(process: Process, capability: int) -> bool:
    """Whether a process that has just become its program holds a capability."""
    until = time.monotonic() + SETTLE
    while True:
        late = time.monotonic() >= until
        with contextlib.suppress(OSError):
            if process.holds(capability):
                return True
        if late:
            return False
        time.sleep(0.01)


def _end(starter: subprocess.Popen[bytes]) -> None:
    """End the server and whatever it started: all that is in the starter's session. The starter ends with its child."""
    until = time.monotonic() + ENDING
    # Again and again: a process may have a child while it is being ended.
    while time.monotonic() < until:
        there = [process for process in processes.of_session(starter.pid) if not process.ended()]
        others = [process for process in there if process.pid != starter.pid]
        for process in others:
            with contextlib.suppress(OSError):
                os.kill(process.pid, signal.SIGKILL)
        if not others and starter.poll() is not None:
            return
        time.sleep(0.01)
    starter.kill()
    starter.wait()


# -- reading programs


def _is_wineserver(path: Path) -> bool:
    named = path.name.startswith("wineserver")
    return named and not path.is_symlink() and path.is_file() and _contents(path, 4) == b"\x7fELF"


def _libraries(server: Path) -> List[Path]:
    """The libraries of the Wine that a wineserver belongs to, in the usual layouts."""
    own = server.parent.name
    wine = own if own.startswith("wine") else "wine"
    found = {
        library
        for folder in _FOLDERS
        for kind in (".", "*-unix", "*-windows")
        for name in _LIBRARIES
        for library in glob.glob(str(server.parent / folder / wine / kind / name))
    }
    return sorted(Path(library) for library in found)


def _contents(path: Path, most: int) -> bytes:
    """The start of a regular file; empty where there is none to be read."""
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as stream:
            return stream.read(most)
    except OSError:
        return b""


def _holds_name(contents: bytes, name: str) -> bool:
    """Whether a name stands in a program, in the texts of Unix or of Windows (UTF-16), as a word that ends a text."""
    return _ends_a_text(contents, name.encode(), "ascii") or _ends_a_text(
        contents, name.encode("utf-16-le"), "utf-16-le"
    )


def _ends_a_text(contents: bytes, word: bytes, encoding: str) -> bool:
    ends = [mark.encode(encoding) for mark in "\0="]
    inside = [letter.encode(encoding) for letter in _LETTERS]
    width = len(ends[0])
    at = contents.find(word)
    while at >= 0:
        after = contents[at + len(word) : at + len(word) + width]
        if after in ends and contents[max(0, at - width) : at] not in inside:
            return True
        at = contents.find(word, at + 1)
    return False
