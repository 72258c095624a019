# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that does what a plug-in does: it is really run here, and the kernel is asked what it got."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import time

import pytest
from support.processes import add_process

from ansible_collections.nspa.proaudio.plugins.module_utils._core.errors import HostError
from ansible_collections.nspa.proaudio.plugins.module_utils._host import attempt
from ansible_collections.nspa.proaudio.plugins.module_utils._host.attempt import Attempt, Promise
from ansible_collections.nspa.proaudio.plugins.module_utils._host.processes import Process

NOBODY = pwd.getpwnam("nobody")
STUDIO = Promise(95, 64, -20, 1048576)
PROMISE = Promise(3, 4096, -5, 7000)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives itself limits and another user, which needs root")


@contextlib.contextmanager
def running(tried, *prefix):
    """It runs, behind a prefix, until it is through."""
    child = subprocess.Popen([*prefix, *tried.command], stdin=subprocess.DEVNULL)
    process = Process(child.pid)
    try:
        until = time.monotonic() + 30
        while not (tried.made_by(process) and tried.done(process)) and time.monotonic() < until:
            time.sleep(0.01)
        yield process
    finally:
        child.kill()
        child.wait()


@as_root
def test_root_gets_all_that_was_promised():
    tried = Attempt(PROMISE, "token")
    with running(tried) as process:
        assert process.scheduling() == (1, 3)
        assert process.locked_kb() >= 4096
        assert process.nice() == -5
        assert process.has_open(6999) and not process.has_open(7000)
        assert (tried.fifo(process), tried.locks(process), tried.opens(process), tried.nices(process)) == ("",) * 4


@as_root
def test_its_limit_of_open_files_is_what_it_was_afterwards():
    tried = Attempt(PROMISE, "token")
    with running(tried, "prlimit", "--nofile=1000:8000") as process:
        assert process.limits()["Max open files"] == ("1000", "8000")
        assert tried.opens(process) == ""


@as_root
def test_what_the_kernel_refuses_is_said_in_its_words():
    tried = Attempt(PROMISE, "token")
    few = ["--nofile=1024:6999", "--nice=0"]
    user = ["setpriv", f"--reuid={NOBODY.pw_uid}", f"--regid={NOBODY.pw_gid}", "--clear-groups"]
    with running(tried, "prlimit", "--rtprio=0", "--memlock=1048576", *few, *user) as process:
        assert tried.fifo(process) == "SCHED_FIFO 3 was refused: Operation not permitted"
        assert tried.locks(process) == "locking 4096 kB of memory was refused: Cannot allocate memory"
        assert tried.opens(process) == "file number 7000 was refused: Invalid argument"
        assert tried.nices(process) == "nice -5 was refused: Permission denied"


@as_root
@pytest.mark.skipif(not os.path.exists(attempt.LATENCY_DEVICE), reason="this machine has no such device")
def test_the_device_that_keeps_the_cpus_awake_is_really_opened():
    tried = Attempt(PROMISE, "token")
    with running(tried) as process:
        assert tried.stays_awake(process) == ""
    user = ["setpriv", f"--reuid={NOBODY.pw_uid}", f"--regid={NOBODY.pw_gid}", "--clear-groups"]
    with running(tried, *user) as process:
        assert tried.stays_awake(process) == "opening /dev/cpu_dma_latency was refused: Permission denied"


@as_root
def test_the_users_environment_does_not_reach_it(tmp_path):
    (tmp_path / "ctypes.py").write_text("raise SystemExit('an impostor')\n")
    tried = Attempt(PROMISE._replace(memlock_kb=64), "token")
    with running(tried, "env", "-C", str(tmp_path), f"PYTHONPATH={tmp_path}", "PYTHONINSPECT=1") as process:
        assert tried.fifo(process) == ""


def test_another_priority_than_the_promised_one_is_not_enough(tmp_path):
    tried = Attempt(STUDIO, "token")
    for pid, (policy, priority) in enumerate([(1, 94), (2, 95), (0, 0)], start=10):
        add_process(
            tmp_path, pid, tried.command, policy=policy, priority=priority, name="nspa 0000000000", locked_kb=63
        )
        assert tried.fifo(Process(pid, tmp_path)) == "SCHED_FIFO 95 was refused"
        assert tried.locks(Process(pid, tmp_path)) == "locking 64 kB of memory was refused"


