# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine's answers, read from trees that are made for it."""

from __future__ import annotations

import errno
import os

import pytest

from ansible_collections.nspa.proaudio.plugins.module_utils._host import sessions
from ansible_collections.nspa.proaudio.plugins.module_utils._host.attempt import Promise
from ansible_collections.nspa.proaudio.plugins.module_utils._sync import probe
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict import machine as machines

FIFO, OTHER = 1, 0


def test_threads_of_interrupts_are_the_machines(studio):
    found = studio.machine().interrupt_threads()
    assert [(thread.number, thread.policy, thread.priority) for thread in found] == [(9, 1, 50), (24, 1, 95)]


def test_only_interrupts_that_a_driver_handles_count(studio):
    assert studio.machine().interrupts() == [0, 9, 24]


@pytest.mark.parametrize(
    ("bits", "may"),
    [(1 << 24, True), (1 << 23, False), (1 << 25, False), (~(1 << 24) & 0x1FFFFFFFFFF, False)],
)
def test_the_right_to_raise_limits_is_bit_24(studio, bits, may):
    studio.write("/proc/1/status", f"CapInh:\t0\nCapEff:\t{bits:016x}\nCapBnd:\t{(1 << 41) - 1:016x}\n")
    assert studio.machine().may_raise_limits is may


def test_packages_are_named_as_for_the_package_manager(studio):
    ask = studio.machine().newest_kernel
    names = [
        "linux-image-rt-amd64:amd64=6.12.9-1",
        "linux-image-rt-amd64=6.12",
        "linux-image-rt-amd64/trixie-backports",
    ]
    assert [ask([name]) for name in names] == ["6.12.9-rt-amd64"] * 3


def test_of_no_package_there_is_no_newest_kernel(studio):
    ask = studio.machine().newest_kernel
    assert (ask([]), ask(["linux-image-none"])) == ("", "")


def test_the_distributions_own_kernel_is_known(studio):
    assert studio.machine().realtime_kernels() == ["linux-image-rt-amd64"]
    studio.write("/etc/os-release", "ID=plan9\n")
    assert studio.machine().realtime_kernels() == []


def test_where_the_boot_loader_is_not_managed_nothing_is_known_of_the_next_boot(studio):
    studio.loader.managed = False
    assert studio.machine().next_boot is None


@pytest.mark.parametrize(("bits", "words"), [(1 << 19, ""), (1 << 18, "CAP_SYS_PTRACE"), (1 << 20, "CAP_SYS_PTRACE")])
def test_the_right_to_look_at_others_is_bit_19(studio, bits, words):
    studio.write("/proc/self/status", f"CapEff:\t{bits:016x}\n")
    assert words in studio.machine().forbids_looking
    assert bool(studio.machine().forbids_looking) == bool(words)


@pytest.mark.parametrize(("bits", "grants"), [(1 << 23, True), (1 << 22, False), (1 << 24, False)])
def test_what_files_may_give_is_bit_23_of_the_bounding_set(studio, bits, grants):
    studio.write("/proc/self/status", f"CapEff:\t{(1 << 41) - 1:016x}\nCapBnd:\t{bits:016x}\n")
    assert studio.machine().grants_cap_sys_nice is grants


def test_without_systemd_no_session_can_be_looked_at(studio):
    (studio.root / "run/systemd/system").rmdir()
    assert "systemd" in studio.machine().forbids_looking


def test_a_session_that_failed_is_not_waited_for_again(studio):
    studio.sessions["ada"] = sessions.SessionError("it hangs")
    machine = studio.machine()
    for _time in range(2):
        with pytest.raises(sessions.SessionError, match="it hangs"):
            machine.session("ada", Promise(95, None, -20, 4096))
    assert len(studio.looks) == 1


@pytest.mark.parametrize(
    ("release", "nspa"),
    [("6.16.0-nspa", True), ("5.10.9-nspa-1", True), ("6.12.9-rt-amd64", False), ("6-nspax", False)],
)
def test_linux_nspa_is_told_by_its_release(studio, release, nspa):
    studio.release = release
    assert studio.machine().is_nspa is nspa


