# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the collection owns on a host, with what stood there before.

One JSON file, ``/var/lib/nspa-proaudio/manifest.json``. Beside it lie in ``contents/<sha256>`` what stood there before
and what was wanted (_core/want.py), in ``kept/<time>/<path>`` the edits that somebody made to our files, and the
``lock`` of whoever is changing the host. All of it is root's alone.

The rule that makes an interrupted run harmless: whoever changes the host first records here what stands there
now, saves, and only then changes it. Both "present" and "absent" compare with the host again, so an entry
whose change never came to pass does no harm.

    with Manifest.change() as manifest:                   # exclusive, for the time of a change
        manifest.record("tunables", "vm.swappiness", "sched_tuning", before={"/proc/sys/vm/swappiness": "60"})
        manifest.save()
        ...                                               # now change the host
        manifest.forget("tunables", "vm.swappiness")      # when it has been put back
        manifest.save()
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import stat
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Set

from ansible_collections.nspa.proaudio.plugins.module_utils._core import disk, shapes
from ansible_collections.nspa.proaudio.plugins.module_utils._core.errors import HostError

DEFAULT_PATH = "/var/lib/nspa-proaudio/manifest.json"
VERSION = 1
LOCK_TIMEOUT = 900.0
"""Seconds to wait for another run that is changing this host; it may be fetching and installing packages."""

Entry = Dict[str, Any]


class ManifestError(HostError):
    """The manifest cannot be used, or does not allow a change; the text says what to do."""


