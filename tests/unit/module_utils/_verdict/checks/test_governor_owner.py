# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two that set the governor are one too many, and none is too few."""

from __future__ import annotations

import pytest

DAEMON = {"tuned": "systemctl disable --now tuned.service"}


@pytest.mark.parametrize(
    ("owner", "daemons", "status", "words"),
    [
        ("collection", {}, "pass", "no daemon runs"),
        ("collection", DAEMON, "fail", "tuned sets it, too"),
        ("daemon", DAEMON, "pass", "left to tuned"),
        ("daemon", {}, "fail", "nobody sets it"),
    ],
)
def test_exactly_one_sets_it(studio, owner, daemons, status, words):
    studio.governor(0, "performance")
    studio.daemons = daemons
    row = studio.ask(sched_tuning_governor_owner=owner)["governor_owner"]
    assert row["status"] == status
    assert words in row["evidence"]
    if status == "fail":
        assert "sched_tuning_governor_owner" in row["remedy"]
        assert ("systemctl disable --now tuned.service" in row["remedy"]) == bool(daemons)


def test_a_machine_without_frequency_scaling_still_names_the_daemon(studio):
    studio.daemons = DAEMON
    row = studio.ask()["governor_owner"]
    assert (row["status"], "tuned runs" in row["evidence"]) == ("vacuous", True)
    studio.governor(0, "performance")
    row = studio.ask(sched_tuning_governor="")["governor_owner"]
    assert (row["status"], row["evidence"]) == ("vacuous", "left alone; tuned runs")


def test_a_governor_that_is_left_to_a_daemon_is_not_judged(studio):
    studio.governor(0, "powersave")
    assert studio.ask()["governor"]["status"] == "fail"
    assert studio.ask(sched_tuning_governor_owner="daemon")["governor"]["status"] == "vacuous"
