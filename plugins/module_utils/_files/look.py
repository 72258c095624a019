# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands at a path: as the manifest keeps it, and as people are shown it."""

from __future__ import annotations

import contextlib
import errno
import grp
import hashlib
import os
import pwd
import stat
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from ansible_collections.nspa.proaudio.plugins.module_utils._core import disk
from ansible_collections.nspa.proaudio.plugins.module_utils._core.errors import HostError

DIFF_LIMIT = 100 * 1024
"""Bytes of a content that are shown in a diff."""
_KERNELS_OWN = ("security.ima", "security.evm")
"""Checksums that the kernel itself makes of each file; those of one file are wrong on another."""


class HostFileError(HostError):
    """A file cannot be managed as asked; nothing was changed unless the text says so."""


class Seen(NamedTuple):
    """What stands at a path: the state as the manifest keeps it (None: nothing), and the content of a file."""

    state: Optional[Dict[str, Any]]
    content: bytes = b""

    @property
    def identity(self) -> Optional[str]:
        """What tells one content from another: the SHA-256 of a file, the target of a symlink."""
        if self.state is None:
            return None
        return f"link:{self.state['target']}" if self.is_link else str(self.state["sha256"])

    @property
    def is_link(self) -> bool:
        """Whether it is a symlink."""
        return self.state is not None and self.state["type"] == "link"


def sha256(data: bytes) -> str:
    """The checksum by which contents are known."""
    return hashlib.sha256(data).hexdigest()


def look(path: str) -> Seen:
    """Read what stands at a path. Raises HostFileError for what is neither a file nor a symlink."""
    with reading(path):
        return _look(path)


def is_directory(path: str) -> bool:
    """Whether a directory, or a symlink to one, stands there. Raises HostFileError if that cannot be told."""
    with reading(path):
        try:
            return stat.S_ISDIR(os.stat(path).st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return False


@contextlib.contextmanager
def reading(path: str) -> Iterator[None]:
    """Turn what the kernel says into what to do."""
    try:
        yield
    except OSError as error:
        raise HostFileError(f"{path} cannot be read: {error.strerror}. {disk.remedy(error)}") from error


def _look(path: str) -> Seen:
    try:
        info = Path(path).lstat()
        if stat.S_ISLNK(info.st_mode):
            return Seen(dict(_common(info), type="link", target=os.readlink(path)))
        _must_be_file(path, info)
        # Whoever can write to the directory could put something else there meanwhile.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as stream:
            info = os.fstat(descriptor)
            _must_be_file(path, info)
            content = stream.read()
            state = dict(_common(info), type="file", sha256=sha256(content), mode=f"{stat.S_IMODE(info.st_mode):04o}")
            attributes = _extended_attributes(descriptor)
        if attributes:
            state["xattrs"] = attributes
        return Seen(state, content)
    except FileNotFoundError:
        return Seen(None)
    except NotADirectoryError as error:
        raise HostFileError(
            f"{path} cannot be there: something on the way to it is not a directory. Move that away."
        ) from error


def _common(info: os.stat_result) -> Dict[str, Any]:
    return {"uid": info.st_uid, "gid": info.st_gid, "mtime_ns": info.st_mtime_ns}


def _must_be_file(path: str, info: os.stat_result) -> None:
    if not stat.S_ISREG(info.st_mode):
        raise HostFileError(
            f"{path} is {_kind_of(info.st_mode)}, and a file is wanted there. Move it away, or choose another path."
        )


def _kind_of(mode: int) -> str:
    kinds = (
        (stat.S_ISDIR, "a directory"),
        (stat.S_ISLNK, "a symlink"),
        (stat.S_ISCHR, "a character device"),
        (stat.S_ISBLK, "a block device"),
        (stat.S_ISFIFO, "a named pipe"),
        (stat.S_ISSOCK, "a socket"),
    )
    return next((name for test, name in kinds if test(mode)), "something else")


def _extended_attributes(descriptor: int) -> Dict[str, str]:
    """All of them as hexadecimal text: ACLs (acl(5)), capabilities, labels and what users noted (xattr(7))."""
    try:
        names = sorted(set(os.listxattr(descriptor)) - set(_KERNELS_OWN))
        return {name: os.getxattr(descriptor, name).hex() for name in names}
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.ENOSYS):
            return {}
        raise


# -- for people


def text(seen: Seen) -> str:
    """A content as a diff shows it."""
    if seen.state is None:
        return ""
    if seen.is_link:
        return f"(symlink to {seen.state['target']})\n"
    if len(seen.content) > DIFF_LIMIT or b"\0" in seen.content:
        return f"({len(seen.content)} bytes, SHA-256 {seen.state['sha256']})\n"
    return seen.content.decode("utf-8", "replace")


def attributes(seen: Seen) -> str:
    """Mode, owner and group as a diff shows them."""
    shown = _summary(seen.state or {})
    return "".join(f"{key}: {value}\n" for key, value in shown if key in ("mode", "owner", "group"))


def summary(seen: Seen) -> Optional[Dict[str, Any]]:
    """Type, SHA-256 (or target), mode, owner and group, as a module returns them; None for nothing."""
    return None if seen.state is None else dict(_summary(seen.state))


def _summary(state: Dict[str, Any]) -> List[Tuple[str, Any]]:
    shown = [(key, state[key]) for key in ("type", "sha256", "target", "mode") if key in state]
    return [*shown, ("owner", _name(pwd.getpwuid, state["uid"])), ("group", _name(grp.getgrgid, state["gid"]))]


def _name(lookup: Any, identifier: Any) -> str:
    """The name of a uid or gid; in a prediction it may be a name already."""
    try:
        return str(lookup(identifier)[0]) if isinstance(identifier, int) else str(identifier)
    except KeyError:
        return str(identifier)
