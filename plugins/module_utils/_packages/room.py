# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Package files, in a private place and verified.

What is checked must be what is installed, and a path may be anybody's: between a checksum and the installation its
owner can put another file there. So each file is copied into a folder that only we can read, and all that follows
sees that copy alone. The folder lives as long as this process.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import functools
import hashlib
import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import BinaryIO

from ansible_collections.nspa.proaudio.plugins.module_utils._packages.manager import PackageManager
from ansible_collections.nspa.proaudio.plugins.module_utils._packages.model import (
    Archive,
    PackageError,
    without_password,
)

PARENT = Path("/var/tmp")
"""Not /tmp, which may be a small file system in memory."""
PREFIX = "nspa-proaudio-packages-"
LARGEST = 4 << 30
"""Bytes above which a file is no package; the largest of a distribution's, a kernel's debugging symbols, have 1 GiB."""
BLOCK = 1 << 20


def archive(source: str, sha256: str, manager: PackageManager) -> Archive:
    """The package file at a path or address, as a verified copy. Raises PackageError."""
    shown, sha256 = without_password(source), sha256.lower()
    target = place(manager) / f"{sha256}{manager.suffix}"
    if not target.exists():
        new = target.with_suffix(".new")
        if source.startswith("/"):
            _copy(source, new)
        else:
            manager.download(source, str(new))
        found = _sha256(new)
        if found != sha256:
            new.unlink()
            raise PackageError(
                f"{shown} has the SHA-256 {found}, and {sha256} is wanted. It is damaged, or another file than you "
                f"meant; nothing was installed. Compare with what its publisher says."
            )
        new.rename(target)
    try:
        return manager.read_file(str(target), sha256)
    except PackageError as error:
        raise PackageError(f"{shown} cannot be installed: {error}") from error


@functools.lru_cache(maxsize=None)
def _place() -> Path:
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=PARENT))
    # Held until this process ends, so that others leave it alone.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    atexit.register(_leave, folder, descriptor)
    return folder


def _leave(folder: Path, descriptor: int) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    os.close(descriptor)
    # An interpreter may live on and run the next module (mitogen).
    _place.cache_clear()


def place(manager: PackageManager) -> Path:
    """The private folder for package files; what processes that were killed left of theirs goes.

    While somebody changes packages nothing goes: a package manager outlives the process that started it.
    """
    folder = _place()
    if not manager.busy():
        for path in PARENT.glob(f"{PREFIX}*"):
            if path != folder:
                _clear(path)
    return folder


def _clear(path: Path) -> None:
    """Remove a folder of our own that no process holds."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            if os.fstat(descriptor).st_uid == os.geteuid():
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path)
        finally:
            os.close(descriptor)


def _copy(source: str, target: Path) -> None:
    """Copy a file of whomever; raises PackageError for whatever else it is, and for one that does not hold still."""
    with _open(source) as reader:
        left = os.fstat(reader.fileno()).st_size
        _check_size(source, left, target.parent)
        try:
            new = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(new, "wb") as writer:
                while left:
                    block = reader.read(min(left, BLOCK))
                    if not block:
                        break
                    writer.write(block)
                    left -= len(block)
                more = reader.read(1)
        except OSError as error:
            raise PackageError(f"{source} cannot be copied to {PARENT}: {error.strerror}.") from error
    if left or more:
        raise PackageError(
            f"{source} changed its size while it was read; nothing was installed. Wait until it is complete, then run "
            f"again."
        )


def _open(source: str) -> BinaryIO:
    try:
        # With O_PATH nothing happens yet: opening a FIFO would wait for ever, and opening a device may do something.
        handle = os.open(source, os.O_PATH)
        try:
            _check_kind(source, os.fstat(handle).st_mode)
            return os.fdopen(os.open(f"/proc/self/fd/{handle}", os.O_RDONLY | os.O_NONBLOCK), "rb")
        finally:
            os.close(handle)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise PackageError(
            f"{source} cannot be read: {reason}. It has to be a file on this machine itself; copy it there first."
        ) from error


def _check_kind(source: str, mode: int) -> None:
    if not stat.S_ISREG(mode):
        kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}
        kind = kinds.get(stat.S_IFMT(mode), "a device")
        raise PackageError(f"{source} is {kind}, and a package file is wanted. Correct the path.")


def _check_size(source: str, size: int, folder: Path) -> None:
    """Refuse what is too large for a package, or for the disk that takes the copy."""
    disk = os.statvfs(folder)
    room = disk.f_bavail * disk.f_frsize
    if size > min(LARGEST, room):
        raise PackageError(
            f"{source} has {size >> 20} MiB. A package has {LARGEST >> 20} MiB at most, and {PARENT} has "
            f"{room >> 20} MiB left for its copy. Make room there, or correct the path."
        )


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(BLOCK), b""):
            digest.update(block)
    return digest.hexdigest()
