# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that does what a plug-in does: it uses every limit that was promised, and waits to be looked at.

It locks memory, opens a file with the last number that is allowed, lowers its nice value, takes a real-time priority,
and opens the device by which a program keeps the CPUs awake.

It runs with a user's rights where the user's programs run, so its own word counts for nothing good: whether it got
what it asked for is read from the kernel, from outside. It only says, in its name, that it is done and which errors
it met; they explain what the kernel shows.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import NamedTuple, Optional

from ansible_collections.nspa.proaudio.plugins.module_utils._core.errors import HostError
from ansible_collections.nspa.proaudio.plugins.module_utils._host.processes import SCHED_FIFO, Process

#: The most that is locked to prove that memory can be locked, in kB; the limit itself is read from the kernel.
MOST_KB = 64 * 1024

#: Seconds after which the process ends by itself.
LIFETIME = 60

#: Where a program says how soon the CPUs must be awake again (Documentation/power/pm_qos_interface.rst).
LATENCY_DEVICE = "/dev/cpu_dma_latency"

# One line, without single quotes, backslashes, $, %, ! and `, so that every shell and systemd read it in the same way.
# Errors are read with ctypes rather than caught: a line has no room for try. The limit of open files is one of their
# numbers, so the last number alone proves all of them; the soft limit is what it was, to be looked at, afterwards.
_PROGRAM = "; ".join(
    [
        "import ctypes, mmap, resource, sys, time",
        "libc = ctypes.CDLL(None, use_errno=True)",
        "rtprio, size, nice, nofile = map(int, sys.argv[1:5])",
        "memory = mmap.mmap(-1, max(size, 1))",
        "start = ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(memory)))",
        "locked = ctypes.get_errno() if libc.mlock(start, ctypes.c_size_t(size)) else 0",
        "soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)",
        "limit = lambda most: libc.setrlimit(resource.RLIMIT_NOFILE, (ctypes.c_ulong * 2)(most, hard))",
        "opened = ctypes.get_errno() if limit(nofile) or libc.dup2(0, nofile - 1) < 0 else 0",
        "limit(soft)",
        "niced = ctypes.get_errno() if libc.setpriority(0, 0, nice) else 0",
        "priority = ctypes.c_int(rtprio)",
        f"fifo = ctypes.get_errno() if libc.sched_setscheduler(0, {SCHED_FIFO}, ctypes.byref(priority)) else 0",
        f'awake = ctypes.get_errno() if libc.open(b"{LATENCY_DEVICE}", 1) < 0 else 0',
        'name = open("/proc/self/comm", "w")',
        'name.write("nspa " + bytes([locked, fifo, opened, niced, awake]).hex())',
        "name.close()",
        f"time.sleep({LIFETIME})",
    ]
)
# As the kernel cuts a name: 15 characters (TASK_COMM_LEN). Linux has no error above 133 (asm-generic/errno.h).
_DONE = re.compile(r"^nspa ((?:[0-9a-f]{2}){5})$")
_LOCKED, _FIFO, _OPENED, _NICED, _AWAKE = range(5)


class Promise(NamedTuple):
    """What every session was promised."""

    rtprio: int
    memlock_kb: Optional[int]  #: None: unlimited
    nice: int
    nofile: int  #: the hard limit


class Attempt:
    """What is tried in each place, and what the kernel said to it."""

    def __init__(self, promise: Promise, token: str, root: Path = Path("/")) -> None:
        """`token`: what nobody else can know."""
        self.promise = promise
        self.size_kb = _size_kb(promise.memlock_kb, root)
        self.interpreter = interpreter()
        numbers = (promise.rtprio, self.size_kb * 1024, promise.nice, promise.nofile)
        self.command = [self.interpreter, "-I", "-S", "-c", _PROGRAM, *map(str, numbers), token]

    def made_by(self, process: Process) -> bool:
        """Whether a process is the one that does it."""
        return process.command() == self.command and process.runs(self.interpreter)

    def done(self, process: Process) -> bool:
        """Whether it has tried everything, and now waits."""
        return bool(_DONE.match(process.name()))

    def fifo(self, process: Process) -> str:
        """What keeps the process from SCHED_FIFO with the promised priority; empty when it has that."""
        seen = process.scheduling()
        if seen.policy == SCHED_FIFO and seen.priority == self.promise.rtprio:
            return ""
        return f"SCHED_FIFO {self.promise.rtprio} was refused{self._reason(process, _FIFO)}"

    def locks(self, process: Process) -> str:
        """What keeps the process from locking memory; empty when it did."""
        if process.locked_kb() >= self.size_kb:
            return ""
        return f"locking {self.size_kb} kB of memory was refused{self._reason(process, _LOCKED)}"

    def opens(self, process: Process) -> str:
        """What keeps the process from the promised number of open files; empty when it has the last of them open."""
        if process.has_open(self.promise.nofile - 1):
            return ""
        return f"file number {self.promise.nofile} was refused{self._reason(process, _OPENED)}"

    def nices(self, process: Process) -> str:
        """What keeps the process from the promised nice value; empty when it has that."""
        if process.nice() == self.promise.nice:
            return ""
        return f"nice {self.promise.nice} was refused{self._reason(process, _NICED)}"

    def stays_awake(self, process: Process) -> str:
        """What keeps the process from holding the CPUs awake; empty when it has the device for that open."""
        if LATENCY_DEVICE in process.open_files():
            return ""
        return f"opening {LATENCY_DEVICE} was refused{self._reason(process, _AWAKE)}"

    @staticmethod
    def _reason(process: Process, which: int) -> str:
        """The error that the process met, as it says: a number, so there is nothing to clean."""
        told = _DONE.match(process.name())
        number = bytes.fromhex(told.group(1))[which] if told else 0
        return f": {os.strerror(number)}" if number else ""


def interpreter(here: str = sys.executable) -> str:
    """The Python that every user can run and none can replace: the one that runs this, or else the system's own.

    :raises HostError: when there is none.
    """
    for path in (os.path.realpath(here or "/"), os.path.realpath("/usr/bin/python3")):
        if os.path.isfile(path) and all(_safe(step) for step in [Path(path), *Path(path).parents]):
            return path
    raise HostError(
        "To see what a user's programs get, a Python is needed that every user can run and only root can change; "
        f"found neither {here} nor /usr/bin/python3 to be one. Install the distribution's Python 3."
    )


def _safe(path: Path) -> bool:
    """Whether a file or folder is root's, which nobody else may change and everybody may enter or run."""
    try:
        status = path.stat()
    except OSError:
        return False
    return status.st_uid == 0 and not status.st_mode & 0o022 and bool(status.st_mode & 0o001)


def _size_kb(memlock_kb: Optional[int], root: Path) -> int:
    """How much to lock: what is promised, but no more than what proves it and this machine can spare."""
    try:
        text = (root / "proc/meminfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        text = ""
    available = re.search(r"^MemAvailable:\s*(\d+) kB$", text, re.MULTILINE)
    spare = int(available.group(1)) // 4 if available else MOST_KB
    return min(MOST_KB, spare, MOST_KB if memlock_kb is None else memlock_kb)
