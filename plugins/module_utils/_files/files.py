# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that a role owns on a host: compare a whole list, put it in place, and put back what stood there before.

    change = compare(Manifest.load(), "rt_limits", wanted)             # reads only
    with Manifest.change() as manifest:
        apply(manifest, compare(manifest, "rt_limits", wanted))

Order of an `apply`, so that a crash between any two steps leaves something that both a later "present" and a later
"absent" understand: validators, others' edits and originals into the manifest, all new contents beside their
destinations, and then each of them into its place.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pwd
import re
import shlex
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Set

from ansible_collections.nspa.proaudio.plugins.module_utils._core import disk, programs
from ansible_collections.nspa.proaudio.plugins.module_utils._core.change import Concern, Purpose
from ansible_collections.nspa.proaudio.plugins.module_utils._core.errors import HostError
from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import Entry, Manifest
from ansible_collections.nspa.proaudio.plugins.module_utils._files import block, units
from ansible_collections.nspa.proaudio.plugins.module_utils._files import look as shown
from ansible_collections.nspa.proaudio.plugins.module_utils._files.look import HostFileError, Seen, look, sha256
from ansible_collections.nspa.proaudio.plugins.module_utils._files.write import place, stage, staged, unstage, writing

#: What the other rooms use.
__all__ = ["CONCERN", "Differences", "FilesChange", "HostFileError", "Wanted", "apply", "compare", "diff", "look"]

FILES = "files"
DIRECTORIES = "directories"
VALIDATE_TIMEOUT = 120
"""Seconds that a validator may take."""
_ATTRIBUTES = {
    "mode": {"type": "raw", "default": "0644"},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
    "validate": {"type": "str"},
    "replace": {"type": "bool", "default": False},
    "block": {"type": "bool", "default": False},
}
_FILE = dict(_ATTRIBUTES, path={"type": "path", "required": True}, content={"type": "str", "required": True})
_TEMPLATE = dict(
    _ATTRIBUTES, src={"type": "str", "required": True}, dest={"type": "list", "elements": "path", "required": True}
)
OPTIONS = {
    "files": {"type": "list", "elements": "dict", "options": _FILE, "default": []},
    "templates": {"type": "list", "elements": "dict", "options": _TEMPLATE, "default": []},
}


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


class PathChange(NamedTuple):
    """One path that differs.

    `written`: what the manifest is to say of it, None where it goes back to what it was; `validate`: as in Wanted;
    `edited`: somebody changed what we wrote there.
    """

    path: str
    action: str
    seen: Seen
    after: Seen
    written: Optional[Dict[str, List[str]]] = None
    validate: Optional[str] = None
    edited: bool = False


@dataclass
class FilesChange:
    """What `apply` would do, and did.

    `forget`: paths that stand again as they did before we came; `unfinished`: paths that stand as wanted, and of which
    an interrupted run left the entry, or a file beside it, as it was on the way; `directories`: to be made; `litter`:
    what else an interrupted run left; `unread`: units whose files stand as wanted, and which systemd has yet to read.
    """

    role: str
    changes: List[PathChange]
    forget: List[str]
    unfinished: Dict[str, Dict[str, List[str]]]
    directories: List[str]
    litter: List[str]
    kept_in: str
    unread: List[str] = field(default_factory=list)
    doubts: List[str] = field(default_factory=list)
    """Validators that could not be asked in a prediction, as sentences."""
    kept: Optional[List[Dict[str, str]]] = None
    """After `apply`: others' edits that were in the way, as ``{"path", "copy"}``."""

    @property
    def changed(self) -> bool:
        """Whether anything differs."""
        return bool(self.changes or self.forget or self.unfinished or self.litter or self.unread)

    any = changed

    @property
    def warnings(self) -> List[str]:
        """Which edits of others are kept, and where; and which validators could not be asked."""
        if self.kept is None:
            places = [(change.path, f"will be kept in {self.kept_in}") for change in self.changes if change.edited]
        else:
            places = [(item["path"], f"is kept in {item['copy']}") for item in self.kept]
        edits = [
            f"Somebody had changed what this collection wrote to {path}. The file as they left it {where}."
            for path, where in places
        ]
        return [*self.doubts, *edits]

    def apply(self, manifest: Manifest) -> None:
        """Bring it about; as the function of this name."""
        apply(manifest, self)

    def result(self) -> Dict[str, Any]:
        """What the module returns."""
        return {
            "changed_files": [change.path for change in self.changes],
            "changes": [
                {
                    "path": change.path,
                    "action": change.action,
                    "before": shown.summary(change.seen),
                    "after": shown.summary(change.after),
                }
                for change in self.changes
            ],
            "kept_edits": self.kept or [],
        }

    def diff(self) -> List[Dict[str, str]]:
        """What differs, in the form of Ansible's --diff."""
        return diff(self)


