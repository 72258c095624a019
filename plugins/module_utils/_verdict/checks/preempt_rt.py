# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The running kernel is PREEMPT_RT."""

from __future__ import annotations

from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.checks import kernel
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.machine import Machine
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.model import AGAIN, REBOOT, Answer, Check, Settings

_WANTED = "a PREEMPT_RT kernel"


def _ask(machine: Machine, settings: Settings) -> Answer:
    realtime = machine.realtime
    if realtime.active:
        return Answer("pass", f"PREEMPT_RT ({realtime.evidence})", _WANTED)
    seen = f"not PREEMPT_RT ({realtime.evidence})"
    if not machine.loader.managed:
        return Answer("vacuous", seen, _WANTED, "Choose a real-time kernel where this machine is started from.")
    chosen = kernel.chosen(machine, settings)
    if chosen == machine.release:
        remedy = "This is the kernel that linux_nspa_source chose: choose a real-time kernel."
        return Answer("fail", seen, _WANTED, remedy)
    if chosen and machine.next_boot and machine.next_boot.kernel == chosen:
        return Answer("pending", f"{seen}; {chosen} boots next", _WANTED, REBOOT)
    return Answer("fail", seen, _WANTED, AGAIN)


CHECK = Check("preempt_rt", "Real-time preemption", _ask, kernel.SETTINGS, role="linux_nspa", bare=True)
