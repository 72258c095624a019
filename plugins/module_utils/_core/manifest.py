# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the collection owns on a host, with what stood there before.

One JSON file, ``/var/lib/nspa-proaudio/manifest.json``; contents that were replaced lie beside it in
``before/<sha256>``, and edits that somebody made to our files in ``kept/<time>/<path>``. Only root can read them.

The rule that makes an interrupted run harmless: whoever changes the host first records here what stands there
now, saves, and only then changes it. Both "present" and "absent" compare with the host again, so an entry
whose change never came to pass does no harm.

    with Manifest.change() as manifest:                   # exclusive, for the time of a change
        manifest.record("sysctl", "vm.swappiness", "sched_tuning", before="60")
        manifest.save()
        ...                                               # now change the host
        manifest.forget("sysctl", "vm.swappiness")        # when it has been put back
        manifest.save()
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Set

from ansible_collections.nspa.proaudio.plugins.module_utils._core.errors import HostError

DEFAULT_PATH = "/var/lib/nspa-proaudio/manifest.json"
VERSION = 1
LOCK_TIMEOUT = 60.0
"""Seconds to wait for another run that is changing this host."""


class ManifestError(HostError):
    """The manifest cannot be used, or does not allow a change; the text says what to do."""


class Manifest:
    """What is owned: for each kind (``files``, ``packages`` ...) a dictionary of key to entry.

    An entry is a dictionary with ``owner`` (the name of a role), ``before`` (anything JSON can hold; None where
    nothing stood there) and whatever else its kind needs. ``{"blob": SHA256}`` anywhere inside an entry refers to
    a content stored with `keep`, and holds on to it.
    """

    def __init__(self, path: str, kinds: Optional[Dict[str, Dict[str, Dict[str, Any]]]] = None) -> None:
        self.path = Path(path)
        self.directory = self.path.parent
        self._before = self.directory / "before"
        self._kinds: Dict[str, Dict[str, Dict[str, Any]]] = kinds or {}
        self._writable = False

    # -- reading

    @classmethod
    def load(cls, path: Optional[str] = None) -> Manifest:
        """Read the manifest at `path` (DEFAULT_PATH if None); an absent one is empty. Raises ManifestError."""
        path = path or DEFAULT_PATH
        try:
            raw = Path(path).read_bytes()
        except FileNotFoundError:
            return cls(path)
        except OSError as error:
            raise ManifestError(
                f"{path} cannot be read: {error.strerror}. It records what this collection changed on this host; "
                f"run as root (become: true)."
            ) from error
        try:
            return cls(path, _parse(raw))
        except ValueError as error:
            raise ManifestError(
                f"{path} cannot be used: {error}. It records what stood on this host before this collection "
                f"changed it, so nothing was changed now. Put it back from a backup; or, to give up restoring and "
                f"start afresh, move the directory {Path(path).parent} away."
            ) from error

    def get(self, kind: str, key: str) -> Optional[Dict[str, Any]]:
        """The entry, or None."""
        return self._kinds.get(kind, {}).get(key)

    def entries(self, kind: str) -> Dict[str, Dict[str, Any]]:
        """All entries of a kind, by key; a copy of the dictionary, with the entries themselves."""
        return dict(self._kinds.get(kind, {}))

    def owned(self, kind: str, owner: str) -> Dict[str, Dict[str, Any]]:
        """The entries of a kind that belong to one role, by key."""
        return {key: entry for key, entry in self.entries(kind).items() if entry["owner"] == owner}

    def blob(self, sha256: str) -> bytes:
        """A content stored with `keep`. Raises ManifestError if it is gone or damaged."""
        path = self._before / sha256
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ManifestError(
                f"{path}, the copy of what stood there before, cannot be read: {error.strerror}. "
                f"Put it back from a backup."
            ) from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise ManifestError(f"{path}, the copy of what stood there before, is damaged. Put it back from a backup.")
        return data

    def litter(self) -> List[str]:
        """Paths that an interrupted run left behind and that the next `save` removes."""
        found = [path for path in _listdir(self._before) if path.name not in _blobs(self._kinds)]
        found += [path for path in (_temporary(self.path),) if path.exists()]
        if self._empty():
            found += [path for path in (self.path, self._before) if path.exists()]
            if self.directory.is_dir() and not (self.directory / "kept").is_dir():
                found.append(self.directory)
        return [str(path) for path in found]

    # -- writing

    @classmethod
    @contextlib.contextmanager
    def change(cls, path: Optional[str] = None, timeout: float = LOCK_TIMEOUT) -> Iterator[Manifest]:
        """The manifest for the time of a change, with every other run locked out. Nothing is saved by itself.

        The lock is on the parent of the manifest's directory, so that nothing is left behind by it.
        Raises ManifestError if another run holds it for longer than `timeout` seconds.
        """
        path = path or DEFAULT_PATH
        parent = Path(path).parent.parent
        parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        descriptor = os.open(parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            _lock(descriptor, timeout)
            manifest = cls.load(path)
            manifest._writable = True
            try:
                yield manifest
            finally:
                manifest._writable = False
        finally:
            os.close(descriptor)

    def record(self, kind: str, key: str, owner: str, before: Any, **details: Any) -> Dict[str, Any]:
        """Note that `owner` owns `key`, and what stood there before it first did; returns the entry.

        For an entry that is there already, `before` stays as it was and only `details` are updated.
        Raises ManifestError if the entry belongs to somebody else.
        """
        self._must_be_writable()
        entry = self._kinds.setdefault(kind, {}).setdefault(key, {"owner": owner, "before": before})
        if entry["owner"] != owner:
            raise ManifestError(
                f"{key} ({kind}) is wanted by {owner} and belongs to {entry['owner']}. Let only one of them manage it."
            )
        entry.update(details)
        return entry

    def forget(self, kind: str, key: str) -> None:
        """The entry is put back, or given up; no error if there is none."""
        self._must_be_writable()
        self._kinds.get(kind, {}).pop(key, None)
        if not self._kinds.get(kind):
            self._kinds.pop(kind, None)

    def keep(self, data: bytes) -> Dict[str, str]:
        """Store a content that is about to be replaced; returns ``{"blob": SHA256}`` for use in an entry."""
        self._must_be_writable()
        sha256 = hashlib.sha256(data).hexdigest()
        self._make_directory(self._before)
        if not (self._before / sha256).exists():
            _write(self._before / sha256, data)
        return {"blob": sha256}

    def keep_edit(self, path: str, data: bytes) -> str:
        """Store somebody's edit of a file of ours before it is replaced; returns where it now is."""
        self._must_be_writable()
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        number = 0
        while True:
            folder = f"{stamp}.{number}" if number else stamp
            copy = self.directory / "kept" / folder / path.lstrip("/")
            if not copy.exists():
                break
            number += 1
        self._make_directory(copy.parent)
        _write(copy, data)
        return str(copy)

    def save(self) -> None:
        """Write the manifest in one step; when nothing is owned any more, remove it with its directory."""
        self._must_be_writable()
        if self._empty():
            self._remove()
            return
        self._make_directory(self.directory)
        text = json.dumps({"version": VERSION, "owned": self._kinds}, indent=1, sort_keys=True, ensure_ascii=True)
        _write(self.path, text.encode("ascii") + b"\n")
        needed = _blobs(self._kinds)
        for path in _listdir(self._before):
            if path.name not in needed:
                path.unlink()
        if not needed:
            _rmdir(self._before)

    def _remove(self) -> None:
        # The manifest goes first: a blob without an entry is litter, an entry without its blob would be a loss.
        for path in (self.path, _temporary(self.path), *_listdir(self._before)):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
        _rmdir(self._before)
        _rmdir(self.directory)

    def _make_directory(self, path: Path) -> None:
        try:
            for folder in (self.directory, path):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ManifestError(
                f"{path} cannot be made: {error.strerror}. This collection records there what it changes; "
                f"run as root (become: true)."
            ) from error

    def _must_be_writable(self) -> None:
        if not self._writable:
            raise RuntimeError("the manifest is only changed inside Manifest.change()")

    def _empty(self) -> bool:
        return not any(self._kinds.values())


def _parse(raw: bytes) -> Dict[str, Dict[str, Dict[str, Any]]]:
    """The `owned` part of a manifest. Raises ValueError with what is wrong with it."""
    try:
        data = json.loads(raw.decode("utf-8"))
    except ValueError as error:
        raise ValueError(f"it is not JSON ({error})") from error
    if not isinstance(data, dict) or not isinstance(data.get("version"), int):
        raise ValueError("it has no version")
    if data["version"] != VERSION:
        raise ValueError(
            f"it has version {data['version']}, and this release of nspa.proaudio knows version {VERSION}; "
            f"use the release that wrote it, or a later one"
        )
    owned = data.get("owned")
    if not isinstance(owned, dict):
        raise ValueError("it has no list of what is owned")
    for kind, entries in owned.items():
        if not isinstance(entries, dict):
            raise ValueError(f"its part '{kind}' is not a dictionary")
        for key, entry in entries.items():
            if not isinstance(entry, dict) or not isinstance(entry.get("owner"), str) or "before" not in entry:
                raise ValueError(f"its entry '{key}' in '{kind}' lacks an owner or what stood there before")
    return owned


def _blobs(value: Any) -> Set[str]:
    """All SHA-256 sums under a key "blob", however deep."""
    found: Set[str] = set()
    if isinstance(value, dict):
        if isinstance(value.get("blob"), str):
            found.add(value["blob"])
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            found |= _blobs(item)
    return found


def _lock(descriptor: int, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
        if time.monotonic() >= deadline:
            raise ManifestError(
                f"Another run of nspa.proaudio has been changing this host for more than {timeout:.0f} seconds. "
                f"Wait until it has ended, and run again."
            )
        time.sleep(0.1)


def _temporary(path: Path) -> Path:
    return path.with_name(f"{path.name}.new")


def _write(path: Path, data: bytes) -> None:
    """Write a private file in one step: after a crash there is the old one or the new one, never half of it."""
    temporary = _temporary(path)
    try:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.rename(path)
        sync_directory(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise ManifestError(
            f"{path} cannot be written: {error.strerror}. Without this record nothing could be put back later, so no "
            f"change was made that is not in it. Remedy that (a full disk? not root?), and run again."
        ) from error


def sync_directory(path: Path) -> None:
    """Make renames in a directory survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _listdir(path: Path) -> List[Path]:
    try:
        return sorted(path.iterdir())
    except FileNotFoundError:
        return []


def _rmdir(path: Path) -> None:
    """Remove a directory if it is there and empty."""
    try:
        path.rmdir()
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST):
            raise