def test_the_governor_of_every_cpu_is_read_in_their_order(studio):
    for cpu in (10, 2, 0):
        studio.governor(cpu, "performance")
    studio.governor(3, None, online=False)
    found = studio.machine().governors()
    assert list(found.items()) == [
        ("cpu0", "performance"),
        ("cpu2", "performance"),
        ("cpu3", None),
        ("cpu10", "performance"),
    ]
    assert [studio.machine().is_offline(cpu) for cpu in found] == [False, False, True, False]


def test_the_fair_server_is_read_by_cpu(studio):
    assert studio.machine().fair_servers() == {}
    studio.write("/sys/kernel/debug/sched/fair_server/cpu0/runtime", "50000000\n")
    (studio.root / "sys/kernel/debug/sched/fair_server/cpu1/runtime").mkdir(parents=True)  # cannot be read
    assert studio.machine().fair_servers() == {"cpu0": "50000000", "cpu1": None}
    for cpu in (9, 7, 5, 3):
        studio.write(f"/sys/kernel/debug/sched/fair_server/cpu{cpu}/runtime", "0")
    assert list(studio.machine().fair_servers()) == ["cpu0", "cpu1", "cpu3", "cpu5", "cpu7", "cpu9"]


def test_the_module_that_starts_user_managers_is_looked_for_where_pam_has_it(studio):
    assert studio.machine().starts_user_managers
    studio.remove("/usr/lib/x86_64-linux-gnu/security/pam_systemd.so")
    assert not studio.machine().starts_user_managers
    assert studio.machine().user_manager_package == "libpam-systemd"


def test_programs_are_elf_files_and_no_links(studio):
    folder = studio.root / "usr/lib/wine"
    studio.program(str(folder / "wineserver-script"), content=b"#!/bin/sh\n")
    (folder / "wineserver-link").symlink_to("wineserver64")
    (folder / "wineserver.d").mkdir()
    assert studio.machine().programs(str(folder / "wineserver*")) == [str(folder / "wineserver64")]
    for letter in "hgfedcba":
        studio.program(str(folder / f"wineserver-{letter}"))
    names = [path.rpartition("-")[2] for path in studio.machine().programs(str(folder / "wineserver-?"))]
    assert names == list("abcdefgh")


def test_an_account_that_is_gone_and_a_group_that_is_not_there_are_no_errors():
    machine = machines.Machine()
    assert machine.uid("root") == 0
    assert machine.uid("no-such-user-here") is None
    assert machine.members("no-such-group-here") == []


def test_a_child_keeps_the_schedulers_of_the_two_apart():
    before = os.sched_getscheduler(0)

    def change():
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        return 2.5

    assert machines.in_child(change) == 2.5
    assert os.sched_getscheduler(0) == before


def test_what_the_kernel_refuses_a_child_is_told():
    def refuse():
        raise PermissionError(errno.EPERM, "Operation not permitted")

    with pytest.raises(PermissionError):
        machines.in_child(refuse)


def test_a_child_that_goes_wrong_in_another_way_does_not_come_back_as_a_second_parent():
    with pytest.raises(OSError):
        machines.in_child(lambda: 1 / 0)


@pytest.mark.parametrize("version", ["#1 SMP PREEMPT_RT Debian 6.12.9-1", "#1 SMP PREEMPT_DYNAMIC Debian 6.12.9-1"])
def test_verdict_and_probe_give_one_answer_on_real_time(monkeypatch, version):
    names = os.uname_result(("Linux", "studio1", "6.12.9", version, "x86_64"))
    monkeypatch.setattr(os, "uname", lambda: names)
    answers = {machines.Machine(uname=names).realtime.active, probe.kernel_facts()["realtime"]}
    assert answers == {"PREEMPT_RT" in version}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may use real-time priorities")
def test_root_may_use_real_time_priorities_or_hears_why_not():
    machine = machines.Machine()
    refused = machine.refuses_fifo(95)
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
    if refused:
        assert refused == os.strerror(errno.EPERM)
    else:
        assert machine.round_robin_ms() > 0
    assert machine.refuses_fifo(1000) == os.strerror(errno.EINVAL)
