# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The threads of interrupts, and their places in the priority plan.

The kernel starts each of them under SCHED_FIFO 50 (kernel/irq/manage.c), and anew whenever a driver asks for its
interrupt: when a card is plugged in, and for some cards after each suspend.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Iterator, List, NamedTuple, Set

from ansible_collections.nspa.proaudio.plugins.module_utils._core import proc

#: Where the kernel puts them.
USUAL = 50

_PF_KTHREAD = 0x00200000  # linux/sched.h: the process is a thread of the kernel
_SCHED_FIFO = 1  # linux/sched.h
# kernel/irq/manage.c, setup_irq_thread: the second one is that of a driver with a thread of its own. Before Linux 5.17
# a name is cut after 15 characters.
_THREAD = re.compile(r"irq/(\d+)-(?:s-)?(.*)")
# Sound drivers name their interrupt after themselves, but for Intel's DSP (sound/soc/sof); FireWire interfaces have
# that of their controller.
_SOUND = re.compile(r"snd_|snd-|AudioDSP|sof-audio|firewire")
_USB = re.compile(r"[xeou]hci|usb|dwc[23]")

SOUND, USB, OTHER = "sound", "usb", "other"


class Thread(NamedTuple):
    """The thread of an interrupt: its scheduling policy by number, and its real-time priority."""

    pid: int
    number: int
    name: str  #: the driver's
    kind: str  #: SOUND, USB or OTHER
    policy: int
    priority: int

    @property
    def is_fifo(self) -> bool:
        """Whether it runs under SCHED_FIFO."""
        return self.policy == _SCHED_FIFO


class Priorities(NamedTuple):
    """The priorities of the plan: those of sound cards and USB controllers, and the most that any other may have."""

    sound: int
    usb: int
    other: int

    def wanted(self, thread: Thread) -> int:
        """The priority that a thread shall have. Drivers may put others lower than usual, and know why."""
        if thread.kind == OTHER:
            return min(thread.priority, self.other)
        return self.sound if thread.kind == SOUND else self.usb

    def differing(self, threads: List[Thread]) -> List[Thread]:
        """Those that are not as the plan says."""
        return [
            thread
            for thread in threads
            if thread.priority != self.wanted(thread) or (thread.kind != OTHER and not thread.is_fifo)
        ]


def threads(root: Path = Path("/")) -> List[Thread]:
    """The threads of interrupts, by number. Only threads of the kernel count: anybody may use such a name."""
    found = sorted(_threads(root), key=lambda thread: (thread.number, thread.pid))
    numbers, cards = [thread.number for thread in found], _of_cards(root)
    # A line that several drivers share has a thread for each: there the names tell which is the card's.
    alone = {number for number in cards if numbers.count(number) == 1}
    return [thread._replace(kind=SOUND) if thread.number in alone else thread for thread in found]


def _threads(root: Path) -> Iterator[Thread]:
    for folder in (root / "proc").glob("[0-9]*"):
        # The name may hold spaces and parentheses; field 3 stands behind the last one (proc(5), /proc/PID/stat).
        name, _parenthesis, rest = (
            (proc.read(f"/proc/{folder.name}/stat", root) or "").partition("(")[2].rpartition(")")
        )
        fields = dict(enumerate(rest.split(), start=3))
        found = _THREAD.match(name)
        if found and int(fields[9]) & _PF_KTHREAD:
            number, driver = int(found.group(1)), found.group(2)
            yield Thread(int(folder.name), number, driver, _kind(driver), int(fields[41]), int(fields[40]))


def _kind(driver: str) -> str:
    if _SOUND.match(driver):
        return SOUND
    return USB if _USB.match(driver) else OTHER


def _of_cards(root: Path) -> Set[int]:
    """The interrupts that belong to sound cards themselves (Documentation/ABI/testing/sysfs-bus-pci, msi_irqs)."""
    numbers: Set[int] = set()
    for device in (root / "sys/class/sound").glob("card*/device"):
        several = [int(path.name) for path in (device / "msi_irqs").glob("[0-9]*")]
        one = proc.read(f"/{(device / 'irq').relative_to(root)}", root) or ""
        numbers.update(several or ([int(one)] if one.isdigit() and one != "0" else []))
    return numbers


def give(thread: Thread, priority: int) -> None:
    """Give a thread a priority under SCHED_FIFO. Raises OSError."""
    os.sched_setscheduler(thread.pid, os.SCHED_FIFO, os.sched_param(priority))
