# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kernel with interfaces that no packaged kernel has, at the system call boundary of a real process.

The process under test runs unchanged; its system calls arrive here through seccomp user notification and get their
answers from these classes. What they imitate is described in docs/sync-interfaces.md. A test injects faults by name.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import select
import stat
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from support.seccomp_filters import I386, NOTIFY, X86_64, Rule, run

_RECEIVE, _SEND, _ADD_FILE = 0xC0502100, 0xC0182101, 0x40182103  # SECCOMP_IOCTL_NOTIF_{RECV,SEND,ADDFD}
_FLAG_CONTINUE, _ADD_FILE_AND_ANSWER = 1, 2

_FUTEX = {X86_64: 202, I386: 240}
_IOCTL = {X86_64: 16, I386: 54}
_FUTEX_WAITV, _OPENAT, _NEWFSTATAT = 449, 257, 262
_FUTEX2 = {"wait": 441, "wake": 442, "waitv": 443}
_WAKE, _COMMAND, _PRIVATE = 1, 127, 128

# What `handle` returns besides the answer itself:
PASS = object()  # the real kernel is to do it
SLEEP = object()  # the call waits in `waits`
ANSWERED = object()

_libc = ctypes.CDLL(None, use_errno=True)


class Call(NamedTuple):
    """One system call of the process under test."""

    id: int
    pid: int
    arch: int
    number: int
    args: tuple[int, ...]

    def read(self, address: int, layout: str) -> tuple[Any, ...]:
        """What stands in its memory; OSError where it has none."""
        with Path(f"/proc/{self.pid}/mem").open("rb", buffering=0) as memory:
            memory.seek(address)
            data = memory.read(struct.calcsize(layout))
        return struct.unpack(layout, data)

    def write(self, address: int, layout: str, *values: Any) -> None:
        with Path(f"/proc/{self.pid}/mem").open("r+b", buffering=0) as memory:
            memory.seek(address)
            memory.write(struct.pack(layout, *values))

    def text(self, address: int) -> str:
        with Path(f"/proc/{self.pid}/mem").open("rb", buffering=0) as memory:
            memory.seek(address)
            return memory.read(256).split(b"\0")[0].decode(errors="replace")

    def status(self, field: str) -> int:
        """A number from /proc/PID/status; of Uid, the effective one."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        numbers = next(line.split()[1:] for line in lines if line.startswith(field + ":"))
        return int(numbers[1] if field == "Uid" else numbers[0])


class Wait:
    """A call that sleeps, until `deadline` on time.monotonic if it has one."""

    def __init__(self, call: Call, deadline: float | None):
        self.call = call
        self.deadline = deadline


class FutexWait(Wait):
    """On futex words that FUTEX_WAKE wakes."""

    def __init__(self, call: Call, deadline: float | None, keys: list[tuple[Any, ...]]):
        super().__init__(call, deadline)
        self.keys = keys


class Futex2Wait(FutexWait):
    """On words that only futex2's own wake wakes."""


