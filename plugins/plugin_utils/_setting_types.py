# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a setting may be by its type in the argument spec, and how its value is shown to people.

The roles' templates use what the inventory has, not what a validator made of it. So a value is taken only where both
are the same: ``true`` is no number, ``9e1`` and ``9_5`` are none either (Python takes them for 90 and 95, pam_limits
for 9), and what YAML has already rewritten, such as 1.10, has to be in quotes.
"""

from __future__ import annotations

import datetime
import re
import reprlib
from typing import Any, Dict, List, Mapping, Tuple

from ansible.module_utils.parsing.convert_bool import BOOLEANS_FALSE, BOOLEANS_TRUE

from ansible_collections.nspa.proaudio.plugins.module_utils._packages.model import without_password

LONGEST_LINE = 600
"""Characters of one problem."""
DEEPEST = 8
"""Levels of lists and dictionaries in one setting; the deepest setting has three."""

_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")
_LARGEST = 10**18

_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = 100
_REPR.maxlevel = 3


class Unusable(Exception):
    """A value is none that an inventory can mean; the text says why."""


def shown(value: Any) -> str:
    """A value as a message shows it: short, in one line, printable, without the password of an address."""
    try:
        return without_password(_REPR.repr(without_password(value) if isinstance(value, str) else value))
    except (ValueError, RecursionError):  # a number of more than 4300 digits has no decimal text (sys.int_info)
        return "too long to be shown"


def line(text: str) -> str:
    """A text in one line that is printable and not longer than `LONGEST_LINE`, whatever is in it."""
    words = " ".join(text.split())
    safe = "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in words)
    return safe if len(safe) <= LONGEST_LINE else safe[: LONGEST_LINE - 1] + "…"


def plain(value: Any, depth: int = 0) -> Any:
    """A copy of a value in lists and dictionaries of Python: Ansible resolves what is in its own only when asked.

    :raises Unusable: for what is nested too deeply, or within itself; and whatever an expression in it raises.
    """
    if depth > DEEPEST:
        raise Unusable(f"has lists and dictionaries in more than {DEEPEST} levels")
    if isinstance(value, Mapping):
        return {key: plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, depth + 1) for item in value]
    return value


def convert(name: str, option: Mapping[str, Any], value: Any) -> Tuple[Any, List[str]]:
    """Return a value in the type of its option, and what is wrong with it, one sentence each.

    :param name: what the sentences call it.
    """
    value, found = _CONVERTERS[option["type"]](name, option, value)
    choices = option.get("choices")
    if choices and not found and value not in choices:
        return value, [f"{name} is {shown(value)}: wanted one of {', '.join(choices)}"]
    return value, found


def _whole_number(name: str, _option: Mapping[str, Any], value: Any) -> Tuple[Any, List[str]]:
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(value), []
    if isinstance(value, int) and not isinstance(value, bool) and -_LARGEST < value < _LARGEST:
        return value, []
    return value, [f"{name} is {shown(value)}: wanted a whole number (int), in plain digits such as 95"]


def _text(name: str, _option: Mapping[str, Any], value: Any) -> Tuple[Any, List[str]]:
    if isinstance(value, str):
        return value, []
    if isinstance(value, int) and not isinstance(value, bool) and -_LARGEST < value < _LARGEST:
        return str(value), []
    quotes = ""
    if isinstance(value, (int, float, datetime.date)):
        quotes = "; put what you mean in quotes, as YAML reads yes, 1.10 and 2026-01-31 in its own way without them"
    return value, [f"{name} is {shown(value)}: wanted a text{quotes}"]


def _yes_or_no(name: str, _option: Mapping[str, Any], value: Any) -> Tuple[Any, List[str]]:
    word = value.lower() if isinstance(value, str) else value
    if isinstance(word, (str, int)) and word in BOOLEANS_TRUE | BOOLEANS_FALSE:
        return word in BOOLEANS_TRUE, []
    return value, [f"{name} is {shown(value)}: wanted true or false"]


def _list(name: str, option: Mapping[str, Any], value: Any) -> Tuple[Any, List[str]]:
    element = {"type": option["elements"], "options": option.get("options")}
    if element["type"] == "str" and not isinstance(value, list):
        text, wrong = _text(name, option, value)
        value = value if wrong else text.split(",")  # as -e NAME=one,two gives it, and every module takes it
    if not isinstance(value, list):
        return value, [f"{name} is {shown(value)}: wanted a list, in which each line starts with a '- '"]
    items, found = [], []
    for number, item in enumerate(value, start=1):
        converted, wrong = convert(f"{name} (number {number} of its list)", element, item)
        items.append(converted)
        found += wrong
    return items, found


def _dictionary(name: str, option: Mapping[str, Any], value: Any) -> Tuple[Any, List[str]]:
    if not isinstance(value, dict):
        return value, [f"{name} is {shown(value)}: wanted a dictionary, in which each line is NAME: VALUE"]
    options: Dict[str, Dict[str, Any]] = option.get("options") or {}
    if not options:
        return dict(value), []
    found = [f"{name} has {shown(key)}, and knows only {', '.join(options)}" for key in value if key not in options]
    result = {}
    for key, suboption in options.items():
        given = value.get(key, suboption.get("default"))
        if given is not None:
            result[key], wrong = convert(f"{name}: {key}", suboption, given)
            found += wrong
        elif suboption.get("required"):
            found.append(f"{name} is {shown(value)}: {key} is missing")
    return result, found


def _anything(_name: str, _option: Mapping[str, Any], value: Any) -> Tuple[Any, List[str]]:
    return value, []


_CONVERTERS = {
    "int": _whole_number,
    "str": _text,
    "bool": _yes_or_no,
    "list": _list,
    "dict": _dictionary,
    "raw": _anything,
}
