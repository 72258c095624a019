# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The question behind all checks of resource limits: does what was promised reach login and desktop?"""

from __future__ import annotations

from typing import Callable, NamedTuple, Optional

from ansible_collections.nspa.proaudio.plugins.module_utils._host.sessions import Place, Session
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict import people
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.machine import Machine
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.model import AGAIN, Answer, Settings


class Limit(NamedTuple):
    """A resource limit that was promised."""

    name: str
    """As limits.conf(5) and systemd.exec(5) have it: both files are found with it."""
    row: str
    """Its row in /proc/PID/limits (fs/proc/base.c, lnames)."""
    wanted: str
    reaches: Callable[[str], bool]
    """Whether a value, as the kernel prints it, is enough; it is never asked for ``unlimited``, which always is."""
    show: Callable[[str], str] = str
    """A value as the kernel prints it, in the unit of the setting."""
    hard: bool = False
    """The hard limit was promised; otherwise it is the soft one, which counts without a program's own doing."""
    proof: Optional[Callable[[Place], str]] = None
    """Why the thing itself cannot be done in a place although the number is right; empty: it was done."""
    refused_to_root: Callable[[], str] = str
    """Why not even root can do the thing on this machine; empty: root can."""


def ask(machine: Machine, settings: Settings, limit: Limit) -> Answer:
    """Look at the limit in a new login, and in a service of the user's manager, for each user."""
    return people.ask_each(
        machine, settings, limit.wanted, lambda session: _judge(machine, settings["rt_limits_group"], limit, session)
    )


def _judge(machine: Machine, group: str, limit: Limit, session: Session) -> Answer:
    login, desktop = _value(limit, session.login), _value(limit, session.desktop)
    seen = f"{session.user}: login {_show(limit, login)}, desktop {_show(limit, desktop)}"
    in_login, in_desktop = _enough(limit, login), _enough(limit, desktop)
    if in_login and in_desktop:
        return _prove(machine, limit, session, seen)
    if not machine.may_raise_limits:
        remedy = "Let this container raise limits (CAP_SYS_RESOURCE) where it is started."
        return Answer("blocked", seen, limit.wanted, remedy)
    if not in_login and group not in session.groups:
        return Answer("fail", f"{seen} (not in the group {group})", limit.wanted, AGAIN)
    if not in_login:
        return Answer("fail", seen, limit.wanted, _overruled(limit, "/etc/security", ", or ulimit in a start file"))
    if session.manager_was_running:
        return Answer("pending", seen, limit.wanted, people.again(session))
    return Answer("fail", seen, limit.wanted, _overruled(limit, "/etc/systemd"))


def _prove(machine: Machine, limit: Limit, session: Session, seen: str) -> Answer:
    """A number is no proof: a service may be forbidden to use what it may ask for (RestrictRealtime=, seccomp)."""
    places = {"login": session.login, "desktop": session.desktop}
    said = {name: limit.proof(place) if limit.proof else "" for name, place in places.items()}
    refused = [f"in the {name}: {people.quote(reason)}" for name, reason in said.items() if reason]
    if not refused:
        return Answer("pass", seen, limit.wanted)
    evidence = f"{seen}; yet {', '.join(refused)}"
    if limit.refused_to_root():
        remedy = "Not even root may do it here: allow it where this machine or container is started."
        return Answer("blocked", evidence, limit.wanted, remedy)
    return Answer(
        "fail",
        evidence,
        limit.wanted,
        "Find what forbids it: grep -rsE 'RestrictRealtime|NoNewPrivileges|SystemCallFilter' /etc/systemd; "
        f"take it out, and log {session.user} out everywhere and in again.",
    )


def _value(limit: Limit, place: Place) -> str:
    soft, hard = place.limits.get(limit.row, ("", ""))
    return hard if limit.hard else soft


def _show(limit: Limit, value: str) -> str:
    return limit.show(value) if value.isdigit() else value or "unknown"


def _enough(limit: Limit, value: str) -> bool:
    return value == "unlimited" or (value.isdigit() and limit.reaches(value))


def _overruled(limit: Limit, folder: str, also: str = "") -> str:
    return (
        f"Run the playbook nspa.proaudio.site; if that does not help, another file sets it too{also}, "
        f"and this finds it: grep -rsi {limit.name} {folder}"
    )