class Kernel:
    """The native kernel, with `files` added, and what subclasses add."""

    def __init__(self, *faults: str, files: dict[str, str] | None = None):
        self.faults = faults
        self.files = dict(files or {})
        self.waits: list[Wait] = []
        self._listener = -1

    def run(self, function: Callable[[], Any]) -> Any:
        """The result of `function` in a child that has this kernel under it."""
        return run(self.rules(), function, supervise=self._supervise)

    def rules(self) -> list[Rule]:
        """The calls that come here; all others go to the real kernel."""
        return [Rule(X86_64, _OPENAT, NOTIFY), Rule(X86_64, _NEWFSTATAT, NOTIFY)]

    def handle(self, call: Call) -> object:
        if (call.arch, call.number) == (X86_64, _OPENAT):
            return self.open(call, call.text(call.args[1]))
        if (call.arch, call.number) == (X86_64, _NEWFSTATAT):
            return self.stat(call, call.text(call.args[1]))
        return PASS

    def open(self, call: Call, path: str) -> object:
        if path not in self.files:
            return PASS
        descriptor = os.memfd_create("emulated file")
        os.write(descriptor, self.files[path].encode())
        os.lseek(descriptor, 0, os.SEEK_SET)
        return self.answer_with_file(call, descriptor)

    def stat(self, call: Call, path: str) -> object:
        return PASS

    def answer(self, call: Call, value: int) -> object:
        """Let the call return that value, or a negated errno."""
        error, result = (value, 0) if value < 0 else (0, value)
        with suppress(FileNotFoundError):  # the caller was killed
            fcntl.ioctl(self._listener, _SEND, struct.pack("=QqiI", call.id, result, error, 0))
        return ANSWERED

    def answer_with_file(self, call: Call, descriptor: int) -> object:
        """Give the caller this open file, and return its number there. Closes it here."""
        with suppress(FileNotFoundError):
            request = struct.pack("=QIIII", call.id, _ADD_FILE_AND_ANSWER, descriptor, 0, os.O_CLOEXEC)
            fcntl.ioctl(self._listener, _ADD_FILE, request)
        os.close(descriptor)
        return ANSWERED

    def _supervise(self, listener: int, _child: int) -> None:
        self._listener = listener
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        while True:
            deadlines = [wait.deadline for wait in self.waits if wait.deadline is not None]
            patience = max(0.0, min(deadlines) - time.monotonic()) * 1000 if deadlines else 1000
            for _descriptor, event in poll.poll(patience):
                if event & select.POLLHUP:
                    return
                with suppress(FileNotFoundError):  # the caller was killed
                    self._receive()
            for wait in [wait for wait in self.waits if wait.deadline is not None]:
                if wait.deadline <= time.monotonic():
                    self.waits.remove(wait)
                    self.answer(wait.call, -errno.ETIMEDOUT)

    def _receive(self) -> None:
        buffer = bytearray(80)
        fcntl.ioctl(self._listener, _RECEIVE, buffer)
        identity, pid, _flags, number, arch, _ip, *args = struct.unpack("=QIIiIQ6Q", buffer)
        call = Call(identity, pid, arch, number, tuple(args))
        try:
            result = self.handle(call)
        except (OSError, OverflowError, struct.error):  # memory that is not there, or a process that is gone
            result = -errno.EFAULT
        if isinstance(result, int):
            self.answer(call, result)
        elif result is PASS:
            with suppress(FileNotFoundError):
                fcntl.ioctl(self._listener, _SEND, struct.pack("=QqiI", identity, 0, 0, _FLAG_CONTINUE))


class FutexKernel(Kernel):
    """What the futex interfaces have in common. `timeouts`: relative, absolute-monotonic or absolute-realtime."""

    def __init__(self, *faults: str, timeouts: str = "absolute-monotonic", files: dict[str, str] | None = None):
        super().__init__(*faults, files=files)
        self.timeouts = timeouts

    def rules(self) -> list[Rule]:
        wakes = [Rule(arch, _FUTEX[arch], NOTIFY, 1, _COMMAND, _WAKE) for arch in (X86_64, I386)]
        return super().rules() + wakes

    def handle(self, call: Call) -> object:
        if call.number == _FUTEX[call.arch] and call.args[1] & _COMMAND == _WAKE:
            return self.wake(call, call.args[0], bool(call.args[1] & _PRIVATE), FutexWait)
        return super().handle(call)

    @staticmethod
    def key(call: Call, address: int, private: bool) -> tuple[Any, ...]:
        """Which futex that is. The shared memory of the probe has one address in all of its processes."""
        return (call.status("Tgid"), address) if private else ("shared", address)

    def wake(self, call: Call, address: int, private: bool, kind: type[FutexWait]) -> object:
        key = self.key(call, address, private)
        for wait in self.waits:
            if type(wait) is kind and key in wait.keys:
                if "wakes nobody" in self.faults:
                    return 0
                if "wake fails" in self.faults:
                    return -errno.EFAULT
                if "loses wakes" in self.faults:
                    return 1
                self.waits.remove(wait)
                wrong = (
                    len(wait.keys) > 3 if "wrong index in long lists" in self.faults else "wrong index" in self.faults
                )
                self.answer(wait.call, (wait.keys.index(key) + wrong) % len(wait.keys))
                return 1
        return PASS if kind is FutexWait else 0

    def sleep(
        self, call: Call, entries: list[tuple[int, int, bool]], timespec: int, layout: str, kind: type[FutexWait]
    ) -> object:
        """Wait on entries of address, expected value, and whether private."""
        for fault, answer in (("EFAULT", -errno.EFAULT), ("ENOSYS", -errno.ENOSYS), ("EINTR", -errno.EINTR)):
            if fault in self.faults:
                return answer
        for address, value, _private in entries:
            if call.read(address, "=I")[0] != value and "ignores values" not in self.faults:
                return -errno.EAGAIN
        if "returns early" in self.faults:
            return 0
        if "EINTR once asleep" in self.faults:
            return -errno.EINTR
        deadline = None
        if timespec:
            if "timeouts at once" in self.faults:
                return -errno.ETIMEDOUT
            seconds, nanoseconds = call.read(timespec, layout)
            deadline = self.moment(seconds + nanoseconds / 1e9)
        keys = [self.key(call, address, private) for address, _value, private in entries]
        self.waits.append(kind(call, deadline, keys))
        return SLEEP

    def moment(self, seconds: float) -> float:
        """On time.monotonic."""
        now = {"relative": 0.0, "absolute-monotonic": time.monotonic(), "absolute-realtime": time.time()}
        return time.monotonic() + seconds - now[self.timeouts]


