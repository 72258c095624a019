# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait on several futexes at once, through each of the four interfaces that a Wine-NSPA ever used.

`observe` does it and notes what it sees; it judges nothing. It may hang on a kernel that is wrong: run it in a guard.

The ABI of `futex_waitv` is that of include/uapi/linux/futex.h. The others never were in Linux: their layouts, timeouts
and answers were measured on kernels built with the historical patches (docs/sync-interfaces.md).
"""

from __future__ import annotations

import struct
import time
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from ansible_collections.nspa.proaudio.plugins.module_utils._sync.abi import (
    FUTEX_PRIVATE_FLAG,
    Abi,
    errno_name,
    timespec64,
)
from ansible_collections.nspa.proaudio.plugins.module_utils._sync.guard import Trail
from ansible_collections.nspa.proaudio.plugins.module_utils._sync.wake import (
    is_right,
    lasts,
    latency,
    patiently,
    wake_one,
)

MAXIMUM = 128  # futexes in one wait; the same in all four

_LIST, _TIMESPEC, _FIRST_WORD = 0, 3584, 4096  # offsets in the memory of one interface: 129 * 24 bytes are 3096
_MEMORY = 8192


class FutexInterface:
    """One system call that waits on several futexes: how to ask for it, and how to write its list."""

    name = ""
    clocks: Tuple[str, ...] = ()  # that a caller may choose between; empty: the interface has one fixed meaning

    def __init__(self, abi: Abi):
        self.abi = abi
        self.memory = {scope: abi.memory(_MEMORY, shared=scope == "shared") for scope in ("private", "shared")}

    @property
    def number(self) -> int:
        """The system call or the opcode of futex that this is."""
        raise NotImplementedError

    def entry(self, address: int, value: int, shared: bool) -> bytes:
        raise NotImplementedError

    def call(self, entries: int, count: int, timespec: int, shared: bool, clock: str) -> int:
        raise NotImplementedError

    def wake(self, address: int, shared: bool) -> int:
        return self.abi.futex_wake(address, shared)

    def timespec(self, nanoseconds: int) -> bytes:
        return timespec64(nanoseconds)

    def word(self, scope: str, index: int) -> int:
        return self.memory[scope].address + _FIRST_WORD + 4 * index

    def ask_nothing(self) -> int:
        """The call with an empty list, which cannot wait: tells whether the kernel knows it."""
        return self.call(0, 0, 0, False, "")

    def wait(
        self, scope: str, count: int, wrong: Optional[int] = None, timeout: Optional[int] = None, clock: str = ""
    ) -> int:
        """Wait on `count` words. `wrong`: the index whose expected value is not what stands there.

        `timeout` in ns, as the interface takes it. Interrupted waits are repeated, within reason.
        """
        memory, shared = self.memory[scope], scope == "shared"
        memory.write(_FIRST_WORD, struct.pack(f"={count}I", *range(1, count + 1)))
        entries = [self.entry(self.word(scope, index), index + 1 + (index == wrong), shared) for index in range(count)]
        timespec = 0 if timeout is None else memory.write(_TIMESPEC, self.timespec(timeout))
        address = memory.write(_LIST, b"".join(entries))
        return patiently(lambda: self.call(address, count, timespec, shared, clock))


class FutexWaitv(FutexInterface):
    """futex_waitv, Linux 5.16: absolute timeouts on the clock that the caller names."""

    name = "futex_waitv"
    clocks = ("absolute-monotonic", "absolute-realtime")
    _SIZE_U32 = 2  # FUTEX2_SIZE_U32

    @property
    def number(self) -> int:
        return self.abi.numbers["futex_waitv"]

    def entry(self, address: int, value: int, shared: bool) -> bytes:
        return struct.pack("=QQII", value, address, self._SIZE_U32 | (0 if shared else FUTEX_PRIVATE_FLAG), 0)

    def call(self, entries: int, count: int, timespec: int, shared: bool, clock: str) -> int:
        clock_id = time.CLOCK_REALTIME if clock == "absolute-realtime" else time.CLOCK_MONOTONIC
        return self.abi.call(self.number, entries, count, 0, timespec, clock_id if timespec else 0)


class FutexOperation(FutexInterface):
    """An operation of futex(2) that takes a list of blocks: 31, as Proton and the NSPA kernels of 2020 had it."""

    name = "futex_wait_multiple"
    operation = 31
    _ANY_BIT = 0xFFFFFFFF

    def __init__(self, abi: Abi, padded: bool = True):
        super().__init__(abi)
        self.padded = padded and abi.pointer_bytes == 4  # whether four bytes follow the pointer, as in 32-bit Wine

    def without_padding(self) -> FutexOperation:
        return FutexOperation(self.abi, padded=False)

    @property
    def number(self) -> int:
        return self.operation

    def entry(self, address: int, value: int, shared: bool) -> bytes:
        if self.abi.pointer_bytes == 8:
            return struct.pack("=QII", address, value, self._ANY_BIT)
        if self.padded:
            return struct.pack("=IIII", address, 0, value, self._ANY_BIT)
        return struct.pack("=III", address, value, self._ANY_BIT)

    def timespec(self, nanoseconds: int) -> bytes:
        return self.abi.old_timespec(nanoseconds)

    def call(self, entries: int, count: int, timespec: int, shared: bool, clock: str) -> int:
        operation = self.operation | (0 if shared else FUTEX_PRIVATE_FLAG)
        return self.abi.futex(entries, operation, count, timespec)


class FutexOperation13(FutexOperation):
    """The same as first proposed for Linux, opcode 13. Since 5.14 that number is FUTEX_LOCK_PI2."""

    name = "futex_wait_multiple_13"
    operation = 13

    def __init__(self, abi: Abi):
        super().__init__(abi, padded=False)


class Futex2(FutexInterface):
    """The futex2 proposal of 2021. Its numbers stand in sysfs only: Linux gave 441 to 443 to other calls."""

    name = "futex2"
    clocks = ("absolute-monotonic", "absolute-realtime")
    directory = "/sys/kernel/futex2"
    _FUTEX_32, _SHARED, _CLOCK_REALTIME = 2, 8, 256

    def __init__(self, abi: Abi):
        super().__init__(abi)
        self.calls = self.read_numbers()

    @classmethod
    def read_numbers(cls) -> Dict[str, int]:
        """The numbers of `waitv` and `wake`; empty where this kernel has none."""
        numbers = {}
        for call in ("waitv", "wake"):
            try:
                numbers[call] = int((Path(cls.directory) / call).read_text(encoding="ascii"))
            except (OSError, ValueError):
                return {}
            if not 424 <= numbers[call] < 1024:  # where the calls of 2019 and later are: never call anything older
                return {}
        return numbers

    @property
    def number(self) -> int:
        return self.calls["waitv"]

    def _flags(self, shared: bool) -> int:
        return self._FUTEX_32 | (self._SHARED if shared else 0)

    def entry(self, address: int, value: int, shared: bool) -> bytes:
        return struct.pack("=QII", address, value, self._flags(shared))

    def call(self, entries: int, count: int, timespec: int, shared: bool, clock: str) -> int:
        flags = self._CLOCK_REALTIME if clock == "absolute-realtime" else 0
        return self.abi.call(self.number, entries, count, flags, timespec)

    def wake(self, address: int, shared: bool) -> int:
        return self.abi.call(self.calls["wake"], address, 1, self._flags(shared))


def observe(interface: FutexInterface, trail: Trail, samples: int) -> None:
    """Note in `trail.facts`, step by step, how the interface behaves. `samples` wakes are timed; 0: none."""
    facts = trail.facts
    facts["number"] = interface.number
    trail.step("asking with an empty list")
    facts["answer"] = errno_name(interface.ask_nothing())
    if facts["answer"] != "EINVAL":
        return
    trail.step("waiting for a value that had changed already")
    facts["mismatch"] = [errno_name(interface.wait("private", 3, wrong=index)) for index in (0, 2)]
    if facts["mismatch"] != ["EAGAIN", "EAGAIN"]:
        if isinstance(interface, FutexOperation) and interface.padded:
            facts["unpadded"] = errno_name(interface.without_padding().wait("private", 3, wrong=2))
        return
    facts["too_many"] = errno_name(interface.wait("private", MAXIMUM + 1, wrong=0))
    facts["wakes"] = []
    for scope in ("private", "shared"):
        for count in (3, MAXIMUM):
            for index in (0, count // 2, count - 1):
                trail.step(f"waiting on {count} {scope} futexes while number {index} is woken")
                seen = _wake(interface, scope, count, index)
                facts["wakes"].append(seen)
                if not is_right(seen, index):
                    return
    facts["timeouts"] = _timeouts(interface, trail)
    if samples:
        word = interface.word("shared", 1)
        facts["latency"] = latency(
            lambda: interface.wait("shared", 3), lambda: interface.wake(word, True), samples, trail.step
        )


def _wake(interface: FutexInterface, scope: str, count: int, index: int) -> Dict[str, Any]:
    word = interface.word(scope, index)
    seen = wake_one(lambda: interface.wait(scope, count), lambda: interface.wake(word, scope == "shared"))
    return dict(seen, what=f"{count} {scope} futexes", index=index)


def _timeouts(interface: FutexInterface, trail: Trail) -> List[str]:
    """How the interface takes a timeout: those of relative, absolute-monotonic and absolute-realtime that work.

    A relative timeout is a moment long past on either clock, so it must be tried first: if it lasts, the interface
    is relative, and an absolute one would last for as long as the machine is up.
    """
    clocks = {"absolute-monotonic": time.CLOCK_MONOTONIC, "absolute-realtime": time.CLOCK_REALTIME}
    if interface.clocks:
        right = []
        for kind in interface.clocks:
            trail.step(f"waiting with a timeout, {kind}")

            def wait(timeout: int, kind: str = kind) -> int:
                return interface.wait("private", 2, timeout=timeout, clock=kind)

            if lasts(wait, clocks[kind]):
                right.append(kind)
        return right
    for kind, clock in [("relative", None), *clocks.items()]:
        trail.step(f"waiting with a timeout, {kind}")
        if lasts(lambda timeout: interface.wait("private", 2, timeout=timeout), clock, tries=4):
            return [kind]
    return []
