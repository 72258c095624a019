# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The running systemd manager of each user is from after the user came into the group.

A manager keeps the groups with which it was started, and hands them to PipeWire and the desktop; a new login does not
renew it while another session is open, and a logout does not end one that lingers.
"""

from __future__ import annotations

from ansible_collections.nspa.proaudio.plugins.module_utils._host.sessions import Session
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict import people
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.machine import Machine
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.model import AGAIN, Answer, Check, Settings


def _ask(machine: Machine, settings: Settings) -> Answer:
    group: str = settings["rt_limits_group"]
    wanted = f"it has the group {group}"
    return people.ask_each(machine, settings, wanted, lambda session: _judge(group, wanted, session))


def _judge(group: str, wanted: str, session: Session) -> Answer:
    lingers = ", and lingers" if session.lingers else ""
    if group in session.desktop.groups:
        return Answer("pass", f"{session.user}: it has the group {group}{lingers}", wanted)
    if session.manager_was_running and group in session.groups:
        evidence = f"{session.user}: it is from before {session.user} came into the group {group}{lingers}"
        return Answer("pending", evidence, wanted, people.again(session))
    return Answer("fail", f"{session.user}: it has not the group {group}", wanted, AGAIN)


CHECK = Check("user_manager", "Systemd managers of users", _ask, people.SETTINGS, role="rt_limits", bare=True)
