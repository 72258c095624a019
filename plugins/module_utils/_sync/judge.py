# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what was seen of an interface to a status and a sentence. Pure functions: they ask the kernel nothing."""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, Optional, Tuple

from ansible_collections.nspa.proaudio.plugins.module_utils._sync import guard
from ansible_collections.nspa.proaudio.plugins.module_utils._sync.wake import is_right

SUPPORTED, DEGRADED, BROKEN, ABSENT, BLOCKED = "supported", "degraded", "broken", "absent", "blocked"
VACUOUS = "vacuous"  # the 32-bit side only: this kernel runs no 32-bit programs

COMPAT_CALL = "making a 32-bit system call"  # the step at which a kernel without them kills the asking process

Finding = Tuple[str, str]  # a status, and the evidence for it
Facts = Dict[str, Any]

# What a working interface makes of the timeout that its users pass to it.
_TIMEOUTS_WANTED = {
    "futex_wait_multiple": "relative",
    "futex_wait_multiple_13": "absolute-monotonic",
    "futex2": "absolute-monotonic",
    "futex_waitv": "absolute-monotonic",
    "ntsync": "absolute-monotonic",
    "nspa_ntsync": "absolute-monotonic",
    "winesync": "absolute-monotonic",
}

_TIMEOUT_WORDS = {
    "relative": "a duration",
    "absolute-monotonic": "a moment on CLOCK_MONOTONIC",
    "absolute-realtime": "a moment on CLOCK_REALTIME",
}


class Host:
    """What a verdict needs to know beyond the interface itself. `read` gives a file's text, or '' if there is none."""

    def __init__(self, release: str, seccomp_filter: bool, deadline: float, read: Callable[[str], str]):
        self.release = release
        self.seccomp_filter = seccomp_filter
        self.deadline = deadline
        self._read = read

    def filter_hides(self, name: str) -> bool:
        """Whether the kernel has the system call although the answer to it is ENOSYS; knowable of futex_waitv only."""
        if not self.seccomp_filter or name != "futex_waitv":
            return False
        symbols = self._read("/proc/kallsyms")
        if symbols:
            return "sys_futex_waitv" in symbols
        return tuple(int(part) for part in re.findall(r"\d+", self.release)[:2]) >= (5, 16)

    def module(self, name: str) -> str:
        """'loaded', 'available' (modprobe would find it) or 'none'."""
        if self._read(f"/sys/class/misc/{name}/dev"):
            return "loaded"
        listed = self._read(f"/lib/modules/{self.release}/modules.dep")
        return "available" if re.search(rf"/{name}\.ko\b[^:\n]*:", listed) else "none"


def judge(name: str, outcome: Optional[guard.Outcome], host: Host) -> Facts:
    """The entry of one interface in the result, from what the guard knows of its job."""
    facts: Facts = outcome["facts"] if outcome else {}
    status, evidence = (
        _given(facts)
        or _unfinished(outcome, host)
        or _not_opened(name, facts, host)
        or _not_there(name, facts, host)
        or _wrong(facts)
        or _timeouts(name, facts)
    )
    timeouts = facts.get("timeouts") or [None]
    return {
        "status": status,
        "evidence": evidence,
        "number": facts.get("number"),
        "variant": _variant(name, facts),
        "timeouts": timeouts[0],
        "wake_index_ok": _wakes_right(facts, status),
        "wake_latency_us": facts.get("latency"),
        "answer": facts.get("answer"),
    }


def judge_device(name: str, outcome: Optional[guard.Outcome], host: Host) -> Facts:
    """As `judge`, for a driver: with `module`, and whether an ordinary user may open its device."""
    verdict = judge(name, outcome, host)
    facts: Facts = outcome["facts"] if outcome else {}
    verdict["module"] = host.module("ntsync" if name == "nspa_ntsync" else name)
    verdict["ordinary_user"] = facts.get("ordinary_user")
    if verdict["status"] == SUPPORTED and verdict["ordinary_user"] is False:
        verdict["status"] = DEGRADED
        verdict["evidence"] += f"; but an ordinary user may not open it ({facts['node']}), so no Wine will use it"
    return verdict


def judge_compat(name: str, outcome: Optional[guard.Outcome], host: Host) -> Facts:
    """The 32-bit side of an interface: `compat32` in its entry."""
    verdict = judge(name, outcome, host)
    return {key: verdict[key] for key in ("status", "evidence", "number", "timeouts", "wake_index_ok")}


def _given(facts: Facts) -> Optional[Finding]:
    """A finding that the job itself came to, without asking the kernel."""
    return (facts["finding"][0], facts["finding"][1]) if "finding" in facts else None


def _unfinished(outcome: Optional[guard.Outcome], host: Host) -> Optional[Finding]:
    if outcome is None:
        return BLOCKED, "the system call numbers of this kind of machine are not known to this probe"
    step, detail = outcome["step"] or "starting", outcome["detail"]
    if outcome["end"] == guard.REFUSED:
        return BLOCKED, f"no process could be started to ask with: {detail}"
    if outcome["end"] == guard.STUCK:
        return BROKEN, f"hangs: {step}, nothing came back within {host.deadline:g} s"
    if outcome["end"] == guard.KILLED and detail == "SIGSYS":
        return BLOCKED, f"a seccomp filter kills a program that asks for it ({step})"
    if outcome["end"] == guard.KILLED and step == COMPAT_CALL:
        return VACUOUS, "this kernel takes no 32-bit system calls"
    if outcome["end"] == guard.KILLED:
        return BROKEN, f"the asking process was ended by {detail or 'the kernel'} ({step})"
    if outcome["end"] == guard.FAILED:
        return BLOCKED, f"could not be asked ({step}): {detail}"
    return None