#: The name by which other rooms know it.
Differences = FilesChange


# -- comparing


def compare_options(
    manifest: Manifest, role: str, wanted: Optional[Mapping[str, Any]], purpose: Purpose
) -> FilesChange:
    """The comparison as modules ask for it (_core/change.py). Raises HostFileError."""
    if wanted is not None and wanted["templates"]:
        raise HostFileError("templates are rendered by the action plugin of this module, which did not run.")
    items = [] if wanted is None else [_item(options) for options in wanted["files"]]
    change = compare(manifest, role, items, predict=purpose is not Purpose.APPLY)
    if purpose is Purpose.PREDICT:
        change.doubts = _validate(change)
    return change


def compare(manifest: Manifest, role: str, wanted: Sequence[Wanted], predict: bool = False) -> FilesChange:
    """What differs between the host and `wanted`; with an empty `wanted`, all that the role owns is put back.

    predict: as in check mode, where an owner or group that does not exist yet may be made by an earlier task;
    otherwise that is an error. Raises HostFileError (with nothing changed) for whatever forbids to go on.
    """
    if not role or not role.isprintable():
        raise HostFileError(f"{role!r} is no name for a set of files: use that of the role.")
    _check_paths(wanted)
    changes: List[PathChange] = []
    unfinished = {}
    for item in wanted:
        entry = _entry(manifest, role, item)
        compare_one = _compare_block if item.block else _compare_whole
        change = compare_one(item, role, look(item.path), entry, predict)
        if change:
            changes.append(change)
        elif entry is not None:
            written = _written(item, role)
            if any(entry.get(name) != value for name, value in written.items()) or os.path.lexists(staged(item.path)):
                unfinished[item.path] = written
    forget = []
    paths = {item.path for item in wanted}
    for path, entry in sorted(manifest.owned(FILES, role).items()):
        if path in paths:
            continue
        change = _put_back(manifest, role, path, entry)
        if change:
            changes.append(change)
        else:
            forget.append(path)
    return FilesChange(
        role=role,
        changes=changes,
        forget=forget,
        unfinished=unfinished,
        directories=sorted(_missing_parents(change.path for change in changes if change.after.state is not None)),
        litter=[*manifest.litter(), *_idle_directories(manifest)],
        kept_in=str(manifest.directory / "kept"),
        unread=units.unread({*paths, *manifest.owned(FILES, role)}),
    )


CONCERN = Concern("host_files", OPTIONS, compare_options)


def _item(options: Mapping[str, Any]) -> Wanted:
    """One entry of the module's option `files`. Raises HostFileError."""
    path, mode, validate = options["path"], options["mode"], options["validate"]
    if not isinstance(mode, str) or not re.fullmatch(r"[0-7]{3,4}", mode):
        raise HostFileError(f'{path}: mode {mode!r} is not a string of octal digits such as "0644"; quote it.')
    if validate is not None and "%s" not in validate:
        raise HostFileError(f"{path}: validate '{validate}' lacks %s, the place of the file.")
    try:
        content = options["content"].encode("utf-8")
    except UnicodeEncodeError as error:
        raise HostFileError(f"{path}: its content cannot be written as UTF-8: {error.reason}.") from error
    return Wanted(
        path=path,
        content=content,
        mode=int(mode, 8),
        owner=options["owner"],
        group=options["group"],
        validate=validate,
        replace=options["replace"],
        block=options["block"],
    )


