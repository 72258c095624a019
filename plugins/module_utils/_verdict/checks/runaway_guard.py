# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real-time thread that spins cannot keep a CPU for itself: the kernel leaves a part of it to everything else.

Up to Linux 6.11 that is real-time throttling (sched(7): real-time threads get sched_rt_runtime_us of every
sched_rt_period_us; -1 turns it off). Since 6.12 it is the fair server, a deadline entity of each CPU that serves
ordinary programs when they starve (kernel/sched/deadline.c, sched_init_dl_servers: 50 ms of every second); the two
sysctls no longer throttle, and only debugfs turns it off, until the next boot.
"""

from __future__ import annotations

import re
from typing import Dict, Optional

from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.machine import Machine
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.model import Answer, Check, Settings

_WANTED = "a spinning real-time thread leaves every CPU some time for the rest"
_RUNTIME = "kernel.sched_rt_runtime_us"
_FAIR_SERVER = (6, 12)


def _ask(machine: Machine, _settings: Settings) -> Answer:
    if machine.container:
        return Answer("vacuous", "a container runs under its host's scheduler", _WANTED)
    runtime = machine.read("/proc/sys/kernel/sched_rt_runtime_us")
    period = machine.read("/proc/sys/kernel/sched_rt_period_us")
    if runtime is None or period is None:
        return Answer(
            "fail",
            f"{machine.release} has neither real-time throttling nor the fair server",
            _WANTED,
            "Boot a kernel with the scheduler of Linux, such as the one that the role linux_nspa installs.",
        )
    version = re.match(r"(\d+)\.(\d+)", machine.release)
    servers = machine.fair_servers()
    if servers or (version and (int(version.group(1)), int(version.group(2))) >= _FAIR_SERVER):
        return _fair_server(servers)
    return _throttling(machine, int(runtime), int(period))


def _fair_server(servers: Dict[str, Optional[str]]) -> Answer:
    off = [cpu for cpu, runtime in servers.items() if runtime == "0"]
    if off:
        return Answer(
            "fail",
            f"the fair server is off on {', '.join(off)}: a spinning plug-in can take it for ever",
            _WANTED,
            "Find what writes 0 to /sys/kernel/debug/sched/fair_server/cpu*/runtime and take that out, then reboot: "
            "the fair server is on by itself.",
        )
    shares = [int(runtime) // 1000000 for runtime in servers.values() if runtime and runtime.isdigit()]
    if len(shares) < len(servers) or not servers:
        # Whoever cannot read the file cannot have written it: both need debugfs, and a kernel that is not locked down.
        seen = "the fair server is on, as the kernel starts with it (nobody can reach its settings here)"
    else:
        seen = f"the fair server is on: {min(shares)} ms of each of its periods are for everything else, on every CPU"
    return Answer("pass", seen, _WANTED)


def _throttling(machine: Machine, runtime: int, period: int) -> Answer:
    if not 0 <= runtime < period:
        return Answer(
            "fail",
            f"real-time throttling is off (sched_rt_runtime_us is {runtime}): a spinning plug-in can take a CPU",
            _WANTED,
            f"Run: sysctl -w {_RUNTIME}=950000, and see what turns it off: grep -rs {_RUNTIME} /etc/sysctl.conf "
            "/etc/sysctl.d /usr/lib/sysctl.d; if nothing does, the kernel itself: set it in /etc/sysctl.d/local.conf.",
        )
    seen = f"real-time throttling is on: {runtime / period:.0%} of the time at most"
    coming = machine.set_at_boot(_RUNTIME)
    if coming and not (coming[0].isdigit() and int(coming[0]) < period):
        remedy = f"Take the line with {_RUNTIME} out of {coming[1]}."
        return Answer("fail", f"{seen}; but {coming[1]} turns it off at the next boot", _WANTED, remedy)
    return Answer("pass", seen, _WANTED)


CHECK = Check("runaway_guard", "Runaway real-time threads", _ask, role="rt_limits")
