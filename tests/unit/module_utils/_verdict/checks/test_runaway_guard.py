# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a spinning real-time thread from taking a CPU, and whether it is on."""

from __future__ import annotations

import pytest

RUNTIME, PERIOD = "/proc/sys/kernel/sched_rt_runtime_us", "/proc/sys/kernel/sched_rt_period_us"
SERVER = "/sys/kernel/debug/sched/fair_server"
OLD = "6.1.0-44-rt-amd64"


@pytest.mark.parametrize(
    ("runtime", "period", "status"),
    [
        ("950000", "1000000", "pass"),
        ("-1", "1000000", "fail"),
        ("1000000", "1000000", "fail"),
        ("950000", "950000", "fail"),
        ("400000", "500000", "pass"),
        ("0", "1000000", "pass"),
    ],
)
def test_up_to_linux_6_11_it_is_throttling(studio, runtime, period, status):
    studio.release = OLD
    studio.write(RUNTIME, runtime)
    studio.write(PERIOD, period)
    row = studio.ask()["runaway_guard"]
    assert row["status"] == status
    assert ("throttling is on" in row["evidence"]) == (status == "pass")


def test_a_file_that_turns_throttling_off_at_the_next_boot_is_named(studio):
    studio.release = OLD
    studio.boot["kernel.sched_rt_runtime_us"] = ("-1", "/etc/sysctl.d/99-tuned.conf")
    row = studio.ask()["runaway_guard"]
    assert row["status"] == "fail"
    assert "/etc/sysctl.d/99-tuned.conf" in row["remedy"]
    studio.boot["kernel.sched_rt_runtime_us"] = ("1000000", "/etc/sysctl.d/99-tuned.conf")
    assert studio.ask()["runaway_guard"]["status"] == "fail"
    studio.boot["kernel.sched_rt_runtime_us"] = ("900000", "/etc/sysctl.d/99-tuned.conf")
    assert studio.ask()["runaway_guard"]["status"] == "pass"


@pytest.mark.parametrize(
    ("release", "guard"), [("6.11.9-amd64", "throttling"), ("6.12.0", "fair server"), ("7.3", "fair")]
)
def test_since_linux_6_12_it_is_the_fair_server(studio, release, guard):
    studio.release = release
    row = studio.ask()["runaway_guard"]
    assert row["status"] == "pass"
    assert guard in row["evidence"]


def test_the_old_switch_does_not_turn_the_fair_server_off(studio):
    studio.write(RUNTIME, "-1")
    assert studio.ask()["runaway_guard"]["status"] == "pass"


@pytest.mark.parametrize(
    ("first", "second", "status", "words"),
    [
        ("50000000", "40000000", "pass", "40 ms"),
        ("50000000", "0", "fail", "off on cpu1"),
        ("0", "0", "fail", "off on cpu0, cpu1"),
    ],
)
def test_a_fair_server_that_was_turned_off_is_seen(studio, first, second, status, words):
    studio.write(f"{SERVER}/cpu0/runtime", first)
    studio.write(f"{SERVER}/cpu1/runtime", second)
    row = studio.ask()["runaway_guard"]
    assert (row["status"], words in row["evidence"]) == (status, True)


def test_settings_that_nobody_can_read_are_those_of_the_kernel(studio):
    (studio.root / f"{SERVER[1:]}/cpu0/runtime").mkdir(parents=True)  # as in a locked down kernel
    row = studio.ask()["runaway_guard"]
    assert row["status"] == "pass"
    assert "as the kernel starts with it" in row["evidence"]


def test_a_kernel_that_has_neither_is_not_green(studio):
    studio.remove(RUNTIME)
    assert studio.ask()["runaway_guard"]["status"] == "fail"


def test_a_container_runs_under_its_hosts_scheduler(studio):
    studio.write("/run/systemd/container", "docker")
    assert studio.ask()["runaway_guard"]["status"] == "vacuous"
