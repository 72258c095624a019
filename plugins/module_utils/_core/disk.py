# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing what has to last, and what to do when the kernel refuses to."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from ansible_collections.nspa.proaudio.plugins.module_utils._core.errors import HostError

_REMEDIES = {
    errno.ENOSPC: "The disk is full: make room, and run again.",
    errno.EDQUOT: "The disk quota is used up: make room, and run again.",
    errno.EFBIG: "It is larger than the limit that is set here (ulimit -f): lift the limit, and run again.",
    errno.EROFS: "The file system is mounted read-only: remount it, and run again.",
    errno.EACCES: "This needs root: become: true.",
    errno.EPERM: "This needs root (become: true), and a file without the immutable attribute (lsattr shows it).",
    errno.EIO: "The disk reports errors (dmesg shows them): see to it first, then run again.",
    errno.ENAMETOOLONG: "The path is too long: choose a shorter one.",
    errno.ELOOP: "A symlink on the way to it leads in a circle: remove that.",
}


def remedy(error: OSError) -> str:
    """What somebody can do about an error of the file system: whole sentences (errno(3) has the codes)."""
    return _REMEDIES.get(error.errno or 0, "Remedy that, and run again: it goes on where it stopped.")


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of `data`; the kernel has it when this returns. Raises OSError."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def sync_directory(path: Path) -> None:
    """Make renames in a directory survive a power cut. Raises HostError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise HostError(f"{path} cannot be brought to the disk: {error.strerror}. {remedy(error)}") from error
