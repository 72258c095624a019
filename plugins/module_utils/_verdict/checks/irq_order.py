# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The live threads of interrupts have their places in the priority plan.

Those of sound cards and USB controllers stand above the audio server, which waits for them, and no other one stands
above Wine, which would wait for a disk or a network card.
"""

from __future__ import annotations

from typing import List

from ansible_collections.nspa.proaudio.plugins.module_utils._host import interrupts, priority_plan
from ansible_collections.nspa.proaudio.plugins.module_utils._host.interrupts import Thread
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.machine import Machine
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.model import AGAIN, Answer, Check, Settings

_WANTED = "sound and USB above the audio server, all others below Wine"
_SHOWN = 4  # offenders that are named


def _ask(machine: Machine, settings: Settings) -> Answer:
    if machine.container:
        return Answer("vacuous", "a container does not see its host's interrupts", _WANTED)
    threads = machine.interrupt_threads()
    if not threads:
        return Answer("vacuous", "this kernel runs no interrupt in a thread", _WANTED)
    wrong = [sentence for thread in threads for sentence in _problem(thread, settings)]
    if wrong:
        more = f"; {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        return Answer("fail", "; ".join(wrong[:_SHOWN]) + more, _WANTED, AGAIN)
    first = [thread for thread in threads if thread.kind != interrupts.OTHER]
    if not first:
        return Answer("vacuous", f"no sound card or USB controller; {len(threads)} others below Wine", _WANTED)
    return Answer("pass", ", ".join(f"{_name(thread)} at {thread.priority}" for thread in first[:_SHOWN]), _WANTED)


def _problem(thread: Thread, settings: Settings) -> List[str]:
    """What is wrong with a thread: whom it would hold up, or who it."""
    priority = thread.priority if thread.is_fifo else 0
    programs = [(who, settings[name]) for name, who in priority_plan.PROGRAMS]
    if thread.kind == interrupts.OTHER:
        who, limit = programs[-1]
        return [f"{_name(thread)} at {priority} is not below {who} {limit}"] if priority >= limit else []
    below = [(who, other) for who, other in programs if priority <= other]
    return [f"{_name(thread)} at {priority} is below {who} {other}" for who, other in below[-1:]]


def _name(thread: Thread) -> str:
    return f"IRQ {thread.number} {thread.name}"


CHECK = Check(
    "irq_order",
    "Order of interrupts",
    _ask,
    tuple(name for name, _who in priority_plan.PROGRAMS),
    role="sched_tuning",
)
