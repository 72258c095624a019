# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The frequency governor of every CPU that runs."""

from __future__ import annotations


def test_one_cpu_with_another_governor_fails(studio):
    studio.governor(0, "userspace")
    studio.governor(1, "powersave")
    studio.governor(2, "performance")
    studio.governor(3, "ondemand")
    studio.governor(4, "schedutil")
    row = studio.ask(sched_tuning_governor="performance")["governor"]
    assert (row["status"], row["evidence"]) == ("fail", "ondemand performance powersave schedutil userspace on 5 CPUs")
    for cpu in range(5):
        studio.governor(cpu, "performance")
    assert studio.ask(sched_tuning_governor="performance")["governor"]["status"] == "pass"
    row = studio.ask(sched_tuning_governor="")["governor"]
    assert (row["status"], row["evidence"]) == ("vacuous", "left alone")


def test_a_cpu_that_is_offline_is_skipped_and_said(studio):
    studio.governor(0, "performance")
    studio.governor(3, None, online=False)
    row = studio.ask()["governor"]
    assert (row["status"], row["evidence"]) == ("pass", "performance on 1 CPUs; cpu3 offline, not looked at")


def test_a_cpu_that_runs_and_cannot_be_read_is_not_green(studio):
    studio.governor(0, "performance")
    studio.governor(3, None)
    row = studio.ask()["governor"]
    assert (row["status"], "cpu3 cannot be read" in row["evidence"]) == ("blocked", True)


def test_a_machine_without_frequency_scaling_and_a_container_are_vacuous(studio):
    assert studio.ask()["governor"]["evidence"] == "no CPU frequency scaling on this machine"
    studio.governor(0, "powersave")
    studio.write("/run/systemd/container", "docker")
    assert studio.ask()["governor"]["status"] == "vacuous"
