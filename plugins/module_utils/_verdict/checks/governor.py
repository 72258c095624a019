# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every CPU runs with the frequency governor that is wanted."""

from __future__ import annotations

from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.machine import Machine
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.model import AGAIN, Answer, Check, Settings


def _ask(machine: Machine, settings: Settings) -> Answer:
    wanted: str = settings["sched_tuning_governor"]
    if not wanted:
        return Answer("vacuous", "left alone", "")
    if settings["sched_tuning_governor_owner"] == "daemon":
        return Answer("vacuous", "left to the daemon that sets it", "")
    if machine.container:
        return Answer("vacuous", "a container runs on its host's CPUs", wanted)
    governors = machine.governors()
    # The file of a CPU that is offline is there, and says EBUSY (drivers/cpufreq/cpufreq.c).
    offline = [cpu for cpu, governor in governors.items() if governor is None and machine.is_offline(cpu)]
    seen = {cpu: governor for cpu, governor in governors.items() if cpu not in offline}
    if not seen:
        return Answer("vacuous", "no CPU frequency scaling on this machine", wanted)
    named = [governor for governor in seen.values() if governor is not None]
    evidence = f"{' '.join(sorted(set(named))) or 'nothing to be read'} on {len(named)} CPUs"
    if offline:
        evidence += f"; {', '.join(offline)} offline, not looked at"
    closed = [cpu for cpu, governor in seen.items() if governor is None]
    if any(governor != wanted for governor in named):
        return Answer("fail", evidence, wanted, AGAIN)
    if closed:
        remedy = "Run this as root on the machine itself."
        return Answer("blocked", f"{evidence}; {', '.join(closed)} cannot be read", wanted, remedy)
    return Answer("pass", evidence, wanted)


CHECK = Check(
    "governor",
    "CPU frequency governor",
    _ask,
    ("sched_tuning_governor", "sched_tuning_governor_owner"),
    role="sched_tuning",
)
