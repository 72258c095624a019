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


@pytest.mark.parametrize("place", ["login", "desktop"])
def test_a_number_is_no_proof(studio, place):
    getattr(studio.ada, place).opens = "file number 1048576 was refused: Too many open files"
    row = studio.ask()["nofile"]
    assert row["status"] == "fail"
    assert f"yet in the {place}: file number 1048576 was refused" in row["evidence"]


@pytest.mark.parametrize(("most", "status"), [("1048575", "fail"), ("1048576", "pass"), ("", "pass")])
def test_the_kernels_own_limit_stands_above(studio, most, status):
    studio.write("/proc/sys/fs/nr_open", f"{most}\n")
    row = studio.ask()["nofile"]
    assert row["status"] == status
    assert ("sysctl -w fs.nr_open=1048576" in row["remedy"]) == (status == "fail")
