# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put a file in place in one step: first complete beside its destination, then by its name."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Dict, Iterator

from ansible_collections.nspa.proaudio.plugins.module_utils._core import disk
from ansible_collections.nspa.proaudio.plugins.module_utils._files.look import HostFileError, Seen, sha256

_ACL = "system.posix_acl_access"


@contextlib.contextmanager
def writing(path: str) -> Iterator[None]:
    """Turn what the kernel says into what to do."""
    try:
        yield
    except OSError as error:
        raise HostFileError(f"{path} cannot be written: {error.strerror}. {disk.remedy(error)}") from error


def staged(path: str) -> Path:
    """Where the new content of a path waits: in the same directory, under a name that no daemon reads.

    A leading dot and no known ending keep it out of every *.conf, *.rules, *.d and run-parts; always the same
    name, so that a later run finds what a killed one left.
    """
    return Path(path).with_name(f".nspa-proaudio-{sha256(os.fsencode(path))[:16]}.new")


def stage(path: str, seen: Seen) -> None:
    """Write a file or symlink beside its destination, complete with its attributes, and on the disk."""
    state, new = seen.state or {}, staged(path)
    with writing(path):
        unstage(path)
        if seen.is_link:
            new.symlink_to(state["target"])
            os.lchown(new, state["uid"], state["gid"])
        else:
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            try:
                disk.write_all(descriptor, seen.content)
                os.fchown(descriptor, state["uid"], state["gid"])
                _set_attributes(descriptor, int(state["mode"], 8), state.get("xattrs", {}))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        if "mtime_ns" in state:
            os.utime(new, ns=(state["mtime_ns"], state["mtime_ns"]), follow_symlinks=False)


def _set_attributes(descriptor: int, mode: int, attributes: Dict[str, str]) -> None:
    """Mode, ACL and capabilities: after content and owner, since writing and chown(2) take set-ID bits and those away.

    The mode is set before the ACL, whose mask the group's bits then are (acl(5)); an ACL that the directory hands
    down would let others in than the mode says, so it goes first.
    """
    if _ACL in os.listxattr(descriptor) and _ACL not in attributes:
        os.removexattr(descriptor, _ACL)
    os.fchmod(descriptor, mode)
    for name, value in attributes.items():
        os.setxattr(descriptor, name, bytes.fromhex(value))


def unstage(path: str) -> None:
    """Remove what waits beside a path, if anything does. Raises OSError."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        staged(path).unlink()


def place(path: str, seen: Seen) -> None:
    """Let a path be what was staged for it, or nothing."""
    with writing(path):
        if seen.state is not None:
            staged(path).rename(path)
        else:
            with contextlib.suppress(FileNotFoundError):
                Path(path).unlink()
