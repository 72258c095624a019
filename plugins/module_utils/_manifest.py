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
from typing import Any, Dict, Iterator, List, Optional

DEFAULT_PATH = "/var/lib/nspa-proaudio/manifest.json"
VERSION = 1
LOCK_TIMEOUT = 60.0
"""Seconds to wait for another run that is changing this host."""


class ManifestError(Exception):
    """The manifest cannot be used, or does not allow a change; the text says what to do."""


class Manifest:
    """What is owned: for each kind (``files``, ``packages`` ...) a dictionary of key to entry.

    An entry is a dictionary with ``owner`` (the name of a role), ``before`` (anything JSON can hold; None where
    nothing stood there) and whatever else its kind needs. ``{"blob": SHA256}`` anywhere inside an entry refers to
    a content stored with `keep`, and holds on to it.
    """

    def __init__(self, path: str, kinds: Optional[Dict[str, Dict[str, Dict[str, Any]]]] = None) -> None:
        self.path = path
        self.directory = os.path.dirname(path)
        self._before = os.path.join(self.directory, "before")
        self._kinds: Dict[str, Dict[str, Dict[str, Any]]] = kinds or {}
        self._writable = False

    # -- reading

    @classmethod
    def load(cls, path: Optional[str] = None) -> Manifest:
        """Read the manifest at `path` (DEFAULT_PATH if None); an absent one is empty. Raises ManifestError."""
        path = path or DEFAULT_PATH
        try:
            with open(path, "rb") as stream:
                raw = stream.read()
        except FileNotFoundError:
            return cls(path)
        except OSError as error:
            raise ManifestError(
                "%s cannot be read: %s. It records what this collection changed on this host; run as root "
                "(become: true)." % (path, error.strerror)
            ) from error
        try:
            return cls(path, _parse(raw))
        except ValueError as error:
            raise ManifestError(
                "%s is damaged: %s. It records what stood on this host before this collection changed it, so nothing "
                "was changed now. Put it back from a backup; or, to give up restoring and start afresh, move the "
                "directory %s away." % (path, error, os.path.dirname(path))
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
        path = os.path.join(self._before, sha256)
        try:
            with open(path, "rb") as stream:
                data = stream.read()
        except OSError as error:
            raise ManifestError(
                "%s, the copy of what stood there before, cannot be read: %s. Put it back from a backup."
                % (path, error.strerror)
            ) from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise ManifestError("%s, the copy of what stood there before, is damaged. Put it back from a backup." % path)
        return data

    def litter(self) -> List[str]:
        """Paths that an interrupted run left behind and that the next `save` removes."""
        wanted = set() if self._empty() else {self.path, self._before} | {
            os.path.join(self._before, sha256) for sha256 in _blobs(self._kinds)
        }
        found = [os.path.join(self._before, name) for name in _listdir(self._before)]
        found += [path for path in (self._before, self.path, _temporary(self.path)) if os.path.lexists(path)]
        if self._empty() and os.path.isdir(self.directory) and not os.path.isdir(os.path.join(self.directory, "kept")):
            found.append(self.directory)
        return [path for path in found if path not in wanted]

    # -- writing

    @classmethod
    @contextlib.contextmanager
    def change(cls, path: Optional[str] = None, timeout: float = LOCK_TIMEOUT) -> Iterator[Manifest]:
        """The manifest for the time of a change, with every other run locked out. Nothing is saved by itself.

        The lock is on the parent of the manifest's directory, so that nothing is left behind by it.
        Raises ManifestError if another run holds it for longer than `timeout` seconds.
        """
        path = path or DEFAULT_PATH
        parent = os.path.dirname(os.path.dirname(path))
        os.makedirs(parent, mode=0o755, exist_ok=True)
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
                "%s (%s) is wanted by %s and belongs to %s. Let only one of them manage it." % (
                    key, kind, owner, entry["owner"])
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
        path = os.path.join(self._before, sha256)
        self._make_directory(self._before)
        if not os.path.exists(path):
            _write(path, data)
        return {"blob": sha256}

    def keep_edit(self, path: str, data: bytes) -> str:
        """Store somebody's edit of a file of ours before it is replaced; returns where it now is."""
        self._must_be_writable()
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        number = 0
        while True:
            folder = stamp if not number else "%s.%d" % (stamp, number)
            copy = os.path.join(self.directory, "kept", folder, path.lstrip("/"))
            if not os.path.lexists(copy):
                break
            number += 1
        self._make_directory(os.path.dirname(copy))
        _write(copy, data)
        return copy

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
        for name in _listdir(self._before):
            if name not in needed:
                os.unlink(os.path.join(self._before, name))
        if not needed:
            _rmdir(self._before)

    def _remove(self) -> None:
        # The manifest goes first: a blob without an entry is litter, an entry without its blob would be a loss.
        for path in (self.path, _temporary(self.path)):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        for name in _listdir(self._before):
            os.unlink(os.path.join(self._before, name))
        _rmdir(self._before)
        _rmdir(self.directory)

    def _make_directory(self, path: str) -> None:
        try:
            for folder in (self.directory, path):
                os.makedirs(folder, mode=0o700, exist_ok=True)
        except OSError as error:
            raise ManifestError(
                "%s cannot be made: %s. This collection records there what it changes; run as root (become: true)."
                % (path, error.strerror)
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
        raise ValueError("it is not JSON (%s)" % error) from error
    if not isinstance(data, dict) or not isinstance(data.get("version"), int):
        raise ValueError("it has no version")
    if data["version"] != VERSION:
        raise ValueError(
            "it has version %d, this release of nspa.proaudio knows version %d: use the release that wrote it, or a "
            "later one" % (data["version"], VERSION)
        )
    owned = data.get("owned")
    if not isinstance(owned, dict):
        raise ValueError("it has no list of what is owned")
    for kind, entries in owned.items():
        if not isinstance(entries, dict):
            raise ValueError("its part '%s' is not a dictionary" % kind)
        for key, entry in entries.items():
            if not isinstance(entry, dict) or not isinstance(entry.get("owner"), str) or "before" not in entry:
                raise ValueError("its entry '%s' in '%s' lacks an owner or what stood there before" % (key, kind))
    return owned


def _blobs(value: Any) -> set:
    """All SHA-256 sums under a key "blob", however deep."""
    if isinstance(value, dict):
        found = {value["blob"]} if isinstance(value.get("blob"), str) else set()
        return found.union(*(_blobs(item) for item in value.values()))
    if isinstance(value, list):
        return set().union(*(_blobs(item) for item in value))
    return set()


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
                "Another run of nspa.proaudio has been changing this host for more than %d seconds. "
                "Wait until it has ended, and run again." % timeout
            )
        time.sleep(0.1)


def _temporary(path: str) -> str:
    return path + ".new"


def _write(path: str, data: bytes) -> None:
    """Write a private file in one step: after a crash there is the old one or the new one, never half of it."""
    temporary = _temporary(path)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(temporary, path)
        sync_directory(os.path.dirname(path))
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise ManifestError(
            "%s cannot be written: %s. Without this record nothing can be put back later, so no change was made that "
            "is not in it. Remedy that (a full disk? not root?), and run again." % (path, error.strerror)
        ) from error


def sync_directory(path: str) -> None:
    """Make renames in a directory survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _listdir(path: str) -> List[str]:
    try:
        return sorted(os.listdir(path))
    except FileNotFoundError:
        return []


def _rmdir(path: str) -> None:
    """Remove a directory if it is there and empty."""
    try:
        os.rmdir(path)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST):
            raise
