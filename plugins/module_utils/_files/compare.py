# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare the files that are wanted of a role with what stands on a host."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import re
from pathlib import Path
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Sequence, Set

from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import Entry, Manifest
from ansible_collections.nspa.proaudio.plugins.module_utils._files import block, devices, units
from ansible_collections.nspa.proaudio.plugins.module_utils._files.change import (
    FILES,
    FilesChange,
    PathChange,
    idle_directories,
)
from ansible_collections.nspa.proaudio.plugins.module_utils._files.look import (
    HostFileError,
    Seen,
    is_directory,
    look,
    sha256,
)
from ansible_collections.nspa.proaudio.plugins.module_utils._files.write import staged


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
    stand = {item.path: item.content for item in wanted if devices.of_ours([item.path])}
    for change in changes:
        stand.pop(change.path, None)
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
        litter=[*manifest.litter(), *idle_directories(manifest)],
        kept_in=str(manifest.directory / "kept"),
        unread=units.unread({*paths, *manifest.owned(FILES, role)}),
        due=devices.Devices().due(stand) if stand else [],
        stand=stand,
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
            if is_directory(str(parent)):
                break
            if os.path.lexists(parent):
                raise HostFileError(
                    f"{path} cannot be there: {parent} is not a directory. Move that away, or choose another path."
                )
            missing.add(str(parent))
    return missing


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
