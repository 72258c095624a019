# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel drivers that hold Windows' own objects: ntsync, its NSPA overlay, and winesync before them.

As in _sync_futex, `observe` notes and does not judge, and it may hang on a kernel that is wrong.

ntsync: include/uapi/linux/ntsync.h of Linux 6.14. winesync: its headers of 2021 (no events) and of 2022 (with events).
Overlay: patches 1004 and 1010 of linux-nspa 7.0 (2026).
"""

from __future__ import annotations

import errno
import os
import stat
import struct
import threading
import time
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, Type

from ansible_collections.nspa.proaudio.plugins.module_utils._sync.abi import Abi, errno_name, fork, timespec64
from ansible_collections.nspa.proaudio.plugins.module_utils._sync.guard import Trail
from ansible_collections.nspa.proaudio.plugins.module_utils._sync.wake import (
    is_right,
    lasts,
    latency,
    patiently,
    wake_one,
)

MAXIMUM = 64  # objects in one wait, as in Windows

_OWNER, _STRANGER = 1, 2  # of mutexes; any two numbers but 0
_PAST = 1  # a moment long ago, in ns: ask and do not wait
_NO_INDEX = 0x7FFFFFFF  # what stands where the driver is to put the index
_NEVER = 0xFFFFFFFFFFFFFFFF  # ntsync's timeout that does not come
_NOBODY = 65534  # an ordinary user, in no group
_ARGUMENT, _OBJECTS, _TIMESPEC, _MEMORY = 0, 64, 2048, 4096  # offsets in the memory of a call: 64 * 16 bytes are 1024


def ioctl_number(direction: int, kind: int, number: int, size: int) -> int:
    """_IOC of include/uapi/asm-generic/ioctl.h; direction: 1 _IOW, 2 _IOR, 3 _IOWR; size of the argument in bytes."""
    return direction << 30 | size << 16 | kind << 8 | number


class Device:
    """Semaphores, mutexes and events behind one device file. A negated errno stands for an error everywhere."""

    name = ""
    path = ""
    realtime = False  # whether a wait can take its timeout on CLOCK_REALTIME too
    alert = False  # whether a wait can be ended by a further event

    def __init__(self, abi: Abi, descriptor: int):
        self.abi = abi
        self.descriptor = descriptor

    @property
    def number(self) -> int:
        """The ioctl that tells this interface."""
        raise NotImplementedError

    def semaphore(self, count: int, most: int) -> int:
        raise NotImplementedError

    def release(self, semaphore: int, count: int = 1) -> int:
        """Returns the count that the semaphore had."""
        raise NotImplementedError

    def mutex(self) -> int:
        raise NotImplementedError

    def unlock(self, mutex: int, owner: int) -> int:
        """Returns how often the mutex was locked."""
        raise NotImplementedError

    def kill_owner(self, mutex: int, owner: int) -> int:
        """Tell the driver that the owner died with the mutex locked."""
        raise NotImplementedError

    def event(self, manual: bool) -> int:
        raise NotImplementedError

    def set_event(self, event: int) -> int:
        """Returns whether it was set already."""
        raise NotImplementedError

    def has_events(self) -> bool:
        return True

    def waiting(
        self,
        objects: Sequence[int],
        timeout: Optional[int] = None,
        together: bool = False,
        owner: int = _OWNER,
        alert: int = 0,
        realtime: bool = False,
    ) -> Callable[[], int]:
        """A function that waits for one of `objects`, or for all `together`, and returns the index that the driver
        gives. `timeout` is a moment in ns; `alert` an event that ends the wait with an index after the last."""
        raise NotImplementedError

    def wait(self, *arguments: Any, **named: Any) -> int:
        return self.waiting(*arguments, **named)()

    def _ask(self, descriptor: int, request: int, layout: str, *values: int) -> Tuple[int, Tuple[int, ...]]:
        """One ioctl whose argument has that struct layout; what it returned, and the argument afterwards."""
        memory = self.abi.memory(_MEMORY)
        result = self.abi.ioctl(descriptor, request, memory.write(_ARGUMENT, struct.pack(layout, *values)))
        return result, struct.unpack_from(layout, memory.map, _ARGUMENT)

    def _asking(
        self, request: int, argument: Callable[[int, int], bytes], index_at: int, entries: bytes, timeout: int
    ) -> Callable[[], int]:
        """A function that does the waiting ioctl: `argument` makes its struct from the addresses of list and timespec,
        and `index_at` is where in it the driver puts the index."""
        memory = self.abi.memory(_MEMORY)
        addresses = memory.write(_OBJECTS, entries), memory.write(_TIMESPEC, timespec64(timeout))

        def ask() -> int:
            address = memory.write(_ARGUMENT, argument(*addresses))
            result = patiently(lambda: self.abi.ioctl(self.descriptor, request, address))
            return result if result < 0 else struct.unpack_from("=I", memory.map, _ARGUMENT + index_at)[0]

        return ask


class Ntsync(Device):
    """/dev/ntsync of Linux 6.14: each object is a file descriptor. A later Wine-NSPA, and Wine 10.16, use it."""

    name = "ntsync"
    path = "/dev/ntsync"
    realtime = True
    alert = True

    CREATE_SEM = ioctl_number(1, 0x4E, 0x80, 8)
    SEM_RELEASE = ioctl_number(3, 0x4E, 0x81, 4)
    WAIT_ANY = ioctl_number(3, 0x4E, 0x82, 40)
    WAIT_ALL = ioctl_number(3, 0x4E, 0x83, 40)
    CREATE_MUTEX = ioctl_number(1, 0x4E, 0x84, 8)
    MUTEX_UNLOCK = ioctl_number(3, 0x4E, 0x85, 8)
    MUTEX_KILL = ioctl_number(1, 0x4E, 0x86, 4)
    CREATE_EVENT = ioctl_number(1, 0x4E, 0x87, 8)
    EVENT_SET = ioctl_number(2, 0x4E, 0x88, 4)

    @property
    def number(self) -> int:
        return self.WAIT_ANY

    def semaphore(self, count: int, most: int) -> int:
        return self._ask(self.descriptor, self.CREATE_SEM, "=II", count, most)[0]

    def release(self, semaphore: int, count: int = 1) -> int:
        result, (before,) = self._ask(semaphore, self.SEM_RELEASE, "=I", count)
        return result if result < 0 else before

    def mutex(self) -> int:
        return self._ask(self.descriptor, self.CREATE_MUTEX, "=II", 0, 0)[0]

    def unlock(self, mutex: int, owner: int) -> int:
        result, (_owner, before) = self._ask(mutex, self.MUTEX_UNLOCK, "=II", owner, 0)
        return result if result < 0 else before

    def kill_owner(self, mutex: int, owner: int) -> int:
        return self._ask(mutex, self.MUTEX_KILL, "=I", owner)[0]

    def event(self, manual: bool) -> int:
        return self._ask(self.descriptor, self.CREATE_EVENT, "=II", manual, 0)[0]

    def set_event(self, event: int) -> int:
        result, (before,) = self._ask(event, self.EVENT_SET, "=I", 0)
        return result if result < 0 else before

    def waiting(
        self,
        objects: Sequence[int],
        timeout: Optional[int] = None,
        together: bool = False,
        owner: int = _OWNER,
        alert: int = 0,
        realtime: bool = False,
    ) -> Callable[[], int]:
        moment = _NEVER if timeout is None else timeout
        return self._asking(
            self.WAIT_ALL if together else self.WAIT_ANY,
            lambda entries, _timespec: struct.pack(
                "=QQIIIIII", moment, entries, len(objects), _NO_INDEX, realtime, owner, alert, 0
            ),
            20,
            struct.pack(f"={len(objects)}I", *objects),
            0,
        )


class NspaNtsync(Ntsync):
    """What linux-nspa of 2026 adds: channels for Wine's server, and a wait on objects and files together.

    Its own waits are used here, so that a stock ntsync cannot pass for it.
    """

    name = "nspa_ntsync"

    CREATE_CHANNEL = ioctl_number(3, 0x4E, 0x90, 8)
    CHANNEL_SEND_PI = ioctl_number(3, 0x4E, 0x91, 24)
    CHANNEL_RECV = ioctl_number(3, 0x4E, 0x92, 32)
    CHANNEL_REPLY = ioctl_number(1, 0x4E, 0x93, 8)
    AGGREGATE_WAIT = ioctl_number(3, 0x4E, 0x97, 40)
    _OBJECT_SOURCE = 1

    @property
    def number(self) -> int:
        return self.CREATE_CHANNEL

    def channel(self) -> int:
        return self._ask(self.descriptor, self.CREATE_CHANNEL, "=II", 1, 0)[0]

    def send(self, channel: int, payload: int, reply: int) -> int:
        """Send and sleep until the reply; with policy and priority 0, so that nobody's priority changes."""
        return self._ask(channel, self.CHANNEL_SEND_PI, "=IIQQ", 0, 0, payload, reply)[0]

    def receive(self, channel: int) -> Tuple[int, Tuple[int, ...]]:
        """Sleep until something was sent: the result, and (entry id, payload, reply, thread, priority)."""
        return self._ask(channel, self.CHANNEL_RECV, "=QQQII", 0, 0, 0, 0, 0)

    def reply(self, channel: int, entry: int) -> int:
        return self._ask(channel, self.CHANNEL_REPLY, "=Q", entry)[0]

    def has_aggregate_wait(self) -> bool:
        """Patch 1010 has it; the overlay before that patch has not."""
        return self.wait([self.event(True)], _PAST) == -errno.ETIMEDOUT

    def waiting(
        self,
        objects: Sequence[int],
        timeout: Optional[int] = None,
        together: bool = False,
        owner: int = _OWNER,
        alert: int = 0,
        realtime: bool = False,
    ) -> Callable[[], int]:
        moment = _NEVER if timeout is None else timeout
        return self._asking(
            self.AGGREGATE_WAIT,
            lambda entries, _timespec: struct.pack(
                "=QQIIIIII", moment, entries, len(objects), _NO_INDEX, realtime, owner, 0, 0
            ),
            20,
            b"".join(struct.pack("=IIII", self._OBJECT_SOURCE, 0, handle, 0) for handle in objects),
            0,
        )


