# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A wineserver that a musician starts really holds cap_sys_nice, where it was asked for.

A capability on the file is not yet one of the process: a nosuid mount, no_new_privs or a bounding set takes it away
without a word. Other programs in the list are not started: what they do when started, nobody here knows.
"""

from __future__ import annotations

from typing import Optional

from ansible_collections.nspa.proaudio.plugins.module_utils._host import capabilities
from ansible_collections.nspa.proaudio.plugins.module_utils._host.sessions import Session
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict import people
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.machine import Machine
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.model import AGAIN, Answer, Check, Settings, worst
from ansible_collections.nspa.proaudio.plugins.module_utils._wine.server import WineserverError

_NICE = 1 << capabilities.NAMES.index("cap_sys_nice")


def _ask(machine: Machine, settings: Settings) -> Answer:
    answers = []
    for item in settings["wine_nspa_capabilities"]:
        paths = machine.programs(item["path"])
        servers = machine.wineservers(item["path"])
        for path in paths:
            answers.append(_judge(machine, settings, path, item["capabilities"], path in servers))
        if not paths:
            answers.append(_missing(item["path"], item["capabilities"]))
    if not answers:
        return Answer("vacuous", "wine_nspa_capabilities names no program", "")
    return worst(answers)


def _missing(pattern: str, wanted: str) -> Answer:
    what = "no wineserver" if "wineserver" in pattern else "no program"
    remedy = f"{AGAIN} If the program is elsewhere, name its place in wine_nspa_capabilities."
    return Answer("fail", f"{what} is installed ({pattern})", wanted, remedy)


def _judge(machine: Machine, settings: Settings, path: str, wanted: str, is_server: bool) -> Answer:
    attribute = machine.attribute(path)
    asked = capabilities.parse(wanted)
    if not _carries(attribute, asked):
        return Answer("fail", f"{path} has {capabilities.text_of(attribute) or 'no capability'}", wanted, AGAIN)
    if not is_server or not (asked.effective and asked.permitted & _NICE):
        return Answer("pass", f"{path} has {capabilities.text_of(attribute)}", wanted)
    return _start(machine, settings, path, wanted)


def _carries(attribute: Optional[bytes], asked: capabilities.Capabilities) -> bool:
    if attribute is None:
        return False
    try:
        found = capabilities.decode(attribute)
    except capabilities.CapabilityError:
        return False
    return (
        not asked.permitted & ~found.permitted
        and not asked.inheritable & ~found.inheritable
        and found.effective >= asked.effective
    )


def _start(machine: Machine, settings: Settings, path: str, wanted: str) -> Answer:
    musicians = people.find(machine, settings)
    # Root holds every capability anyway: that would prove nothing.
    user = next((name for name in musicians.present if machine.uid(name) != 0), None)
    if user is None:
        evidence = f"{path} has {wanted}, but there is no user (other than root) to start it as"
        return Answer("blocked", evidence, wanted, people.NAME_THEM)
    if not machine.grants_cap_sys_nice:
        remedy = "Let this container give programs cap_sys_nice (its bounding set) where it is started."
        return Answer("blocked", f"{path} has {wanted}, but no program may get that here", wanted, remedy)
    name = path if machine.is_wine_nspa(path) else f"{path}, a stock Wine standing in for Wine-NSPA,"
    try:
        holds = machine.holds_cap_sys_nice(path, user)
    except WineserverError as error:
        remedy = f"See whether {user} can start Wine at all (wineboot), then run this again."
        return Answer("fail", people.quote(str(error)), wanted, remedy)
    if holds:
        seen = Answer("pass", f"{name} started by {user} holds it", wanted)
        return people.ask_one(machine, settings, wanted, user, lambda session: _in_session(session, seen))
    return Answer(
        "fail",
        f"{name} started by {user} lacks it, although the file has it",
        wanted,
        f"See whether its file system is mounted nosuid, which takes capabilities away: findmnt -T {path}; "
        "mount it without, or install Wine elsewhere.",
    )


def _in_session(session: Session, seen: Answer) -> Answer:
    """`seen`, unless a place where the user's programs start keeps all of them from the capabilities of files."""
    places = {"login": session.login.capabilities, "desktop": session.desktop.capabilities}
    kept = [f"in the {name}: {people.quote(reason)}" for name, reason in places.items() if reason]
    if not kept:
        return seen
    return Answer(
        "fail",
        f"{seen.evidence}; yet {', '.join(kept)}",
        seen.wanted,
        "Find what forbids it: grep -rsE 'NoNewPrivileges|CapabilityBoundingSet' /etc/systemd; "
        f"take it out, and log {session.user} out everywhere and in again.",
    )


CHECK = Check(
    "wineserver_capability",
    "Wine's server may set priorities",
    _ask,
    ("wine_nspa_capabilities", *people.SETTINGS),
    role="wine_nspa",
    bare=True,
    broken=True,
)
