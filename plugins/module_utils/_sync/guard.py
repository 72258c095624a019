# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run jobs that may hang, crash or be killed, in a child process that cannot outlive its deadline.

The child says over a pipe what it is about to do and what it has seen so far. Where it falls silent or dies, that
step is the evidence, the child is killed, and a new one does the remaining jobs.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import time
import warnings
from pathlib import Path
from typing import Any, Callable, Dict

from ansible_collections.nspa.proaudio.plugins.module_utils._sync.abi import die_with_parent, fork, sleep_precisely

DONE = "done"
STUCK = "stuck"  # no word within the deadline
KILLED = "killed"  # died of a signal; `detail` is its name
FAILED = "failed"  # raised an exception; `detail` is its text
REFUSED = "refused"  # no child could be started at all; `detail` says why


class Trail:
    """What a job has done: `facts` are what it saw, `step` says what it does next."""

    def __init__(self, pipe: int, job: str):
        self._pipe = pipe
        self._job = job
        self._step = ""
        self.facts: Dict[str, Any] = {}

    def step(self, text: str) -> None:
        self._step = text
        self._send("")

    def end(self, how: str, detail: str = "") -> None:
        self._send(how, detail)

    def _send(self, end: str, detail: str = "") -> None:
        message = {"job": self._job, "step": self._step, "facts": self.facts, "end": end, "detail": detail}
        data = json.dumps(message).encode() + b"\n"
        while data:
            data = data[os.write(self._pipe, data) :]


Job = Callable[[Trail], None]
Outcome = Dict[str, Any]  # `facts`, `step` (the last), `end` (see above) and its `detail`


def run(jobs: Dict[str, Job], deadline: float) -> Dict[str, Outcome]:
    """Run each job; return by name what is known of it.

    A job that says nothing for `deadline` seconds is given up. Nothing is raised for what a job does.
    """
    outcomes: Dict[str, Outcome] = {}
    while len(outcomes) < len(jobs):
        remaining = {name: job for name, job in jobs.items() if name not in outcomes}
        outcomes.update(_run_in_one_child(remaining, deadline))
    return outcomes


def _run_in_one_child(jobs: Dict[str, Job], deadline: float) -> Dict[str, Outcome]:
    """Outcomes of the jobs up to the first that does not end by itself; at least one."""
    current = {"job": next(iter(jobs)), "step": "", "facts": {}, "end": "", "detail": ""}
    parent = os.getpid()
    try:
        reader, writer = os.pipe()
        try:
            child = fork()
        except OSError:
            os.close(reader)
            os.close(writer)
            raise
    except OSError as error:
        return {name: dict(current, job=name, end=REFUSED, detail=error.strerror) for name in jobs}
    if child == 0:
        try:
            die_with_parent(parent)
            _let_go_of_everything_but(writer)
            _child(jobs, writer)
        finally:
            os._exit(0)
    os.close(writer)
    outcomes = {}
    end = STUCK
    try:
        for message in _messages(reader, deadline):
            if message["end"]:
                outcomes[message["job"]] = message
                left = [name for name in jobs if name not in outcomes]
                current = {"job": left[0] if left else "", "step": "", "facts": {}, "detail": ""}
            else:
                current = message
        end = KILLED
    except TimeoutError:
        pass
    finally:
        os.close(reader)
        detail = _bury(child, kill=end == STUCK)
    if len(outcomes) < len(jobs):
        outcomes[current["job"]] = dict(current, end=end, detail=detail)
    return outcomes


def _let_go_of_everything_but(pipe: int) -> None:
    """Close all inherited files, so that a child which cannot be killed keeps nobody's pipe or socket open."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        if standard != pipe:
            os.dup2(nothing, standard)
    for descriptor in [int(path.name) for path in Path("/proc/self/fd").iterdir()]:
        if descriptor > 2 and descriptor != pipe:
            with contextlib.suppress(OSError):  # the descriptor of the listing itself
                os.close(descriptor)


def _child(jobs: Dict[str, Job], pipe: int) -> None:
    gc.disable()
    sleep_precisely()
    warnings.simplefilter("ignore")
    for name, job in jobs.items():
        trail = Trail(pipe, name)
        try:
            job(trail)
        except Exception as error:  # whatever it is, it belongs in the report
            trail.end(FAILED, f"{type(error).__name__}: {error}")
        else:
            trail.end(DONE)


def _messages(pipe: int, deadline: float) -> Any:
    """Yield each message until the child closes the pipe; TimeoutError after `deadline` seconds of silence."""
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    buffer = b""
    while True:
        if not poll.poll(deadline * 1000):
            raise TimeoutError
        data = os.read(pipe, 65536)
        if not data:
            return
        *lines, buffer = (buffer + data).split(b"\n")
        for line in lines:
            yield json.loads(line)


def _bury(child: int, kill: bool) -> str:
    """Wait for the child, at most a second; return the name of the signal that ended it, or its exit status."""
    if kill:
        _kill(child)
    give_up = time.monotonic() + 1
    while time.monotonic() < give_up:
        try:
            pid, status = os.waitpid(child, os.WNOHANG)
        except ChildProcessError:  # somebody else's SIGCHLD handler took it
            return ""
        if pid:
            return signal_name(os.WTERMSIG(status)) if os.WIFSIGNALED(status) else f"exit {os.WEXITSTATUS(status)}"
        time.sleep(0.0002)
    _kill(child)
    return ""


def _kill(child: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