class Winesync(Device):
    """/dev/winesync, 2021 to 2023, never in Linux: objects are numbers that belong to the opened file."""

    name = "winesync"
    path = "/dev/winesync"

    CREATE_SEM = ioctl_number(3, 0xF7, 0, 12)
    PUT_SEM = ioctl_number(3, 0xF7, 2, 12)
    WAIT_ANY = ioctl_number(3, 0xF7, 3, 32)
    WAIT_ALL = ioctl_number(3, 0xF7, 4, 32)
    CREATE_MUTEX = ioctl_number(3, 0xF7, 5, 12)
    PUT_MUTEX = ioctl_number(3, 0xF7, 6, 12)
    KILL_OWNER = ioctl_number(1, 0xF7, 7, 4)
    CREATE_EVENT = ioctl_number(3, 0xF7, 10, 12)
    SET_EVENT = ioctl_number(3, 0xF7, 11, 12)
    # The first version takes a longer struct, with a signal mask before the timeout.
    WAIT_ANY_2021 = ioctl_number(3, 0xF7, 3, 48)
    WAIT_ALL_2021 = ioctl_number(1, 0xF7, 4, 48)

    def __init__(self, abi: Abi, descriptor: int):
        super().__init__(abi, descriptor)
        self.alert = self.has_events()

    @property
    def number(self) -> int:
        return self.WAIT_ANY if self.alert else self.WAIT_ANY_2021

    def has_events(self) -> bool:
        return self._create(self.CREATE_EVENT, 1, 0) >= 0

    def _create(self, request: int, first: int, second: int) -> int:
        result, (handle, _first, _second) = self._ask(self.descriptor, request, "=III", 0, first, second)
        return result if result < 0 else handle

    def semaphore(self, count: int, most: int) -> int:
        return self._create(self.CREATE_SEM, count, most)

    def release(self, semaphore: int, count: int = 1) -> int:
        result, (_handle, before, _most) = self._ask(self.descriptor, self.PUT_SEM, "=III", semaphore, count, 0)
        return result if result < 0 else before

    def mutex(self) -> int:
        return self._create(self.CREATE_MUTEX, 0, 0)

    def unlock(self, mutex: int, owner: int) -> int:
        result, (_handle, _owner, before) = self._ask(self.descriptor, self.PUT_MUTEX, "=III", mutex, owner, 0)
        return result if result < 0 else before

    def kill_owner(self, mutex: int, owner: int) -> int:
        return self._ask(self.descriptor, self.KILL_OWNER, "=I", owner)[0]

    def event(self, manual: bool) -> int:
        return self._create(self.CREATE_EVENT, manual, 0)

    def set_event(self, event: int) -> int:
        result, (_handle, _manual, before) = self._ask(self.descriptor, self.SET_EVENT, "=III", event, 0, 0)
        return result if result < 0 else before

    def waiting(
        self,
        objects: Sequence[int],
        timeout: Optional[int] = None,
        together: bool = False,
        owner: int = _OWNER,
        alert: int = 0,
        realtime: bool = False,
    ) -> Callable[[], int]:
        request, index_at = (self.WAIT_ALL if together else self.WAIT_ANY), 24
        if not self.alert:
            request, index_at = (self.WAIT_ALL_2021 if together else self.WAIT_ANY_2021), 40

        def argument(entries: int, timespec: int) -> bytes:
            start = b"" if self.alert else struct.pack("=QQ", 0, 0)
            moment = 0 if timeout is None else timespec
            return start + struct.pack("=QQIIII", moment, entries, len(objects), owner, _NO_INDEX, alert)

        return self._asking(request, argument, index_at, struct.pack(f"={len(objects)}I", *objects), timeout or 0)


