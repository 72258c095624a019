# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between a role's files and a host, and how it is brought about.

Order of an `apply`, so that a crash between any two steps leaves something that both a later "present" and a later
"absent" understand: validators, others' edits and originals into the manifest, all new contents beside their
destinations, and then each of them into its place.
"""

from __future__ import annotations

import contextlib
import errno
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

from ansible_collections.nspa.proaudio.plugins.module_utils._core import disk
from ansible_collections.nspa.proaudio.plugins.module_utils._core.errors import HostError
from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import Manifest
from ansible_collections.nspa.proaudio.plugins.module_utils._files import devices, look, units, validate
from ansible_collections.nspa.proaudio.plugins.module_utils._files.look import HostFileError, Seen
from ansible_collections.nspa.proaudio.plugins.module_utils._files.write import place, stage, unstage, writing

FILES = "files"
DIRECTORIES = "directories"


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
    what else an interrupted run left; `unread`: units whose files stand as wanted, and which systemd has yet to read;
    `due`: devices and modules whose files stand as wanted, and have yet to take effect; `stand`: those files.
    """

    role: str
    changes: List[PathChange]
    forget: List[str]
    unfinished: Dict[str, Dict[str, List[str]]]
    directories: List[str]
    litter: List[str]
    kept_in: str
    unread: List[str] = field(default_factory=list)
    due: List[str] = field(default_factory=list)
    stand: Dict[str, bytes] = field(default_factory=dict)
    doubts: List[str] = field(default_factory=list)
    """Validators that could not be asked in a prediction, as sentences."""
    kept: Optional[List[Dict[str, str]]] = None
    """After `apply`: others' edits that were in the way, as ``{"path", "copy"}``."""

    @property
    def changed(self) -> bool:
        """Whether anything differs."""
        return bool(self.changes or self.forget or self.unfinished or self.litter or self.unread or self.due)

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

    def check(self, manifest: Optional[Manifest] = None) -> List[str]:
        """Ask the validators of the files that are about to be written; returns warnings. Raises HostFileError.

        manifest: as for `apply`; None in check mode.
        """
        asked = [item for item in self.changes if item.validate is not None]
        return [text for item in asked for text in validate.ask(item.path, item.validate or "", item.after, manifest)]

    def apply(self, manifest: Manifest) -> None:
        """Bring it about. `manifest` comes from `Manifest.change`, and the comparison was made with it.

        Raises HostError, which says what is in place already if anything is.
        """
        self.check(manifest)
        self.kept = _keep_edits(manifest, self)
        earlier = {item.path: _recorded(manifest, item.path) for item in self.changes}
        placed: List[str] = []
        try:
            _record(manifest, self)
            _stage(self)
            given_back = _give_back(self)
            for item in self.changes:
                place(item.path, item.after)
                placed.append(item.path)
            _sync(self)
        except HostError as error:
            _withdraw(manifest, self, earlier, placed)
            done = f"In place already: {', '.join(placed)}." if placed else "Nothing was changed."
            raise HostFileError(f"{error} {done}") from error
        # Before the manifest forgets what was put back: a run that is cut here finds it again.
        if self.unread or units.of(placed):
            units.reload()
        _bring_about(self, given_back)
        _finish(manifest, self)

    def result(self) -> Dict[str, Any]:
        """What the module returns."""
        return {
            "changed_files": [change.path for change in self.changes],
            "changes": [
                {
                    "path": change.path,
                    "action": change.action,
                    "before": look.summary(change.seen),
                    "after": look.summary(change.after),
                }
                for change in self.changes
            ],
            "kept_edits": self.kept or [],
        }

    def diff(self) -> List[Dict[str, str]]:
        """What differs, in the form of Ansible's --diff."""
        found: List[Dict[str, str]] = []
        for item in self.changes:
            both = item.seen.state is not None and item.after.state is not None
            for name, show in ((item.path, look.text), (f"{item.path} (attributes)", look.attributes)):
                if (show is look.text or both) and show(item.seen) != show(item.after):
                    found.append(
                        {
                            "before_header": name,
                            "after_header": name,
                            "before": show(item.seen),
                            "after": show(item.after),
                        }
                    )
        return found


def idle_directories(manifest: Manifest) -> List[str]:
    """Directories that were made for files of ours, of which none is left."""
    files = list(manifest.entries(FILES))
    return [
        folder
        for folder in sorted(manifest.entries(DIRECTORIES), reverse=True)
        if not any(path.startswith(f"{folder}/") for path in files)
    ]


# -- steps of an apply


def _keep_edits(manifest: Manifest, change: FilesChange) -> List[Dict[str, str]]:
    """Save what somebody made of what we wrote, before it goes."""
    kept = []
    for item in change.changes:
        if item.edited:
            copy = manifest.keep_edit(item.path, item.seen.content or os.fsencode(item.seen.identity or ""))
            kept.append({"path": item.path, "copy": copy})
    return kept


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


def _give_back(change: FilesChange) -> List[str]:
    """Devices whose rules go, or change, are what they were without them."""
    going = {item.path: item.seen.content for item in change.changes if item.seen.content is not None}
    return devices.Devices().give_back(going)


def _bring_about(change: FilesChange, given_back: List[str]) -> None:
    """Devices and modules are as the files say that stand now."""
    written = {item.path: item.after.content for item in change.changes if item.after.content is not None}
    stand = {**change.stand, **{path: content for path, content in written.items() if devices.of_ours([path])}}
    touched = devices.of_ours([*(item.path for item in change.changes), *change.forget])
    if touched or change.due:
        devices.Devices().bring_about(touched, stand, given_back)


def _sync(change: FilesChange) -> None:
    folders = {Path(item.path).parent for item in change.changes}
    folders |= {Path(folder).parent for folder in change.directories}
    for folder in sorted(folders):
        if look.is_directory(str(folder)):
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
    for folder in idle_directories(manifest):
        with writing(folder):
            try:
                Path(folder).rmdir()
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY, errno.ENOENT, errno.ENOTDIR):
                    raise
        manifest.forget(DIRECTORIES, folder)
