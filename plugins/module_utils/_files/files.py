# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that a role owns on a host: compare a whole list, put it in place, and take it back.

    differences = compare(Manifest.load(), "rt_limits", wanted)        # reads only
    check(differences)                                                 # runs the validators, on private copies
    with Manifest.change() as manifest:
        apply(manifest, compare(manifest, "rt_limits", wanted))

Order of an `apply`, so that a crash between any two steps leaves something that both a later "present" and a later
"absent" understand: originals into the manifest, all new contents beside their destinations, renames, restores.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import hashlib
import os
import pwd
import re
import shlex
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

from ansible_collections.nspa.proaudio.plugins.module_utils._core import programs
from ansible_collections.nspa.proaudio.plugins.module_utils._core.errors import HostError
from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import (
    Manifest,
    ManifestError,
    sync_directory,
)

FILES = "files"
DIRECTORIES = "directories"
DIFF_LIMIT = 100 * 1024
"""Bytes of a content that are shown in a diff."""
VALIDATE_TIMEOUT = 120
"""Seconds that a validator may take."""


class HostFileError(HostError):
    """A file cannot be managed as asked; nothing was changed unless the text says so."""


class Wanted(NamedTuple):
    """One file as it shall be. `validate` is a command line with %s for the file's path."""

    path: str
    content: bytes
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"
    validate: Optional[str] = None
    replace: bool = False
    block: bool = False
    """Only a block of lines in a file that is not ours; owner and mode stay as they are there."""


class Seen(NamedTuple):
    """What stands at a path: the state as the manifest keeps it (None: nothing), and the content of a file."""

    state: Optional[Dict[str, Any]]
    content: bytes = b""

    @property
    def identity(self) -> Optional[str]:
        """What tells one content from another: the SHA-256 of a file, the target of a symlink."""
        if self.state is None:
            return None
        return f"link:{self.state['target']}" if self.state["type"] == "link" else str(self.state["sha256"])


class Change(NamedTuple):
    """One path that differs. `after` None: it goes away. `edited`: somebody changed our file since we wrote it."""

    path: str
    action: str
    seen: Seen
    after: Seen
    wanted: Optional[Wanted] = None
    edited: bool = False


class Differences(NamedTuple):
    """What `apply` would do.

    `forget`: paths that stand again as they did before we came; `settle`: paths that stand as wanted, with the
    traces of an interrupted run; `directories`: to be made; `litter`: left of the manifest by an interrupted run.
    """

    role: str
    changes: List[Change]
    forget: List[str]
    settle: Dict[str, str]
    directories: List[str]
    litter: List[str]

    @property
    def any(self) -> bool:
        return bool(self.changes or self.forget or self.settle or self.litter)


# -- reading


def look(path: str) -> Seen:
    """Read what stands at a path. Raises HostFileError for what is neither a file nor a symlink."""
    try:
        info = Path(path).lstat()
        state: Dict[str, Any] = {"uid": info.st_uid, "gid": info.st_gid, "mtime_ns": info.st_mtime_ns}
        if stat.S_ISLNK(info.st_mode):
            return Seen(dict(state, type="link", target=os.readlink(path)))
        if not stat.S_ISREG(info.st_mode):
            raise HostFileError(
                f"{path} is {_kind_of(info.st_mode)}, and a file is wanted there. Move it away, or choose another path."
            )
        content = Path(path).read_bytes()
        state.update(type="file", sha256=_sha256(content), mode=f"{stat.S_IMODE(info.st_mode):04o}")
        attributes = _get_attributes(path)
        if attributes:
            state["xattrs"] = attributes
        return Seen(state, content)
    except FileNotFoundError:
        return Seen(None)
    except NotADirectoryError as error:
        raise HostFileError(
            f"{path} cannot be there: something on the way to it is not a directory. Move that away."
        ) from error
    except OSError as error:
        raise HostFileError(f"{path} cannot be read: {error.strerror}.") from error