@pytest.mark.parametrize(
    ("facts", "what", "said"),
    [
        ({"nice": -20}, "nices", ""),
        ({"nice": -19}, "nices", "nice -20 was refused: Permission denied"),
        ({"files": {1048575: "/dev/null"}}, "opens", ""),
        ({"files": {1048574: "/dev/null"}}, "opens", "file number 1048576 was refused: Invalid argument"),
        ({"files": {5: "/dev/cpu_dma_latency"}}, "stays_awake", ""),
        ({"files": {5: "/dev/null"}}, "stays_awake", "opening /dev/cpu_dma_latency was refused: Permission denied"),
    ],
)
def test_what_is_tried_is_seen_from_outside(tmp_path, facts, what, said):
    tried = Attempt(STUDIO, "token")
    add_process(tmp_path, 7, tried.command, name="nspa 0c01160d0d", **facts)
    assert getattr(tried, what)(Process(7, tmp_path)) == said


def test_its_own_word_is_believed_for_the_worse_alone(tmp_path):
    tried = Attempt(STUDIO, "token")
    add_process(tmp_path, 7, tried.command, policy=1, priority=95, name="nspa 0c01160d0d", locked_kb=64)
    assert (tried.fifo(Process(7, tmp_path)), tried.locks(Process(7, tmp_path))) == ("", "")


@pytest.mark.parametrize(
    "name", ["nspa", "nspa 00000000", "nspa 00000000zz", "nspa 00000000000", "xnspa 000000000", "python3"]
)
def test_it_is_not_through_before_it_says_so(tmp_path, name):
    tried = Attempt(STUDIO, "token")
    add_process(tmp_path, 7, tried.command, name=name)
    assert not tried.done(Process(7, tmp_path))


def test_another_program_with_the_same_arguments_is_not_it(tmp_path):
    tried = Attempt(STUDIO, "token")
    add_process(tmp_path, 7, tried.command, program=tried.interpreter)
    add_process(tmp_path, 8, tried.command, program="/bin/sleep")
    add_process(tmp_path, 9, Attempt(STUDIO, "other token").command, program=tried.interpreter)
    assert [tried.made_by(Process(pid, tmp_path)) for pid in (7, 8, 9)] == [True, False, False]


def test_what_is_locked_is_what_proves_the_promise(tmp_path):
    (tmp_path / "proc").mkdir()
    assert Attempt(STUDIO._replace(memlock_kb=None), "token", tmp_path).size_kb == attempt.MOST_KB
    assert Attempt(STUDIO._replace(memlock_kb=4096), "token", tmp_path).size_kb == 4096
    (tmp_path / "proc/meminfo").write_text("MemTotal:  999999 kB\nMemAvailable:      8000 kB\n")
    assert Attempt(STUDIO._replace(memlock_kb=None), "token", tmp_path).size_kb == 2000


def test_every_shell_and_systemd_read_the_program_in_the_same_way():
    assert not set(attempt._PROGRAM) & set("'\\$%!`\n\t")


@pytest.mark.parametrize("shell", ["sh", "bash", "dash", "zsh", "ksh", "fish", "tcsh"])
def test_a_shell_runs_it(shell):
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    words = ["/bin/echo", "-I", attempt._PROGRAM, "95"]
    told = subprocess.run(
        [shell, "-c", "exec " + " ".join(f"'{word}'" for word in words)], capture_output=True, text=True, check=True
    )
    assert told.stdout == f"-I {attempt._PROGRAM} 95\n"


@as_root
def test_the_python_is_one_that_users_can_run_and_cannot_change(tmp_path):
    assert attempt.interpreter(str(tmp_path / "python3")) == os.path.realpath("/usr/bin/python3")
    assert attempt.interpreter("") == os.path.realpath("/usr/bin/python3")
    assert attempt.interpreter("/bin/sleep") == os.path.realpath("/bin/sleep")


@as_root
@pytest.mark.parametrize(
    "spoil", [lambda path: path.chmod(0o777), lambda path: path.chmod(0o700), lambda path: os.chown(path, 1, 1)]
)
def test_a_python_that_others_could_change_is_none(tmp_path, spoil):
    python = tmp_path / "python3"
    shutil.copy("/bin/true", python)
    assert attempt._safe(python)
    spoil(python)
    assert not attempt._safe(python)


@as_root
def test_no_python_for_users_is_said(monkeypatch):
    monkeypatch.setattr(attempt, "_safe", lambda path: False)
    with pytest.raises(HostError, match="Install the distribution's Python 3"):
        attempt.interpreter()