class WaitMultiple(FutexKernel):
    """FUTEX_WAIT_MULTIPLE, as `operation` of futex. `padded`: how 32-bit lists are laid out; `most`: in one list."""

    def __init__(
        self, *faults: str, operation: int = 31, timeouts: str = "relative", padded: bool = True, most: int = 128
    ):
        super().__init__(*faults, timeouts=timeouts)
        self.operation = operation
        self.padded = padded
        self.most = most

    def rules(self) -> list[Rule]:
        waits = [Rule(arch, _FUTEX[arch], NOTIFY, 1, _COMMAND, self.operation) for arch in (X86_64, I386)]
        return waits + super().rules()

    def handle(self, call: Call) -> object:
        if call.number != _FUTEX[call.arch] or call.args[1] & _COMMAND != self.operation:
            return super().handle(call)
        if "hangs at the first question" in self.faults:
            self.waits.append(Wait(call, None))
            return SLEEP
        count = call.args[2] & 0xFFFFFFFF
        if not 0 < count <= self.most:
            return -errno.EINVAL
        layout = "=QII" if call.arch == X86_64 else "=I4xII" if self.padded else "=III"
        entries = []
        for index in range(count):
            address, value, bits = call.read(call.args[0] + index * struct.calcsize(layout), layout)
            if address % 4 or not bits:
                return -errno.EINVAL
            entries.append((address, value, bool(call.args[1] & _PRIVATE)))
        return self.sleep(call, entries, call.args[3], "=qq" if call.arch == X86_64 else "=ii", FutexWait)


class FutexWaitv(FutexKernel):
    """futex_waitv of Linux 5.16, for faults that the real one does not have."""

    def rules(self) -> list[Rule]:
        return [Rule(arch, _FUTEX_WAITV, NOTIFY) for arch in (X86_64, I386)] + super().rules()

    def handle(self, call: Call) -> object:
        if call.number != _FUTEX_WAITV:
            return super().handle(call)
        start, count, flags, timespec, clock = call.args[:5]
        if not 0 < count <= 128 or flags or not start:
            return -errno.EINVAL
        entries = []
        for index in range(count):
            value, address, flags, reserved = call.read(start + 24 * index, "=QQII")
            if flags & ~_PRIVATE != 2 or reserved or address % 4:
                return -errno.EINVAL
            entries.append((address, value, bool(flags & _PRIVATE)))
        self.timeouts = "absolute-monotonic" if clock == time.CLOCK_MONOTONIC else "absolute-realtime"
        return self.sleep(call, entries, timespec, "=qq", FutexWait)


class Futex2(FutexKernel):
    """The futex2 proposal of 2021, at the numbers that its first kernels had."""

    def __init__(self, *faults: str):
        files = {f"/sys/kernel/futex2/{name}": str(number) for name, number in _FUTEX2.items()}
        super().__init__(*faults, files=files)

    def rules(self) -> list[Rule]:
        calls = [Rule(arch, number, NOTIFY) for arch in (X86_64, I386) for number in _FUTEX2.values()]
        return calls + super().rules()

    def handle(self, call: Call) -> object:
        if call.number == _FUTEX2["wake"]:
            address, _count, flags = call.args[:3]
            return self.wake(call, address, not flags & 8, Futex2Wait) if flags & ~8 == 2 else -errno.EINVAL
        if call.number != _FUTEX2["waitv"]:
            return super().handle(call)
        start, count, flags, timespec = call.args[:4]
        if not 0 < count <= 128 or not start or flags & ~256:
            return -errno.EINVAL
        entries = []
        for index in range(count):
            address, value, entry_flags = call.read(start + 16 * index, "=QII")
            if entry_flags & ~8 != 2:
                return -errno.EINVAL
            entries.append((address, value, not entry_flags & 8))
        self.timeouts = "absolute-realtime" if flags else "absolute-monotonic"
        return self.sleep(call, entries, timespec, "=qq", Futex2Wait)


