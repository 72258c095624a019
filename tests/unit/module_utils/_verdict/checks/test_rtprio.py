# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The promised real-time priority reaches login and desktop, and can really be used there."""

from __future__ import annotations

import pytest

from ansible_collections.nspa.proaudio.plugins.module_utils._host.sessions import SessionError

ROW = "Max realtime priority"


@pytest.mark.parametrize(
    ("login", "desktop", "was_running", "status"),
    [
        ("95", "95", False, "pass"),
        ("98", "unlimited", False, "pass"),
        ("0", "0", False, "fail"),
        ("94", "95", False, "fail"),
        ("95", "0", False, "fail"),  # a new manager without the limit is not helped by another login
        ("95", "0", True, "pending"),
    ],
)
def test_the_limit_must_reach_login_and_desktop(studio, login, desktop, was_running, status):
    studio.limit(ROW, login, desktop)  # the soft limit is what counts
    studio.ada.manager_was_running = was_running
    row = studio.ask()["rtprio"]
    assert row["status"] == status
    assert row["evidence"].startswith(f"ada: login {login}, desktop {desktop}")
    assert (row["remedy"] == "Log ada out everywhere and in again, or reboot.") == (status == "pending")


def test_a_limit_that_is_not_known_is_not_green(studio):
    del studio.ada.login.limits[ROW]
    row = studio.ask()["rtprio"]
    assert (row["status"], row["evidence"]) == ("fail", "ada: login unknown, desktop 95")


@pytest.mark.parametrize("place", ["login", "desktop"])
@pytest.mark.parametrize("was_running", [False, True])
def test_a_number_is_no_proof(studio, place, was_running):
    """RestrictRealtime= in a drop-in leaves the number and takes the thing."""
    getattr(studio.ada, place).fifo = "SCHED_FIFO 95 was refused"
    studio.ada.manager_was_running = was_running
    row = studio.ask()["rtprio"]
    assert row["status"] == "fail"
    assert f"yet in the {place}: SCHED_FIFO 95 was refused" in row["evidence"]
    assert "RestrictRealtime" in row["remedy"]


def test_where_not_even_root_may_it_is_the_machine_that_forbids(studio):
    studio.ada.login.fifo = studio.ada.desktop.fifo = "Operation not permitted"
    studio.may_not = PermissionError(1, "Operation not permitted")
    row = studio.ask()["rtprio"]
    assert row["status"] == "blocked"
    assert row["remedy"].startswith("Not even root")


def test_a_user_outside_the_group_is_named(studio):
    studio.ada.groups = ["ada"]
    studio.limit(ROW, "0", "0")
    row = studio.ask()["rtprio"]
    assert row["status"] == "fail"
    assert "not in the group realtime" in row["evidence"]
    assert "grep" not in row["remedy"]


@pytest.mark.parametrize(("login", "folder"), [("10", "/etc/security"), ("95", "/etc/systemd")])
def test_a_member_whose_limit_is_lost_is_told_how_to_find_the_other_file(studio, login, folder):
    studio.limit(ROW, login, "10")
    row = studio.ask()["rtprio"]
    assert row["status"] == "fail"
    assert f"grep -rsi rtprio {folder}" in row["remedy"]
    assert ("ulimit" in row["remedy"]) == (folder == "/etc/security")


def test_a_container_that_may_not_raise_limits_is_blocked(studio):
    studio.write("/proc/1/status", "CapEff:\t0000000000000000\n")
    studio.limit(ROW, "0", "0")
    assert studio.ask()["rtprio"]["status"] == "blocked"


def test_one_user_who_is_not_served_is_enough(studio):
    studio.sessions["grace"].login.limits[ROW] = ("0", "0")
    row = studio.ask(rt_limits_users=["ada", "grace"])["rtprio"]
    assert (row["status"], row["evidence"]) == ("fail", "ada: login 95, desktop 95; grace: login 0, desktop 95")


def test_the_groups_members_are_asked_where_nobody_is_named(studio):
    studio.groups["realtime"] = ["grace"]
    assert studio.ask(rt_limits_users=[])["rtprio"]["evidence"].startswith("grace: ")


def test_nobody_to_log_in_fails(studio):
    row = studio.ask(rt_limits_users=[], rt_limits_group="none-here")["rtprio"]
    assert row["status"] == "fail"
    assert "rt_limits_users" in row["remedy"]


def test_a_member_whose_account_is_gone_is_named_and_the_others_are_asked(studio):
    studio.groups["realtime"] = ["ghost", "ada"]
    row = studio.ask(rt_limits_users=[])["rtprio"]
    assert row["status"] == "pass"
    assert "ada: login 95" in row["evidence"]
    assert "ghost, a member of the group realtime, has no account" in row["evidence"]
    studio.groups["realtime"] = ["ghost"]
    assert studio.ask(rt_limits_users=[])["rtprio"]["status"] == "fail"


def test_a_user_of_the_settings_without_an_account_fails(studio):
    row = studio.ask(rt_limits_users=["ada", "ghost"])["rtprio"]
    assert row["status"] == "fail"
    assert "ghost has no account" in row["evidence"]
    assert "adduser ghost" in row["remedy"]


def test_a_session_that_the_machine_forbids_to_look_at_is_blocked(studio):
    studio.sessions["ada"] = SessionError("systemd does not run this machine.")
    (studio.root / "run/systemd/system").rmdir()
    row = studio.ask()["rtprio"]
    assert (row["status"], row["evidence"]) == ("blocked", "systemd does not run this machine")
    assert row["remedy"].startswith("Start this machine with systemd")


def test_a_session_that_cannot_be_opened_otherwise_fails(studio):
    """A user could see to it that it cannot, and would turn a row that fails into one that is only blocked."""
    studio.sessions["ada"] = SessionError("PAM said no")
    assert studio.ask()["rtprio"]["status"] == "fail"


def test_the_administrator_makes_no_music_here(studio):
    studio.sessions["root"] = SessionError("root is the administrator")
    row = studio.ask(rt_limits_users=["root"])["rtprio"]
    assert (row["status"], "rt_limits_users" in row["remedy"]) == ("fail", True)


@pytest.mark.parametrize("place", ["login", "desktop"])
def test_a_place_that_a_user_spoiled_is_worse_than_blocked(studio, place):
    getattr(studio.ada, place).problem = "no answer within 30 s\x1b[2J" + "x" * 5000
    row = studio.ask()["rtprio"]
    assert row["status"] == "fail"
    assert f"{place}: no answer within 30 s\ufffd[2J" in row["evidence"]
    assert len(row["evidence"]) < 500


def test_a_machine_without_user_managers_is_told_what_to_install(studio):
    studio.remove("/usr/lib/x86_64-linux-gnu/security/pam_systemd.so")
    studio.ada.desktop.problem = "there is no user manager"
    row = studio.ask()["rtprio"]
    assert row["status"] == "fail"
    assert "no user manager" in row["evidence"]
    assert "Install libpam-systemd" in row["remedy"]
