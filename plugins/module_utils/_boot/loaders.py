# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which boot loader started this machine, and what any loader can be asked and told.

A loader that this collection can manage is a class in a file of its own, and a line in `REGISTRY`. Reading a menu and
changing what it is made from are two interfaces: entries of the Boot Loader Specification, for example, are read in
the same way for several loaders.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Callable, ClassVar, List, Optional, Protocol, Sequence, Tuple, Type

from ansible_collections.nspa.proaudio.plugins.module_utils._boot.grub import Grub
from ansible_collections.nspa.proaudio.plugins.module_utils._boot.model import Entry, Loader, Menu, Signs, Step
from ansible_collections.nspa.proaudio.plugins.module_utils._core import proc
from ansible_collections.nspa.proaudio.plugins.module_utils._files import files
from ansible_collections.nspa.proaudio.plugins.module_utils._host import container


class MenuReader(Protocol):
    """What a boot menu says. Methods raise BootLoaderError."""

    def menu(self) -> Menu:
        """The whole menu as it stands."""

    def default(self) -> Optional[Entry]:
        """What boots next when nobody touches the keyboard."""


class MenuWriter(Protocol):
    """The settings that a boot menu is made from. Methods raise BootLoaderError."""

    mend: ClassVar[str]
    """What an administrator does to have the menu made anew: half a sentence."""
    parameters_file: str
    """The file that is ours for kernel parameters."""
    default_file: str
    """The file that is ours for the default entry."""

    def parameters(self, role: str, parameters: List[str]) -> files.Wanted:
        """The file that puts these parameters on every normal entry of this system."""

    def choice(self, role: str, entry: Optional[Entry]) -> files.Wanted:
        """The file that makes an entry the default; None: an entry that is not in the menu yet."""

    def steps(self, path: str, content: Optional[bytes]) -> List[Step]:
        """What each file of the settings sets, in their order, with `content` at `path` (None: nothing there)."""

    def foresee(self, path: str, content: Optional[bytes]) -> Menu:
        """The menu as it would be made with `content` at `path`."""

    def make(self, accept: Callable[[Menu], None]) -> Menu:
        """Make the menu anew, unless `accept` raises for what would become of it; then it stays as it was."""


class OneBoot(Protocol):
    """Booting an entry for one time, after which the default boots again. Methods raise BootLoaderError."""

    def once_problem(self) -> str:
        """Why this machine's loader cannot do that: half a sentence; empty if it can."""

    def once(self, entry: Optional[Entry]) -> None:
        """Boot this entry next, and only next; None: take that back."""

    def trial_file(self, role: str, parameters: List[str]) -> files.Wanted:
        """The file that puts these parameters on every entry for the time of a trial."""


class BootLoader(MenuReader, MenuWriter, OneBoot, Protocol):
    """A boot loader that this collection manages."""

    signs: ClassVar[Signs]

    def __init__(self, root: Path = Path("/")) -> None: ...

    @classmethod
    def examine(cls, root: Path = Path("/")) -> Loader:
        """Say whether the one that is set up here can be managed."""


#: The boot loaders that can be managed.
REGISTRY: Tuple[Type[BootLoader], ...] = (Grub,)

#: Those that are recognised, and left alone.
OTHERS = (
    Signs("rEFInd", ("refind",), ("boot/EFI/refind/refind.conf", "boot/efi/EFI/refind/refind.conf",
                                  "efi/EFI/refind/refind.conf", "boot/refind_linux.conf")),
    Signs("systemd-boot", ("systemd-boot", "\\systemd\\", "linux boot manager"),
          ("boot/loader/loader.conf", "efi/loader/loader.conf", "boot/efi/loader/loader.conf")),
    Signs("Limine", ("limine",), ("boot/limine.c*", "boot/limine/limine.c*", "boot/efi/limine.c*", "efi/limine.c*")),
    Signs("ZFSBootMenu", ("zfsbootmenu", "\\zbm\\")),
    Signs("EFI stub", ("systemd-stub", "\\efi\\linux\\", "vmlinuz")),
    Signs("Clover or OpenCore", ("clover", "opencore", "\\oc\\")),
    Signs("extlinux", ("syslinux", "extlinux"), ("boot/extlinux/extlinux.conf", "boot/syslinux/syslinux.cfg")),
    Signs("LILO", ("elilo",), ("etc/lilo.conf", "etc/elilo.conf")),
    Signs("the Raspberry Pi's firmware", (), ("boot/firmware/config.txt", "boot/config.txt")),
    Signs("U-Boot", ("u-boot",), ("boot/boot.scr", "boot/uEnv.txt")),
)  # fmt: skip