class Semaphore:
    def __init__(self, count: int, most: int):
        self.count, self.most = count, most

    def free(self, _owner: int) -> bool:
        return self.count > 0

    def take(self, _owner: int) -> bool:
        """Returns whether the object was abandoned by its owner."""
        self.count -= 1
        return False


class Mutex:
    def __init__(self) -> None:
        self.owner = self.count = 0
        self.dead = False

    def free(self, owner: int) -> bool:
        return self.owner in (0, owner)

    def take(self, owner: int) -> bool:
        dead, self.dead = self.dead, False
        self.owner, self.count = owner, self.count + 1
        return dead


class Event:
    def __init__(self, manual: bool):
        self.manual, self.set = manual, False

    def free(self, _owner: int) -> bool:
        return self.set

    def take(self, _owner: int) -> bool:
        self.set = self.manual
        return False


class ObjectWait(Wait):
    """For one of the objects, or for all `together`; `index_address` is where the index goes."""

    def __init__(
        self, call: Call, deadline: float | None, objects: list[Any], together: bool, owner: int, index_address: int
    ):
        super().__init__(call, deadline)
        self.objects, self.together, self.owner, self.index_address = objects, together, owner, index_address


class DeviceKernel(Kernel):
    """A driver with objects to wait for. `mode` and `loaded` are those of its device file."""

    name = ""
    kind = 0  # of its ioctl numbers

    def __init__(self, *faults: str, mode: int = 0o666, loaded: bool = True, listed: bool = False):
        super().__init__(*faults)
        self.path = f"/dev/{self.name}"
        self.mode = mode
        self.loaded = loaded
        if loaded:
            self.files[f"/sys/class/misc/{self.name}/dev"] = "10:120\n"
        if listed:
            self.files[f"/lib/modules/{os.uname().release}/modules.dep"] = (
                f"kernel/drivers/misc/{self.name}.ko.xz:\nkernel/drivers/net/dummy.ko:\n"
            )
        self.objects: dict[str, Any] = {}

    def rules(self) -> list[Rule]:
        ioctls = [Rule(arch, _IOCTL[arch], NOTIFY, 1, 0xFF00, self.kind << 8) for arch in (X86_64, I386)]
        return ioctls + super().rules()

    def handle(self, call: Call) -> object:
        if call.number != _IOCTL[call.arch]:
            return super().handle(call)
        target = os.readlink(f"/proc/{call.pid}/fd/{call.args[0]}").split(":")[-1].split(" ")[0]
        return self.ioctl(call, target, call.args[1] & 0xFFFFFFFF, call.args[2])

    def open(self, call: Call, path: str) -> object:
        if path != self.path:
            return super().open(call, path)
        if not self.loaded or "no node" in self.faults:
            return -errno.ENOENT
        if "no driver" in self.faults:
            return -errno.ENXIO
        if call.status("Uid") != 0 and not self.mode & stat.S_IROTH:
            return -errno.EACCES
        return self.answer_with_file(call, os.memfd_create("emulated:device"))

    def stat(self, call: Call, path: str) -> object:
        if path != self.path:
            return super().stat(call, path)
        if not self.loaded or "no node" in self.faults:
            return -errno.ENOENT
        buffer = bytearray(144)  # struct stat of x86-64; st_mode is at 24
        _libc.syscall(_NEWFSTATAT, -100, b"/dev/null", (ctypes.c_char * 144).from_buffer(buffer), 0)
        struct.pack_into("=I", buffer, 24, stat.S_IFCHR | self.mode)
        call.write(call.args[2], "144s", bytes(buffer))
        return 0

    def ioctl(self, call: Call, target: str, request: int, address: int) -> object:
        raise NotImplementedError

    def sleep(self, wait: ObjectWait) -> object:
        for fault, answer in (("EFAULT", -errno.EFAULT), ("EINTR", -errno.EINTR)):
            if fault in self.faults:
                return answer
        if "returns early" in self.faults and not self._ready(wait):
            wait.call.write(wait.index_address, "=I", 0)
            return 0
        if "timeouts at once" in self.faults and wait.deadline is not None and not self._ready(wait):
            return -errno.ETIMEDOUT
        self.waits.append(wait)
        self.settle()
        return SLEEP

    def _ready(self, wait: ObjectWait) -> bool:
        return (all if wait.together else any)(thing.free(wait.owner) for thing in wait.objects)

    def settle(self) -> None:
        """Let each wait end that can."""
        for wait in [wait for wait in self.waits if isinstance(wait, ObjectWait)]:
            if not self._ready(wait) or ("loses wakes" in self.faults and wait.deadline is None):
                continue
            self.waits.remove(wait)
            index = 0 if wait.together else next(i for i, thing in enumerate(wait.objects) if thing.free(wait.owner))
            taken = wait.objects if wait.together else [wait.objects[index]]
            if "takes one of all" in self.faults:
                taken = taken[:1]
            dead = False
            for thing in taken:
                dead |= thing.take(wait.owner)
            wrong = "wrong index" in self.faults and len(wait.objects) > 2
            wait.call.write(wait.index_address, "=I", (index + wrong) % len(wait.objects))
            self.answer(wait.call, -errno.EOWNERDEAD if dead and "forgets the dead" not in self.faults else 0)

    # What the ioctls do to an object; each returns the answer and what was there before.

    def release(self, semaphore: Semaphore, count: int) -> tuple[int, int]:
        before = semaphore.count
        if before + count > semaphore.most:
            return -errno.EOVERFLOW, 0
        semaphore.count += count
        return 0, before

    def unlock(self, mutex: Mutex, owner: int) -> tuple[int, int]:
        if mutex.owner != owner and "forgets owners" not in self.faults:
            return -errno.EPERM, 0
        before = mutex.count
        mutex.count -= 1
        mutex.owner = mutex.owner if mutex.count else 0
        return 0, before

    @staticmethod
    def kill(mutex: Mutex, owner: int) -> int:
        if mutex.owner != owner:
            return -errno.EPERM
        mutex.owner, mutex.count, mutex.dead = 0, 0, True
        return 0