def compare(manifest: Manifest, role: str, wanted: Sequence[Wanted], predict: bool = False) -> Differences:
    """What differs between the host and `wanted`; an empty `wanted` gives back all that the role owns.

    predict: as in check mode, where an owner or group that does not exist yet may be made by an earlier task;
    otherwise that is an error. Raises HostFileError (with nothing changed) for whatever forbids to go on.
    """
    _check_paths(wanted)
    owned = manifest.owned(FILES, role)
    changes = []
    settle = {}
    for item in wanted:
        entry = manifest.get(FILES, item.path)
        if entry is not None and entry["owner"] != role:
            raise HostFileError(
                f"{item.path} is wanted by {role} and belongs to {entry['owner']}. Let only one of them manage it."
            )
        if item.block:
            item = _with_block(item, role)
        change = _compare_one(item, entry, predict)
        if change:
            changes.append(change)
        elif entry is not None:
            identity = _sha256(item.content)
            if entry["written"] != [identity] or os.path.lexists(_staged(item.path)):
                settle[item.path] = identity
    forget = []
    paths = {item.path for item in wanted}
    for path in sorted(set(owned) - paths):
        seen, entry = look(path), owned[path]
        if seen.state == entry["before"]:
            forget.append(path)
            continue
        before = _before(manifest, entry)
        if entry.get("block") and seen.state is not None:
            rest = _without_block(seen, role, before)
            if rest.state == seen.state:
                forget.append(path)
            else:
                changes.append(Change(path, "restored" if rest.state else "removed", seen, rest))
            continue
        action = "removed" if before.state is None else "restored"
        changes.append(Change(path, action, seen, before, edited=_is_edited(seen, entry)))
    new = sorted(_missing_parents(change.path for change in changes if change.wanted))
    return Differences(role, changes, forget, settle, new, manifest.litter())


def check(differences: Differences, predict: bool = False) -> List[str]:
    """Run the validators of the files that are about to be written, on private copies with the same name.

    Returns warnings: in check mode (`predict`) a validator may belong to a package that is not installed yet.
    Raises HostFileError with what the validator said.
    """
    warnings = []
    for change in differences.changes:
        if change.wanted is None or change.wanted.validate is None:
            continue
        command = shlex.split(change.wanted.validate)
        if shutil.which(command[0], path=programs.environment()["PATH"]) is None:
            text = f"{change.path} was not checked: the program {command[0]} is not on this host."
            if not predict:
                raise HostFileError(f"{text} Nothing was changed. Install it first.")
            warnings.append(text)
            continue
        with tempfile.TemporaryDirectory(prefix="nspa-proaudio-") as folder:
            copy = Path(folder) / Path(change.path).name
            copy.write_bytes(change.wanted.content)
            copy.chmod(change.wanted.mode)
            _run_validator([word.replace("%s", str(copy)) for word in command], change.path, str(copy))
    return warnings


def diff(differences: Differences) -> List[Dict[str, Any]]:
    """The differences in the form of Ansible's --diff."""
    shown: List[Dict[str, Any]] = []
    for change in differences.changes:
        after = change.after
        if _text(change.seen) != _text(after):
            shown.append(
                {
                    "before_header": change.path,
                    "after_header": change.path,
                    "before": _text(change.seen),
                    "after": _text(after),
                }
            )
        if change.seen.state and after.state and _attributes(change.seen) != _attributes(after):
            shown.append(
                {
                    "before_header": change.path + " (attributes)",
                    "after_header": change.path + " (attributes)",
                    "before": _attributes(change.seen),
                    "after": _attributes(after),
                }
            )
    return shown


def result(differences: Differences) -> Dict[str, Any]:
    """What a module returns about the differences."""
    return {
        "changed": differences.any,
        "changed_files": [change.path for change in differences.changes],
        "changes": [
            {
                "path": change.path,
                "action": change.action,
                "before": _summary(change.seen),
                "after": _summary(change.after),
            }
            for change in differences.changes
        ],
    }


# -- writing


def apply(manifest: Manifest, differences: Differences) -> List[Dict[str, str]]:
    """Make the differences go away; `manifest` comes from `Manifest.change` and `differences` was compared with it.

    Returns the edits of others that were in the way, as a list of ``{"path", "copy"}``. Raises HostFileError.
    """
    kept = []
    for change in differences.changes:
        if change.edited:
            copy = manifest.keep_edit(change.path, change.seen.content or str(change.seen.identity).encode())
            kept.append({"path": change.path, "copy": copy})
    writes = [change for change in differences.changes if change.wanted]
    new = [change for change in writes if manifest.get(FILES, change.path) is None]
    _record(manifest, differences, writes)
    try:
        _stage(differences, writes)
    except HostFileError:
        _unstage(manifest, writes, new)
        raise
    for change in writes:
        with _writing(change.path):
            _staged(change.path).rename(change.path)
    for change in differences.changes:
        if change.wanted is None:
            with _writing(change.path):
                _put_back(change)
    for folder in {Path(change.path).parent for change in differences.changes}:
        if folder.is_dir():
            sync_directory(folder)
    _finish(manifest, differences, writes)
    return kept


