# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the other files share: the cache's layout, the error a person gets to read, locks, running a program."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

DEFAULT_CACHE = "/var/cache/nspa-testbed"
PACKAGES_FILE = Path(__file__).resolve().parent.parent / "packages.txt"


class BedError(Exception):
    """Something a person must know about; the message says what was wanted, what was found, and what to do."""


class Cache:
    """Where images and machines are kept, outside the repository."""

    def __init__(self, root: str | os.PathLike[str] | None = None) -> None:
        """Take the directory ROOT, else the variable NSPA_BED_CACHE, else DEFAULT_CACHE."""
        self.root = Path(root or os.environ.get("NSPA_BED_CACHE") or DEFAULT_CACHE).absolute()
        self.images = self.root / "images"
        self.machines = self.root / "machines"
        self.downloads = self.root / "downloads"
        self.logs = self.root / "logs"
        self.locks = self.root / "locks"
        self.key = self.root / "ssh" / "id_ed25519"

    def prepare(self) -> None:
        """Make the directories and the SSH key, once."""
        if os.geteuid() != 0:
            raise BedError(
                "The test bed makes file systems and starts machines, so it must run as root, and this is user "
                f"id {os.geteuid()}. Run the same command with sudo."
            )
        for directory in (self.images, self.machines, self.downloads, self.logs, self.locks):
            directory.mkdir(parents=True, exist_ok=True)
        with self.lock("ssh-key"):
            if not self.key.exists():
                self.key.parent.mkdir(mode=0o700, exist_ok=True)
                run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "nspa-testbed", "-f", str(self.key)])

    @property
    def public_key(self) -> str:
        """The public half of the SSH key, one line."""
        return self.key.with_suffix(".pub").read_text().strip()

    @contextlib.contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold the lock NAME; whoever else wants it waits. The kernel drops it when the process ends."""
        with open(self.locks / name, "w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def need(*programs: str) -> None:
    """Raise BedError when one of PROGRAMS is not installed."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    missing = [program for program in programs if not shutil.which(program, path=path)]
    if missing:
        raise BedError(
            f"The test bed needs {', '.join(missing)}, and this machine does not have it. On Debian: "
            f"apt-get install --no-install-recommends $(grep -v '^#' {PACKAGES_FILE})"
        )


def run(command: Sequence[str | Path], log: Path | None = None, **options: object) -> str:
    """Run COMMAND and return what it printed; with LOG, its errors are kept there too.

    Raises BedError with the last lines of its output when it fails.
    """
    environment = dict(os.environ, LC_ALL="C.UTF-8")
    environment["PATH"] += ":/usr/sbin:/sbin"
    done = subprocess.run(  # type: ignore[call-overload]
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if log else subprocess.PIPE,
        stdin=subprocess.DEVNULL if "input" not in options else None,
        text=True,
        env=environment,
        **options,
    )
    if log:
        with open(log, "a") as handle:
            handle.write(f"+ {' '.join(str(word) for word in command)}\n{done.stdout}")
    if done.returncode:
        output = (done.stdout if log else done.stderr) or ""
        raise BedError(
            f"{command[0]} failed with exit status {done.returncode}. Its last lines:\n{last_lines(output)}"
            + (f"\nThe whole log: {log}" if log else "")
        )
    return str(done.stdout)


def last_lines(text: str, count: int = 15) -> str:
    """The last COUNT lines of TEXT, indented, without the control characters a serial console is full of."""
    clean = "".join(character for character in text if character.isprintable() or character == "\n")
    lines = [line.rstrip() for line in clean.splitlines() if line.strip()]
    return "\n".join(f"    {line}" for line in lines[-count:]) or "    (nothing)"
