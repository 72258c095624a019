# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Of the three words the chosen one counts; a kernel without huge pages has nothing to choose."""

from __future__ import annotations

import pytest

PATH = "/sys/kernel/mm/transparent_hugepage/enabled"


@pytest.mark.parametrize(
    ("text", "wanted", "status"),
    [
        ("always [madvise] never", "madvise", "pass"),
        ("[always] madvise never", "madvise", "fail"),
        ("always madvise [never]", "never", "pass"),
    ],
)
def test_the_chosen_word_counts(studio, text, wanted, status):
    studio.write(PATH, text)
    assert studio.ask(sched_tuning_huge_pages=wanted)["thp"]["status"] == status


def test_a_kernel_without_them_is_vacuous_with_the_reason(studio):
    studio.remove(PATH)
    row = studio.ask()["thp"]
    assert (row["status"], row["evidence"]) == ("vacuous", f"the kernel {studio.release} makes none")


def test_what_is_left_alone_or_a_containers_is_vacuous(studio):
    assert studio.ask(sched_tuning_huge_pages="")["thp"]["evidence"] == "left to the kernel"
    studio.write("/run/systemd/container", "docker")
    assert "container" in studio.ask()["thp"]["evidence"]
