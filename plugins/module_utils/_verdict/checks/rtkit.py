# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nobody's audio runs on what rtkit grants: a low priority, and death after a fraction of a second of CPU time.

rtkit is what PipeWire and the desktop's portal fall back to where a session has no limits of its own. It makes a thread
SCHED_RR, no higher than its own maximum (20), and only of a program that has set RLIMIT_RTTIME to no more than its
maximum (200 ms), after which the kernel kills that program (rtkit's rtkit-daemon.c, process_set_realtime).
"""

from __future__ import annotations

from typing import List

from ansible_collections.nspa.proaudio.plugins.module_utils._verdict import people
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.machine import Machine, RealtimeProgram
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.model import Answer, Check, Settings

_WANTED = "priorities come from the session's own limits"


def _ask(machine: Machine, settings: Settings) -> Answer:
    rtkit = machine.rtkit()
    if rtkit is None:
        return Answer("vacuous", "rtkit does not run", _WANTED)
    seen = f"rtkit runs, and grants no more than priority {rtkit.priority} and {rtkit.rttime_us // 1000} ms"
    for user in people.find(machine, settings).present:
        granted = [
            program
            for program in machine.realtime_programs(machine.uid(user) or 0)
            if program.rttime_us is not None and program.priority <= rtkit.priority
        ]
        if granted:
            return _judge(user, f"{seen}; {user} has {_shown(granted)} from it", granted, settings["rt_limits_rtprio"])
    return Answer("pass", f"{seen}; no program of anybody's has it from there", _WANTED)


def _judge(user: str, evidence: str, granted: List[RealtimeProgram], rtprio: int) -> Answer:
    if all(program.limit < rtprio for program in granted):
        remedy = f"Log {user} out everywhere and in again, or reboot: these programs are from before the limits."
        return Answer("pending", evidence, _WANTED, remedy)
    remedy = (
        f"These programs ask rtkit although {user}'s limits would do: update them, or keep rtkit away with "
        "systemctl mask --now rtkit-daemon, and start them again."
    )
    return Answer("fail", evidence, _WANTED, remedy)


def _shown(granted: List[RealtimeProgram]) -> str:
    return ", ".join(sorted({f"{people.quote(program.name)} at {program.priority}" for program in granted}))


CHECK = Check("rtkit", "Priorities from rtkit", _ask, people.SETTINGS, role="rt_limits")
