# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nobody's audio runs on what rtkit grants: a low priority, and death after a fraction of a second of CPU time.

rtkit is what PipeWire and the desktop's portal fall back to where a session has no limits of its own. It makes a thread
SCHED_RR, no higher than its own maximum (20), and only of a program that has set RLIMIT_RTTIME to no more than its
maximum (200 ms), after which the kernel kills that program (rtkit's rtkit-daemon.c, process_set_realtime).
"""

from __future__ import annotations

from typing import List

from ansible_collections.nspa.proaudio.plugins.module_utils._host.sessions import Session
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict import people
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.machine import Machine, RealtimeProgram
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.model import Answer, Check, Settings, worst

_WANTED = "priorities come from the session's own limits"


def _ask(machine: Machine, settings: Settings) -> Answer:
    rtkit = machine.rtkit()
    if rtkit is None:
        return Answer("vacuous", "rtkit does not run", _WANTED)
    seen = f"rtkit runs, and grants no more than priority {rtkit.priority} and {rtkit.rttime_us // 1000} ms"
    answers = []
    for user in people.find(machine, settings).present:
        granted = [
            program
            for program in machine.realtime_programs(machine.uid(user) or 0)
            if program.rttime_us is not None and program.priority <= rtkit.priority
        ]
        if granted:
            answers.append(_judge(machine, settings, user, granted))
    if not answers:
        return Answer("pass", f"{seen}; no program of anybody's has it from there", _WANTED)
    return worst([Answer("pass", seen, _WANTED), *answers])


def _judge(machine: Machine, settings: Settings, user: str, granted: List[RealtimeProgram]) -> Answer:
    evidence = f"{user} has {_shown(granted)} from it"
    if all(program.limit < settings["rt_limits_rtprio"] for program in granted):
        return people.ask_one(machine, settings, _WANTED, user, lambda session: _pending(evidence, session))
    remedy = (
        f"These programs ask rtkit although {user}'s limits would do: update them, or keep rtkit away with "
        "systemctl mask --now rtkit-daemon, and start them again."
    )
    return Answer("fail", evidence, _WANTED, remedy)


def _pending(evidence: str, session: Session) -> Answer:
    return Answer("pending", f"{evidence}, since before the limits", _WANTED, people.again(session))


def _shown(granted: List[RealtimeProgram]) -> str:
    return ", ".join(sorted({f"{people.quote(program.name)} at {program.priority}" for program in granted}))


CHECK = Check("rtkit", "Priorities from rtkit", _ask, people.SETTINGS, role="rt_limits")