def _not_opened(name: str, facts: Facts, host: Host) -> Optional[Finding]:
    opened = facts.get("open", "0")
    if opened == "0":
        return None
    driver = "ntsync" if name == "nspa_ntsync" else name
    path, module = f"/dev/{driver}", host.module(driver)
    if opened in ("EACCES", "EPERM"):
        return BLOCKED, f"{path} may not be opened ({facts.get('node', opened)}): a udev rule with MODE=0666 allows it"
    if opened == "ENOENT" and module == "loaded":
        return BLOCKED, f"the kernel has it, but there is no {path} here: hand the device into this container"
    if opened == "ENOENT" and module == "available":
        return ABSENT, f"the module {driver} is there but not loaded: modprobe {driver}"
    if opened == "ENOENT":
        return ABSENT, f"this kernel does not have it (no {path}, and no module {driver} for {host.release})"
    return ABSENT, f"{path} cannot be opened ({opened}): nothing is behind it"


def _not_there(name: str, facts: Facts, host: Host) -> Optional[Finding]:
    answer, right = facts.get("answer"), "0" if "open" in facts else "EINVAL"
    if answer in ("EPERM", "EACCES"):
        return BLOCKED, f"something, usually the seccomp filter of a container, forbids the call ({answer})"
    if answer == "ENOTTY" and name == "nspa_ntsync":
        return ABSENT, "the ntsync of this kernel is the stock one, without what linux-nspa adds"
    if answer in ("ENOTTY", "ENOSYS") and "open" in facts:
        return BROKEN, f"the driver does not know its own calls ({answer}), as ntsync in Linux 6.10 to 6.13"
    if answer == "ENOSYS":
        if host.filter_hides(name):
            return BLOCKED, "the kernel has it, but a seccomp filter, usually a container's, answers ENOSYS"
        hint = "; a seccomp filter is active here, and could be what says so" if host.seccomp_filter else ""
        return ABSENT, f"this kernel does not have it (ENOSYS){hint}"
    if answer == "EFAULT" and name.startswith("futex_wait_multiple"):
        return ABSENT, "this kernel uses the number for something else (13 is FUTEX_LOCK_PI2 since Linux 5.14)"
    if answer != right:
        return BROKEN, f"answers {answer} to the first question, where {right} is right"
    for mismatch in facts.get("mismatch", ()):
        if mismatch in ("EPERM", "EACCES"):
            return BLOCKED, f"something, usually the seccomp filter of a container, forbids the wait ({mismatch})"
        if mismatch == "EINVAL" and facts.get("unpadded") == "EAGAIN":
            return BROKEN, (
                "this kernel wants 32-bit lists without padding, and 32-bit Wine writes padding: a wait on two or "
                "more objects gets EINVAL at once, and Wine tries again for ever"
            )
        if mismatch != "EAGAIN":
            return BROKEN, f"a wait for a value that had changed already gets {mismatch}, EAGAIN is right"
    return None


def _wrong(facts: Facts) -> Optional[Finding]:
    for sentence in facts.get("wrong", ()):
        return BROKEN, sentence
    for wake in facts.get("wakes", ()):
        what = f"a wait on {wake['what']}"
        if is_right(wake, wake["index"]):
            continue
        if wake["got"] == "EINTR":
            return BROKEN, f"{what} was interrupted again and again, though nobody sent a signal"
        if wake["early"]:
            return BROKEN, f"{what} came back with {wake['got']} before anything was woken"
        if wake["wake"] != "1":
            return BROKEN, f"{what}: waking number {wake['index']} was answered with {wake['wake']}"
        return BROKEN, f"{what}: number {wake['index']} was woken, the kernel said {wake['got']}"
    return None


def _timeouts(name: str, facts: Facts) -> Finding:
    if facts.get("no_aggregate_wait"):
        return (
            SUPPORTED,
            "a channel of linux-nspa carries a request and its reply; no wait on objects and files together",
        )
    if "open" in facts:
        works = "wakes for the right one of 3 and of 64 objects"
        works += "; semaphores, mutexes and waits for all are right" if name != "nspa_ntsync" else "; channels work"
    else:
        works = "wakes for the right one of 3 and of 128 futexes, private and shared"
    timeouts, wanted = facts["timeouts"], _TIMEOUTS_WANTED[name]
    if wanted in timeouts:
        return SUPPORTED, f"{works}; a timeout is {' or '.join(_TIMEOUT_WORDS[kind] for kind in timeouts)}"
    if not timeouts:
        return DEGRADED, f"{works}, but no timed wait lasts as long as it was asked to"
    sentence = f"{works}, but a timeout is {_TIMEOUT_WORDS[timeouts[0]]} instead of {_TIMEOUT_WORDS[wanted]}"
    if name == "futex_wait_multiple":
        sentence += ": every timed wait of Wine 5.x ends at once, and its programs burn CPU in vain"
    return DEGRADED, sentence


def _wakes_right(facts: Facts, status: str) -> Optional[bool]:
    """True if all wakes were right, False if one was not or did not come; None if none was tried."""
    if facts.get("timeouts") is not None:
        return _wrong(facts) is None
    return False if status == BROKEN and "wakes" in facts else None


def _variant(name: str, facts: Facts) -> Optional[str]:
    """Which of the historical patches or drivers this is, told by its behaviour; None where there is only one."""
    if not facts.get("timeouts"):
        return None
    if name == "futex_wait_multiple":
        if facts["timeouts"] == ["absolute-realtime"]:
            return "v55"
        return "op31" if facts["too_many"] == "EINVAL" else "v521"
    return {"futex_wait_multiple_13": "op13", "futex2": "rfc"}.get(name)
