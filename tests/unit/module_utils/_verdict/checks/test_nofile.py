# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""As many files as promised can be opened in login and desktop, by a program that asks for them."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("login", "desktop", "status"),
    [("8192", "8192", "pass"), ("4096", "8192", "fail"), ("8192", "4096", "fail"), ("unlimited", "99999", "pass")],
)
def test_the_hard_limit_counts(studio, login, desktop, status):
    studio.limit("Max open files", ("1024", login), ("1024", desktop))
    row = studio.ask(rt_limits_nofile=8192)["nofile"]
    assert row["status"] == status
    assert row["evidence"] == f"ada: login {login}, desktop {desktop}"
