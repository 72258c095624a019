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
    ],
)
def test_what_wine_could_use_decides(studio, interfaces, best, status):
    studio.sync = {"wine_sync": best, "interfaces": interfaces}
    row = studio.ask()["futex_wait_multiple"]
    assert row["status"] == status
    assert best in row["evidence"]
    assert ("within 9 µs, the slowest 20 µs" in row["evidence"]) == (status == "pass")
