# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel shows of a process, read in bounds, with what a user chose made harmless."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time

import pytest
from support.processes import add_process, remove_process

from ansible_collections.nspa.proaudio.plugins.module_utils._host import processes
from ansible_collections.nspa.proaudio.plugins.module_utils._host.processes import Process


def test_limits_are_read_by_row(tmp_path):
    add_process(tmp_path, 7, ["a"], memlock="8388608", rtprio="95")
    found = Process(7, tmp_path).limits()
    assert found["Max locked memory"] == ("8388608", "8388608")
    assert found["Max realtime priority"] == ("95", "95")
    assert found["Max open files"] == ("1024", "1048576")


def test_limits_of_this_process_are_the_kernels():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert Process(os.getpid()).limits()["Max open files"] == (str(soft), str(hard))


def test_the_scheduling_is_that_of_the_fields_40_and_41(tmp_path):
    add_process(tmp_path, 7, ["a"], name="a) R 1 (b", policy=1, priority=95, started=4711)
    process = Process(7, tmp_path)
    assert process.scheduling() == (processes.SCHED_FIFO, 95)
    assert process.started() == 4711
    assert process.session() == -6  # the stand-in's fields hold their own numbers
    assert not process.ended()


def test_this_process_started_lately_and_is_scheduled_as_it_asks_for():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        process = Process(child.pid)
        now = time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK")
        assert now - 60 * os.sysconf("SC_CLK_TCK") < process.started() <= now + 1
        assert process.scheduling() == (os.sched_getscheduler(child.pid), 0)
    finally:
        child.kill()
        assert Process(child.pid).ended() or child.wait()
    assert Process(child.pid).ended()


def test_a_variable_that_is_there_twice_is_the_first_one(tmp_path):
    folder = add_process(tmp_path, 7, ["a"])
    (folder / "environ").write_bytes(b"A=1\0A=2\0no variable\0B C=3\0\xff=4\0D=a=b\0")
    assert Process(7, tmp_path).environment() == {"A": "1", "D": "a=b"}


def test_control_characters_are_replaced(tmp_path):
    add_process(tmp_path, 7, ["a"], environment={"A": "x\x1b[2J\ny\u202e\x9b"})
    shown = Process(7, tmp_path).environment()["A"]
    assert shown == "x\ufffd[2J\ufffdy\ufffd\ufffd"
    assert processes.shown(["a\x1b]0;b\x07", "c"]) == "a\ufffd]0;b\ufffd c"


def test_a_long_command_is_cut():
    assert processes.shown(["a" * 100], most=10) == "a" * 9 + "…"
    assert processes.shown(["a" * 10], most=10) == "a" * 10


def test_no_more_is_read_than_the_bound(tmp_path):
    folder = add_process(tmp_path, 7, ["a"])
    (folder / "environ").write_bytes(b"A=1\0" + b"B=" + b"x" * processes.MOST + b"\0C=3\0")
    assert Process(7, tmp_path).environment() == {"A": "1"}


def test_groups_start_with_the_effective_one(tmp_path):
    add_process(tmp_path, 7, ["a"], uid=1000, groups=[29, 1000, 995])
    assert Process(7, tmp_path).groups() == [1000, 29, 995]


def test_rights_are_read(tmp_path):
    add_process(tmp_path, 7, ["a"], no_new_privs=1, bounding=1 << 23, effective=1 << 23 | 2, locked_kb=64)
    process = Process(7, tmp_path)
    assert process.no_new_privileges()
    assert [bit for bit in range(41) if process.may_get(bit)] == [processes.CAP_SYS_NICE]
    assert [bit for bit in range(41) if process.holds(bit)] == [1, 23]
    assert process.locked_kb() == 64
    add_process(tmp_path, 8, ["a"])
    assert not Process(8, tmp_path).no_new_privileges()