def _record(manifest: Manifest, differences: Differences, writes: List[Change]) -> None:
    """Before anything is changed: who stood there, and what is about to."""
    for folder in differences.directories:
        if manifest.get(DIRECTORIES, folder) is None:
            manifest.record(DIRECTORIES, folder, differences.role, before=None)
    for change in writes:
        entry = manifest.get(FILES, change.path)
        before = change.seen.state
        details: Dict[str, Any] = {}
        if entry is None and before is not None and before["type"] == "file":
            details["content"] = manifest.keep(change.seen.content)
        # Both contents are ours until the rename is done.
        still = [change.seen.identity] if entry and change.seen.identity in entry["written"] else []
        details["written"] = [*still, change.after.identity]
        if change.wanted is not None and change.wanted.block:
            details["block"] = True
        manifest.record(FILES, change.path, differences.role, before, **details)
    if writes:
        manifest.save()


def _stage(differences: Differences, writes: List[Change]) -> None:
    """Write every new file beside its destination."""
    for folder in sorted(differences.directories):
        with _writing(folder):
            Path(folder).mkdir()
            Path(folder).chmod(0o755)
    for change in writes:
        with _writing(change.path):
            _write_new(_staged(change.path), change.after)


def _unstage(manifest: Manifest, writes: List[Change], new: List[Change]) -> None:
    """Nothing went into place yet: leave the host and the manifest as they were."""
    for change in writes:
        with contextlib.suppress(OSError):
            _staged(change.path).unlink()
    for change in new:
        manifest.forget(FILES, change.path)
    _drop_directories(manifest)
    # On a full disk the manifest may have to stay as it is; its entries then name files that stand as before.
    with contextlib.suppress(ManifestError):
        manifest.save()


def _put_back(change: Change) -> None:
    before, path = change.after, Path(change.path)
    if before.state is None:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    _write_new(_staged(change.path), before)
    _staged(change.path).rename(path)


def _finish(manifest: Manifest, differences: Differences, writes: List[Change]) -> None:
    for change in writes:
        manifest.record(FILES, change.path, differences.role, None, written=[change.after.identity])
    gone = [change.path for change in differences.changes if change.wanted is None] + differences.forget
    for path in [*differences.settle, *gone]:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            _staged(path).unlink()
    for path, identity in differences.settle.items():
        manifest.record(FILES, path, differences.role, None, written=[identity])
    for path in gone:
        manifest.forget(FILES, path)
    _drop_directories(manifest)
    manifest.save()


def _drop_directories(manifest: Manifest) -> None:
    """Remove the directories that were made for our files and that hold none of them any more.

    One with somebody else's files in it stays, and is theirs from now on.
    """
    files = list(manifest.entries(FILES))
    for folder in sorted(manifest.entries(DIRECTORIES), reverse=True):
        if any(path.startswith(f"{folder}/") for path in files):
            continue
        with contextlib.suppress(OSError):
            Path(folder).rmdir()
        manifest.forget(DIRECTORIES, folder)


def _write_new(path: Path, seen: Seen) -> None:
    """Write a file or symlink that nobody looks at yet, complete with its attributes, and on the disk."""
    state = seen.state or {}
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    if state["type"] == "link":
        path.symlink_to(state["target"])
        os.lchown(path, state["uid"], state["gid"])
    else:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(seen.content)
            os.fchown(stream.fileno(), state["uid"], state["gid"])
            os.fchmod(stream.fileno(), int(state["mode"], 8))
            for name, value in state.get("xattrs", {}).items():
                os.setxattr(stream.fileno(), name, bytes.fromhex(value))
            stream.flush()
            os.fsync(stream.fileno())
    if "mtime_ns" in state:
        os.utime(path, ns=(state["mtime_ns"], state["mtime_ns"]), follow_symlinks=False)


