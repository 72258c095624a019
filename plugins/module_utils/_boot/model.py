# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is to say of any boot loader: which one it is, and what its menu holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import List, NamedTuple, Optional, Tuple

from ansible_collections.nspa.proaudio.plugins.module_utils._core.errors import HostError


class BootLoaderError(HostError):
    """The boot loader's configuration is not what it should be; the message says what to do."""


class Signs(NamedTuple):
    """What a boot loader is recognised by."""

    name: str
    firmware: Tuple[str, ...]
    """Words in the name that it leaves with the firmware, or in the path that the firmware starts; lower case."""
    files: Tuple[str, ...] = ()
    """Patterns of its configuration files, from the root folder."""


@dataclass
class Loader:
    """The boot loader of this machine."""

    name: str  #: as in `Signs`, or ``none``
    managed: bool  #: this collection can change its configuration
    reason: str  #: how it was recognised, or why it is left alone


@dataclass
class Entry:
    """One entry of the boot menu."""

    id: str  #: what the loader's own setting for the default calls it
    title: str
    kernel: str = ""  #: release; empty for what is not a Linux kernel
    cmdline: str = ""  #: as the kernel will get it
    origin: str = ""  #: the file that the entry comes from
    recovery: bool = False
    ours: bool = False  #: made from the loader's settings, and boots a kernel of this system with its root
    follows: bool = False  #: boots whichever kernel is the newest


@dataclass
class Menu:
    """What a boot menu says."""

    entries: List[Entry] = field(default_factory=list)
    next: Optional[Entry] = None  #: boots next when nobody touches the keyboard
    default: Optional[Entry] = None  #: boots whenever nothing else was asked for once
    chosen_by: str = ""  #: the file that chooses the default, where that is known
    trouble: str = ""  #: why it must be made anew, whatever is wanted of it: half a sentence

    @property
    def normal(self) -> List[Entry]:
        """The entries that boot this system as usual, which its settings reach."""
        return [entry for entry in self.entries if entry.ours and not entry.recovery]

    def entry_of(self, release: str) -> Optional[Entry]:
        """The entry that boots this kernel by its own name, not the one that follows the newest."""
        return next((entry for entry in self.normal if entry.kernel == release and not entry.follows), None)


class Step(NamedTuple):
    """One file of the loader's settings, in their order, and what has been set when it has been read."""

    file: str
    cmdline: str  #: of a normal entry, without what the loader itself adds
    default: str