class Manifest:
    """What is owned: for each kind (``files``, ``packages`` ...) a dictionary of key to entry.

    An entry is a dictionary with ``owner`` (the name of a role), ``before`` (None where nothing stood there) and
    whatever else its kind needs; _core/shapes.py has the form of each. ``{"blob": SHA256}`` anywhere inside an entry
    refers to a content stored with `keep`, and holds on to it.
    """

    def __init__(self, path: str, kinds: Optional[Dict[str, Dict[str, Entry]]] = None) -> None:
        self.path = Path(path)
        self.directory = self.path.parent
        self._contents = self.directory / "contents"
        self._kept = self.directory / "kept"
        self._kinds: Dict[str, Dict[str, Entry]] = kinds or {}
        self._writable = False

    # -- reading

    @classmethod
    def load(cls, path: Optional[str] = None) -> Manifest:
        """Read the manifest at `path` (DEFAULT_PATH if None); an absent one is empty. Raises ManifestError."""
        path = path or DEFAULT_PATH
        _check_directory(Path(path).parent)
        try:
            raw = Path(path).read_bytes()
        except FileNotFoundError:
            return cls(path)
        except OSError as error:
            raise ManifestError(
                f"{path} cannot be read: {error.strerror}. It records what this collection changed on this machine. "
                f"{disk.remedy(error)}"
            ) from error
        try:
            return cls(path, _parse(raw, path))
        except ValueError as error:
            raise ManifestError(
                f"{path} cannot be used: {error}. It records what stood on this machine before this collection "
                f"changed it, so nothing was changed now. Get it back from a backup; or, to give up what could be put "
                f"back and start afresh, move the directory {Path(path).parent} away."
            ) from error

    def get(self, kind: str, key: str) -> Optional[Entry]:
        """The entry, or None."""
        return self._kinds.get(kind, {}).get(key)

    def entries(self, kind: str) -> Dict[str, Entry]:
        """All entries of a kind, by key; a copy of the dictionary, with the entries themselves."""
        return dict(self._kinds.get(kind, {}))

    def owned(self, kind: str, owner: str) -> Dict[str, Entry]:
        """The entries of a kind that belong to one role, by key."""
        return {key: entry for key, entry in self.entries(kind).items() if entry["owner"] == owner}

    def blob(self, sha256: str) -> bytes:
        """A content stored with `keep`. Raises ManifestError if it is gone or damaged."""
        path = self._contents / sha256
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
        """Paths that an interrupted run left behind and that the next `change` with a `save` removes."""
        with _keeping_records(self.directory):
            used = _blobs(self._kinds)
            found = [path for path in _listdir(self._contents) if path.name not in used]
            found += [path for path in (_temporary(self.path),) if path.exists()]
            if self._empty():
                found += [path for path in (self.path, self._contents) if path.exists()]
            if self._empty() and not self._writable:
                # During a change they are there, and go with its end.
                found += [path for path in (_lock_of(self.directory),) if path.exists()]
                if self.directory.is_dir() and not self._kept.is_dir():
                    found.append(self.directory)
        return [str(path) for path in found]

    # -- writing

    @classmethod
    @contextlib.contextmanager
    def change(cls, path: Optional[str] = None, timeout: float = LOCK_TIMEOUT) -> Iterator[Manifest]:
        """The manifest for the time of a change, with every other run locked out. Nothing is saved by itself.

        Raises ManifestError if another run holds the lock for longer than `timeout` seconds.
        """
        path = path or DEFAULT_PATH
        descriptor = _locked(Path(path).parent, timeout)
        try:
            manifest = cls.load(path)
            manifest._writable = True
            try:
                yield manifest
            finally:
                manifest._writable = False
                manifest._leave()
        finally:
            os.close(descriptor)

    def record(self, kind: str, key: str, owner: str, before: Any, **details: Any) -> Entry:
        """Note that `owner` owns `key`, and what stood there before it first did; returns the entry.

        For an entry that is there already, `before` stays as it was and only `details` are updated.
        Raises ManifestError if the entry belongs to somebody else.
        """
        self._must_be_writable()
        if kind not in shapes.KINDS:
            raise RuntimeError(f"{kind} has no form in _core/shapes.py; it could not be read again")
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
        """Store a content that is about to be replaced, or is long; returns ``{"blob": SHA256}`` for an entry."""
        self._must_be_writable()
        sha256 = hashlib.sha256(data).hexdigest()
        copy = self._contents / sha256
        if _content(copy) != data:
            _make_private(self.directory, self._contents)
            _write(copy, data)
        return {"blob": sha256}

    def keep_edit(self, path: str, data: bytes) -> str:
        """Store somebody's edit of a file of ours before it is replaced; returns where it now is.

        An edit that was kept already, by a run that was then interrupted, is not kept twice.
        """
        self._must_be_writable()
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        with _keeping_records(self._kept):
            copies = [folder / path.lstrip("/") for folder in _listdir(self._kept)]
        for copy in copies:
            if _content(copy) == data:
                return str(copy)
        number = 0
        copy = self._kept / stamp / path.lstrip("/")
        while os.path.lexists(copy):
            number += 1
            copy = self._kept / f"{stamp}.{number}" / path.lstrip("/")
        _make_private(self.directory, self._contents)
        _make_private(self.directory, copy.parent)
        # Half a copy among the contents is litter; among the kept edits nobody could tell it from a whole one.
        _write(copy, data, self._contents / "edit.new")
        return str(copy)

    @contextlib.contextmanager
    def scratch(self, name: str, data: bytes) -> Iterator[Path]:
        """A file of this name with a content, for a moment and for us alone; left by a killed run, it is litter."""
        self._must_be_writable()
        path = self._contents / name
        if name in _blobs(self._kinds):
            raise ManifestError(f"{path} is the name of a copy of what stood there before: choose another name.")
        _make_private(self.directory, self._contents)
        _write(path, data)
        try:
            yield path
        finally:
            with contextlib.suppress(OSError):
                path.unlink()

    def save(self) -> None:
        """Write the manifest in one step; when nothing is owned any more, remove it with all that it referred to.

        The directory itself goes when the change ends, since the lock lies in it.
        """
        self._must_be_writable()
        problem = shapes.problem(self._kinds)
        if problem:
            raise ManifestError(
                f"{self.path} was not written, since it could not be read again: {problem}. No change was made that "
                f"is not in it. Look for something unusual in the settings; if there is nothing, this is a defect of "
                f"this collection: please report it."
            )
        needed = _blobs(self._kinds)
        if not self._empty():
            _make_private(self.directory, self.directory)
            text = json.dumps({"version": VERSION, "owned": self._kinds}, indent=1, sort_keys=True, ensure_ascii=True)
            _write(self.path, text.encode("ascii") + b"\n")
        with _keeping_records(self.directory):
            if self._empty():
                # The manifest goes first: a content without an entry is litter, an entry without its own a loss.
                _unlink(self.path)
                _unlink(_temporary(self.path))
            for path in _listdir(self._contents):
                if path.name not in needed:
                    path.unlink()
            if not needed:
                _rmdir(self._contents)
            for folder, _folders, _files in os.walk(self._kept, topdown=False):
                _rmdir(Path(folder))

    def _leave(self) -> None:
        """Remove what nothing refers to any more, when nothing is owned; what cannot be removed is litter."""
        with contextlib.suppress(OSError):
            if not self.path.exists():
                for path in (_temporary(self.path), *_listdir(self._contents)):
                    _unlink(path)
                _rmdir(self._contents)
                _unlink(_lock_of(self.directory))
                _rmdir(self.directory)

    def _must_be_writable(self) -> None:
        if not self._writable:
            raise RuntimeError("the manifest is only changed inside Manifest.change()")

    def _empty(self) -> bool:
        return not any(self._kinds.values())


