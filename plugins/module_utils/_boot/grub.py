# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What boots this machine, and what it will boot next.

GRUB is understood from the file that it really reads (grub.cfg) and changed through its drop-in
directory (/etc/default/grub.d) alone. Other loaders are recognised and left alone.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Optional

from ansible_collections.nspa.proaudio.plugins.module_utils._core.errors import HostError

#: The EFI variable in which a boot loader leaves its name (systemd's Boot Loader Interface).
LOADER_INFO = "sys/firmware/efi/efivars/LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"


class BootLoaderError(HostError):
    """The boot loader's configuration is not what it should be; the message says what to do."""


@dataclass
class Loader:
    """The boot loader of this machine."""

    name: str  #: ``grub``, ``systemd-boot``, ``none``
    managed: bool  #: this collection can change its configuration
    reason: str  #: one sentence: how it was recognised


@dataclass
class Entry:
    """One entry of GRUB's menu."""

    id: str  #: submenu ids joined with ``>``, as GRUB_DEFAULT wants it
    index: str  #: the same by position, ``1>0``
    title: str  #: submenu titles joined with ``>``
    kernel: str = ""  #: release, from the file name of the ``linux`` line
    cmdline: str = ""  #: arguments of the ``linux`` line
    recovery: bool = False


@dataclass
class _Menu:
    id: List[str] = field(default_factory=list)
    index: List[str] = field(default_factory=list)
    title: List[str] = field(default_factory=list)
    count: int = 0


def container(root: Path = Path("/")) -> str:
    """Name the kind of container that we run in, or return an empty string (systemd, CONTAINER_INTERFACE.md)."""
    try:
        return (root / "run/systemd/container").read_text(encoding="utf-8").strip() or "container"
    except OSError:
        pass
    for mark, kind in ((".dockerenv", "docker"), ("run/.containerenv", "podman")):
        if (root / mark).exists():
            return kind
    return ""


def detect(root: Path = Path("/")) -> Loader:
    """Recognise the boot loader that started this machine."""
    kind = container(root)
    if kind:
        return Loader("none", False, f"a container ({kind}) runs the kernel of its host")
    try:
        info = (root / LOADER_INFO).read_bytes()[4:].decode("utf-16-le", "replace").rstrip("\0")
    except OSError:
        info = ""
    if info.startswith("systemd-boot"):
        return Loader("systemd-boot", False, f"{info} started this machine")
    if not (root / "boot/grub/grub.cfg").is_file():
        return Loader("none", False, "no boot loader configuration was found: the kernel comes from outside")
    if root == Path("/") and not shutil.which("grub-mkconfig", path="/usr/sbin:/sbin:/usr/bin:/bin"):
        return Loader("none", False, "/boot/grub/grub.cfg is there, but grub-mkconfig is not installed")
    return Loader("grub", True, "/boot/grub/grub.cfg")