class Ntsync(DeviceKernel):
    """/dev/ntsync of Linux 6.14; with `overlay`, that of linux-nspa, and with `aggregate`, its patch 1010."""

    name = "ntsync"
    kind = 0x4E

    def __init__(self, *faults: str, overlay: bool = False, aggregate: bool = True, **node: Any):
        super().__init__(*faults, **node)
        self.overlay, self.aggregate = overlay, aggregate
        self.sent: list[tuple[Call, int, int]] = []
        self.receiving: list[Call] = []
        self.dispatched: dict[int, Call] = {}

    def ioctl(self, call: Call, target: str, request: int, address: int) -> object:
        if "unfinished driver" in self.faults:
            return -errno.ENOTTY
        if target == "device":
            if request in (0x40084E80, 0x40084E84, 0x40084E87):
                first, second = call.read(address, "=II")
                makers = {0x80: lambda: Semaphore(first, second), 0x84: Mutex, 0x87: lambda: Event(bool(first))}
                return self._new(call, makers[request & 0xFF]())
            if request in (0xC0284E82, 0xC0284E83):
                return self._wait(call, request, address)
            if request == 0xC0084E90 and self.overlay:
                return self._new(call, "channel")
            if request == 0xC0284E97 and self.overlay and self.aggregate:
                return self._aggregate(call, address)
            return -errno.ENOTTY
        thing = self.objects[target]
        if thing == "channel":
            return self._channel(call, request, address)
        if request == 0xC0044E81:
            result, before = self.release(thing, call.read(address, "=I")[0])
            call.write(address, "=I", before)
        elif request == 0xC0084E85:
            result, before = self.unlock(thing, call.read(address, "=I")[0])
            call.write(address + 4, "=I", before)
        elif request == 0x40044E86:
            result = self.kill(thing, call.read(address, "=I")[0])
        elif request == 0x80044E88:
            call.write(address, "=I", thing.set)
            thing.set, result = True, 0
        else:
            return -errno.ENOTTY
        self.settle()
        return result

    def _new(self, call: Call, thing: Any) -> object:
        name = f"object{len(self.objects)}"
        self.objects[name] = thing
        return self.answer_with_file(call, os.memfd_create(f"emulated:{name}"))

    def _find(self, call: Call, descriptor: int) -> Any:
        return self.objects[os.readlink(f"/proc/{call.pid}/fd/{descriptor}").split(":")[-1].split(" ")[0]]

    def _deadline(self, moment: int, flags: int) -> float | None:
        if moment == 0xFFFFFFFFFFFFFFFF:
            return None
        return time.monotonic() + moment / 1e9 - (time.time() if flags else time.monotonic())

    def _wait(self, call: Call, request: int, address: int) -> object:
        moment, start, count, _index, flags, owner, alert, pad = call.read(address, "=QQIIIIII")
        if pad or flags & ~1 or not owner or count > 64:
            return -errno.EINVAL
        objects = [self._find(call, descriptor) for descriptor in call.read(start, f"={count}I")]
        if alert:
            objects.append(self._find(call, alert))
        wait = ObjectWait(call, self._deadline(moment, flags), objects, request == 0xC0284E83, owner, address + 20)
        return self.sleep(wait)

    def _aggregate(self, call: Call, address: int) -> object:
        moment, start, count, _index, flags, owner, _events, pad = call.read(address, "=QQIIIIII")
        if pad or not 0 < count <= 64:
            return -errno.EINVAL
        sources = [call.read(start + 16 * index, "=IIII") for index in range(count)]
        if any(kind != 1 or events or pad for kind, events, _descriptor, pad in sources):
            return -errno.EINVAL
        objects = [self._find(call, descriptor) for _kind, _events, descriptor, _pad in sources]
        return self.sleep(ObjectWait(call, self._deadline(moment, flags), objects, False, owner, address + 20))

    def _channel(self, call: Call, request: int, address: int) -> object:
        if request == 0xC0184E91:
            _policy, _priority, payload, reply = call.read(address, "=IIQQ")
            if "garbles messages" in self.faults:
                payload += 1
            self.sent.append((call, payload, reply))
        elif request == 0xC0204E92:
            self.receiving.append(call)
        elif request == 0x40084E93:
            if "no replies" not in self.faults:
                self.answer(self.dispatched.pop(call.read(address, "=Q")[0]), 0)
            return 0
        else:
            return -errno.ENOTTY
        if self.sent and self.receiving:
            sender, payload, reply = self.sent.pop()
            receiver = self.receiving.pop()
            entry = len(self.dispatched) + 7
            self.dispatched[entry] = sender
            receiver.write(receiver.args[2], "=QQQII", entry, payload, reply, sender.pid, 0)
            self.answer(receiver, 0)
        return SLEEP


