# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How to talk to the kernel: system call numbers, memory that 32-bit code can reach, and the calls themselves.

Every call returns what the kernel itself returns: a value of zero or more, or a negated errno.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import mmap
import os
import re
import struct
import time
import warnings
from typing import Optional

# System call numbers: arch/x86/entry/syscalls/syscall_{64,32}.tbl and include/uapi/asm-generic/unistd.h of Linux 6.14.
# On 32-bit machines `futex` is the call with the 32-bit timespec, as a 32-bit Wine uses it.
SYSCALLS = {
    "x86_64": {"futex": 202, "futex_waitv": 449, "ioctl": 16},
    "i386": {"futex": 240, "futex_waitv": 449, "ioctl": 54},
    "aarch64": {"futex": 98, "futex_waitv": 449, "ioctl": 29},
    "arm": {"futex": 240, "futex_waitv": 449, "ioctl": 54},
    "riscv64": {"futex": 98, "futex_waitv": 449, "ioctl": 29},
    "loongarch64": {"futex": 98, "futex_waitv": 449, "ioctl": 29},
}

# include/uapi/linux/futex.h
FUTEX_WAKE = 1
FUTEX_PRIVATE_FLAG = 128

_MAP_32BIT = 0x40  # arch/x86/include/uapi/asm/mman.h: below 2 GiB, where 32-bit system calls can reach it
_MFD_CLOEXEC, _MFD_EXEC = 1, 16  # include/uapi/linux/memfd.h
_PR_SET_PDEATHSIG, _PR_SET_TIMERSLACK = 1, 29  # include/uapi/linux/prctl.h

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.syscall.argtypes = [ctypes.c_long] * 7
_libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
_libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4


class Memory:
    """A block of memory with a known address, in bytes; `shared` memory is seen by forked children too."""

    def __init__(self, size: int, low: bool = False, shared: bool = False):
        kind = mmap.MAP_SHARED if shared else mmap.MAP_PRIVATE
        flags = kind | mmap.MAP_ANONYMOUS | (_MAP_32BIT if low else 0)
        self.map = mmap.mmap(-1, size, flags=flags)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.map))

    def write(self, offset: int, data: bytes) -> int:
        """Write `data` and return the address where it stands."""
        self.map[offset : offset + len(data)] = data
        return self.address + offset


class Abi:
    """One way into the kernel: the native system calls, or those that a 32-bit program makes."""

    def __init__(self, name: str):
        self.name = name
        self.pointer_bytes = 4 if name in ("i386", "arm") else 8
        self.numbers = SYSCALLS[name]
        self.low_memory = False

    def call(self, number: int, *arguments: int) -> int:
        result: int = _libc.syscall(number, *(arguments + (0,) * (6 - len(arguments))))
        return result if result >= 0 else -ctypes.get_errno()

    def memory(self, size: int, shared: bool = False) -> Memory:
        return Memory(size, self.low_memory, shared)

    def ioctl(self, descriptor: int, request: int, argument: int) -> int:
        return self.call(self.numbers["ioctl"], descriptor, request, argument)

    def futex(self, address: int, operation: int, value: int, timeout: int = 0) -> int:
        return self.call(self.numbers["futex"], address, operation, value, timeout, 0, 0)

    def futex_wake(self, address: int, shared: bool, count: int = 1) -> int:
        """Wake `count` waiters on the word at `address`; returns how many were woken."""
        return self.futex(address, FUTEX_WAKE | (0 if shared else FUTEX_PRIVATE_FLAG), count)

    def old_timespec(self, nanoseconds: int) -> bytes:
        """The timespec of `futex`: its fields are as wide as a pointer."""
        layout = "=qq" if self.pointer_bytes == 8 else "=ii"
        return struct.pack(layout, *divmod(nanoseconds, 1000000000))