class Grub:
    """GRUB's menu as it stands, and the order to make it anew."""

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root
        self.config = root / "boot/grub/grub.cfg"
        self._read()

    def _read(self) -> None:
        try:
            text = self.config.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise BootLoaderError(f"GRUB's menu cannot be read: {error}. Run update-grub and try again.") from error
        self.entries = _entries(text)
        self._default = _default(text)

    def default(self) -> Optional[Entry]:
        """Return the entry that boots when nobody touches the keyboard, or None if GRUB would not find it."""
        environment = self.environment()
        # grub-mkconfig's header takes next_entry once, then the default.
        wanted = environment.get("next_entry") or self._default
        if wanted in ("${saved_entry}", "saved"):
            wanted = environment.get("saved_entry", "")
        found = self._find(wanted or "0")
        if found is None and self.entries:
            return self.entries[0]  # what GRUB does when the name is unknown
        return found

    def _find(self, name: str) -> Optional[Entry]:
        for entry in self.entries:
            if name in (entry.id, entry.index, entry.title):
                return entry
        # "1" may also name a submenu: GRUB then opens it at its first entry.
        for entry in self.entries:
            if entry.index.startswith(name + ">") or entry.id.startswith(name + ">"):
                return entry
        return None

    def entry_of(self, release: str) -> Optional[Entry]:
        """Return the entry that boots kernel *release* by its own name, not the one that follows the newest."""
        found = [entry for entry in self.entries if entry.kernel == release and not entry.recovery]
        return found[-1] if found else None

    def environment(self) -> Dict[str, str]:
        """Return GRUB's environment block (grubenv): lines ``name=value`` padded with ``#``."""
        try:
            text = (self.root / "boot/grub/grubenv").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return {}
        pairs = (line.partition("=") for line in text.splitlines() if "=" in line and not line.startswith("#"))
        return {name: value for name, _equals, value in pairs}

    def stale(self) -> bool:
        """Say whether the menu is older than what it is made from, as after an interrupted run."""
        sources = [self.root / "etc/default/grub", self.root / "etc/default/grub.d"]
        sources += sources[1].glob("*.cfg")
        made = self.config.stat().st_mtime
        return any(path.exists() and path.stat().st_mtime > made for path in sources)

    def regenerate(self) -> None:
        """Make grub.cfg anew from /etc/default/grub, its drop-ins and the installed kernels."""
        command = ["grub-mkconfig", "-o", str(self.config)]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **language(self.root)},
        )
        if done.returncode:
            raise BootLoaderError(f"{' '.join(command)} failed; GRUB's menu is as it was: {done.stderr.strip()}")
        self._read()


def language(root: Path = Path("/")) -> Dict[str, str]:
    """Return the machine's LANG: grub-mkconfig writes the menu in that language, whoever calls it."""
    for place in ("etc/default/locale", "etc/locale.conf"):
        try:
            text = (root / place).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        found = re.search(r"^LANG=[\"']?([^\"'\s]+)", text, re.MULTILINE)
        if found:
            return {"LANG": found.group(1)}
    return {}


def _unquote(word: str) -> str:
    return re.sub(r"'([^']*)'|\"([^\"]*)\"|\\(.)", lambda m: m.group(1) or m.group(2) or m.group(3) or "", word)


_WORD = re.compile(r"(?:'[^']*'|\"[^\"]*\"|\\.|[^\s'\"\\])+")


def _entries(text: str) -> List[Entry]:
    """Read the menu entries of a grub.cfg that grub-mkconfig wrote."""
    entries: List[Entry] = []
    menus = [_Menu()]
    current: Optional[Entry] = None
    depth: List[str] = []  # one mark for each open brace: menu, entry, other
    for raw in text.splitlines():
        line = raw.strip()
        words = _WORD.findall(line)
        if not words or line.startswith("#"):
            continue
        if words[0] in ("menuentry", "submenu") and words[-1] == "{":
            title = _unquote(words[1])
            ids = [words[i + 1] for i, word in enumerate(words[:-1]) if word in ("$menuentry_id_option", "--id")]
            name = _unquote(ids[0]) if ids else title
            menu = menus[-1]
            here = ([*menu.id, name], [*menu.index, str(menu.count)], [*menu.title, title])
            menu.count += 1
            if words[0] == "submenu":
                menus.append(_Menu(*here))
                depth.append("menu")
            else:
                identifier, index, titles = (">".join(part) for part in here)
                current = Entry(identifier, index, titles, recovery="recovery" in f"{name} {title}")
                entries.append(current)
                depth.append("entry")
        elif words[0] == "}":
            closed = depth.pop() if depth else ""
            if closed == "menu":
                menus.pop()
            elif closed == "entry":
                current = None
        elif words[-1] == "{":
            depth.append("other")
        elif current is not None and words[0] in ("linux", "linux16", "linuxefi") and len(words) > 1:
            kernel = _unquote(words[1]).rpartition("/")[2]
            current.kernel = re.sub(r"^(vmlinuz|vmlinux|linux|kernel)-", "", kernel)
            current.cmdline = " ".join(_unquote(word) for word in words[2:])
    return entries


def _default(text: str) -> str:
    found = [_unquote(value) for value in re.findall(r"^\s*set default=(\S.*)$", text, re.MULTILINE)]
    settled = [value for value in found if value != "${next_entry}"]
    return settled[0] if settled else "0"
