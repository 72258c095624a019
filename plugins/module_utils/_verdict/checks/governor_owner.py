# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One alone sets the CPU frequency governor: this collection, or a daemon that is there to do it."""

from __future__ import annotations

from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.machine import Machine
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.model import AGAIN, Answer, Check, Settings

_OWNER = "sched_tuning_governor_owner"


def _ask(machine: Machine, settings: Settings) -> Answer:
    ours = settings[_OWNER] == "collection"
    wanted = "nobody but this collection" if ours else "a daemon"
    if machine.container:
        return Answer("vacuous", "a container runs on its host's CPUs", wanted)
    daemons = machine.governor_daemons()
    named = ", ".join(sorted(daemons))
    if not machine.governors():
        also = f"; {named} runs, and has nothing to set" if daemons else ""
        return Answer("vacuous", f"no CPU frequency scaling on this machine{also}", wanted)
    if not ours:
        if daemons:
            return Answer("pass", f"left to {named}", wanted)
        remedy = f"Set {_OWNER} to collection, or install one of them, such as power-profiles-daemon."
        return Answer("fail", "nobody sets it: no daemon that would do it runs", wanted, remedy)
    if not settings["sched_tuning_governor"]:
        return Answer("vacuous", f"left alone{f'; {named} runs' if daemons else ''}", wanted)
    if daemons:
        stop = "; ".join(daemons[name] for name in sorted(daemons))
        remedy = f"Let one alone set it: {stop}. Or leave it to them: {_OWNER}: daemon. {AGAIN}"
        return Answer("fail", f"{named} sets it, too", wanted, remedy)
    return Answer("pass", "no daemon runs that would set it, too", wanted)


CHECK = Check("governor_owner", "Who sets the governor", _ask, (_OWNER, "sched_tuning_governor"), role="sched_tuning")