# -- details


@contextlib.contextmanager
def _writing(path: str) -> Iterator[None]:
    """Turn what the kernel says into what to do."""
    try:
        yield
    except OSError as error:
        raise HostFileError(f"{path} cannot be written: {error.strerror}. {_remedy(error)}") from error


def _compare_one(item: Wanted, entry: Optional[Dict[str, Any]], predict: bool) -> Optional[Change]:
    seen = look(item.path)
    uid = _identifier("owner", item.owner, item.path, predict)
    gid = _identifier("group", item.group, item.path, predict)
    state = {"type": "file", "sha256": _sha256(item.content), "mode": f"{item.mode:04o}", "uid": uid, "gid": gid}
    after = Seen(state, item.content)
    if seen.state is not None and all(seen.state.get(key) == value for key, value in state.items()):
        return None
    if entry is None and seen.state is not None and not item.replace:
        raise HostFileError(
            f"{item.path} is there already and was not written by this collection; nothing was changed. Look at it, "
            f"then move it away; or set replace: true for it: the original is kept, and comes back with state: absent."
        )
    action = "created" if seen.state is None else "updated" if seen.identity != after.identity else "attributes"
    edited = entry is not None and not item.block and _is_edited(seen, entry)
    return Change(item.path, action, seen, after, item, edited=edited)


def _marks(role: str) -> Tuple[bytes, bytes]:
    return f"# BEGIN nspa.proaudio {role}\n".encode(), f"# END nspa.proaudio {role}\n".encode()


def _strip_block(content: bytes, role: str) -> bytes:
    begin, end = (re.escape(mark) for mark in _marks(role))
    return re.sub(begin + b".*?" + end, b"", content, flags=re.DOTALL)


def _with_block(item: Wanted, role: str) -> Wanted:
    """The whole file as it is with our block at its end."""
    seen = look(item.path)
    if seen.state is not None and seen.state["type"] == "link":
        raise HostFileError(f"{item.path} is a symlink; a block of lines is only put into a file. Nothing was changed.")
    rest = _strip_block(seen.content, role)
    if rest and not rest.endswith(b"\n"):
        rest += b"\n"
    begin, end = _marks(role)
    whole = item._replace(content=rest + begin + item.content + end, replace=True)
    if seen.state is None:
        return whole
    state = seen.state
    return whole._replace(mode=int(state["mode"], 8), owner=str(state["uid"]), group=str(state["gid"]))


def _without_block(seen: Seen, role: str, before: Seen) -> Seen:
    """The file as it is to be when our block goes: as before we came, or with what others changed since."""
    rest = _strip_block(seen.content, role)
    if before.state is None and not rest:
        return before
    # A last line without its newline got one from us.
    if before.state is not None and before.content in (rest, rest[:-1]):
        return before
    return Seen(dict(seen.state or {}, sha256=_sha256(rest)), rest)


def _is_edited(seen: Seen, entry: Dict[str, Any]) -> bool:
    before = Seen(entry["before"]).identity
    return seen.identity is not None and seen.identity not in [before, *entry["written"]]


def _before(manifest: Manifest, entry: Dict[str, Any]) -> Seen:
    state = entry["before"]
    if state is None or state["type"] == "link":
        return Seen(state)
    return Seen(state, manifest.blob(entry["content"]["blob"]))


def _check_paths(wanted: Sequence[Wanted]) -> None:
    paths = set()
    for item in wanted:
        if not item.path.startswith("/") or os.path.normpath(item.path) != item.path or "\0" in item.path:
            raise HostFileError(f"'{item.path}' is not an absolute path without '..', '//' and a '/' at its end.")
        if item.path in paths:
            raise HostFileError(f"{item.path} is in the list twice. Which of the two shall it be?")
        paths.add(item.path)
    for path in sorted(paths):
        for parent in Path(path).parents:
            if str(parent) in paths:
                raise HostFileError(f"{parent} is wanted as a file and, for {path}, as a directory.")


def _missing_parents(paths: Iterable[str]) -> Set[str]:
    missing = set()
    for path in paths:
        for parent in Path(path).parents:
            if parent.is_dir():
                break
            if os.path.lexists(parent):
                raise HostFileError(
                    f"{path} cannot be there: {parent} is not a directory. Move that away, or choose another path."
                )
            missing.add(str(parent))
    return missing


