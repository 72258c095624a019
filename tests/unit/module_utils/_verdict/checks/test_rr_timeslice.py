# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The time slice that a SCHED_RR thread gets, now and after a boot."""

from __future__ import annotations

import pytest

NAME = "kernel.sched_rr_timeslice_ms"


@pytest.mark.parametrize(
    ("wanted", "seen", "status"),
    [(10, 10.0, "pass"), (10, 12.0, "pass"), (10, 20.0, "fail"), (10, 100.0, "fail"), (100, 100.0, "pass")],
)
def test_the_slice_is_right_within_a_tick(studio, wanted, seen, status):
    studio.slice_ms, studio.boot[NAME] = seen, (str(wanted), "/etc/sysctl.d/x.conf")
    row = studio.ask(sched_tuning_rr_timeslice_ms=wanted)["rr_timeslice"]
    assert (row["status"], row["evidence"]) == (status, f"{seen:.0f} ms, as a SCHED_RR thread gets it")


def test_a_slice_that_may_not_be_asked_for_is_blocked(studio):
    studio.may_not = PermissionError(1, "Operation not permitted")
    row = studio.ask()["rr_timeslice"]
    assert (row["status"], "Operation not permitted" in row["evidence"]) == ("blocked", True)


def test_a_value_that_the_next_boot_takes_is_not_green(studio):
    studio.boot[NAME] = ("100", "/etc/sysctl.conf")
    row = studio.ask()["rr_timeslice"]
    assert row["status"] == "fail"
    assert "/etc/sysctl.conf sets it to 100 at the next boot" in row["evidence"]


def test_what_is_left_alone_or_a_containers_is_vacuous(studio):
    assert studio.ask(sched_tuning_rr_timeslice_ms=None)["rr_timeslice"]["status"] == "vacuous"
    studio.write("/run/systemd/container", "docker")
    assert studio.ask()["rr_timeslice"]["status"] == "vacuous"