_VARIABLES = "sys/firmware/efi/efivars"
#: In which a boot loader leaves its name (systemd's Boot Loader Interface).
LOADER_INFO = f"{_VARIABLES}/LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
#: The firmware's own variables (UEFI specification, 3.3).
_FIRMWARE = "8be4df61-93ca-11d2-aa0d-00e098032b8c"


def detect(root: Path = Path("/")) -> Loader:
    """Recognise the boot loader that started this machine.

    The firmware's variables say it where they can be read; a PREEMPT_RT kernel hides them. Then the running kernel's
    command line and the configuration files that are there have to do.
    """
    kind = container.kind(root)
    if kind:
        return Loader("none", False, f"a container ({kind}) runs the kernel of its host")
    name, evidence = _firmware(root)
    if name != Grub.signs.name and _handed_on_to_grub(root):
        name = Grub.signs.name
    if not name:
        name, evidence = _configured(root)
    for loader in REGISTRY:
        if loader.signs.name == name:
            return loader.examine(root)
    if name:
        return Loader(name, False, f"{evidence} started this machine")
    return Loader("none", False, "no boot loader configuration was found: the kernel comes from outside")


def manager(loader: Loader, root: Path = Path("/")) -> Optional[BootLoader]:
    """Return what reads and changes the configuration of a boot loader; None if it is not managed."""
    found = [known for known in REGISTRY if loader.managed and known.signs.name == loader.name]
    return found[0](root) if found else None


def _known() -> Sequence[Signs]:
    # Those of others come first: all of them, and shim too, may lie in a folder that is named after another.
    return (*OTHERS, *(loader.signs for loader in REGISTRY))


def _firmware(root: Path) -> Tuple[str, str]:
    """Name and evidence of the loader, by the firmware's variables; empty where they do not say it."""
    said = _variable(root / LOADER_INFO).decode("utf-16-le", "replace").rstrip("\0")
    for text in (said, _started(root)):
        for signs in _known():
            if any(word in text.lower() for word in signs.firmware):
                return signs.name, text
    return said.partition(" ")[0], said


def _started(root: Path) -> str:
    """Description and path of what the firmware started, as in its boot entry (UEFI specification, 3.1.3)."""
    current = _variable(root / _VARIABLES / f"BootCurrent-{_FIRMWARE}")
    if len(current) < 2:
        return ""
    option = _variable(root / _VARIABLES / f"Boot{struct.unpack_from('<H', current)[0]:04X}-{_FIRMWARE}")
    # Attributes (4 bytes), length of the path (2), description up to a zero, then the nodes of the path.
    at = 6
    while option[at : at + 2] not in (b"\0\0", b"\0", b""):
        at += 2
    text = option[6:at].decode("utf-16-le", "replace")
    at += 2
    while at + 4 <= len(option):
        kind, subkind, length = struct.unpack_from("<BBH", option, at)
        if (kind, subkind) == (4, 4):
            text += " " + option[at + 4 : at + length].decode("utf-16-le", "replace").rstrip("\0")
        if kind == 0x7F or length < 4:
            break
        at += length
    return text


def _variable(path: Path) -> bytes:
    """The content of an EFI variable behind its four bytes of attributes; empty where it cannot be read."""
    try:
        return path.read_bytes()[4:]
    except OSError:
        return b""


def _handed_on_to_grub(root: Path) -> bool:
    """Whether GRUB started the kernel, whoever started GRUB.

    GRUB puts BOOT_IMAGE with a path in front of the command line (grub-core/loader/i386/linux.c); a loader that lets
    the firmware start the kernel leaves an initrd= in it, even where the rest was once copied from GRUB.
    """
    line = (proc.read("/proc/cmdline", root) or "").split()
    image = line[0].partition("BOOT_IMAGE=")[2] if line else ""
    started = image.startswith(("/", "(")) and not any(word.startswith("initrd=") for word in line)
    return started and _there(Grub.signs, root)


def _configured(root: Path) -> Tuple[str, str]:
    for signs in _known():
        if _there(signs, root):
            return signs.name, signs.name
    return "", ""


def _there(signs: Signs, root: Path) -> bool:
    return any(any(root.glob(pattern)) for pattern in signs.files)