class Winesync(DeviceKernel):
    """/dev/winesync: of 2022, or of 2021, without events and with a longer wait."""

    name = "winesync"
    kind = 0xF7

    def __init__(self, *faults: str, events: bool = True, **node: Any):
        super().__init__(*faults, **node)
        self.events = events
        self.things: list[Any] = []

    def ioctl(self, call: Call, target: str, request: int, address: int) -> object:
        waits = (0xC020F703, 0xC020F704) if self.events else (0xC030F703, 0x4030F704)
        if request in waits:
            return self._wait(call, request == waits[1], address)
        if request == 0x4004F707:
            for thing in self.things:
                if isinstance(thing, Mutex):
                    self.kill(thing, call.read(address, "=I")[0])
            return 0
        known = {0xC00CF700, 0xC00CF702, 0xC00CF705, 0xC00CF706} | ({0xC00CF70A, 0xC00CF70B} if self.events else set())
        if request not in known:
            return -errno.ENOSYS
        handle, first, second = call.read(address, "=III")
        action, result, before = request & 0xFF, 0, 0
        if action in (0, 5, 10):
            makers = {0: lambda: Semaphore(first, second), 5: Mutex, 10: lambda: Event(bool(first))}
            self.things.append(makers[action]())
            call.write(address, "=I", len(self.things) - 1)
        elif action == 2:
            result, before = self.release(self.things[handle], first)
            call.write(address + 4, "=I", before)
        elif action == 6:
            result, before = self.unlock(self.things[handle], first)
            call.write(address + 8, "=I", before)
        else:
            call.write(address + 8, "=I", self.things[handle].set)
            self.things[handle].set = True
        self.settle()
        return result

    def _wait(self, call: Call, together: bool, address: int) -> object:
        start = address if self.events else address + 16
        timespec, list_address, count, owner, _index, alert = call.read(start, "=QQIIII")
        if not owner:
            return -errno.EINVAL
        deadline = None
        if timespec:
            seconds, nanoseconds = call.read(timespec, "=qq")
            deadline = seconds + nanoseconds / 1e9
        objects = [self.things[handle] for handle in call.read(list_address, f"={count}I")]
        if self.events and alert:
            objects.append(self.things[alert])
        return self.sleep(ObjectWait(call, deadline, objects, together, owner, start + 24))