def _check_paths(wanted: Sequence[Wanted]) -> None:
    paths: Set[str] = set()
    for item in wanted:
        absolute = item.path.startswith("/") and not item.path.startswith("//")
        if not absolute or os.path.normpath(item.path) != item.path or not _is_name(item.path):
            raise HostFileError(f"{item.path!r} is not an absolute path without '..', '//' and a '/' at its end.")
        if item.path in paths:
            raise HostFileError(f"{item.path} is in the list twice. Which of the two shall it be?")
        paths.add(item.path)
    for path in sorted(paths):
        for parent in Path(path).parents:
            if str(parent) in paths:
                raise HostFileError(f"{parent} is wanted as a file and, for {path}, as a directory.")


def _is_name(path: str) -> bool:
    """Whether a text can be a file's name on this host."""
    try:
        return b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        return False


def _entry(manifest: Manifest, role: str, item: Wanted) -> Optional[Entry]:
    """What is recorded of a wanted file; it has to be this role's, in the way in which it is wanted now."""
    entry = manifest.get(FILES, item.path)
    if entry is None:
        return None
    if entry["owner"] != role:
        raise HostFileError(
            f"{item.path} is wanted by {role} and belongs to {entry['owner']}. Let only one of them manage it."
        )
    if ("block" in entry) != item.block:
        raise HostFileError(
            f"{item.path} was written as {'a block of lines' if 'block' in entry else 'a whole file'} and is wanted as "
            f"the other now. Nothing was changed. Let {role} put it back first (state: absent), then run again."
        )
    return entry


def _compare_whole(item: Wanted, role: str, seen: Seen, entry: Optional[Entry], predict: bool) -> Optional[PathChange]:
    state = _new_state(item, item.content, predict)
    if seen.state is not None and all(seen.state.get(key) == value for key, value in state.items()):
        return None
    if entry is None and seen.state is not None and not item.replace:
        raise HostFileError(
            f"{item.path} is there already, and this collection did not write it: it is somebody's own, or a "
            f"package's. Nothing was changed. Look at it; if it is not needed, move it away, and run again."
        )
    after = Seen(state, item.content)
    action = "created" if seen.state is None else "updated" if seen.identity != after.identity else "attributes"
    edited = entry is not None and _is_edited(seen, entry)
    return PathChange(item.path, action, seen, after, _written(item, role), item.validate, edited)


def _compare_block(item: Wanted, role: str, seen: Seen, entry: Optional[Entry], predict: bool) -> Optional[PathChange]:
    """The whole file as it is, with our block at its end; whatever else the file has stays as it is."""
    if seen.is_link:
        raise HostFileError(f"{item.path} is a symlink; a block of lines is only put into a file. Nothing was changed.")
    mine = block.text(role, item.content)
    others = block.take_out(item.path, seen.content, role, [mine, *_blocks(entry)])
    content = block.put_in(others.lines, mine)
    if seen.state is None:
        after = Seen(_new_state(item, content, predict), content)
    elif content == seen.content:
        return None
    else:
        after = _with_content(seen, content)
    action = "created" if seen.state is None else "updated"
    return PathChange(item.path, action, seen, after, _written(item, role), item.validate, others.edited)


