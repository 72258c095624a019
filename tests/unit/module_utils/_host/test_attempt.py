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
from ansible_collections.nspa.proaudio.plugins.module_utils._host.attempt import Attempt
from ansible_collections.nspa.proaudio.plugins.module_utils._host.processes import Process

NOBODY = pwd.getpwnam("nobody")
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
def test_root_gets_the_priority_and_the_memory():
    tried = Attempt(3, 4096, "token")
    with running(tried) as process:
        assert process.scheduling() == (1, 3)
        assert process.locked_kb() >= 4096
        assert (tried.fifo(process), tried.locks(process)) == ("", "")


@as_root
def test_what_the_kernel_refuses_is_said_in_its_words():
    tried = Attempt(3, 4096, "token")
    user = ["setpriv", f"--reuid={NOBODY.pw_uid}", f"--regid={NOBODY.pw_gid}", "--clear-groups"]
    with running(tried, "prlimit", "--rtprio=0", "--memlock=1048576", *user) as process:
        assert tried.fifo(process) == "SCHED_FIFO 3 was refused: Operation not permitted"
        assert tried.locks(process) == "locking 4096 kB of memory was refused: Cannot allocate memory"


@as_root
def test_the_users_environment_does_not_reach_it(tmp_path):
    (tmp_path / "ctypes.py").write_text("raise SystemExit('an impostor')\n")
    tried = Attempt(3, 64, "token")
    with running(tried, "env", "-C", str(tmp_path), f"PYTHONPATH={tmp_path}", "PYTHONINSPECT=1") as process:
        assert tried.fifo(process) == ""


def test_another_priority_than_the_promised_one_is_not_enough(tmp_path):
    tried = Attempt(95, 64, "token")
    for pid, (policy, priority) in enumerate([(1, 94), (2, 95), (0, 0)], start=10):
        add_process(tmp_path, pid, tried.command, policy=policy, priority=priority, name="nspa 0 0", locked_kb=63)
        assert tried.fifo(Process(pid, tmp_path)) == "SCHED_FIFO 95 was refused"
        assert tried.locks(Process(pid, tmp_path)) == "locking 64 kB of memory was refused"


def test_its_own_word_is_believed_for_the_worse_alone(tmp_path):
    tried = Attempt(95, 64, "token")
    add_process(tmp_path, 7, tried.command, policy=1, priority=95, name="nspa 12 1", locked_kb=64)
    assert (tried.fifo(Process(7, tmp_path)), tried.locks(Process(7, tmp_path))) == ("", "")


@pytest.mark.parametrize("name", ["nspa", "nspa 1", "nspa a b", "nspa 12345 1", "xnspa 1 1", "python3"])
def test_it_is_not_through_before_it_says_so(tmp_path, name):
    tried = Attempt(95, 64, "token")
    add_process(tmp_path, 7, tried.command, name=name)
    assert not tried.done(Process(7, tmp_path))


def test_another_program_with_the_same_arguments_is_not_it(tmp_path):
    tried = Attempt(95, 64, "token")
    add_process(tmp_path, 7, tried.command, program=tried.interpreter)
    add_process(tmp_path, 8, tried.command, program="/bin/sleep")
    add_process(tmp_path, 9, Attempt(95, 64, "other token").command, program=tried.interpreter)
    assert [tried.made_by(Process(pid, tmp_path)) for pid in (7, 8, 9)] == [True, False, False]


def test_what_is_locked_is_what_proves_the_promise(tmp_path):
    (tmp_path / "proc").mkdir()
    assert Attempt(1, None, "token", tmp_path).size_kb == attempt.MOST_KB
    assert Attempt(1, 4096, "token", tmp_path).size_kb == 4096
    (tmp_path / "proc/meminfo").write_text("MemTotal:  999999 kB\nMemAvailable:      8000 kB\n")
    assert Attempt(1, None, "token", tmp_path).size_kb == 2000


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