def _parse(raw: bytes, path: str) -> Dict[str, Dict[str, Entry]]:
    """The `owned` part of a manifest. Raises ValueError with what is wrong, ManifestError if it is only too new."""
    try:
        data = json.loads(raw.decode("utf-8"))
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    version = data.get("version") if isinstance(data, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ValueError(f"it is not a manifest of version {VERSION}")
    owned: Any = data.get("owned")
    unknown = shapes.unknown(owned)
    if data["version"] > VERSION or unknown:
        what = f"it holds {', '.join(map(ascii, unknown))}" if unknown else f"its version is {data['version']}"
        raise ManifestError(
            f"{path} was written by a newer release of this collection ({what[:200]}). Nothing was changed. "
            f"Use that release, or a later one, for this machine."
        )
    problem = shapes.problem(owned)
    if problem:
        raise ValueError(problem)
    kinds: Dict[str, Dict[str, Entry]] = owned
    return kinds


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


# -- the directory and its lock


def _check_directory(directory: Path) -> None:
    """Refuse a directory that others could have filled, or could fill. Raises ManifestError."""
    with _keeping_records(directory):
        try:
            info = directory.lstat()
        except FileNotFoundError:
            return
    mode = stat.S_IMODE(info.st_mode)
    if stat.S_ISLNK(info.st_mode):
        problem, mend = "is a symlink", "put the directory itself there (a bind mount does what the symlink did)"
    elif not stat.S_ISDIR(info.st_mode):
        problem, mend = "is not a directory", "move it away"
    elif info.st_uid not in (0, os.geteuid()):
        problem, mend = f"belongs to the user with the number {info.st_uid}", f"chown -R root: {directory}"
    elif mode & 0o022:
        problem, mend = f"can be written by others than its owner (mode {mode:04o})", f"chmod 0700 {directory}"
    else:
        return
    raise ManifestError(
        f"{directory} {problem}. What this collection puts back is recorded there, so it has to be a directory that "
        f"only root can write to; nothing was changed. Look at what is in it. If that is this machine's own record: "
        f"{mend}. Otherwise move it away."
    )


def _lock_of(directory: Path) -> Path:
    return directory / "lock"


def _locked(directory: Path, timeout: float) -> int:
    """Take the lock of a directory, which is made if need be; returns the descriptor that holds it.

    The lock lies where only root can open it: a lock that others can open, they could hold for ever. It goes together
    with the directory, so whoever waited for one that is gone takes the new one.
    """
    path, deadline = _lock_of(directory), time.monotonic() + timeout
    while True:
        _make_private(directory, directory)
        with _keeping_records(path):
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
            except FileNotFoundError:
                continue
            try:
                _wait_for(descriptor, path, deadline, timeout)
                if _is_still(descriptor, path):
                    return descriptor
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)


def _wait_for(descriptor: int, path: Path, deadline: float, timeout: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            pass
        if time.monotonic() >= deadline:
            raise ManifestError(
                f"Another run of nspa.proaudio has been changing this machine for more than {timeout:.0f} seconds. "
                f"Wait until it has ended (fuser -v {path} shows it), and run again."
            )
        time.sleep(0.1)


def _is_still(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _make_private(directory: Path, folder: Path) -> None:
    """Make the state directory, and a folder in it, for us alone. Raises ManifestError."""
    with _keeping_records(folder):
        directory.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        for path in [*reversed(folder.parents), folder]:
            if path == directory or directory in path.parents:
                with contextlib.suppress(FileExistsError):
                    path.mkdir(mode=0o700)
                    disk.sync_directory(path.parent)
                _check_directory(directory)


# -- files in it


@contextlib.contextmanager
def _keeping_records(path: Path) -> Iterator[None]:
    """Turn what the kernel says of our records into what to do."""
    try:
        yield
    except OSError as error:
        raise ManifestError(
            f"{error.filename or path} cannot be used for this collection's records: {error.strerror}. Without them "
            f"nothing could be put back later, so no change was made that is not in them. {disk.remedy(error)}"
        ) from error


def _temporary(path: Path) -> Path:
    return path.with_name(f"{path.name}.new")


def _write(path: Path, data: bytes, temporary: Optional[Path] = None) -> None:
    """Write a private file in one step: after a crash there is the old one or the new one, never half of it."""
    temporary = temporary or _temporary(path)
    with _keeping_records(path):
        try:
            _unlink(temporary)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                disk.write_all(descriptor, data)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            temporary.rename(path)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
    disk.sync_directory(path.parent)


def _content(path: Path) -> Optional[bytes]:
    """What a file holds; None where there is none that can be read."""
    try:
        return path.read_bytes()
    except OSError:
        return None


def _listdir(path: Path) -> List[Path]:
    try:
        return sorted(path.iterdir())
    except FileNotFoundError:
        return []


def _unlink(path: Path) -> None:
    """Remove a file if it is there."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()


def _rmdir(path: Path) -> None:
    """Remove a directory if it is there and empty."""
    try:
        path.rmdir()
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST):
            raise
