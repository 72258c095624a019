# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let the file system fail below some work: once, at its n-th step, or in every write from there on."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, Callable, NamedTuple

from ansible_collections.nspa.proaudio.plugins.module_utils._core.errors import HostError

WRITES = {
    "os.chmod",
    "os.chown",
    "os.link",
    "os.mkdir",
    "os.remove",
    "os.removexattr",
    "os.rename",
    "os.rmdir",
    "os.setxattr",
    "os.symlink",
    "os.utime",
}
#: What Python does not announce to its audit hooks.
SILENT = {"stat": False, "lstat": False, "fstat": False, "readlink": False, "write": True, "fsync": True}


class Fault(NamedTuple):
    """What came of it: whether the fault was met, and the error that the work ended with ("": none)."""

    hit: bool
    message: str


def failing_at(step: int, code: int, folder: Path, work: Callable[[], Any], lasting: bool = False) -> Fault:
    """Do some work in a process of its own whose n-th access to the file system below `folder` fails with an errno.

    lasting: from there on all that would write fails, as on a disk that is full or was mounted read-only. An error
    other than HostError is a failure of the test.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        os.write(writer, json.dumps(_ended(_Faults(step, code, folder, lasting), work)).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        said = stream.read()
    os.waitpid(child, 0)
    hit, message, by_itself = json.loads(said)
    assert not by_itself, f"step {step}, {os.strerror(code)}: {message}"
    return Fault(hit, message)


def _ended(faults: _Faults, work: Callable[[], Any]) -> list:
    faults.begin()
    try:
        work()
    except HostError as error:
        return [faults.count >= faults.step, str(error), False]
    except BaseException as error:
        import traceback

        return [True, f"{error!r}\n{''.join(traceback.format_tb(error.__traceback__))}", True]
    finally:
        faults.over = True
    return [faults.count >= faults.step, "", False]


class _Faults:
    def __init__(self, step: int, code: int, folder: Path, lasting: bool) -> None:
        self.step, self.code, self.folder, self.lasting = step, code, str(folder), lasting
        self.count, self.over = 0, False

    def begin(self) -> None:
        for name, writes in SILENT.items():
            setattr(os, name, self._wrapped(getattr(os, name), writes))
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple) -> None:
        if event == "open":
            self._met(arguments[0], bool(arguments[2] & (os.O_WRONLY | os.O_RDWR)))
        elif event.startswith(("os.", "fcntl.")) and arguments:
            self._met(arguments[0], event in WRITES)

    def _wrapped(self, function: Callable, writes: bool) -> Callable:
        def failing(place: Any, *arguments: Any, **options: Any) -> Any:
            self._met(place, writes)
            return function(place, *arguments, **options)

        return failing

    def _met(self, place: Any, writes: bool) -> None:
        here = isinstance(place, int) or os.fsdecode(place).startswith(self.folder)
        if self.over or not here or (self.lasting and not writes):
            return
        self.count += 1
        if self.count == self.step or (self.lasting and self.count > self.step):
            raise OSError(self.code, os.strerror(self.code), place if isinstance(place, str) else None)
