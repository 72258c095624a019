# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sleep and be woken: once and carefully, on time, and often enough to know how long it takes.

What waits and what wakes are functions that the caller gives; they return what the kernel returned, a negated errno
for an error. Nothing here has a deadline of its own: run it in a guard.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import threading
import time
from typing import Any, Callable, Dict, List, Optional, Tuple

from ansible_collections.nspa.proaudio.plugins.module_utils._sync.abi import (
    Memory,
    die_with_parent,
    errno_name,
    fork,
    now,
)

_PATIENCE = 100  # how often a wait may be interrupted (EINTR) before that is a fault of the kernel
_SHORTEST, _LONGEST = 500000, 50000000  # ns that a wait with a timeout is tried for
_SETTLE = 30000  # ns that the waker leaves to the waiter to fall asleep
_STEP = 100  # timed wakes between two signs of life

_POLICIES = {0: "SCHED_OTHER", 1: "SCHED_FIFO", 2: "SCHED_RR", 3: "SCHED_BATCH", 5: "SCHED_IDLE", 6: "SCHED_DEADLINE"}


def patiently(call: Callable[[], int]) -> int:
    """Repeat a call that a signal interrupted, within reason."""
    result = -errno.EINTR
    for _attempt in range(_PATIENCE):
        result = call()
        if result != -errno.EINTR:
            break
    return result


def wake_one(wait: Callable[[], int], wake: Callable[[], int]) -> Dict[str, Any]:
    """Wait in another thread, and wake it from this one.

    `wake` returns how many waiters it woke, and is repeated while that is 0. Returned are the names of what both
    calls gave, and whether the wait came back `early`: before anybody woke it. A wake that fails leaves the other
    thread asleep, and `got` empty.
    """
    returned: List[Tuple[int, int]] = []

    def run() -> None:
        result = wait()
        returned.append((result, now()))

    waiter = threading.Thread(target=run, daemon=True)
    waiter.start()
    woken, woken_at = 0, now()
    while not returned and woken == 0:
        time.sleep(0.00003)
        woken_at = now()
        woken = wake()
    if woken < 0:
        return {"got": "", "wake": errno_name(woken), "early": False}
    waiter.join()
    result, returned_at = returned[0]
    early = woken == 0 or returned_at < woken_at
    return {"got": errno_name(result), "wake": errno_name(woken), "early": early}


def is_right(seen: Dict[str, Any], index: int) -> bool:
    """Whether `wake_one` saw the wait return that index, after one waiter was woken."""
    return bool(seen["got"] == str(index) and seen["wake"] == "1" and not seen["early"])


def lasts(wait: Callable[[int], int], clock: Optional[int], tries: int = 2) -> bool:
    """Whether a wait that nobody ends lasts until its timeout, in ns: a moment on `clock`, or, if None, a duration.

    A wait that ends at once seems to last if the machine is slow, or busy with something else meanwhile. So each try
    lasts for much longer than a wait whose moment is past, and all `tries` must last.
    """
    ruler = time.CLOCK_MONOTONIC if clock is None else clock
    start = now(ruler)
    if wait(1) != -errno.ETIMEDOUT:
        return False
    duration = min(max(_SHORTEST, 5 * (now(ruler) - start)), _LONGEST)
    for _attempt in range(tries):
        start = now(ruler)
        result = wait(duration + (0 if clock is None else start))
        if result != -errno.ETIMEDOUT or now(ruler) < start + duration:
            return False
    return True


def conditions() -> Dict[str, Any]:
    """What measured latencies depend on: policy and priority of this process, and the processors that are used."""
    waker, waiter = _processors()
    try:
        policy = os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK
        priority = os.sched_getparam(0).sched_priority
    except OSError:  # musl's C library does not tell
        policy, priority = -1, 0
    return {
        "policy": _POLICIES.get(policy, "unknown"),
        "priority": priority,
        "waker_cpu": waker,
        "waiter_cpu": waiter,
    }


def _processors() -> Tuple[int, int]:
    """For the waker and the waiter: two of those that this process may use, or the only one twice."""
    try:
        allowed = sorted(os.sched_getaffinity(0))
    except OSError:
        allowed = [0]
    return allowed[0], allowed[min(1, len(allowed) - 1)]


def _stay_on(processor: int) -> None:
    """Where that is forbidden, the figures are a little less steady."""
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, {processor})


def latency(
    wait: Callable[[], int], wake: Callable[[], int], samples: int, step: Callable[[str], None]
) -> Dict[str, Any]:
    """Time `samples` wakes, from just before the call that wakes to the moment when the waiter runs again, in µs.

    Waiter and waker are two processes, as Wine's are, each on its own processor where there are two: two Python
    threads would measure each other's interpreter lock. About 2 µs of each figure are Python's. This process stays on
    the waker's processor.
    """
    # The last word: how many waits have begun. Those before it: when each wait came back, or -1.
    words = (ctypes.c_int64 * (samples + 1)).from_buffer(Memory(8 * (samples + 1), shared=True).map)
    waker_cpu, waiter_cpu = _processors()
    parent = os.getpid()
    child = fork()
    if child == 0:
        try:
            die_with_parent(parent)
            _stay_on(waiter_cpu)
            for sample in range(samples):
                words[samples] = sample + 1
                result = wait()
                words[sample] = now() if result >= 0 else -1
        finally:  # whatever happened, the waker must not wait for more
            for sample in range(samples):
                words[sample] = words[sample] or -1
            words[samples] = samples
            os._exit(0)
    _stay_on(waker_cpu)
    latencies: List[int] = []
    for sample in range(samples):
        if sample % _STEP == 0:
            step(f"timing wake {sample + 1} of {samples}")
        while words[samples] <= sample:
            os.sched_yield()
        settled = now() + _SETTLE
        while now() < settled:
            os.sched_yield()
        woken_at = now()
        while wake() == 0 and not words[sample]:
            os.sched_yield()
            woken_at = now()
        while not words[sample]:
            os.sched_yield()
        if words[sample] >= woken_at:
            latencies.append(words[sample] - woken_at)
    os.waitpid(child, 0)
    return summary(latencies)


def summary(latencies: List[int]) -> Dict[str, Any]:
    """min, p50, p99 and max (nearest rank) in µs of latencies in ns, and how many there are."""
    if not latencies:
        return {"samples": 0}
    ordered = [round(latency / 1000, 1) for latency in sorted(latencies)]
    count = len(ordered)
    return {
        "min": ordered[0],
        "p50": ordered[-(-50 * count // 100) - 1],
        "p99": ordered[-(-99 * count // 100) - 1],
        "max": ordered[-1],
        "samples": count,
    }
