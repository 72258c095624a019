# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sysctls by name, and what systemd sets them to at boot.

The rules are those of sysctl.d(5) and systemd-sysctl.service(8); where these are silent, of systemd-sysctl itself.
Debian 12 brings a link /etc/sysctl.d/99-sysctl.conf to /etc/sysctl.conf, which is therefore read nearly last;
Debian 13 brings no such link, and its systemd does not read /etc/sysctl.conf. Both follow from what is in the
folders. (procps.service is systemd-sysctl.service by another name on both.)
"""

from __future__ import annotations

import fnmatch
import os
import re
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from ansible_collections.nspa.proaudio.plugins.module_utils._boot import cmdline
from ansible_collections.nspa.proaudio.plugins.module_utils._core import proc

#: A file in an earlier folder replaces one of the same name in a later one.
FOLDERS = ("etc/sysctl.d", "run/sysctl.d", "usr/local/lib/sysctl.d", "usr/lib/sysctl.d")

#: Where the credential sysctl.extra comes from, which is read after all files; the first one counts (systemd.exec(5)).
CREDENTIALS = (
    "run/credentials/@system",
    "etc/credstore",
    "run/credstore",
    "usr/local/lib/credstore",
    "usr/lib/credstore",
)

KERNEL_COMMAND_LINE = "the kernel command line"


class _Setting(NamedTuple):
    """What the files say of one key or pattern; `value` None only keeps patterns off a key."""

    value: Optional[str]
    file: str


def key(name: str) -> str:
    """Return the path below /proc/sys of a sysctl's name, in either notation.

    If the first separator is a slash, dots are dots; if it is a dot, dots and slashes change places, so that
    ``net.ipv4.conf.eth0/1.forwarding`` is ``net/ipv4/conf/eth0.1/forwarding`` (sysctl.d(5), sysctl(8)).
    """
    first = re.search(r"[/.]", name)
    if first and first.group() == ".":
        name = name.translate({ord("."): "/", ord("/"): "."})
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def name(path: str) -> str:
    """Return the usual name of a sysctl by its path below /proc/sys; the opposite of `key`."""
    return path.translate({ord("."): "/", ord("/"): "."})


def problem(text: str) -> str:
    """Say what is wrong with the name of one sysctl; empty if nothing is."""
    parts = key(text).split("/")
    if ".." in parts or not re.fullmatch(r"[A-Za-z0-9_./@:+-]+", text) or text[0] in "-./" or len(parts) < 2:
        return (
            f"{text!r} is not the name of a sysctl: wanted one such as vm.swappiness, or vm/swappiness, without "
            "patterns, spaces and '..'"
        )
    return ""


def at_boot(
    names: Iterable[str], root: Path = Path("/"), assume: Optional[Mapping[str, str]] = None
) -> Dict[str, Tuple[str, str]]:
    """Work out what sysctls are set to at boot: value and file by name; one that nothing sets is not in it.

    A file that is read through a link is named by what it is, with the link behind it.

    :param names: in either notation.
    :param assume: texts of files, by path, that are taken for what is, or will be, there.
    """
    settings: Dict[str, _Setting] = {}
    for file, text in _files(root, assume or {}):
        for path, value in _assignments(text):
            # One that says the same again keeps its place; another goes to the end, which matters among patterns.
            if path not in settings or settings[path].value != value:
                settings.pop(path, None)
                settings[path] = _Setting(value, file)
    found = {}
    for wanted in names:
        setting = _of(key(wanted), settings)
        if setting is not None and setting.value is not None:
            found[wanted] = (setting.value, setting.file)
        elif key(wanted) in _by_the_kernel(root):
            found[wanted] = (_by_the_kernel(root)[key(wanted)], KERNEL_COMMAND_LINE)
    return found


def _of(path: str, settings: Mapping[str, _Setting]) -> Optional[_Setting]:
    """What counts for one path: its own line, else the last pattern that matches; a pattern excludes nothing."""
    if path in settings:
        return settings[path]
    values = [(pattern, setting) for pattern, setting in settings.items() if setting.value is not None]
    matching = [setting for pattern, setting in values if _matches(path, pattern)]
    return matching[-1] if matching else None


def _matches(path: str, pattern: str) -> bool:
    """Whether a pattern of glob(7) matches; its ``*`` stops at a slash, and it knows ``[^a]`` as well as ``[!a]``."""
    if not re.search(r"[*?[]", pattern):
        return False
    parts, patterns = path.split("/"), pattern.replace("[^", "[!").split("/")
    return len(parts) == len(patterns) and all(map(fnmatch.fnmatchcase, parts, patterns))


def _assignments(text: str) -> Iterator[Tuple[str, Optional[str]]]:
    """Read a file's lines: path or pattern, and the value; a value of None excludes a path from all patterns."""
    for line in re.split(r"[\n\r\0]", text):
        line = line.strip()
        left, equals, value = line.partition("=")
        if line.startswith(("#", ";")) or not (equals or left.startswith("-")):
            continue
        # A minus before an assignment only says that a failure does not matter.
        yield key(left[left.startswith("-") :].strip()), value.strip() if equals else None


def _files(root: Path, assume: Mapping[str, str]) -> Iterator[Tuple[str, str]]:
    """All files in the order in which they are read: what to call each, and its text."""
    chosen: Dict[str, Path] = {}
    for folder in FOLDERS:
        assumed = [Path(file) for file in assume if Path(file).parent == Path("/", folder)]
        for path in [*assumed, *_listed(root, folder)]:
            if path.name.endswith(".conf") and not path.name.startswith("."):
                chosen.setdefault(path.name, path)
    credentials = [Path("/", folder, "sysctl.extra") for folder in CREDENTIALS]
    last = [path for path in credentials if proc.read(str(path), root) is not None][:1]
    for path in [*(chosen[item] for item in sorted(chosen, key=os.fsencode)), *last]:
        text = assume.get(str(path), proc.read(str(path), root))
        if text is not None:
            yield _called(path, root), text


def _listed(root: Path, folder: str) -> List[Path]:
    try:
        return [Path("/", folder, item) for item in os.listdir(root / folder)]
    except OSError:
        return []


def _called(path: Path, root: Path) -> str:
    """What to call a file so that somebody finds the line: the file itself, with the link to it."""
    try:
        target = os.readlink(root / str(path).lstrip("/"))
    except OSError:
        return str(path)
    return f"{os.path.normpath(path.parent / target)} (read as {path})"


def _by_the_kernel(root: Path) -> Dict[str, str]:
    """What the kernel itself sets before anything starts: ``sysctl.NAME=VALUE`` (its kernel-parameters.txt).

    Dots and slashes are both separators there (fs/proc/proc_sysctl.c, process_sysctl_arg).
    """
    found = {}
    for parameter in cmdline.split(proc.command_line(root)):
        parameter = parameter.replace('"', "")
        if parameter == "--":
            break
        match = re.match(r"sysctl[./]([^=]+)=(.*)", parameter)
        if match:
            found[match.group(1).replace(".", "/")] = match.group(2)
    return found
