# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""As many files may be watched as is wanted, now and at the next boot."""

from __future__ import annotations

import pytest

PATH, NAME = "/proc/sys/fs/inotify/max_user_watches", "fs.inotify.max_user_watches"


@pytest.mark.parametrize(
    ("live", "coming", "status"),
    [
        ("1048576", "1048576", "pass"),
        ("13944", "1048576", "fail"),
        ("1048576", "8192", "fail"),
        ("1048576", "", "fail"),
    ],
)
def test_now_and_at_the_next_boot(studio, live, coming, status):
    studio.write(PATH, live)
    studio.boot[NAME] = (coming, "/etc/sysctl.d/99-other.conf")
    if not coming:
        del studio.boot[NAME]
    assert studio.ask()["inotify_watches"]["status"] == status


def test_a_kernel_without_it_is_named(studio):
    studio.remove(PATH)
    row = studio.ask()["inotify_watches"]
    assert (row["status"], row["evidence"]) == ("vacuous", f"the kernel {studio.release} has no {NAME}")


def test_what_is_left_alone_is_vacuous(studio):
    assert studio.ask(sched_tuning_inotify_watches=None)["inotify_watches"]["evidence"] == "left to the kernel"
