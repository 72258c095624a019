# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disturb a program, and all that it starts, at one system call that writes.

A seccomp filter hands each such call of each process to us before it is done (seccomp(2), SECCOMP_RET_TRACE), by
ptrace(2). So "the 12th of dpkg" is the same call in every run, and at that very point a process can be killed, alone
or with all others, or the call can fail. strace's --inject counts for each process apart, cannot kill all of them at
once, and does not know on which file system a call writes. Numbers and structs are those of x86-64.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import signal
import struct
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

#: Calls that write, by number, and where each one says to what: the place of a descriptor, or of a path, with that of
#: the descriptor that it is relative to (-1: the working directory). asm/unistd_64.h.
FD, PATH = "fd", "path"
CALLS: Dict[int, Tuple[str, str, int, int]] = {
    1: ("write", FD, 0, -1),
    2: ("open", PATH, 0, -1),
    18: ("pwrite64", FD, 0, -1),
    20: ("writev", FD, 0, -1),
    40: ("sendfile", FD, 0, -1),
    74: ("fsync", FD, 0, -1),
    75: ("fdatasync", FD, 0, -1),
    76: ("truncate", PATH, 0, -1),
    77: ("ftruncate", FD, 0, -1),
    82: ("rename", PATH, 1, -1),
    83: ("mkdir", PATH, 0, -1),
    84: ("rmdir", PATH, 0, -1),
    85: ("creat", PATH, 0, -1),
    86: ("link", PATH, 1, -1),
    87: ("unlink", PATH, 0, -1),
    88: ("symlink", PATH, 1, -1),
    90: ("chmod", PATH, 0, -1),
    91: ("fchmod", FD, 0, -1),
    92: ("chown", PATH, 0, -1),
    93: ("fchown", FD, 0, -1),
    94: ("lchown", PATH, 0, -1),
    188: ("setxattr", PATH, 0, -1),
    189: ("lsetxattr", PATH, 0, -1),
    190: ("fsetxattr", FD, 0, -1),
    197: ("removexattr", PATH, 0, -1),
    198: ("lremovexattr", PATH, 0, -1),
    199: ("fremovexattr", FD, 0, -1),
    257: ("openat", PATH, 1, 0),
    258: ("mkdirat", PATH, 1, 0),
    260: ("fchownat", PATH, 1, 0),
    263: ("unlinkat", PATH, 1, 0),
    264: ("renameat", PATH, 3, 2),
    265: ("linkat", PATH, 3, 2),
    266: ("symlinkat", PATH, 2, 1),
    268: ("fchmodat", PATH, 1, 0),
    277: ("sync_file_range", FD, 0, -1),
    280: ("utimensat", PATH, 1, 0),
    285: ("fallocate", FD, 0, -1),
    316: ("renameat2", PATH, 3, 2),
    326: ("copy_file_range", FD, 2, -1),
}
#: Of these, only with flags that write: the place of the flags.
_FLAGS = {2: 1, 257: 2}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC

#: With what a call can fail at all, as its manual page says; a read-only file system refuses no write(2) to a file
#: that is open for it.
_SPACE = {
    *("write", "pwrite64", "writev", "sendfile", "copy_file_range", "fallocate", "open", "openat", "creat"),
    *("mkdir", "mkdirat", "symlink", "symlinkat", "link", "linkat", "rename", "renameat", "renameat2"),
    *("setxattr", "lsetxattr", "fsetxattr"),
}
_DATA = {"write", "pwrite64", "writev", "sendfile", "copy_file_range", "fsync", "fdatasync", "ftruncate", "fallocate"}
FAULTS = {
    "ENOSPC": _SPACE,
    "EDQUOT": _SPACE,
    "EROFS": {name for name, *_rest in CALLS.values()} - _DATA - {"sync_file_range"},
    "EIO": {name for name, *_rest in CALLS.values()} - {"sync_file_range"},
}

#: The key of all calls that write, beside those of the errors.
ALL = "all"

_ALLOW, _TRACE, _X86_64 = 0x7FFF0000, 0x7FF00000, 0xC000003E
_GETREGS, _SETREGS, _CONT, _SEIZE, _LISTEN = 12, 13, 7, 0x4206, 0x4208
_FORK, _VFORK, _CLONE, _EXEC, _SECCOMP, _STOP = 1, 2, 3, 4, 7, 128
_OPTIONS = (1 << _FORK) | (1 << _VFORK) | (1 << _CLONE) | (1 << _EXEC) | (1 << _SECCOMP) | (1 << 20)  # EXITKILL
#: struct user_regs_struct: rdi, rsi, rdx, r10, r8, r9 in the order of a call's arguments; the call; its answer.
_ARGUMENTS, _NUMBER, _ANSWER = (14, 13, 12, 7, 9, 8), 15, 10

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
_libc.ptrace.restype = ctypes.c_long


