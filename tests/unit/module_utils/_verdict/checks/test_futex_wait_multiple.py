# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel can wait on many futexes, or something forbids to ask."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("interfaces", "best", "status"),
    [
        ({"futex_waitv": {"status": "supported", "wake_latency_us": {"p50": 9.0, "max": 20.0}}}, "fsync", "pass"),
        ({"futex_waitv": {"status": "absent"}}, "esync", "fail"),
        ({"futex_waitv": {"status": "blocked"}}, "server", "blocked"),
        ({"futex_waitv": {"status": "broken"}}, "esync", "fail"),
        ({"futex_waitv": {"status": "absent"}, "ntsync": {"status": "blocked"}}, "esync", "blocked"),
    ],
)
def test_what_wine_could_use_decides(studio, interfaces, best, status):
    studio.sync = {"wine_sync": best, "interfaces": interfaces}
    row = studio.ask()["futex_wait_multiple"]
    assert row["status"] == status
    assert best in row["evidence"]
    assert ("within 9 µs, the slowest 20 µs" in row["evidence"]) == (status == "pass")


def test_what_is_there_is_named(studio):
    studio.sync["interfaces"]["winesync"] = {"status": "absent"}
    assert studio.ask()["futex_wait_multiple"]["evidence"] == "Wine could use ntsync: futex_waitv supported"
    studio.sync = {"wine_sync": "esync", "interfaces": {"futex_waitv": {"status": "absent"}}}
    assert studio.ask()["futex_wait_multiple"]["evidence"] == "Wine could use esync: no interface is there"