def _put_back(manifest: Manifest, role: str, path: str, entry: Entry) -> Optional[PathChange]:
    """What is to be done with a path that is not wanted any more; None where it stands as before."""
    seen, before = look(path), Seen(entry["before"])
    if seen.state == before.state:
        return None
    if before.state is not None and not before.is_link:
        before = Seen(before.state, manifest.blob(entry["content"]["blob"]))
    if "block" not in entry:
        action = "removed" if before.state is None else "put back"
        return PathChange(path, action, seen, before, edited=_is_edited(seen, entry))
    if seen.is_link:
        _must_be_free_of_block(path, role)
    others = block.take_out(path, seen.content, role, _blocks(entry))
    if others.lines == seen.content:
        return None
    if before.state is None and not others.lines:
        return PathChange(path, "removed", seen, before, edited=others.edited)
    after = _with_content(seen, others.lines)
    # A last line without its end got one from us.
    if before.state is not None and others.lines in (before.content, block.put_in(before.content, b"")):
        after = _with_content(seen, before.content, mtime_ns=before.state["mtime_ns"])
    return PathChange(path, "put back", seen, after, edited=others.edited)


def _must_be_free_of_block(path: str, role: str) -> None:
    """The file that a symlink now leads to is not ours to write to, even if our lines came into it."""
    with contextlib.suppress(OSError):
        if block.has_mark(Path(path).read_bytes(), role):
            raise HostFileError(
                f"{path} is a symlink now, and the file that it leads to has this collection's block of lines in it. "
                f"Nothing was changed. Put the file itself there, or remove the block from it; then run again."
            )


def _new_state(item: Wanted, content: bytes, predict: bool) -> Dict[str, Any]:
    return {
        "type": "file",
        "sha256": sha256(content),
        "mode": f"{item.mode:04o}",
        "uid": _identifier("owner", item.owner, item.path, predict),
        "gid": _identifier("group", item.group, item.path, predict),
    }


def _with_content(seen: Seen, content: bytes, **others: Any) -> Seen:
    """A file with another content, and all else as it is, but for the time."""
    state = {key: value for key, value in (seen.state or {}).items() if key != "mtime_ns"}
    return Seen(dict(state, sha256=sha256(content), **others), content)


def _written(item: Wanted, role: str) -> Dict[str, List[str]]:
    """What the manifest says of a file that stands as wanted."""
    if item.block:
        return {"block": [block.text(role, item.content).decode("utf-8", "surrogateescape")]}
    return {"written": [sha256(item.content)]}


def _blocks(entry: Optional[Entry]) -> List[bytes]:
    return [text.encode("utf-8", "surrogateescape") for text in entry["block"]] if entry else []


def _is_edited(seen: Seen, entry: Entry) -> bool:
    before = Seen(entry["before"]).identity
    return seen.identity is not None and seen.identity not in [before, *entry["written"]]


def _missing_parents(paths: Iterable[str]) -> Set[str]:
    missing = set()
    for path in paths:
        for parent in Path(path).parents:
            if shown.is_directory(str(parent)):
                break
            if os.path.lexists(parent):
                raise HostFileError(
                    f"{path} cannot be there: {parent} is not a directory. Move that away, or choose another path."
                )
            missing.add(str(parent))
    return missing


def _idle_directories(manifest: Manifest) -> List[str]:
    """Directories that were made for files of ours, of which none is left."""
    files = list(manifest.entries(FILES))
    return [
        folder
        for folder in sorted(manifest.entries(DIRECTORIES), reverse=True)
        if not any(path.startswith(f"{folder}/") for path in files)
    ]


def _identifier(option: str, name: str, path: str, predict: bool) -> Any:
    """The uid or gid of a name or number; in a prediction the name itself if nobody has it yet."""
    if re.fullmatch(r"[0-9]{1,10}", name) and int(name) < 2**32 - 1:
        return int(name)
    # ValueError: a text that cannot be a name at all.
    with contextlib.suppress(KeyError, ValueError):
        return pwd.getpwnam(name).pw_uid if option == "owner" else grp.getgrnam(name).gr_gid
    if predict:
        return name
    raise HostFileError(
        f"{path}: {option} {name!r} does not exist on this machine. Nothing was changed. "
        f"Create it first, or correct the name."
    )


# -- validators


