# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that a role owns on a host: compare a whole list, put it in place, and put back what stood there before.

change = compare(Manifest.load(), "rt_limits", wanted)             # reads only
with Manifest.change() as manifest:
    apply(manifest, compare(manifest, "rt_limits", wanted))
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping, Optional

from ansible_collections.nspa.proaudio.plugins.module_utils._core.change import Concern, Purpose
from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import Manifest
from ansible_collections.nspa.proaudio.plugins.module_utils._files.change import FilesChange
from ansible_collections.nspa.proaudio.plugins.module_utils._files.compare import Wanted, compare
from ansible_collections.nspa.proaudio.plugins.module_utils._files.look import HostFileError, look

#: What the other rooms use.
__all__ = ["CONCERN", "FilesChange", "HostFileError", "Wanted", "apply", "compare", "diff", "look"]

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


def apply(manifest: Manifest, change: FilesChange) -> List[Dict[str, str]]:
    """Bring a change about, as its own `apply`; returns others' edits that were in the way (``{"path", "copy"}``)."""
    change.apply(manifest)
    return change.kept or []


def diff(change: FilesChange) -> List[Dict[str, str]]:
    """What differs, in the form of Ansible's --diff."""
    return change.diff()


def compare_options(
    manifest: Manifest, role: str, wanted: Optional[Mapping[str, Any]], purpose: Purpose
) -> FilesChange:
    """The comparison as modules ask for it (_core/change.py). Raises HostFileError."""
    if wanted is not None and wanted["templates"]:
        raise HostFileError("templates are rendered by the action plugin of this module, which did not run.")
    items = [] if wanted is None else [_item(options) for options in wanted["files"]]
    change = compare(manifest, role, items, predict=purpose is not Purpose.APPLY)
    if purpose is Purpose.PREDICT:
        change.doubts = change.check()
    return change


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


CONCERN = Concern("host_files", OPTIONS, compare_options)
