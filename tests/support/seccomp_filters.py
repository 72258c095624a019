# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seccomp filters for tests: a function runs in a child whose system calls are answered by something else.

Numbers and structs: include/uapi/linux/{seccomp,filter,bpf_common,audit,prctl}.h.
"""

from __future__ import annotations

import array
import ctypes
import json
import os
import platform
import signal
import socket
import struct
from contextlib import suppress
from typing import Any, Callable, NamedTuple

ALLOW, NOTIFY, KILL = 0x7FFF0000, 0x7FC00000, 0x80000000
X86_64, I386 = 0xC000003E, 0x40000003  # AUDIT_ARCH_*

_PR_SET_NO_NEW_PRIVS = 38
_SYS_SECCOMP = 317
_SET_MODE_FILTER, _NEW_LISTENER = 1, 8

_libc = ctypes.CDLL(None, use_errno=True)


def errno_action(number: int) -> int:
    """SECCOMP_RET_ERRNO."""
    return 0x00050000 | number


class Rule(NamedTuple):
    """What to do with a system call of an architecture, if an argument has a value under a mask."""

    arch: int
    number: int
    action: int
    argument: int = -1
    mask: int = 0xFFFFFFFF
    value: int = 0


def assemble(rules: list[Rule]) -> bytes:
    """A BPF program of `struct sock_filter` that applies the first rule that fits, and allows the rest."""
    load, jump_if, and_with, give = 0x20, 0x15, 0x54, 0x06
    program = b""
    for rule in rules:
        steps = [(load, 4), (jump_if, rule.arch), (load, 0), (jump_if, rule.number)]
        if rule.argument >= 0:
            steps += [(load, 16 + 8 * rule.argument), (and_with, rule.mask), (jump_if, rule.value)]
        steps.append((give, rule.action))
        for place, (code, value) in enumerate(steps):
            miss = len(steps) - 1 - place if code == jump_if else 0
            program += struct.pack("=HBBI", code, 0, miss, value)
    return program + struct.pack("=HBBI", give, 0, 0, ALLOW)


def install(rules: list[Rule], listen: bool = False) -> int:
    """Put the filter on this thread and its children for ever; returns the listener, if asked for one."""
    program = assemble(rules)
    buffer = ctypes.create_string_buffer(program, len(program))

    class SockFprog(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    fprog = SockFprog(len(program) // 8, ctypes.addressof(buffer))
    if _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "PR_SET_NO_NEW_PRIVS")
    result = _libc.syscall(_SYS_SECCOMP, _SET_MODE_FILTER, _NEW_LISTENER if listen else 0, ctypes.byref(fprog))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(result)


def run(
    rules: list[Rule],
    function: Callable[[], Any],
    supervise: Callable[[int, int], None] | None = None,
    before: Callable[[], None] | None = None,
) -> Any:
    """Run `function` in a child under the filter and return its result, which JSON must be able to carry.

    `supervise` gets the listener and the child's process id, and must return when the listener hangs up. `before` is
    run in the child before the filter is on.
    """
    reader, writer = os.pipe()
    here, there = socket.socketpair()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.alarm(120)
            os.close(reader)
            here.close()
            if before:
                before()
            listener = install(rules, listen=supervise is not None)
            if supervise:
                there.sendmsg([b"!"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [listener]))])
                os.close(listener)
            there.close()
            with os.fdopen(writer, "w") as pipe:
                json.dump(function(), pipe)
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    there.close()
    try:
        if supervise:
            _data, ancillary, _flags, _address = here.recvmsg(1, socket.CMSG_SPACE(4))
            if not ancillary:
                raise RuntimeError("the child could not install the filter")
            listener = struct.unpack("i", ancillary[0][2])[0]
            try:
                supervise(listener, child)
            finally:
                os.close(listener)
        with os.fdopen(reader) as pipe:
            answer = pipe.read()
    finally:
        here.close()
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        _pid, status = os.waitpid(child, 0)
    if not answer:
        raise RuntimeError(f"the child under the filter ended with status {status:#x} and no result")
    return json.loads(answer)


def unavailable() -> str:
    """Why filters with a supervisor cannot be used on this machine; '' if they can."""
    if platform.machine() != "x86_64":
        return "the emulated kernel speaks x86-64 only"
    try:
        with open("/proc/sys/kernel/seccomp/actions_avail", encoding="ascii") as file:
            if "user_notif" not in file.read():
                return "this kernel has no seccomp user notification"
        return "" if run([], lambda: True, supervise=lambda _listener, _child: None) else "filters do nothing"
    except (OSError, RuntimeError) as error:
        return f"seccomp filters may not be installed here: {error}"
