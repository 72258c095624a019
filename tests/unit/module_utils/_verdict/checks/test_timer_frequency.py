# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both clocks give users what is wanted; a machine may have only one of them."""

from __future__ import annotations

import pytest

RTC, HPET = "/sys/class/rtc/rtc0/max_user_freq", "/proc/sys/dev/hpet/max-user-freq"


@pytest.mark.parametrize(
    ("rtc", "hpet", "status"),
    [
        ("3072", "3072", "pass"),
        ("64", "3072", "fail"),
        ("3072", "64", "fail"),
        ("3072", None, "pass"),
        (None, "3072", "pass"),
        (None, "64", "fail"),
        (None, None, "vacuous"),
    ],
)
def test_every_clock_that_there_is_counts(studio, rtc, hpet, status):
    for path, value in ((RTC, rtc), (HPET, hpet)):
        studio.remove(path) if value is None else studio.write(path, value)
    assert studio.ask()["timer_frequency"]["status"] == status


def test_one_of_several_is_enough_to_fail(studio):
    studio.write(RTC.replace("rtc0", "rtc1"), "64")
    row = studio.ask()["timer_frequency"]
    assert (row["status"], row["evidence"].split("; ")[0]) == ("fail", "3072, 64 in 2 of 2")
