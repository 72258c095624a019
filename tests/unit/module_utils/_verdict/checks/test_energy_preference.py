# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every CPU that has a preference has the wanted one."""

from __future__ import annotations


def write(studio, cpu, value):
    studio.write(f"/sys/devices/system/cpu/cpu{cpu}/cpufreq/energy_performance_preference", f"{value}\n")


def test_one_cpu_with_another_one_fails(studio):
    write(studio, 0, "performance")
    assert studio.ask()["energy_preference"]["status"] == "pass"
    write(studio, 1, "balance_power")
    row = studio.ask()["energy_preference"]
    assert (row["status"], row["evidence"]) == ("fail", "balance_power, performance in 2 of 2")


def test_a_cpu_that_cannot_be_read_is_not_green(studio):
    write(studio, 0, "performance")
    path = "sys/devices/system/cpu/cpu1/cpufreq/energy_performance_preference"
    (studio.root / path).mkdir(parents=True)
    row = studio.ask()["energy_preference"]
    assert (row["status"], row["evidence"]) == ("blocked", "performance in 1 of 2")


def test_where_there_is_none_or_somebody_else_sets_it(studio):
    assert studio.ask()["energy_preference"]["evidence"] == "this processor has no such preference"
    write(studio, 0, "power")
    assert studio.ask(sched_tuning_governor_owner="daemon")["energy_preference"]["status"] == "vacuous"