def test_the_program_is_known_whatever_it_calls_itself(tmp_path):
    child = subprocess.Popen(["something-else", "30"], executable="/bin/sleep")
    try:
        until = time.monotonic() + 10
        while Process(child.pid).command() != ["something-else", "30"] and time.monotonic() < until:
            time.sleep(0.01)
        assert Process(child.pid).runs("/bin/sleep")
        assert not Process(child.pid).runs("/bin/cat")
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize(
    ("text", "group"),
    [
        ("0::/user.slice/a.scope\n", "/user.slice/a.scope"),
        ("3:cpu,cpuacct:/x\n2:name=systemd:/\n0::/user.slice/b:c.scope\n", "/user.slice/b:c.scope"),
        ("3:cpu:/x\n2:name=systemd:/user.slice/b.scope\n0::/\n", "/user.slice/b.scope"),
        ("3:cpu:/x\n2:name=systemd:/user.slice/b.scope\n", "/user.slice/b.scope"),
        ("3:cpu:/x\n", "/"),
        ("", "/"),
    ],
)
def test_the_control_group_is_that_of_the_hierarchy_that_systemd_uses(tmp_path, text, group):
    (add_process(tmp_path, 7, ["a"]) / "cgroup").write_text(text)
    assert Process(7, tmp_path).cgroup() == group


def test_processes_of_a_control_group_and_below_it(tmp_path):
    for pid, cgroup in enumerate(["/a", "/a/b", "/ab", "/", "/x/a"], start=10):
        add_process(tmp_path, pid, ["a"], cgroup, started=100 - pid)
    (tmp_path / "proc/99").mkdir()  # one that is gone before it is looked at
    assert {process.pid for process in processes.within("/a", tmp_path)} == {10, 11}
    assert [process.pid for process in processes.newest_first("/a", tmp_path)] == [10, 11]


def test_processes_of_a_session():
    child = subprocess.Popen(["/bin/sh", "-c", "sleep 30 & wait"], start_new_session=True)
    try:
        until = time.monotonic() + 10
        while len(list(processes.of_session(child.pid))) < 2 and time.monotonic() < until:
            time.sleep(0.01)
        found = {process.pid for process in processes.of_session(child.pid)}
        assert child.pid in found and len(found) == 2 and os.getpid() not in found
    finally:
        for process in processes.of_session(child.pid):
            os.kill(process.pid, signal.SIGKILL)
        child.wait()


def test_a_process_that_is_gone_is_an_os_error(tmp_path):
    add_process(tmp_path, 7, ["a"])
    (tmp_path / "proc/7/status").write_text("Name:\tzombie\n")
    with pytest.raises(OSError, match="has ended"):
        Process(7, tmp_path).locked_kb()
    (tmp_path / "proc/7/limits").write_text("")  # as the kernel has it while it removes a process
    with pytest.raises(OSError, match="has ended"):
        Process(7, tmp_path).limits()
    remove_process(tmp_path, 7)
    process = Process(7, tmp_path)
    for question in (process.limits, process.environment, process.users, process.scheduling, process.cgroup):
        with pytest.raises(OSError):
            question()
    assert process.ended()


def test_open_files_are_known_by_number_and_by_what_they_lead_to():
    with open("/dev/null", encoding="utf-8") as stream:
        process = Process(os.getpid())
        assert process.has_open(stream.fileno())
        assert "/dev/null" in process.open_files()
        number = stream.fileno()
    assert not process.has_open(number)


def test_the_nice_value_is_the_kernels():
    child = subprocess.Popen(["nice", "-n", "7", "sleep", "30"])
    try:
        until = time.monotonic() + 10
        while Process(child.pid).nice() != 7 and time.monotonic() < until:
            time.sleep(0.01)
        assert Process(child.pid).nice() == 7
    finally:
        child.kill()
        child.wait()


def test_every_thread_is_looked_at(tmp_path):
    folder = add_process(tmp_path, 7, ["pipewire"])
    (add_process(tmp_path, 8, ["a"], policy=2, priority=20) / "task/8").rename(folder / "task/8")
    (folder / "task/9").mkdir()  # one that ended meanwhile
    assert sorted(Process(7, tmp_path).threads()) == [(0, 0), (2, 20)]


def test_a_thread_that_ends_while_it_is_read_is_left_out(tmp_path, monkeypatch):
    folder = add_process(tmp_path, 7, ["pipewire"])
    (folder / "task/9").mkdir()
    read = Process._read

    def ended(process, name):
        if name == "task/9/stat":
            raise ProcessLookupError(3, "No such process")  # ESRCH: the file was opened before
        return read(process, name)

    monkeypatch.setattr(Process, "_read", ended)
    assert Process(7, tmp_path).threads() == [(0, 0)]
