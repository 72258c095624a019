# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wine's variables are in login and desktop, and the installed Wine reads them."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("place", "was_running", "status", "words"),
    [
        ("login", False, "fail", "login lacks WINEFSYNC"),
        ("login", True, "fail", "login lacks WINEFSYNC"),
        ("desktop", False, "fail", "desktop lacks WINEFSYNC"),
        ("desktop", True, "pending", "desktop lacks WINEFSYNC"),
    ],
)
def test_in_both_places(studio, place, was_running, status, words):
    """~/.bash_profile with WINEFSYNC=0, for example."""
    getattr(studio.ada, place).environment["WINEFSYNC"] = "0"
    studio.ada.manager_was_running = was_running
    row = studio.ask()["wine_environment"]
    assert (row["status"], words in row["evidence"]) == (status, True)
    assert ("grep -rs WINEFSYNC /etc ~ada/.*profile" in row["remedy"]) == (status == "fail")
    assert (row["remedy"] == "Log ada out everywhere and in again, or reboot.") == (status == "pending")


def test_where_all_are_lacking_the_playbook_has_not_run(studio):
    studio.ada.login.environment.clear()
    row = studio.ask()["wine_environment"]
    assert (row["status"], "login lacks all 8" in row["evidence"]) == ("fail", True)
    assert "grep" not in row["remedy"]


def test_further_variables_and_other_values_are_wanted_too(studio):
    assert studio.ask(wine_env_extra={"WINEDEBUG": "+seh"})["wine_environment"]["status"] == "fail"
    for place in (studio.ada.login, studio.ada.desktop):
        place.environment["WINEDEBUG"] = "+seh"
    assert studio.ask(wine_env_extra={"WINEDEBUG": "+seh"})["wine_environment"]["status"] == "pass"


def test_a_wine_that_reads_them_is_green_and_what_it_does_not_read_is_said(studio):
    row = studio.ask()["wine_environment"]
    assert row["status"] == "pass"
    assert "ada: all 8 variables in login and desktop" in row["evidence"]
    assert "all but STAGING_SHARED_MEMORY" in row["evidence"]


@pytest.mark.parametrize("read", [{"WINEDEBUG"}, {"WINEDEBUG", "WINEFSYNC"}, {"WINE_RT_PRIO"}])
def test_a_wine_without_the_real_time_variables_is_a_stand_in_and_not_green(studio, read):
    studio.read_by_wine = read
    row = studio.ask()["wine_environment"]
    assert row["status"] == "vacuous"
    assert f"this Wine ({studio.wineserver}), standing in for Wine-NSPA, reads none of " in row["evidence"]
    assert "WINEDEBUG" not in row["evidence"].replace("WINEDEBUG=", "") or "WINEDEBUG" not in read
    assert "Install a Wine-NSPA" in row["remedy"]


def test_without_a_wine_nothing_is_proven(studio):
    studio.wineserver.unlink()
    row = studio.ask(wine_nspa_state="absent")["wine_environment"]
    assert row["status"] == "vacuous"
    assert f"no Wine to read them ({studio.root}/usr/lib/wine/wineserver*)" in row["evidence"]
    evidence = studio.ask(wine_nspa_capabilities=[])["wine_environment"]["evidence"]
    assert "no Wine to read them (none is named)" in evidence


def test_lacking_variables_are_worse_than_a_stand_in(studio):
    studio.read_by_wine = set()
    del studio.ada.desktop.environment["WINEFSYNC"]
    assert studio.ask()["wine_environment"]["status"] == "fail"


def test_nobody_to_log_in_fails(studio):
    assert studio.ask(rt_limits_users=[], rt_limits_group="none-here")["wine_environment"]["status"] == "fail"