class I386OnX8664(Abi):
    """The 32-bit system calls of an x86-64 kernel, reached from this 64-bit process.

    `int 0x80` takes the same path into the kernel as in a 32-bit program: the i386 table, compat structures, and
    AUDIT_ARCH_I386 in a seccomp filter. A kernel without it raises SIGSEGV: only call it in a process that may die.
    """

    _CODE = bytes.fromhex(
        "53"  # push rbx
        "55"  # push rbp
        "8b07"  # mov eax, [rdi]
        "8b5f04"  # mov ebx, [rdi+4]
        "8b4f08"  # mov ecx, [rdi+8]
        "8b570c"  # mov edx, [rdi+12]
        "8b7710"  # mov esi, [rdi+16]
        "8b6f18"  # mov ebp, [rdi+24]
        "8b7f14"  # mov edi, [rdi+20]
        "cd80"  # int 0x80
        "5d"  # pop rbp
        "5b"  # pop rbx
        "c3"  # ret
    )

    def __init__(self) -> None:
        super().__init__("i386")
        self.low_memory = True
        self._stub = Memory(mmap.PAGESIZE)
        self._stub.write(0, self._CODE)
        if _libc.mprotect(self._stub.address, mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_EXEC) != 0:
            raise OSError(ctypes.get_errno(), "no executable memory for a 32-bit system call")
        self._enter = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(self._stub.address)

    def call(self, number: int, *arguments: int) -> int:
        words = (ctypes.c_uint32 * 7)(number, *arguments, *(0,) * (6 - len(arguments)))
        result: int = self._enter(ctypes.addressof(words))
        return result

    def process_id(self) -> int:
        return self.call(20)  # getpid in syscall_32.tbl


def native_abi_name() -> str:
    """The name in SYSCALLS for this process, or '' if its numbers are not known here."""
    machine = os.uname().machine
    if struct.calcsize("P") == 8:
        return machine if machine in SYSCALLS and machine != "i386" else ""
    if machine == "x86_64" or re.match(r"i\d86$", machine):
        return "i386"
    return "arm" if machine.startswith(("arm", "aarch64")) else ""


@functools.lru_cache(maxsize=None)
def runs_i386_programs() -> Optional[bool]:
    """Whether this x86-64 kernel starts a 32-bit program: starts one that only exits. None if that cannot be tried."""
    base, headers = 0x08048000, 52 + 2 * 32
    code = bytes.fromhex("b80100000031dbcd80")  # mov eax, 1 (exit); xor ebx, ebx; int 0x80
    size = headers + len(code)
    image = b"\x7fELF\x01\x01\x01".ljust(16, b"\0")
    image += struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, base + headers, 52, 0, 0, 52, 32, 2, 0, 0, 0)
    image += struct.pack("<IIIIIIII", 1, 0, base, base, size, size, 5, 4096)  # PT_LOAD, to read and execute
    image += struct.pack("<IIIIIIII", 0x6474E551, 0, 0, 0, 0, 0, 6, 16)  # PT_GNU_STACK, not to execute
    image += code
    try:
        try:
            program = os.memfd_create("i386", _MFD_CLOEXEC | _MFD_EXEC)
        except OSError:  # before Linux 6.3
            program = os.memfd_create("i386", _MFD_CLOEXEC)
        os.write(program, image)
    except OSError:
        return None
    child = fork()
    if child == 0:
        status = 2
        try:
            os.execve(f"/proc/self/fd/{program}", ["i386"], {})
        except OSError as error:
            status = 1 if error.errno == errno.ENOEXEC else 2
        finally:
            os._exit(status)
    os.close(program)
    _pid, status = os.waitpid(child, 0)
    return {0: True, 1: False}.get(os.WEXITSTATUS(status)) if os.WIFEXITED(status) else None


def fork() -> int:
    """os.fork without Python's warning about threads: the children here run only code that is made for it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def die_with_parent(parent: int) -> None:
    """Let the kernel kill this forked child when its parent is gone."""
    _libc.prctl(_PR_SET_PDEATHSIG, 9, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def sleep_precisely() -> None:
    """Let short sleeps of this process end when they should, not up to 50 µs later."""
    _libc.prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)


def errno_name(result: int) -> str:
    """'EINVAL' for -22; '0', '3' for results that are no error."""
    return errno.errorcode.get(-result, str(result)) if result < 0 else str(result)


def timespec64(nanoseconds: int) -> bytes:
    """`struct __kernel_timespec`: two 64-bit fields on every architecture."""
    return struct.pack("=qq", *divmod(nanoseconds, 1000000000))


def now(clock: int = time.CLOCK_MONOTONIC) -> int:
    """Nanoseconds on `clock`."""
    return time.clock_gettime_ns(clock)