def _validate(change: FilesChange, manifest: Optional[Manifest] = None) -> List[str]:
    """Run the validators of the files that are about to be written, on private copies with the same name.

    manifest: as for `apply`; None in check mode. Returns warnings: in check mode a validator may belong to a package
    that is not installed yet.
    Raises HostFileError with what the validator said.
    """
    warnings = []
    for item in change.changes:
        if item.validate is None:
            continue
        try:
            command = shlex.split(item.validate)
        except ValueError as error:
            raise HostFileError(f"{item.path}: validate '{item.validate}' is not a command line: {error}.") from error
        if shutil.which(command[0], path=programs.environment()["PATH"]) is None:
            text = f"{item.path} was not checked: the program {command[0]} is not on this machine."
            if manifest is not None:
                raise HostFileError(f"{text} Nothing was changed. Install it first.")
            warnings.append(text)
            continue
        with writing(f"A private copy of {item.path}"), _private_copy(item, manifest) as copy:
            copy.chmod(int((item.after.state or {})["mode"], 8))
            _run_validator([word.replace("%s", str(copy)) for word in command], item.path, str(copy))
    return warnings


@contextlib.contextmanager
def _private_copy(item: PathChange, manifest: Optional[Manifest]) -> Iterator[Path]:
    """The new content of a file under its own name. Raises OSError, HostError."""
    name = Path(item.path).name
    if manifest is not None:
        # What a killed run leaves is cleared away with the other records.
        with manifest.scratch(name, item.after.content) as copy:
            yield copy
        return
    # Check mode leaves the records alone. Not in the login's TMPDIR, which may be anywhere.
    with tempfile.TemporaryDirectory(prefix="nspa-proaudio-", dir="/tmp") as folder:
        copy = Path(folder) / name
        copy.write_bytes(item.after.content)
        yield copy


def _run_validator(command: List[str], path: str, copy: str) -> None:
    program = command[0]
    try:
        done = programs.run(*command, timeout=VALIDATE_TIMEOUT)
    except (programs.ProgramError, ValueError) as error:
        raise HostFileError(f"{path} was not checked by its validator: {error}. Nothing was changed.") from error
    if done.returncode != 0:
        said = "\n".join(filter(None, (done.stdout.strip(), done.stderr.strip()))).replace(copy, path)
        raise HostFileError(
            f"{path} was refused by its validator '{program}' (exit code {done.returncode}). Nothing was changed. "
            f"It said: {said or 'nothing'}"
        )


# -- writing


def apply(manifest: Manifest, change: FilesChange) -> List[Dict[str, str]]:
    """Bring a change about; `manifest` comes from `Manifest.change`, and the comparison was made with it.

    Returns the edits of others that were in the way, as a list of ``{"path", "copy"}``. Raises HostError, which says
    what is in place already if anything is.
    """
    _validate(change, manifest)
    change.kept = []
    for item in change.changes:
        if item.edited:
            copy = manifest.keep_edit(item.path, item.seen.content or os.fsencode(item.seen.identity or ""))
            change.kept.append({"path": item.path, "copy": copy})
    earlier = {path: _recorded(manifest, path) for path in (item.path for item in change.changes)}
    placed: List[str] = []
    try:
        _record(manifest, change)
        _stage(change)
        for item in change.changes:
            place(item.path, item.after)
            placed.append(item.path)
        _sync(change)
    except HostError as error:
        _withdraw(manifest, change, earlier, placed)
        done = f"In place already: {', '.join(placed)}." if placed else "Nothing was changed."
        raise HostFileError(f"{error} {done}") from error
    # Before the manifest forgets what was put back: a run that is cut here finds it again.
    if change.unread or units.of(placed):
        units.reload()
    _finish(manifest, change)
    return change.kept


def _recorded(manifest: Manifest, path: str) -> Dict[str, Any]:
    """What the manifest says of what we wrote to a path."""
    entry = manifest.get(FILES, path) or {}
    return {name: entry[name] for name in ("written", "block") if name in entry}


