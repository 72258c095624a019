# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel wakes a waiter of many futexes: it is done here, not looked up."""

from __future__ import annotations

from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.machine import Machine
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.model import Answer, Check, Settings

_WANTED = "fsync or ntsync"


def _ask(machine: Machine, _settings: Settings) -> Answer:
    probed = machine.probe_sync()
    best, interfaces = probed["wine_sync"], probed["interfaces"]
    told = [f"{name} {item['status']}" for name, item in interfaces.items() if item["status"] != "absent"]
    evidence = f"Wine could use {best}: {', '.join(told) or 'no interface is there'}"
    latency = interfaces["futex_waitv"].get("wake_latency_us")
    if latency:
        evidence += f"; half of the wakes within {latency['p50']:.0f} µs, the slowest {latency['max']:.0f} µs"
    if best in ("fsync", "ntsync"):
        return Answer("pass", evidence, _WANTED)
    if any(item["status"] == "blocked" for item in interfaces.values()):
        remedy = "Something here (a container's seccomp filter, most likely) forbids to ask; run this on the host."
        return Answer("blocked", evidence, _WANTED, remedy)
    remedy = "Boot a kernel from 5.16 on, such as the one that the role linux_nspa installs."
    return Answer("fail", evidence, _WANTED, remedy)


CHECK = Check("futex_wait_multiple", "Waiting on many futexes", _ask)
