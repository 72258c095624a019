# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The running manager of each user has the group, or the verdict says what replaces it."""

from __future__ import annotations

import pytest


def test_a_manager_with_the_group_passes(studio):
    studio.ada.lingers = True
    row = studio.ask()["user_manager"]
    assert (row["status"], row["evidence"]) == ("pass", "ada: it has the group realtime, and lingers")


@pytest.mark.parametrize(
    ("was_running", "login", "status"),
    [(True, ["ada", "realtime"], "pending"), (False, ["ada", "realtime"], "fail"), (True, ["ada"], "fail")],
)
def test_a_manager_from_before_the_group_is_pending(studio, was_running, login, status):
    studio.ada.desktop.groups, studio.ada.groups, studio.ada.manager_was_running = ["ada"], login, was_running
    row = studio.ask()["user_manager"]
    assert row["status"] == status
    assert (row["remedy"] == "Log ada out everywhere and in again, or reboot.") == (status == "pending")


@pytest.mark.parametrize("check", ["user_manager", "rtprio"])
def test_a_manager_that_lingers_is_not_ended_by_a_logout(studio, check):
    studio.ada.desktop.groups, studio.ada.manager_was_running, studio.ada.lingers = ["ada"], True, True
    studio.limit("Max realtime priority", "95", "0")
    row = studio.ask()[check]
    assert row["status"] == "pending"
    assert "systemctl restart user@1000.service" in row["remedy"]
