# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a wake takes, from just before the call that wakes to the moment when the waiter runs again.

Waiter and waker are two processes, as Wine's are, each on its own processor where there are two: two Python threads
would measure each other's interpreter lock. About 2 µs of each figure are Python's.
"""

from __future__ import annotations

import ctypes
import os
from typing import Any, Callable, Dict, List, Tuple

from ansible_collections.nspa.proaudio.plugins.module_utils._sync_abi import Memory, die_with_parent, now
from ansible_collections.nspa.proaudio.plugins.module_utils._sync_guard import fork

_SETTLE = 30000  # ns that the waker leaves to the waiter to fall asleep
_STEP = 100  # samples between two signs of life

POLICIES = {0: "SCHED_OTHER", 1: "SCHED_FIFO", 2: "SCHED_RR", 3: "SCHED_BATCH", 5: "SCHED_IDLE", 6: "SCHED_DEADLINE"}


def conditions() -> Dict[str, Any]:
    """What the figures depend on: policy and priority of this process, and the processors that are used."""
    waker, waiter = _processors()
    policy = os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK
    return {
        "policy": POLICIES.get(policy, str(policy)),
        "priority": os.sched_getparam(0).sched_priority,
        "waker_cpu": waker,
        "waiter_cpu": waiter,
    }


def _processors() -> Tuple[int, int]:
    """For the waker and the waiter: two of those that this process may use, or the only one twice."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[min(1, len(allowed) - 1)]


def measure(
    wait: Callable[[], int], wake: Callable[[], int], samples: int, step: Callable[[str], None]
) -> Dict[str, Any]:
    """Time `samples` wakes; return min, p50, p99 and max in µs, and how many of the samples were good.

    `wait` blocks until woken and returns a negated errno on failure; `wake` returns how many waiters it woke. Both
    must work across processes.
    """
    memory = Memory(8 * (2 * samples + 1), shared=True)
    words = (ctypes.c_int64 * (2 * samples + 1)).from_buffer(memory.map)
    waker_cpu, waiter_cpu = _processors()
    parent = os.getpid()
    child = fork()
    if child == 0:
        try:
            die_with_parent(parent)
            os.sched_setaffinity(0, {waiter_cpu})
            for sample in range(samples):
                words[0] = sample + 1  # about to wait
                result = wait()
                words[1 + sample] = now() if result >= 0 else -1
        finally:
            os._exit(0)
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {waker_cpu})
    latencies: List[int] = []
    for sample in range(samples):
        if sample % _STEP == 0:
            step(f"timing wake {sample + 1} of {samples}")
        while words[0] <= sample:  # without an end of its own: the guard has the deadline
            os.sched_yield()
        settled = now() + _SETTLE
        while now() < settled:
            os.sched_yield()
        woken_at = now()
        while wake() == 0 and not words[1 + sample]:
            os.sched_yield()
            woken_at = now()
        while not words[1 + sample]:
            os.sched_yield()
        if words[1 + sample] >= woken_at:
            latencies.append(words[1 + sample] - woken_at)
    os.waitpid(child, 0)
    os.sched_setaffinity(0, allowed)
    return summary(latencies)


def summary(latencies: List[int]) -> Dict[str, Any]:
    """min, p50, p99 and max (nearest rank) in µs of latencies in ns, and their number."""
    if not latencies:
        return {"samples": 0}
    ordered = sorted(latencies)

    def rank(percent: int) -> float:
        return round(ordered[-(-percent * len(ordered) // 100) - 1] / 1000, 1)

    return {
        "min": round(ordered[0] / 1000, 1),
        "p50": rank(50),
        "p99": rank(99),
        "max": round(ordered[-1] / 1000, 1),
        "samples": len(ordered),
    }