class Aim(NamedTuple):
    """What to do at the n-th call (from 1) of the processes of one program that writes to the machine's files.

    `what`: "alone" kills that process, "all" every process; otherwise the name of an error. Errors count, and meet,
    only calls that can have them; `lasting`: all later ones of all programs too.
    """

    program: str
    number: int
    what: str
    lasting: bool = False

    @property
    def kills(self) -> bool:
        return self.what in ("alone", "all")


@dataclass
class Traced:
    """What came of a run: the exit status of the program (as of a shell), and what it said.

    `calls`: how many calls each program made that write to the machine's files; under the name of an error, those that
    it can meet. `hit`: the call that was disturbed, empty if it was not reached.
    """

    code: int = 0
    stdout: str = ""
    stderr: str = ""
    calls: Dict[str, Dict[str, int]] = field(default_factory=dict)
    hit: str = ""


class Run:
    """A program that runs under the tracer, which is a process of its own.

    `ended` returns when the program itself has; what it started may still be at work, until `over` returns.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], folders: Sequence[str], aim: Optional[Aim]
    ) -> None:
        request = json.dumps([list(command), dict(environment), list(folders), aim])
        self._process = subprocess.Popen(
            [sys.executable, "-IBS", __file__, request],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,
        )

    def ended(self) -> None:
        """Wait until the program itself has ended."""
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def over(self, timeout: float = 300) -> Traced:
        """Wait until all that it started has ended, too."""
        timer = threading.Timer(timeout, self._process.kill)  # and with it, by EXITKILL, all that it traces
        timer.start()
        with self._process as process:
            assert process.stdout is not None
            lines = process.stdout.read().splitlines()
        timer.cancel()
        if process.returncode:
            return Traced(
                124, stderr=f"its tracer ended with {process.returncode}; -9: it took more than {timeout:g} s"
            )
        return Traced(**json.loads(lines[-1]))


def unavailable() -> str:
    """Why programs cannot be traced on this machine; empty if they can."""
    if os.uname().machine != "x86_64":
        return "the tracer speaks x86-64 only"
    if os.geteuid() != 0:
        return "it needs root, for the machine in the folder"
    done = Run(["/bin/sh", "-c", "echo said > /dev/null; exit 7"], {}, ["/dev"], None).over()
    return "" if done.code == 7 and done.calls.get(ALL) else f"ptrace(2) does not work here: {done}"


# -- in the process that traces


def _filter() -> bytes:
    """A BPF program that hands over what writes (struct sock_filter, seccomp_data: number, architecture, arguments)."""
    load, equal, masked, give = 0x20, 0x15, 0x45, 0x06
    program = struct.pack("=HBBI", load, 0, 0, 4) + struct.pack("=HBBI", equal, 1, 0, _X86_64)
    program += struct.pack("=HBBI", give, 0, 0, _ALLOW) + struct.pack("=HBBI", load, 0, 0, 0)
    for number in CALLS:
        if number in _FLAGS:
            steps = [(equal, 0, 4, number), (load, 0, 0, 16 + 8 * _FLAGS[number]), (masked, 0, 1, _WRITING)]
            steps += [(give, 0, 0, _TRACE), (give, 0, 0, _ALLOW)]
        else:
            steps = [(equal, 0, 1, number), (give, 0, 0, _TRACE)]
        program += b"".join(struct.pack("=HBBI", *step) for step in steps)
    return program + struct.pack("=HBBI", give, 0, 0, _ALLOW)


def _install_filter() -> None:
    program = _filter()
    buffer = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog; PR_SET_SECCOMP, SECCOMP_MODE_FILTER. As root, so that set-user-ID programs keep their rights.
    fprog = ctypes.create_string_buffer(struct.pack("=HxxxxxxQ", len(program) // 8, ctypes.addressof(buffer)))
    if _libc.prctl(22, 2, fprog, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "PR_SET_SECCOMP")


def _ptrace(request: int, pid: int, address: Any = None, data: Any = None) -> None:
    if _libc.ptrace(request, pid, address, data) == -1:
        raise OSError(ctypes.get_errno(), f"ptrace {request}: {os.strerror(ctypes.get_errno())}")


class _Tracer:
    def __init__(self, folders: Sequence[str], aim: Optional[Aim]) -> None:
        self.folders, self.aim = tuple(folders), aim
        self.calls: Dict[str, Dict[str, int]] = {name: {} for name in (ALL, *FAULTS)}
        self.hit = ""
        self.tracees: Set[int] = set()
        self.code = 0

    def run(self, main: int) -> None:
        """Trace a process that waits to be continued, and all that it starts, to the end of the last one."""
        _ptrace(_SEIZE, main, None, _OPTIONS)
        self.tracees.add(main)
        os.kill(main, signal.SIGCONT)
        while self.tracees:
            pid, status = os.waitpid(-1, 0x40000000)  # __WALL
            if os.WIFSTOPPED(status):
                self.tracees.add(pid)
                try:
                    self._stopped(pid, status)
                except OSError as error:
                    if error.errno not in (errno.ESRCH, errno.ENOENT):
                        raise
            else:
                self.tracees.discard(pid)
                if pid == main:
                    self.code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
                    print("ended", flush=True)

    def _stopped(self, pid: int, status: int) -> None:
        event, number = status >> 16, os.WSTOPSIG(status)
        if event == _SECCOMP:
            self._call(pid)
            _ptrace(_CONT, pid)
        elif event == _STOP and number in (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU):
            _ptrace(_LISTEN, pid)
        else:
            _ptrace(_CONT, pid, None, None if event else number)

    def _call(self, pid: int) -> None:
        registers = ctypes.create_string_buffer(27 * 8)
        _ptrace(_GETREGS, pid, None, registers)
        values = list(struct.unpack("=27Q", registers))
        name, kind, place, base = CALLS[values[_NUMBER]]
        program = os.path.basename(os.readlink(f"/proc/{pid}/exe"))
        target = _target(pid, kind, [values[index] for index in _ARGUMENTS], place, base)
        here = any(target == folder or target.startswith(f"{folder}/") for folder in self.folders)
        if not here:
            return
        for key in (ALL, *(error for error, names in FAULTS.items() if name in names)):
            self.calls[key][program] = self.calls[key].get(program, 0) + 1
            if self._is_met(key, program):
                self.hit = self.hit or f"{program}: {name} {target}"
                self._disturb(pid, values)

    def _is_met(self, key: str, program: str) -> bool:
        aim = self.aim
        if aim is None or key != (ALL if aim.kills else aim.what):
            return False
        if self.hit:
            return aim.lasting
        return (program, self.calls[key][program]) == (aim.program, aim.number)

    def _disturb(self, pid: int, values: List[int]) -> None:
        assert self.aim is not None
        if self.aim.kills:
            for victim in self.tracees if self.aim.what == "all" else {pid}:
                os.kill(victim, signal.SIGKILL)
            return
        # The call is left out, and has this answer.
        values[_NUMBER], values[_ANSWER] = (1 << 64) - 1, (1 << 64) - getattr(errno, self.aim.what)
        _ptrace(_SETREGS, pid, None, ctypes.create_string_buffer(struct.pack("=27Q", *values)))


def _target(pid: int, kind: str, arguments: List[int], place: int, base: int) -> str:
    """What a call writes to, as its process sees it; empty where that cannot be told."""
    try:
        if kind == FD:
            return os.readlink(f"/proc/{pid}/fd/{arguments[place] & 0xFFFFFFFF}")
        with open(f"/proc/{pid}/mem", "rb", 0) as memory:
            memory.seek(arguments[place])
            path = os.fsdecode(memory.read(4096).split(b"\0", 1)[0])
        if path.startswith("/"):
            return os.path.normpath(path)
        descriptor = ctypes.c_int(arguments[base]).value if base >= 0 else -100  # AT_FDCWD
        start = "cwd" if descriptor == -100 else f"fd/{descriptor}"
        return os.path.normpath(f"{os.readlink(f'/proc/{pid}/{start}')}/{path}")
    except OSError:
        return ""


def _main(request: str) -> None:
    command, environment, folders, aim = json.loads(request)
    outputs = [os.memfd_create(name) for name in ("stdout", "stderr")]
    main = os.fork()
    if main == 0:
        try:
            os.dup2(outputs[0], 1)
            os.dup2(outputs[1], 2)
            # Until we are traced.
            os.kill(os.getpid(), signal.SIGSTOP)
            _install_filter()
            os.execvpe(command[0], command, environment)
        except OSError as error:
            os.write(2, f"{error}\n".encode())
        os._exit(127)
    os.waitpid(main, os.WUNTRACED)
    tracer = _Tracer(folders, Aim(*aim) if aim else None)
    tracer.run(main)
    texts = []
    for output in outputs:
        os.lseek(output, 0, os.SEEK_SET)
        with os.fdopen(output, "rb") as stream:
            texts.append(stream.read().decode("utf-8", "replace"))
    print(json.dumps(vars(Traced(tracer.code, *texts, tracer.calls, tracer.hit))), flush=True)


if __name__ == "__main__":
    _main(sys.argv[1])