def _record(manifest: Manifest, change: FilesChange) -> None:
    """Before anything is changed: who stood there, and what is about to."""
    for folder in change.directories:
        ours = any(item.written and item.path.startswith(f"{folder}/") for item in change.changes)
        if ours and manifest.get(DIRECTORIES, folder) is None:
            manifest.record(DIRECTORIES, folder, change.role, before=None)
    for item in change.changes:
        if item.written is None:
            continue
        entry, before = manifest.get(FILES, item.path), item.seen.state
        details: Dict[str, Any] = {}
        if entry is None and before is not None and before["type"] == "file":
            details["content"] = manifest.keep(item.seen.content)
        for name, new in item.written.items():
            # All of them are ours until the new one is in place.
            details[name] = [*(text for text in (entry or {}).get(name, []) if text not in new), *new]
        manifest.record(FILES, item.path, change.role, before, **details)
    if any(item.written for item in change.changes):
        manifest.save()


def _stage(change: FilesChange) -> None:
    """Write every new file beside its destination."""
    for folder in change.directories:
        with writing(folder):
            Path(folder).mkdir()
            Path(folder).chmod(0o755)
    for item in change.changes:
        if item.after.state is not None:
            stage(item.path, item.after)


def _sync(change: FilesChange) -> None:
    folders = {Path(item.path).parent for item in change.changes}
    folders |= {Path(folder).parent for folder in change.directories}
    for folder in sorted(folders):
        if shown.is_directory(str(folder)):
            disk.sync_directory(folder)


def _withdraw(manifest: Manifest, change: FilesChange, earlier: Dict[str, Dict[str, Any]], placed: List[str]) -> None:
    """Something stood in the way: leave what did not go into place as it was, on the host and in the manifest.

    Where even that fails, entries stay: they name files that stand as before, and the next run tidies up.
    """
    for item in change.changes:
        if item.path in placed:
            continue
        try:
            unstage(item.path)
        except OSError:
            continue
        if earlier[item.path]:
            manifest.record(FILES, item.path, change.role, None, **earlier[item.path])
        else:
            manifest.forget(FILES, item.path)
    with contextlib.suppress(HostError):
        _drop_directories(manifest)
    for folder in reversed(change.directories):
        with contextlib.suppress(OSError):
            Path(folder).rmdir()
    with contextlib.suppress(HostError):
        manifest.save()


def _finish(manifest: Manifest, change: FilesChange) -> None:
    gone = [item.path for item in change.changes if item.written is None] + change.forget
    for path in [*change.unfinished, *gone]:
        with writing(path):
            unstage(path)
    final = {item.path: item.written for item in change.changes if item.written is not None}
    for path, written in {**final, **change.unfinished}.items():
        manifest.record(FILES, path, change.role, None, **written)
    for path in gone:
        manifest.forget(FILES, path)
    _drop_directories(manifest)
    manifest.save()


def _drop_directories(manifest: Manifest) -> None:
    """Remove the directories that were made for our files and that hold none of them any more.

    One with somebody else's files in it stays, and is theirs from now on.
    """
    for folder in _idle_directories(manifest):
        with writing(folder):
            try:
                Path(folder).rmdir()
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY, errno.ENOENT, errno.ENOTDIR):
                    raise
        manifest.forget(DIRECTORIES, folder)


# -- showing


def diff(change: FilesChange) -> List[Dict[str, str]]:
    """What differs, in the form of Ansible's --diff."""
    found: List[Dict[str, str]] = []
    for item in change.changes:
        both = item.seen.state is not None and item.after.state is not None
        for name, show in ((item.path, shown.text), (f"{item.path} (attributes)", shown.attributes)):
            if (show is shown.text or both) and show(item.seen) != show(item.after):
                found.append(
                    {
                        "before_header": name,
                        "after_header": name,
                        "before": show(item.seen),
                        "after": show(item.after),
                    }
                )
    return found
