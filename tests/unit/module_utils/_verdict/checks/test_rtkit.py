# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs on rtkit's grant is found among the live threads."""

from __future__ import annotations

import pytest

GRANTED = {"uid": 1000, "name": "pipewire", "policy": 2, "priority": 20, "rttime": "200000"}


def test_a_rtkit_that_nobody_needs_passes(studio):
    studio.process(71, ["pipewire"], **{**GRANTED, "priority": 88, "rttime": "unlimited"})
    row = studio.ask()["rtkit"]
    assert row["status"] == "pass"
    assert row["evidence"].startswith("rtkit runs, and grants no more than priority 20 and 200 ms; no program")


@pytest.mark.parametrize(("limit", "status"), [("95", "fail"), ("unlimited", "fail"), ("0", "pending")])
def test_a_program_that_runs_on_its_grant_is_named(studio, limit, status):
    studio.process(71, ["pipewire"], **GRANTED, rtprio=limit)
    row = studio.ask()["rtkit"]
    assert row["status"] == status
    assert "ada has pipewire at 20 from it" in row["evidence"]
    assert ("mask --now rtkit-daemon" in row["remedy"]) == (status == "fail")


@pytest.mark.parametrize("users", [["ada", "grace"], ["grace", "ada"]], ids=str)
def test_the_worst_of_all_users_counts_and_each_is_named(studio, users):
    studio.process(71, ["pipewire"], **GRANTED, rtprio="0")
    studio.process(72, ["player"], **{**GRANTED, "uid": 1001, "name": "player"}, rtprio="95")
    row = studio.ask(rt_limits_users=users)["rtkit"]
    assert row["status"] == "fail" and "although grace's limits would do" in row["remedy"]
    assert row["evidence"].count("rtkit runs") == 1
    assert "ada has pipewire at 20 from it" in row["evidence"] and "grace has player at 20" in row["evidence"]


@pytest.mark.parametrize(
    ("lingers", "remedy"), [(False, "Log ada out everywhere"), (True, "systemctl restart user@1000.service")]
)
def test_programs_from_before_the_limits_end_with_their_manager(studio, lingers, remedy):
    studio.ada.manager_was_running, studio.ada.lingers = True, lingers
    studio.process(71, ["pipewire"], **GRANTED, rtprio="0")
    row = studio.ask()["rtkit"]
    assert row["status"] == "pending"
    assert remedy in row["remedy"]


@pytest.mark.parametrize(
    "facts",
    [
        {"rttime": "unlimited"},  # its own limits, at a low priority
        {"priority": 21},
        {"policy": 0},
        {"uid": 1001},  # somebody who makes no music here
    ],
    ids=str,
)
def test_a_program_that_does_not_is_not(studio, facts):
    studio.process(71, ["player"], **{**GRANTED, **facts})
    assert studio.ask()["rtkit"]["status"] == "pass"


def test_what_rtkit_was_told_to_grant_counts(studio):
    words = ["rtkit-daemon", "--max-realtime-priority=88", "--rttime-usec-max=2000000"]
    studio.write("/proc/70/cmdline", "".join(f"{word}\0" for word in words))
    studio.process(71, ["pipewire"], **{**GRANTED, "priority": 88, "rttime": "2000000"})
    row = studio.ask()["rtkit"]
    assert row["status"] == "fail"
    assert "priority 88 and 2000 ms" in row["evidence"]


@pytest.mark.parametrize("impostor", [{"uid": 1000}, {"name": "rtkit"}], ids=str)
def test_a_program_that_only_calls_itself_rtkit_is_none(studio, impostor):
    (studio.root / "proc/70").rename(studio.root / "proc/gone")
    studio.process(73, ["rtkit-daemon"], **{"uid": 109, "name": "rtkit-daemon", **impostor})
    assert studio.ask()["rtkit"]["status"] == "vacuous"
