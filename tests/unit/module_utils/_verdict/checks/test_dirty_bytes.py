# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both amounts of unwritten data are as wanted; a share of the memory is not."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("name", ["dirty_bytes", "dirty_background_bytes"])
def test_each_of_the_two_counts(studio, name):
    assert studio.ask()["dirty_bytes"]["status"] == "pass"
    studio.write(f"/proc/sys/vm/{name}", "0")
    row = studio.ask()["dirty_bytes"]
    assert row["status"] == "fail"
    assert "0" in row["evidence"].split("; ")


def test_one_may_be_left_alone(studio):
    studio.write("/proc/sys/vm/dirty_bytes", "0")
    assert studio.ask(sched_tuning_dirty_bytes=None)["dirty_bytes"]["status"] == "vacuous"


def test_another_file_that_wins_at_boot_is_named(studio):
    studio.boot["vm.dirty_bytes"] = ("1", "/etc/sysctl.d/99-other.conf")
    assert "/etc/sysctl.d/99-other.conf sets it to 1" in studio.ask()["dirty_bytes"]["evidence"]
