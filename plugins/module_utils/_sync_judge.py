# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what was seen of an interface to a status and a sentence. Pure functions: they ask the kernel nothing."""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, Optional, Tuple

from ansible_collections.nspa.proaudio.plugins.module_utils import _sync_guard as guard

SUPPORTED, DEGRADED, BROKEN, ABSENT, BLOCKED = "supported", "degraded", "broken", "absent", "blocked"
VACUOUS = "vacuous"  # the 32-bit side only: this kernel runs no 32-bit programs

Finding = Tuple[str, str]  # a status, and the evidence for it

# What a working interface makes of the timeout that its users pass to it.
_TIMEOUTS_WANTED = {
    "futex_wait_multiple": "relative",
    "futex_wait_multiple_13": "absolute-monotonic",
    "futex2": "absolute-monotonic",
    "futex_waitv": "absolute-monotonic",
}

_TIMEOUT_WORDS = {
    "relative": "a duration",
    "absolute-monotonic": "a moment on CLOCK_MONOTONIC",
    "absolute-realtime": "a moment on CLOCK_REALTIME",
}

# A function of each interface, as /proc/kallsyms lists it.
_SYMBOLS = {
    "futex_wait_multiple": "futex_wait_multiple",
    "futex_wait_multiple_13": "futex_wait_multiple",
    "futex_waitv": "sys_futex_waitv",
}


class Seccomp:
    """Whether a filter stands between this process and the kernel, and what the kernel has behind it."""

    def __init__(self, filtered: bool, release: str, read_symbols: Callable[[], str]):
        self.filtered = filtered
        self._release = release
        self._read_symbols = read_symbols
        self._symbols: Optional[str] = None

    def hides(self, name: str) -> bool:
        """True if the kernel has the interface although the call says ENOSYS."""
        if not self.filtered or name not in _SYMBOLS:
            return False
        if self._symbols is None:
            self._symbols = self._read_symbols()
        if self._symbols:
            return _SYMBOLS[name] in self._symbols
        version = tuple(int(part) for part in re.findall(r"\d+", self._release)[:2])
        return name == "futex_waitv" and version >= (5, 16)


def unfinished(outcome: Optional[Dict[str, Any]], deadline: float) -> Optional[Finding]:
    """What it means that a job did not end by itself; None if it did."""
    if outcome is None:
        return BLOCKED, "the system call numbers of this kind of machine are not known to this probe"
    step, detail = outcome["step"] or "starting", outcome["detail"]
    if outcome["end"] == guard.REFUSED:
        return BLOCKED, f"no process could be started to ask with: {detail}"
    if outcome["end"] == guard.STUCK:
        return BROKEN, f"hangs: {step}, nothing came back within {deadline:g} s"
    if outcome["end"] == guard.KILLED and detail == "SIGSYS":
        return BLOCKED, f"a seccomp filter kills a program that asks for it ({step})"
    if outcome["end"] == guard.KILLED:
        return BROKEN, f"the asking process was ended by {detail or 'the kernel'} ({step})"
    if outcome["end"] == guard.FAILED:
        return BLOCKED, f"could not be asked ({step}): {detail}"
    return None


def judge_futex(name: str, outcome: Optional[Dict[str, Any]], seccomp: Seccomp, deadline: float) -> Dict[str, Any]:
    """The entry of one futex interface in `interfaces`, from what the guard knows of its job."""
    facts: Dict[str, Any] = outcome["facts"] if outcome else {}
    status, evidence = (
        unfinished(outcome, deadline)
        or _not_there(name, facts, seccomp)
        or _wrong_wakes(facts)
        or _timeouts(name, facts)
    )
    timeouts = facts.get("timeouts") or []
    woken = facts.get("wakes")
    return {
        "status": status,
        "evidence": evidence,
        "number": facts.get("number"),
        "variant": _variant(name, facts),
        "timeouts": timeouts[0] if timeouts else None,
        "wake_index_ok": None if not woken and status != BROKEN else status != BROKEN or _wrong_wakes(facts) is None,
        "wake_latency_us": facts.get("latency"),
    }


def _not_there(name: str, facts: Dict[str, Any], seccomp: Seccomp) -> Optional[Finding]:
    signature = facts.get("signature")
    if "not_asked" in facts:
        return tuple(facts["not_asked"])
    if signature in ("EPERM", "EACCES") or facts.get("mismatch", [""])[0] in ("EPERM", "EACCES"):
        return BLOCKED, "something (usually a container's seccomp filter) forbids the call: EPERM"
    if signature == "ENOSYS":
        if seccomp.hides(name):
            return BLOCKED, "the kernel has it, but a seccomp filter (usually a container's) answers ENOSYS to the call"
        hint = "; a seccomp filter is active here and could be what says so" if seccomp.filtered else ""
        return ABSENT, f"this kernel does not have it (ENOSYS){hint}"
    if signature == "EFAULT" and name.startswith("futex_wait_multiple"):
        return ABSENT, "this kernel uses the number for something else (FUTEX_LOCK_PI2 since Linux 5.14)"
    if signature != "EINVAL":
        return BROKEN, f"answers {signature} to an empty list, where EINVAL is right"
    for answer in facts["mismatch"]:
        if answer != "EAGAIN":
            return BROKEN, f"a wait for a value that had changed already was answered with {answer}, EAGAIN is right"
    return None


def _wrong_wakes(facts: Dict[str, Any]) -> Optional[Finding]:
    for wake in facts.get("wakes", ()):
        what = f"a wait on {wake['count']} {wake['scope']} futexes"
        if wake["got"] == "EINTR":
            return BROKEN, f"{what} was interrupted again and again, though nobody sent a signal"
        if wake["early"]:
            return BROKEN, f"{what} came back with {wake['got']} before anything was woken"
        if wake["got"] != str(wake["index"]):
            return BROKEN, f"{what}: number {wake['index']} was woken, the kernel said {wake['got']}"
    return None


def _timeouts(name: str, facts: Dict[str, Any]) -> Finding:
    works = "wakes the right one of 3 and of 128 futexes, private and shared"
    timeouts, wanted = facts["timeouts"], _TIMEOUTS_WANTED[name]
    if wanted in timeouts:
        return SUPPORTED, f"{works}; a timeout is {' or '.join(_TIMEOUT_WORDS[kind] for kind in timeouts)}"
    if not timeouts:
        return DEGRADED, f"{works}, but every timed wait ends at once"
    sentence = f"{works}, but takes a timeout as {_TIMEOUT_WORDS[timeouts[0]]} instead of {_TIMEOUT_WORDS[wanted]}"
    if name == "futex_wait_multiple":
        sentence += ": every timed wait of Wine 5.x ends at once, and its programs burn CPU in vain"
    return DEGRADED, sentence


def _variant(name: str, facts: Dict[str, Any]) -> Optional[str]:
    """Which of the historical patches this kernel has, told by its behaviour; None where there is only one."""
    if not facts.get("timeouts"):
        return None
    if name == "futex_wait_multiple":
        if facts["timeouts"] == ["absolute-realtime"]:
            return "v55"
        return "op31" if facts["too_many"] == "EINVAL" else "v521"
    return {"futex_wait_multiple_13": "op13", "futex2": "rfc"}.get(name)