def _identifier(option: str, name: str, path: str, predict: bool) -> Any:
    """The uid or gid of a name or number; in a prediction the name itself if nobody has it yet."""
    if name.isdigit():
        return int(name)
    try:
        return pwd.getpwnam(name).pw_uid if option == "owner" else grp.getgrnam(name).gr_gid
    except KeyError:
        if predict:
            return name
    raise HostFileError(
        f"{path}: {option} '{name}' does not exist on this host. Nothing was changed. "
        f"Create it first, or correct the name."
    )


def _run_validator(command: List[str], path: str, copy: str) -> None:
    program = command[0]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=programs.environment(),
            timeout=VALIDATE_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise HostFileError(
            f"{path}: its validator '{program}' did not end within {VALIDATE_TIMEOUT} seconds. Nothing was changed."
        ) from error
    except OSError as error:
        raise HostFileError(
            f"{path}: its validator '{program}' cannot be run: {error.strerror}. Nothing was changed."
        ) from error
    if done.returncode != 0:
        said = done.stdout.decode("utf-8", "replace").strip().replace(copy, path)
        raise HostFileError(
            f"{path} was refused by its validator '{program}' (exit code {done.returncode}). Nothing was changed. "
            f"It said: {said or 'nothing'}"
        )


def _staged(path: str) -> Path:
    """Where the new content of a path waits: in the same directory, under a name that no daemon reads.

    A leading dot and no known ending keep it out of every *.conf, *.rules, *.d and run-parts; always the same
    name, so that a later run finds what a killed one left.
    """
    return Path(path).with_name(f".nspa-proaudio-{_sha256(path.encode('utf-8'))[:16]}.new")


def _get_attributes(path: str) -> Dict[str, str]:
    try:
        return {name: os.getxattr(path, name).hex() for name in sorted(os.listxattr(path))}
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.ENOSYS):
            return {}
        raise


def _remedy(error: OSError) -> str:
    remedies = {
        errno.ENOSPC: "The disk is full: make room, and run again.",
        errno.EDQUOT: "The disk quota is used up: make room, and run again.",
        errno.EROFS: "The file system is mounted read-only: remount it, and run again.",
        errno.EACCES: "This needs root: become: true.",
        errno.EPERM: "This needs root (become: true), and a file without the immutable attribute (lsattr shows it).",
    }
    return remedies.get(error.errno or 0, "Remedy that, and run again: it goes on where it stopped.")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _kind_of(mode: int) -> str:
    kinds = (
        (stat.S_ISDIR, "a directory"),
        (stat.S_ISCHR, "a character device"),
        (stat.S_ISBLK, "a block device"),
        (stat.S_ISFIFO, "a named pipe"),
        (stat.S_ISSOCK, "a socket"),
    )
    return next((name for test, name in kinds if test(mode)), "something else")


def _text(seen: Seen) -> str:
    """A content as a diff shows it."""
    if seen.state is None:
        return ""
    if seen.state["type"] == "link":
        return f"(symlink to {seen.state['target']})\n"
    if len(seen.content) > DIFF_LIMIT or b"\0" in seen.content:
        return f"({len(seen.content)} bytes, SHA-256 {seen.state['sha256']})\n"
    return seen.content.decode("utf-8", "replace")


def _attributes(seen: Seen) -> Dict[str, Any]:
    return {key: value for key, value in _summary_of(seen.state or {}) if key not in ("type", "sha256", "target")}


def _summary(seen: Seen) -> Optional[Dict[str, Any]]:
    return None if seen.state is None else dict(_summary_of(seen.state))


def _summary_of(state: Dict[str, Any]) -> List[Tuple[str, Any]]:
    summary = [(key, state[key]) for key in ("type", "sha256", "target", "mode") if key in state]
    return [*summary, ("owner", _name(pwd.getpwuid, state["uid"])), ("group", _name(grp.getgrgid, state["gid"]))]


def _name(lookup: Any, identifier: Any) -> str:
    """The name of a uid or gid; in a prediction it may be a name already."""
    try:
        return str(lookup(identifier)[0]) if isinstance(identifier, int) else str(identifier)
    except KeyError:
        return str(identifier)
