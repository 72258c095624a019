# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Login and desktop may open the device that keeps the CPUs awake."""

from __future__ import annotations

import pytest

REFUSED = "opening /dev/cpu_dma_latency was refused: Permission denied"


def test_both_places_opened_it(studio):
    row = studio.ask()["cpu_latency"]
    assert (row["status"], row["evidence"]) == ("pass", "ada: login and desktop opened it")


@pytest.mark.parametrize("place", ["login", "desktop"])
def test_one_place_where_it_was_refused_fails(studio, place):
    getattr(studio.ada, place).stays_awake = REFUSED
    row = studio.ask()["cpu_latency"]
    assert (row["status"], row["evidence"]) == ("fail", f"ada, in the {place}: {REFUSED}")


@pytest.mark.parametrize(
    ("was_running", "groups", "login", "status"),
    [
        (True, [], "", "pending"),
        (True, ["realtime"], "", "fail"),  # the group is there: somebody else's rule closes the device
        (False, [], "", "fail"),
        (True, [], REFUSED, "fail"),
    ],
)
def test_a_manager_from_before_the_group_is_pending(studio, was_running, groups, login, status):
    studio.ada.manager_was_running, studio.ada.desktop.groups = was_running, groups
    studio.ada.login.stays_awake, studio.ada.desktop.stays_awake = login, REFUSED
    row = studio.ask()["cpu_latency"]
    assert row["status"] == status
    assert ("Log ada out" in row["remedy"]) == (status == "pending")


def test_a_machine_without_the_device_has_nothing_to_open(studio):
    studio.remove("/dev/cpu_dma_latency")
    row = studio.ask()["cpu_latency"]
    assert (row["status"], row["evidence"]) == ("vacuous", "this kernel has no such device")
    studio.write("/run/systemd/container", "systemd-nspawn")
    assert "container" in studio.ask()["cpu_latency"]["evidence"]
