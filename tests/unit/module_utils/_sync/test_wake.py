# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting and waking: what is measured, under which conditions, and what it may cost."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import CHECKOUT

from ansible_collections.nspa.proaudio.plugins.module_utils._sync import guard as guard
from ansible_collections.nspa.proaudio.plugins.module_utils._sync import probe, wake

BUDGET_S = 0.05


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=300))
def test_percentiles_are_values_that_were_measured(latencies: list[int]) -> None:
    figures = wake.summary(latencies)
    assert figures["samples"] == len(latencies)
    rounded = {round(latency / 1000, 1) for latency in latencies}
    assert {figures[name] for name in ("min", "p50", "p99", "max")} <= rounded
    assert min(rounded) == figures["min"] <= figures["p50"] <= figures["p99"] <= figures["max"] == max(rounded)
    assert sum(round(latency / 1000, 1) <= figures["p50"] for latency in latencies) * 2 >= len(latencies)


def test_percentiles_of_a_hundred() -> None:
    figures = wake.summary([number * 1000 for number in range(1, 101)])
    assert figures == {"min": 1.0, "p50": 50.0, "p99": 99.0, "max": 100.0, "samples": 100}


def test_nothing_measured_is_said() -> None:
    assert wake.summary([]) == {"samples": 0}


def test_a_waiter_that_fails_does_not_hold_up_the_waker() -> None:
    def fails() -> int:
        raise RuntimeError

    def job(trail: guard.Trail) -> None:
        for wait in (fails, lambda: -errno.EINTR):
            trail.facts[repr(wait)] = wake.latency(wait, lambda: 0, 5, trail.step)

    outcome = guard.run({"job": job}, deadline=5)["job"]
    assert (outcome["end"], list(outcome["facts"].values())) == (guard.DONE, [{"samples": 0}] * 2)


def test_a_call_that_is_interrupted_now_and_then_is_repeated() -> None:
    answers = [-errno.EINTR, -errno.EINTR, 7]
    assert wake.patiently(lambda: answers.pop(0)) == 7
    assert wake.patiently(lambda: -errno.EINTR) == -errno.EINTR


@pytest.mark.parametrize("clock", [None, time.CLOCK_MONOTONIC, time.CLOCK_REALTIME])
def test_a_wait_that_ends_at_once_does_not_last(clock: int | None) -> None:
    assert not wake.lasts(lambda _timeout: -errno.ETIMEDOUT, clock)
    assert not wake.lasts(lambda _timeout: -errno.EINVAL, clock)


def test_a_wait_that_lasts_is_told_by_its_clock() -> None:
    def sleeps_until(timeout: int) -> int:
        time.sleep(max(0.0, timeout / 1e9 - time.clock_gettime(time.CLOCK_MONOTONIC)))
        return -errno.ETIMEDOUT

    assert wake.lasts(sleeps_until, time.CLOCK_MONOTONIC)
    assert not wake.lasts(sleeps_until, None)


def test_the_conditions_of_a_measurement_are_told() -> None:
    conditions = wake.conditions()
    assert {conditions["waker_cpu"], conditions["waiter_cpu"]} <= os.sched_getaffinity(0)
    assert conditions["policy"].startswith("SCHED_")
    assert conditions["priority"] == os.sched_getparam(0).sched_priority


def test_as_many_wakes_are_timed_as_were_asked_for() -> None:
    for samples in (1, 250):
        result = probe.probe(samples=samples)
        assert result["measured_with"]["samples"] == samples
        for found in result["interfaces"].values():
            if found["status"] == "supported":
                assert found["wake_latency_us"]["samples"] == samples


COST = """
import resource
from ansible_collections.nspa.proaudio.plugins.module_utils._sync import probe

def spent():
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in both)

for _round in range(5):
    before = spent()
    probe.probe()
    print(spent() - before)
"""


def test_the_probe_stays_within_its_budget() -> None:
    """Of processor time, its own and its children's: a busy machine does not change that much. Best of five.

    In a process of its own, as a module runs: a large one takes longer to have children.
    """
    done = subprocess.run(
        [sys.executable, "-c", COST],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT / "collections")},
        capture_output=True,
        text=True,
        check=True,
    )
    costs = [float(line) for line in done.stdout.splitlines()]
    assert len(costs) == 5
    assert min(costs) < BUDGET_S, costs


def test_the_probe_leaves_nothing_behind() -> None:
    def state() -> tuple[int, set[str]]:
        return len(os.listdir("/proc/self/fd")), set(os.listdir("/proc/self/task"))

    probe.probe(samples=1)
    before = state()
    affinity = os.sched_getaffinity(0)
    for _round in range(3):
        probe.probe(samples=1)
    assert state() == before
    assert os.sched_getaffinity(0) == affinity
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
