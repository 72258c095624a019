# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The people who make music on this machine, and a question put to the session of each of them."""

from __future__ import annotations

from typing import Callable, List, NamedTuple, Optional

from ansible_collections.nspa.proaudio.plugins.module_utils._host.attempt import Promise
from ansible_collections.nspa.proaudio.plugins.module_utils._host.sessions import Session, SessionError
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.machine import Machine
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.model import Answer, Settings, worst
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.text import plain

SETTINGS = (
    "rt_limits_users",
    "rt_limits_group",
    "rt_limits_rtprio",
    "rt_limits_memlock",
    "rt_limits_nice",
    "rt_limits_nofile",
)
"""What a check that looks at sessions needs. All of them look with the same values, so that it is done once."""

_QUOTED = 400
"""Characters of what a session or a program said that go into the evidence."""

NAME_THEM = "Name the people who make music here in rt_limits_users, and run the playbook nspa.proaudio.site again."


class People(NamedTuple):
    """Users by name: those with an account, and those whose account is gone (or never was)."""

    present: List[str]
    gone: List[str]


def find(machine: Machine, settings: Settings) -> People:
    """The users of the settings; if these name none, the members of the group."""
    names = settings["rt_limits_users"] or machine.members(settings["rt_limits_group"])
    present = [name for name in names if machine.uid(name) is not None]
    return People(present, [name for name in names if name not in present])


def gone(people: People, settings: Settings, wanted: str) -> List[Answer]:
    """What there is to say of users without an account; a member that the group still names does no harm."""
    answers = []
    for name in people.gone:
        if name in settings["rt_limits_users"]:
            remedy = f"Create the user (adduser {name}), or take the name out of rt_limits_users."
            answers.append(Answer("fail", f"{name} has no account on this machine", wanted, remedy))
        else:
            group = settings["rt_limits_group"]
            answers.append(Answer("pass", f"{name}, a member of the group {group}, has no account any more", wanted))
    return answers


def ask_each(machine: Machine, settings: Settings, wanted: str, ask: Callable[[Session], Answer]) -> Answer:
    """Put a question to a new session of each user; the worst answer counts."""
    people = find(machine, settings)
    answers = [ask_one(machine, settings, wanted, user, ask) for user in people.present]
    if not answers:
        group = settings["rt_limits_group"]
        answers = [Answer("fail", f"nobody with an account is in the group {group} yet", wanted, NAME_THEM)]
    return worst(answers + gone(people, settings, wanted))


def memlock_kb(settings: Settings) -> Optional[int]:
    """The memory that a session may lock, in kB; None: unlimited."""
    value = settings["rt_limits_memlock"]
    return None if value == "unlimited" else int(value)


def promise(settings: Settings) -> Promise:
    """What every session was promised."""
    return Promise(
        settings["rt_limits_rtprio"], memlock_kb(settings), settings["rt_limits_nice"], settings["rt_limits_nofile"]
    )


def again(session: Session) -> str:
    """What replaces a manager that is from before a change: a logout does, unless it lingers (loginctl(1))."""
    if session.lingers:
        return (
            f"{session.user}'s systemd manager lingers, so a logout does not end it: save your work, and run as root "
            f"systemctl restart user@{session.uid}.service, which ends all that {session.user} runs in it, or reboot."
        )
    return f"Log {session.user} out everywhere and in again, or reboot."


def quote(text: str) -> str:
    """What somebody else's program said, short enough for an evidence, to which more is added with a semicolon."""
    return plain(text, _QUOTED).rstrip(".")


def ask_one(machine: Machine, settings: Settings, wanted: str, user: str, ask: Callable[[Session], Answer]) -> Answer:
    try:
        session = machine.session(user, promise(settings))
    except SessionError as error:
        return _unseen(machine, user, quote(str(error)), wanted)
    problems = [
        f"{name}: {quote(place.problem)}"
        for name, place in (("login", session.login), ("desktop", session.desktop))
        if place.problem
    ]
    if problems:
        return _unseen(machine, user, f"{user}, {', '.join(problems)}", wanted)
    return ask(session)


def _unseen(machine: Machine, user: str, evidence: str, wanted: str) -> Answer:
    """A session that could not be looked at.

    It fails unless the machine itself forbids it: start files that wait could otherwise turn a row that would fail
    into one that is only blocked.
    """
    if machine.forbids_looking:
        return Answer("blocked", evidence, wanted, machine.forbids_looking)
    if machine.uid(user) == 0:
        return Answer("fail", evidence, wanted, NAME_THEM)
    if not machine.starts_user_managers:
        remedy = (
            f"Install {machine.user_manager_package or 'pam_systemd'}: it starts a systemd manager for everybody who "
            f"logs in, where PipeWire and the desktop live. Then log {user} out and in again, and ask again."
        )
        return Answer("fail", evidence, wanted, remedy)
    return Answer(
        "fail", evidence, wanted, f"Mend what keeps {user} from a session, as it stands there, and ask again."
    )
