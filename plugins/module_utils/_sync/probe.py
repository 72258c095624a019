# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the ways to wait on several things at once work on this kernel, now, and which one Wine can use.

`probe` asks the running kernel by doing it. Here the parts come together: what to do is in _sync_futex and
devices, the processes that do it in guard, what it means in _sync_judge and wine.
"""

from __future__ import annotations

import ctypes
import os
import re
import select
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Type

from ansible_collections.nspa.proaudio.plugins.module_utils._core import proc
from ansible_collections.nspa.proaudio.plugins.module_utils._sync import devices, futex, guard, judge, wake, wine
from ansible_collections.nspa.proaudio.plugins.module_utils._sync.abi import (
    Abi,
    I386OnX8664,
    native_abi_name,
    runs_i386_programs,
)
from ansible_collections.nspa.proaudio.plugins.module_utils._sync.guard import Trail

DEFAULT_SAMPLES = 50
MOST_SAMPLES = 100000
DEADLINE = 5.0  # s without a sign of life before a step counts as hung; long, for slow and busy machines

_FUTEXES: Dict[str, Type[futex.FutexInterface]] = {
    kind.name: kind for kind in (futex.FutexOperation, futex.FutexOperation13, futex.Futex2, futex.FutexWaitv)
}
_DEVICES: Dict[str, Type[devices.Device]] = {
    kind.name: kind for kind in (devices.Ntsync, devices.NspaNtsync, devices.Winesync)
}
INTERFACES = (*_FUTEXES, *_DEVICES)

_COMPAT = "/32"  # marks the job that asks as a 32-bit program would
_ESYNC = "esync"


def probe(samples: int = DEFAULT_SAMPLES, deadline: float = DEADLINE) -> Dict[str, Any]:
    """Ask the running kernel: `interfaces`, `wine_sync`, `wine_series`, `hazards`, `kernel`, `measured_with`, as in
    the documentation of the module futex_wait_multiple.

    `samples` wakes are timed for each interface that works (0: none). A step that says nothing for `deadline` seconds
    is given up. Nothing is raised for what a kernel does.
    """
    kernel = kernel_facts()
    outcomes = guard.run(_jobs(samples), deadline) if native_abi_name() else {}
    host = judge.Host(kernel["release"], kernel["seccomp_filter"], deadline, _read)
    interfaces = {}
    for name in INTERFACES:
        verdict = judge.judge_device if name in _DEVICES else judge.judge
        interfaces[name] = verdict(name, outcomes.get(name), host)
        interfaces[name]["compat32"] = judge.judge_compat(name, outcomes.get(name + _COMPAT), host)
    esync = bool(outcomes.get(_ESYNC, {}).get("facts", {}).get("works"))
    choices = wine.series(interfaces, esync)
    return {
        "interfaces": interfaces,
        "wine_sync": wine.best(interfaces, esync),
        "wine_series": choices,
        "hazards": wine.hazards(interfaces, choices),
        "kernel": kernel,
        "measured_with": dict(wake.conditions(), samples=samples),
    }


def missing(result: Dict[str, Any], require: List[str]) -> List[str]:
    """One sentence for each name in `require` (interfaces, or `any`) that does not hold in `result` of `probe`."""
    interfaces, release = result["interfaces"], result["kernel"]["release"]
    sentences = []
    for name in require:
        if name == "any":
            if not any(interface["status"] == judge.SUPPORTED for interface in interfaces.values()):
                sentences.append(
                    f"Wanted: a way to wait on several things at once. Found on kernel {release}: none that works. "
                    "Boot a kernel of 5.16 or later, which has futex_waitv."
                )
        elif interfaces[name]["status"] != judge.SUPPORTED:
            found = interfaces[name]
            sentences.append(
                f"Wanted: {name}. Found on kernel {release}: {found['status']}, {found['evidence']}. {_CURES[name]}"
            )
    return sentences


_CURES = {
    "futex_wait_multiple": "Only linux-nspa of 2020 and 2021 has it; Wine-NSPA 8.x uses futex_waitv instead.",
    "futex_wait_multiple_13": "It never was in a released kernel; no Wine needs it.",
    "futex2": "It was a proposal of 2021; no Wine needs it.",
    "futex_waitv": "Boot a kernel of 5.16 or later, outside of containers that forbid the call.",
    "ntsync": "Boot a kernel of 6.14 or later that has the module, and load it: modprobe ntsync.",
    "nspa_ntsync": "Only linux-nspa of 2026 has it; Wine-NSPA 11.x runs without it, on a stock ntsync.",
    "winesync": "ntsync took its place; no current Wine needs it.",
}


def kernel_facts() -> Dict[str, Any]:
    """release, machine, realtime, nspa, and whether a seccomp filter stands between this process and the kernel."""
    name = os.uname()
    return {
        "release": name.release,
        "machine": name.machine,
        "realtime": proc.realtime().active,
        "nspa": proc.is_nspa(name.release),
        "seccomp_filter": re.search(r"^Seccomp:\s*2$", _read("/proc/self/status"), re.MULTILINE) is not None,
    }


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _jobs(samples: int) -> Dict[str, guard.Job]:
    native = native_abi_name()
    jobs: Dict[str, guard.Job] = {_ESYNC: _esync}
    for name in INTERFACES:
        jobs[name] = _job(name, lambda _trail: Abi(native), samples)
    for name in INTERFACES:
        jobs[name + _COMPAT] = _job(name, _compat_abi, 0)
    return jobs


def _job(name: str, find_abi: Callable[[Trail], Optional[Abi]], samples: int) -> guard.Job:
    def job(trail: Trail) -> None:
        abi = find_abi(trail)
        if abi is None:
            return
        if name in _DEVICES:
            devices.observe(_DEVICES[name], abi, trail, samples)
            return
        kind = _FUTEXES[name]
        if kind is futex.Futex2 and not futex.Futex2.read_numbers():
            trail.facts["finding"] = [judge.ABSENT, f"this kernel does not have it (no {kind.directory})"]
            return
        futex.observe(kind(abi), trail, samples)

    return job


def _compat_abi(trail: Trail) -> Optional[Abi]:
    """The 32-bit way into this kernel; None, with the reason in the facts, where there is none."""
    if native_abi_name() != "x86_64":
        reason = [judge.VACUOUS, "the 32-bit side is asked for on x86-64 only, by a 64-bit Python"]
    else:
        trail.step("starting a 32-bit program")
        runs = runs_i386_programs()
        if runs:
            trail.step(judge.COMPAT_CALL)
            abi = I386OnX8664()
            if abi.process_id() == os.getpid():
                return abi
            reason = [judge.BLOCKED, "something, usually a seccomp filter, forbids 32-bit system calls"]
        elif runs is None:
            reason = [judge.BLOCKED, "no 32-bit program may be started here to ask with"]
        else:
            reason = [judge.VACUOUS, "this kernel runs no 32-bit programs"]
    trail.facts["finding"] = reason
    return None


def _esync(trail: Trail) -> None:
    """Whether eventfd works, which is all that esync needs of a kernel."""
    trail.step("using an eventfd")
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.eventfd(0, os.O_NONBLOCK | os.O_CLOEXEC)
    trail.facts["works"] = False
    if descriptor >= 0:
        os.write(descriptor, (1).to_bytes(8, sys.byteorder))
        trail.facts["works"] = bool(select.select([descriptor], [], [], 0)[0]) and len(os.read(descriptor, 8)) == 8
