# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel knows of one process (proc(5)).

The processes that are looked at here belong to ordinary users, who choose their names, arguments and environment. So
no more than a bounded part of a file is read, and what a user chose is shown with its control characters replaced.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Tuple

#: The most that is read of a file of /proc, in bytes. An environment of this size is nobody's who makes music.
MOST = 256 * 1024

#: Scheduling policies (linux/sched.h).
SCHED_FIFO = 1
SCHED_RR = 2
REALTIME = (SCHED_FIFO, SCHED_RR)

#: The capability's number (linux/capability.h).
CAP_SYS_NICE = 23

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")


class Scheduling(NamedTuple):
    """How the kernel schedules a process."""

    policy: int  #: as SCHED_FIFO
    priority: int  #: of a real-time policy, 1 to 99; else 0


class Process:
    """One process by its number. Every question raises OSError when it is gone, or not to be looked at."""

    def __init__(self, pid: int, root: Path = Path("/")) -> None:
        self.pid = pid
        self._folder = root / "proc" / str(pid)

    def limits(self) -> Dict[str, Tuple[str, str]]:
        """The limits (soft, hard) by row of /proc/PID/limits, as the kernel prints them."""
        text = self._read("limits")
        if not text:  # the kernel shows none of a process that is being removed (fs/proc/base.c, proc_pid_limits)
            raise ProcessLookupError(f"process {self.pid} has ended")
        return parse_limits(text)

    def environment(self) -> Dict[str, str]:
        """The environment that its program was started with; of a variable that is there twice the first (getenv)."""
        found: Dict[str, str] = {}
        for entry in self._read("environ").split("\0")[:-1]:
            name, equals, value = entry.partition("=")
            if equals and _NAME.match(name):
                found.setdefault(name, clean(value))
        return found

    def command(self) -> List[str]:
        """Its arguments, the program's name first; none for a thread of the kernel and for a process that ended."""
        return self._read("cmdline").split("\0")[:-1]

    def name(self) -> str:
        """Its short name, at most 15 characters, which it can choose itself."""
        return self._read("comm").rstrip("\n")

    def runs(self, program: str) -> bool:
        """Whether it is that program, whatever it calls itself."""
        return os.path.samefile(self._folder / "exe", program)

    def users(self) -> List[int]:
        """Its user numbers: real, effective, saved, of file access."""
        return [int(number) for number in self._status("Uid").split()]

    def groups(self) -> List[int]:
        """The numbers of its groups, the effective one first."""
        numbers = [int(self._status("Gid").split()[1])]
        return numbers + [int(number) for number in self._status("Groups").split() if int(number) not in numbers]

    def locked_kb(self) -> int:
        """How much of its memory is locked, in kB."""
        return int(self._status("VmLck").split()[0])

    def no_new_privileges(self) -> bool:
        """Whether no program that it starts gets a right that it has not itself (no_new_privs)."""
        return self._status("NoNewPrivs") == "1"

    def may_get(self, capability: int) -> bool:
        """Whether its bounding set has a capability, given by number: without it no program gets that one."""
        return bool(int(self._status("CapBnd"), 16) >> capability & 1)

    def holds(self, capability: int) -> bool:
        """Whether it holds a capability, given by number, so that the kernel lets it do what that is for."""
        return bool(int(self._status("CapEff"), 16) >> capability & 1)

    def session(self) -> int:
        """The number of its session (setsid(2)): field 6 of /proc/PID/stat."""
        return int(self._stat()[6 - 3])

    def scheduling(self) -> Scheduling:
        """How its first thread is scheduled."""
        return _scheduling(self._stat())

    def threads(self) -> List[Scheduling]:
        """How each of its threads is scheduled; those that ended meanwhile are left out."""
        found = []
        for number in os.listdir(self._folder / "task"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found.append(_scheduling(self._stat(f"task/{number}/stat")))
        return found

    def nice(self) -> int:
        """Its nice value, which it keeps under a real-time policy: field 19 of /proc/PID/stat."""
        return int(self._stat()[19 - 3])

    def has_open(self, number: int) -> bool:
        """Whether it has a file of that number open."""
        return os.path.lexists(self._folder / "fd" / str(number))

    def open_files(self) -> List[str]:
        """What its open files lead to; those that are closed meanwhile are left out."""
        found = []
        for number in os.listdir(self._folder / "fd"):
            with contextlib.suppress(FileNotFoundError):
                found.append(os.readlink(self._folder / "fd" / number))
        return found

    def started(self) -> int:
        """When it was started, in clock ticks since the boot: field 22 of /proc/PID/stat."""
        return int(self._stat()[22 - 3])

    def ended(self) -> bool:
        """Whether it has ended, seen by its parent or not."""
        try:
            return self._stat()[0] in "ZX"
        except OSError:
            return True

    def cgroup(self) -> str:
        """Its control group as systemd counts (cgroups(7)): in the unified hierarchy, or else in systemd's own."""
        lines = [line.split(":", 2) for line in self._read("cgroup").splitlines()]
        paths = {line[1]: line[2] for line in lines if len(line) == 3}
        unified = paths.get("", "/")
        return unified if unified != "/" else paths.get("name=systemd", unified)

    def _status(self, row: str) -> str:
        found = re.search(rf"^{row}:[ \t]*(.*)$", self._read("status"), re.MULTILINE)
        if not found:
            raise ProcessLookupError(f"process {self.pid} has ended")  # a zombie has no memory, so no such row
        return found.group(1).strip()

    def _stat(self, name: str = "stat") -> List[str]:
        """The fields of /proc/PID/stat from the third on: the second is a name that may hold anything."""
        return self._read(name).rpartition(")")[2].split()

    def _read(self, name: str) -> str:
        with open(self._folder / name, "rb") as stream:
            return stream.read(MOST).decode("utf-8", "replace")


def _scheduling(fields: List[str]) -> Scheduling:
    """Fields 41 and 40 of /proc/PID/stat, counted from 1; these begin with the third."""
    return Scheduling(int(fields[41 - 3]), int(fields[40 - 3]))


def everything(root: Path = Path("/")) -> Iterator[Process]:
    """The processes that there are."""
    for folder in (root / "proc").glob("[0-9]*"):
        yield Process(int(folder.name), root)


def within(cgroup: str, root: Path = Path("/")) -> Iterator[Process]:
    """The processes in a control group and below it."""
    for process in everything(root):
        with contextlib.suppress(OSError):
            path = process.cgroup()
            if path == cgroup or path.startswith(cgroup + "/"):
                yield process


def of_session(number: int, root: Path = Path("/")) -> Iterator[Process]:
    """The processes of a session (setsid(2))."""
    for process in everything(root):
        with contextlib.suppress(OSError):
            if process.session() == number:
                yield process


def newest_first(cgroup: str, root: Path = Path("/")) -> List[Process]:
    """The processes in a control group, that which was started last first."""
    found = []
    for process in within(cgroup, root):
        with contextlib.suppress(OSError):
            found.append((process.started(), process.pid, process))
    return [process for _started, _pid, process in sorted(found, key=lambda item: item[:2], reverse=True)]


def parse_limits(text: str) -> Dict[str, Tuple[str, str]]:
    """Read /proc/PID/limits: (soft, hard) by row name."""
    rows = re.findall(r"^(Max [a-z ]+?)\s{2,}(\S+)\s+(\S+)", text, re.MULTILINE)
    return {name: (soft, hard) for name, soft, hard in rows}


def clean(text: str) -> str:
    """Text that a user chose, harmless on a terminal: what is not printable is replaced."""
    return "".join(character if character.isprintable() else _REPLACEMENT for character in text)


def shown(words: List[str], most: int = 80) -> str:
    """A command line that a user chose, for a message: cleaned, and at most so many characters of it."""
    text = clean(" ".join(words)[: most + 1])
    return text if len(text) <= most else text[: most - 1] + "…"
