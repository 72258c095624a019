# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the ways to wait on several things at once work on this kernel, now, and which one Wine can use.

`probe` asks the running kernel by doing it, in child processes with a deadline; `judge_*` turn what was seen into a
status and a sentence.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Dict, List, Type

from ansible_collections.nspa.proaudio.plugins.module_utils import _sync_guard as guard
from ansible_collections.nspa.proaudio.plugins.module_utils._sync_abi import (
    Abi,
    native_abi_name,
)
from ansible_collections.nspa.proaudio.plugins.module_utils._sync_futex import (
    Futex2,
    FutexInterface,
    FutexOperation,
    FutexOperation13,
    FutexWaitv,
    observe,
)
from ansible_collections.nspa.proaudio.plugins.module_utils._sync_judge import (
    ABSENT,
    SUPPORTED,
    Seccomp,
    judge_futex,
)
from ansible_collections.nspa.proaudio.plugins.module_utils._sync_latency import conditions

FUTEX_INTERFACES: Dict[str, Type[FutexInterface]] = {
    interface.name: interface for interface in (FutexOperation, FutexOperation13, Futex2, FutexWaitv)
}
INTERFACES = tuple(FUTEX_INTERFACES)

DEFAULT_SAMPLES = 100
MOST_SAMPLES = 100000
DEADLINE = 3.0  # s without a sign of life before a step counts as hung; long, for slow and busy machines


def probe(samples: int = DEFAULT_SAMPLES, deadline: float = DEADLINE) -> Dict[str, Any]:
    """Ask the running kernel. Returns `interfaces`, `kernel`, `measured_with`: see docs/sync-interfaces.md.

    `samples` wakes are timed for each interface that works (0: none). Nothing is raised for what a kernel does.
    """
    kernel = kernel_facts()
    jobs = {name: _futex_job(interface, samples) for name, interface in FUTEX_INTERFACES.items()}
    outcomes = guard.run(jobs, deadline) if native_abi_name() else {}
    seccomp = Seccomp(kernel["seccomp_filter"], kernel["release"], lambda: _read("/proc/kallsyms"))
    interfaces = {name: judge_futex(name, outcomes.get(name), seccomp, deadline) for name in FUTEX_INTERFACES}
    return {"interfaces": interfaces, "kernel": kernel, "measured_with": dict(conditions(), samples=samples)}


def kernel_facts() -> Dict[str, Any]:
    """release, machine, realtime, nspa, and whether a seccomp filter stands between this process and the kernel."""
    name = os.uname()
    return {
        "release": name.release,
        "machine": name.machine,
        "realtime": _read("/sys/kernel/realtime").strip() == "1" or "PREEMPT_RT" in name.version,
        "nspa": re.search(r"-nspa\b", name.release) is not None,
        "seccomp_filter": re.search(r"^Seccomp:\s*2$", _read("/proc/self/status"), re.MULTILINE) is not None,
    }


def missing(result: Dict[str, Any], require: List[str]) -> List[str]:
    """One sentence for each name in `require` (interfaces, or `any`) that does not hold in `result` of `probe`."""
    interfaces = result["interfaces"]
    release = result["kernel"]["release"]
    sentences = []
    for name in require:
        if name == "any":
            if not any(interface["status"] == SUPPORTED for interface in interfaces.values()):
                sentences.append(
                    f"Wanted: any way to wait on several things at once. Found: none that works on kernel {release}. "
                    "Boot a kernel of 5.16 or later, which has futex_waitv."
                )
        elif interfaces[name]["status"] != SUPPORTED:
            sentences.append(
                f"Wanted: {name}. Found on kernel {release}: {interfaces[name]['status']}, "
                f"{interfaces[name]['evidence']}"
            )
    return sentences


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _futex_job(interface: Type[FutexInterface], samples: int) -> guard.Job:
    def job(trail: guard.Trail) -> None:
        if interface is Futex2 and not Futex2.read_numbers():
            trail.facts["not_asked"] = [ABSENT, f"this kernel does not have it (no {Futex2.directory})"]
            return
        observe(interface(Abi(native_abi_name())), trail, samples)

    return job
