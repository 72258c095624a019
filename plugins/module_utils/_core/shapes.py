# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The form of everything that the manifest may hold, in one table.

The manifest is checked against it when it is read: what the modules then do with an entry needs no doubt, and a
damaged record is a message instead of an accident. A new kind of entry is one line in KINDS. Fields that are not
named here are let through.
"""

from __future__ import annotations

import os
import re
from typing import Any, Callable, Dict, List, NamedTuple

Shape = Callable[[Any], bool]

DEPTH_LIMIT = 32
"""Levels of lists and dictionaries within each other; no entry of ours comes near it."""
_NOBODY = 2**32 - 1
"""The number that chown(2) takes for "leave it as it is"; no user has it."""
_TIME_LIMIT = 2**63 * 10**9
"""Nanoseconds on either side of 1970 that utimensat(2) can be told."""


class Kind(NamedTuple):
    """The form of a kind's entries: that of the key, of the fields that all have, and of those that some have."""

    key: Shape
    fields: Dict[str, Shape]
    some: Dict[str, Shape] = {}  # noqa: RUF012 (a NamedTuple's default is shared, and nobody writes to it)


# -- what shapes are made of


def _nothing(value: Any) -> bool:
    return value is None


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _text(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value


def _string(value: Any) -> bool:
    return isinstance(value, str)


def _name(value: Any) -> bool:
    return _text(value) and value != ""


def _path(value: Any) -> bool:
    return _name(value) and value.startswith("/") and os.path.normpath(value) == value


def _member(value: Any) -> bool:
    return _name(value) and all(value.partition("/"))


def _hex(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"(?:[0-9a-f]{2})*", value) is not None


def _sha256(value: Any) -> bool:
    return _hex(value) and len(value) == 64


def _mode(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[0-7]{4}", value) is not None


def _number(low: int, high: int) -> Shape:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value < high


def _list(inner: Shape) -> Shape:
    return lambda value: isinstance(value, list) and all(map(inner, value))


def _map(key: Shape, inner: Shape) -> Shape:
    return lambda value: isinstance(value, dict) and all(map(key, value)) and all(map(inner, value.values()))


def _record(some: Dict[str, Shape], **fields: Shape) -> Shape:
    return lambda value: isinstance(value, dict) and not _wrong_field(value, fields, some)


def _either(*shapes: Shape) -> Shape:
    return lambda value: any(shape(value) for shape in shapes)


def _is(word: str) -> Shape:
    return lambda value: bool(value == word)


_id = _number(0, _NOBODY)
_time = _number(-_TIME_LIMIT, _TIME_LIMIT)
_blob = _record({}, blob=_sha256)
_link = _record({}, type=_is("link"), target=_name, uid=_id, gid=_id, mtime_ns=_time)
_file = _record(
    {"xattrs": _map(_name, _hex)}, type=_is("file"), sha256=_sha256, mode=_mode, uid=_id, gid=_id, mtime_ns=_time
)
_package = _record({"auto": _flag}, version=_text, remains=_flag)

KINDS: Dict[str, Kind] = {
    # `written`: what tells a content of ours from others'; `block`: our lines in a file that is not ours.
    "files": Kind(
        _path,
        {"before": _either(_nothing, _link, _file)},
        {"content": _blob, "written": _list(_name), "block": _list(_string)},
    ),
    "directories": Kind(_path, {"before": _nothing}),
    "packages": Kind(
        _name,
        {"before": _either(_nothing, _package), "version": _text},
        {
            "asked": _flag,
            "marked": _flag,
            "leaving": _flag,
            "also": _list(_name),
            "sha256": _sha256,
            "release": _name,
        },
    ),
    "packages_before": Kind(_name, {"before": _blob}),
    "capabilities": Kind(_path, {"before": _either(_nothing, _hex), "set": _list(_hex)}),
    "groups": Kind(_name, {"before": _nothing}),
    "members": Kind(_member, {"before": _nothing}),
    # The value that each file of /proc/sys or /sys held.
    "tunables": Kind(_name, {"before": _map(_path, _text)}, {"set": _list(_text)}),
    # The priorities that are ours, on whichever threads.
    "irq_priorities": Kind(_name, {"before": _nothing}, {"set": _list(_number(1, 99))}),
    # A boot menu that has yet to be made anew.
    "boot_menu": Kind(_name, {"before": _nothing}),
    # A kernel's trial, by its release (_boot/trial.py, Trial).
    "trials": Kind(
        _name,
        {
            "before": _nothing,
            "state": _either(*map(_is, ("arming", "armed", "confirmed", "failed"))),
            "earlier": _name,
            "boot": _text,
            "image": _text,
            "when": _number(0, 2**40),
            "why": _text,
            "log": _list(_text),
        },
    ),
    "wants": Kind(_name, {"before": _nothing, "arguments": _blob}),
}


# -- checking


def unknown(owned: Any) -> List[str]:
    """The kinds that this release does not know."""
    return sorted(set(owned) - set(KINDS)) if isinstance(owned, dict) else []


def problem(owned: Any) -> str:
    """What is wrong with the `owned` part of a manifest, as the end of a sentence; empty if nothing is.

    `owned` is whatever a JSON file held, with no kinds in it but known ones.
    """
    if not isinstance(owned, dict) or not all(isinstance(entries, dict) for entries in owned.values()):
        return "it has no list of what is owned"
    if _deeper_than(DEPTH_LIMIT, owned):
        return f"it is nested deeper than {DEPTH_LIMIT} levels"
    for kind, entries in owned.items():
        for key, entry in entries.items():
            wrong = _wrong(kind, key, entry)
            if wrong:
                return f"the entry {_shown(key)} of its {kind} {wrong}"
    return ""


def _wrong(kind: str, key: str, entry: Any) -> str:
    shape = KINDS[kind]
    if not shape.key(key):
        return "does not have a name that it could have"
    if not isinstance(entry, dict):
        return f"is {_shown(entry)}"
    wrong = _wrong_field(entry, {"owner": _name, **shape.fields}, shape.some)
    if not wrong and kind == "files":
        wrong = _wrong_file(entry)
    return wrong


def _wrong_field(entry: Dict[str, Any], fields: Dict[str, Shape], some: Dict[str, Shape]) -> str:
    for name, shape in {**fields, **some}.items():
        if name not in entry:
            if name in fields:
                return f"lacks '{name}'"
        elif not shape(entry[name]):
            return f"has {_shown(entry[name])} as '{name}'"
    return ""


def _wrong_file(entry: Dict[str, Any]) -> str:
    """What only the fields of a file together can say."""
    before = entry["before"]
    if before is not None and before["type"] == "file":
        if "content" not in entry:
            return "lacks 'content'"
        if entry["content"]["blob"] != before["sha256"]:
            return "names two different contents for what stood there before"
    return "" if ("written" in entry) != ("block" in entry) else "says not clearly what was written there"


def _deeper_than(limit: int, value: Any) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return False
    return limit == 0 or any(_deeper_than(limit - 1, item) for item in value)


def _shown(value: Any) -> str:
    """A value as a message quotes it: short, whatever it is."""
    text = ascii(value) if not isinstance(value, int) or abs(value) < 10**20 else "a huge number"
    return text if len(text) <= 60 else f"{text[:57]}..."