def observe(kind: Type[Device], abi: Abi, trail: Trail, samples: int) -> None:
    """Note in `trail.facts`, step by step, whether the device is there and how it behaves.

    `samples` wakes are timed; 0: none.
    """
    facts = trail.facts
    trail.step(f"opening {kind.path}")
    _look_at(kind.path, facts)
    try:
        descriptor = os.open(kind.path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        facts["open"] = errno_name(-(error.errno or 0))
        return
    facts["open"] = "0"
    trail.step("creating a semaphore")
    device = kind(abi, descriptor)
    facts["number"] = device.number
    if isinstance(device, NspaNtsync):
        facts["answer"] = errno_name(min(device.channel(), 0))
    else:
        facts["answer"] = errno_name(min(device.semaphore(0, 1), 0))
    if facts["answer"] != "0":
        return
    facts["wrong"] = []
    facts["wakes"] = []
    if isinstance(device, NspaNtsync):
        trail.step("sending through a channel")
        _check_channel(device, facts["wrong"])
        if not device.has_aggregate_wait():
            facts["no_aggregate_wait"] = True
            return
    else:
        trail.step("using semaphores, mutexes and events")
        _check_objects(device, facts["wrong"])
    if facts["wrong"]:
        return
    semaphores = [device.semaphore(0, 1) for _number in range(MAXIMUM)]
    for count in (3, MAXIMUM):
        for index in (0, count // 2, count - 1):
            trail.step(f"waiting on {count} objects while number {index} is released")
            seen = _wake(device, semaphores[:count], index)
            facts["wakes"].append(seen)
            if not is_right(seen, index):
                return
    facts["timeouts"] = _timeouts(device, semaphores[:2], trail)
    if samples:
        facts["latency"] = latency(
            device.waiting(semaphores[:3]), lambda: _released(device, semaphores[1]), samples, trail.step
        )


def _released(device: Device, semaphore: int) -> int:
    """Release it; 1 for the waiter that this wakes."""
    return min(device.release(semaphore), 0) or 1


def _wake(device: Device, semaphores: List[int], index: int) -> Dict[str, Any]:
    seen = wake_one(device.waiting(semaphores), lambda: _released(device, semaphores[index]))
    return dict(seen, what=f"{len(semaphores)} objects", index=index)


def _timeouts(device: Device, semaphores: List[int], trail: Trail) -> List[str]:
    clocks = {"absolute-monotonic": time.CLOCK_MONOTONIC}
    if device.realtime:
        clocks["absolute-realtime"] = time.CLOCK_REALTIME
    right = []
    for name, clock in clocks.items():
        trail.step(f"waiting with a timeout, {name}")

        def wait(timeout: int, name: str = name) -> int:
            return device.wait(semaphores, timeout, realtime=name == "absolute-realtime")

        if lasts(wait, clock):
            right.append(name)
    return right


def _check_objects(device: Device, wrong: List[str]) -> None:
    """What Windows promises of a semaphore, a mutex and its owner, events, and a wait for all. Notes what is wrong."""

    def expect(what: str, wanted: int, got: int) -> None:
        if got != wanted:
            wrong.append(f"{what}: {errno_name(got)}, {errno_name(wanted)} is right")

    semaphore = device.semaphore(1, 2)
    expect("taking a semaphore that is free", 0, device.wait([semaphore], _PAST))
    expect("taking it again", -errno.ETIMEDOUT, device.wait([semaphore], _PAST))
    expect("releasing it", 0, device.release(semaphore))
    expect("releasing it beyond its maximum", -errno.EOVERFLOW, device.release(semaphore, 2))
    mutex = device.mutex()
    expect("locking a mutex", 0, device.wait([mutex], _PAST))
    expect("locking it again as its owner", 0, device.wait([mutex], _PAST))
    expect("locking it as somebody else", -errno.ETIMEDOUT, device.wait([mutex], _PAST, owner=_STRANGER))
    expect("unlocking it as somebody else", -errno.EPERM, device.unlock(mutex, _STRANGER))
    expect("unlocking it as its owner", 2, device.unlock(mutex, _OWNER))
    expect("losing its owner", 0, device.kill_owner(mutex, _OWNER))
    expect("locking an abandoned mutex", -errno.EOWNERDEAD, device.wait([mutex], _PAST, owner=_STRANGER))
    pair = [device.semaphore(1, 1), device.semaphore(0, 1)]
    expect("a wait for all with one missing", -errno.ETIMEDOUT, device.wait(pair, _PAST, together=True))
    expect("releasing one that it must not have taken", -errno.EOVERFLOW, device.release(pair[0]))
    woken = wake_one(device.waiting(pair, together=True), lambda: _released(device, pair[1]))
    if woken["early"] or woken["got"] != "0":
        wrong.append(f"waiting for all: came back {'too early ' if woken['early'] else ''}with {woken['got']}")
    expect("a wait for all must take all", -errno.ETIMEDOUT, device.wait(pair, _PAST))
    if not device.has_events():
        return
    manual, automatic = device.event(True), device.event(False)
    for event, name, second in ((manual, "manual", 0), (automatic, "automatic", -errno.ETIMEDOUT)):
        expect(f"a {name} event that is not set", -errno.ETIMEDOUT, device.wait([event], _PAST))
        expect(f"setting a {name} event", 0, device.set_event(event))
        expect(f"waiting for a set {name} event", 0, device.wait([event], _PAST))
        expect(f"waiting for a {name} event again", second, device.wait([event], _PAST))
    if device.alert:
        expect("a wait that an alert ends", 1, device.wait([automatic], alert=manual))


def _check_channel(device: NspaNtsync, wrong: List[str]) -> None:
    """A request and its reply, as between a Wine program and its server. Notes what is wrong."""
    channel = device.channel()
    replied: List[int] = []
    sender = threading.Thread(target=lambda: replied.append(device.send(channel, 11, 22)), daemon=True)
    sender.start()
    result, (entry, payload, reply, _thread, _priority) = device.receive(channel)
    if (result, payload, reply) != (0, 11, 22):
        wrong.append(f"receiving from a channel: {errno_name(result)}, {payload} and {reply} came of 11 and 22")
    if replied:
        wrong.append("sending through a channel: came back before the reply")
    result = device.reply(channel, entry)
    if result != 0:
        wrong.append(f"replying through a channel: {errno_name(result)}")
    sender.join()
    if replied != [0]:
        wrong.append(f"sending through a channel: {errno_name(replied[0])}")


def _look_at(path: str, facts: Dict[str, Any]) -> None:
    """Note whom the device belongs to, and whether a user without privileges could open it."""
    try:
        status = os.stat(path)
    except OSError:
        return
    facts["node"] = f"mode {stat.S_IMODE(status.st_mode):04o}, uid {status.st_uid}, gid {status.st_gid}"
    facts["ordinary_user"] = _ordinary_user_may_open(path)


def _ordinary_user_may_open(path: str) -> Optional[bool]:
    """Tries it, in a child that gives up root's privileges if it has them; None if it could not be tried."""
    child = fork()
    if child == 0:
        status = 2
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setresgid(_NOBODY, _NOBODY, _NOBODY)
                os.setresuid(_NOBODY, _NOBODY, _NOBODY)
            status = 1
            os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
            status = 0
        finally:
            os._exit(status)
    _pid, status = os.waitpid(child, 0)
    return {0: True, 1: False}.get(os.WEXITSTATUS(status)) if os.WIFEXITED(status) else None
