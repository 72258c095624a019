# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The promised nice value can be used in login and desktop."""

from __future__ import annotations

import pytest

ROW = "Max nice priority"


@pytest.mark.parametrize(
    ("limit", "wanted", "status", "shown"),
    [
        ("40", -20, "pass", "-20"),
        ("39", -20, "fail", "-19"),
        ("31", -11, "pass", "-11"),
        ("30", -11, "fail", "-10"),
        ("0", -20, "fail", "19"),
        ("unlimited", -20, "pass", "unlimited"),
    ],
)
def test_the_kernel_counts_the_other_way_round(studio, limit, wanted, status, shown):
    studio.limit(ROW, limit, "40")
    row = studio.ask(rt_limits_nice=wanted)["nice"]
    assert row["status"] == status
    assert row["evidence"] == f"ada: login {shown}, desktop -20"


def test_another_file_that_takes_it_can_be_found(studio):
    studio.limit(ROW, "20", "40")
    assert "grep -rsi nice /etc/security" in studio.ask()["nice"]["remedy"]


@pytest.mark.parametrize("place", ["login", "desktop"])
def test_a_number_is_no_proof(studio, place):
    getattr(studio.ada, place).nices = "nice -20 was refused: Permission denied"
    row = studio.ask()["nice"]
    assert row["status"] == "fail"
    assert f"yet in the {place}: nice -20 was refused" in row["evidence"]
