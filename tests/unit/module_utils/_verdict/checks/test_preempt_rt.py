# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The running kernel is PREEMPT_RT, whatever its name says."""

from __future__ import annotations

import pytest

RT, STOCK = "6.12.9-rt-amd64", "6.12.9-amd64"


@pytest.fixture
def ordinary(studio):
    studio.remove("/sys/kernel/realtime")
    studio.version = "#1 SMP PREEMPT_DYNAMIC Debian 6.12.9-1"
    return studio


@pytest.mark.parametrize(
    ("running", "booting", "status"), [(RT, RT, "fail"), (STOCK, RT, "pending"), (STOCK, STOCK, "fail")]
)
def test_a_kernel_that_only_has_the_name_is_not_a_real_time_kernel(ordinary, running, booting, status):
    ordinary.release, ordinary.entry.kernel = running, booting
    row = ordinary.ask()["preempt_rt"]
    assert row["status"] == status
    assert row["evidence"].startswith(f"not PREEMPT_RT ({ordinary.version})")
    assert ("linux_nspa_source" in row["remedy"]) == (running == RT)


def test_another_ordinary_kernel_that_boots_next_is_nothing_to_wait_for(ordinary):
    ordinary.release, ordinary.entry.kernel = STOCK, "6.12.8-amd64"
    assert ordinary.ask()["preempt_rt"]["status"] == "fail"


def test_the_mainlines_preempt_rt_is_one_without_the_patch_sets_file(studio):
    studio.remove("/sys/kernel/realtime")
    row = studio.ask()["preempt_rt"]
    assert (row["status"], row["evidence"]) == ("pass", f"PREEMPT_RT ({studio.version})")


def test_the_patch_sets_file_is_enough(studio):
    studio.version = "#1 SMP"
    assert studio.ask()["preempt_rt"]["evidence"] == "PREEMPT_RT (/sys/kernel/realtime is 1)"


def test_a_machine_whose_kernel_comes_from_outside_does_not_fail(ordinary):
    ordinary.loader.managed = False
    assert ordinary.ask()["preempt_rt"]["status"] == "vacuous"
