# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The priority plan: who may interrupt whom.

The interrupts of sound cards come first, then those of USB controllers, to which interfaces are plugged in, the JACK or
PipeWire server, its clients, Wine, and last the other interrupt threads. Two neighbours with the same SCHED_FIFO
priority wait for each other, so the order is strict.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Tuple

#: Threads of the kernel, which no session's limit binds.
INTERRUPTS_ABOVE: Tuple[Tuple[str, str], ...] = (
    ("sched_tuning_irq_sound_rtprio", "the interrupts of sound cards"),
    ("sched_tuning_irq_usb_rtprio", "the interrupts of USB controllers"),
)
OTHERS = ("sched_tuning_irq_other_rtprio", "the other interrupt threads")

#: Programs that a user starts.
PROGRAMS: Tuple[Tuple[str, str], ...] = (
    ("rt_limits_server_rtprio", "the JACK or PipeWire server"),
    ("rt_limits_client_rtprio", "the audio clients"),
    ("wine_env_rt_prio", "Wine's ceiling"),
)

#: The plan from the top: the variable, and what it stands for.
ORDER: Tuple[Tuple[str, str], ...] = (*INTERRUPTS_ABOVE, *PROGRAMS, OTHERS)

#: The limit that sessions get; every program that a user starts must fit below it.
LIMIT = "rt_limits_rtprio"

#: SCHED_FIFO and SCHED_RR priorities run from 1 to 99 (sched(7)); 99 belongs to the kernel's own
#: watchdog and migration threads, which must be able to stop a runaway audio thread.
LOWEST, HIGHEST = 1, 98

#: Where the kernel puts threaded interrupts: the middle, MAX_RT_PRIO / 2 (kernel/sched/syscalls.c, sched_set_fifo).
INTERRUPTS = 50


def problems(values: Mapping[str, Any]) -> List[str]:
    """Return what is wrong with the plan, one sentence each.

    :param values: priorities by variable name; a missing name is not checked.
    """
    found: List[str] = []
    known: Dict[str, int] = {}
    for name, who in (*ORDER, (LIMIT, "the limit of every session")):
        value = values.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int):
            found.append(f"{name} is {value!r}: wanted a whole number from {LOWEST} to {HIGHEST}")
        elif not LOWEST <= value <= HIGHEST:
            found.append(
                f"{name} is {value}: wanted {LOWEST} to {HIGHEST} for {who}; "
                "99 is kept for the kernel's own threads, which must be able to stop a runaway program"
            )
        else:
            known[name] = value
    ordered = [(name, who) for name, who in ORDER if name in known]
    for (upper, upper_who), (lower, lower_who) in zip(ordered, ordered[1:]):
        if known[upper] <= known[lower]:
            found.append(
                f"the priority plan is out of order: {upper} is {known[upper]} ({upper_who}) and {lower} is "
                f"{known[lower]} ({lower_who}), but {upper_who} must stand strictly above {lower_who}; "
                f"raise {upper} or lower {lower}"
            )
    # A plan without the other interrupts has them where the kernel puts them.
    for name, who in ordered[-1:] if OTHERS[0] not in known else ():
        if known[name] <= INTERRUPTS:
            found.append(
                f"the priority plan is out of order: {name} is {known[name]} ({who}), but the kernel's interrupt "
                f"threads run at {INTERRUPTS} and would hold it up; raise {name} above {INTERRUPTS}"
            )
    if LIMIT in known:
        for name, who in PROGRAMS:
            if name in known and known[name] > known[LIMIT]:
                found.append(
                    f"{name} is {known[name]} ({who}), but sessions may only use priorities up to {LIMIT}, "
                    f"which is {known[LIMIT]}; raise {LIMIT} or lower {name}"
                )
    return found
