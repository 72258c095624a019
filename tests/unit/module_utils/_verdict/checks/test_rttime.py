# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""No real-time thread is killed for the time that it uses."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("login", "desktop", "status", "shown"),
    [
        ("unlimited", "unlimited", "pass", "login unlimited, desktop unlimited"),
        ("unlimited", "200000", "fail", "login unlimited, desktop 200000 µs"),
        ("200000", "unlimited", "fail", "login 200000 µs, desktop unlimited"),
    ],
)
def test_only_unlimited_is_enough(studio, login, desktop, status, shown):
    studio.limit("Max realtime timeout", login, desktop)
    row = studio.ask()["rttime"]
    assert (row["status"], row["evidence"]) == (status, f"ada: {shown}")
