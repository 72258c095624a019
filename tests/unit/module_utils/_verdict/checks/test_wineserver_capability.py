# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A wineserver that a musician starts holds what was asked for."""

from __future__ import annotations

import pytest

from ansible_collections.nspa.proaudio.plugins.module_utils._wine.server import WineserverError


def test_a_server_that_holds_it_passes_and_one_that_lacks_it_fails(studio):
    row = studio.ask()["wineserver_capability"]
    assert (row["status"], row["evidence"]) == ("pass", f"{studio.wineserver} started by ada holds it")
    studio.holds = False
    row = studio.ask()["wineserver_capability"]
    assert row["status"] == "fail"
    assert "nosuid" in row["remedy"]


def test_a_file_without_the_capability_fails_and_is_not_started(studio):
    studio.attributes.clear()
    row = studio.ask()["wineserver_capability"]
    assert (row["status"], row["evidence"]) == ("fail", f"{studio.wineserver} has no capability")
    assert studio.started == []


def test_no_wineserver_at_all_fails(studio):
    studio.wineserver.unlink()
    row = studio.ask()["wineserver_capability"]
    assert row["status"] == "fail"
    assert row["evidence"].startswith("no wineserver is installed")


def test_a_server_that_does_not_start_fails(studio):
    studio.holds = WineserverError("it did not start: no such library\x1b[2J")
    row = studio.ask()["wineserver_capability"]
    assert row["status"] == "fail"
    assert row["evidence"] == "it did not start: no such library\ufffd[2J"


def test_a_machine_that_gives_it_to_no_program_is_blocked(studio):
    studio.write("/proc/self/status", f"CapEff:\t{(1 << 41) - 1:016x}\nCapBnd:\t{(1 << 41) - 1 - (1 << 23):016x}\n")
    row = studio.ask()["wineserver_capability"]
    assert (row["status"], studio.started) == ("blocked", [])


@pytest.mark.parametrize("users", [["root"], [], ["ghost"]])
def test_it_is_never_started_as_root(studio, users):
    studio.groups = {"realtime": users}
    row = studio.ask(rt_limits_users=[])["wineserver_capability"]
    assert (row["status"], studio.started) == ("blocked", [])
    assert "rt_limits_users" in row["remedy"]
    studio.ask(rt_limits_users=["root", "grace"])
    assert studio.started == [(str(studio.wineserver), "grace")]


def settings(studio, *entries):
    return {
        "wine_nspa_capabilities": [
            {"path": str(studio.root / path), "capabilities": capabilities} for path, capabilities in entries
        ]
    }


@pytest.mark.parametrize(
    ("has", "wanted", "status"),
    [
        ("cap_sys_nice+ep", "cap_sys_nice+ep", "pass"),
        ("cap_ipc_lock,cap_sys_nice+ep", "cap_ipc_lock+ep", "pass"),
        ("cap_ipc_lock+ep", "cap_ipc_lock,cap_sys_nice+ep", "fail"),
        ("cap_sys_nice+p", "cap_sys_nice+ep", "fail"),
        ("cap_sys_nice+ep", "cap_sys_nice+i", "fail"),
        ("", "cap_sys_nice+ep", "fail"),
    ],
)
def test_another_program_is_asked_by_its_attribute_and_not_started(studio, has, wanted, status):
    studio.program(str(studio.root / "usr/bin/jackd"), has)
    row = studio.ask(**settings(studio, ("usr/bin/jackd", wanted)))["wineserver_capability"]
    assert (row["status"], studio.started) == (status, [])


def test_every_program_is_asked(studio):
    studio.program(str(studio.root / "usr/bin/jackd"), "cap_sys_nice+ep")
    studio.program(str(studio.root / "usr/bin/ardour"), "")
    both = settings(studio, ("usr/bin/jackd", "cap_sys_nice+ep"), ("usr/bin/ardour", "cap_sys_nice+ep"))
    row = studio.ask(**both)["wineserver_capability"]
    assert row["status"] == "fail"
    assert "ardour has no capability" in row["evidence"]


def test_another_program_that_is_not_there_fails(studio):
    row = studio.ask(**settings(studio, ("usr/bin/jackd", "cap_sys_nice+ep")))["wineserver_capability"]
    assert row["status"] == "fail"
    assert row["evidence"].startswith("no program is installed")


def test_a_wineserver_is_asked_for_what_was_wanted(studio):
    studio.program(str(studio.wineserver), "cap_ipc_lock+ep")
    wanted = settings(studio, ("usr/lib/wine/wineserver*", "cap_ipc_lock+ep"))
    assert studio.ask(**wanted)["wineserver_capability"]["status"] == "pass"
    assert studio.started == []


def test_an_attribute_that_no_kernel_writes_is_not_green(studio):
    studio.attributes[str(studio.wineserver)] = b"nonsense"
    assert studio.ask()["wineserver_capability"]["status"] == "fail"


def test_nothing_asked_for_is_vacuous(studio):
    assert studio.ask(wine_nspa_capabilities=[])["wineserver_capability"]["status"] == "vacuous"


def test_a_stand_in_is_called_one(studio):
    studio.read_by_wine = {"WINEDEBUG"}
    assert "a stock Wine standing in for Wine-NSPA" in studio.ask()["wineserver_capability"]["evidence"]
    studio.read_by_wine = {"NSPA_RT_PRIO"}
    assert "standing in" not in studio.ask()["wineserver_capability"]["evidence"]


@pytest.mark.parametrize("place", ["login", "desktop"])
def test_a_place_that_keeps_programs_from_it_is_not_green(studio, place):
    """NoNewPrivileges= in a drop-in of the user's manager: started by hand it holds it, in the desktop not."""
    getattr(studio.ada, place).capabilities = "no program may get rights that its starter has not"
    row = studio.ask()["wineserver_capability"]
    assert row["status"] == "fail"
    assert f"yet in the {place}: no program may get rights" in row["evidence"]
    assert "NoNewPrivileges" in row["remedy"]
