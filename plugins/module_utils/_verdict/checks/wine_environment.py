# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wine's variables are there in a new login and in the desktop, and the Wine that is installed reads them."""

from __future__ import annotations

from typing import Dict, List

from ansible_collections.nspa.proaudio.plugins.module_utils._host.sessions import Session
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict import people
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.machine import Machine
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.model import AGAIN, Answer, Check, Settings, worst
from ansible_collections.nspa.proaudio.plugins.module_utils._wine import environment

_DECISIVE = ("RT_PRIO", "RT_POLICY")
"""How the names end without which Wine-NSPA has no real-time threads; no other Wine reads them."""


def _ask(machine: Machine, settings: Settings) -> Answer:
    variables = environment.environment(
        settings["wine_env_series"],
        settings["wine_env_rt_prio"],
        settings["wine_env_rt_policy"],
        settings["wine_env_extra"],
    )
    wanted = " ".join(f"{name}={value}" for name, value in variables.items())
    there = people.ask_each(machine, settings, wanted, lambda session: _judge(session, variables, wanted))
    return worst([there, _read_by(machine, settings, variables, wanted)])


def _judge(session: Session, variables: Dict[str, str], wanted: str) -> Answer:
    login = [name for name, value in variables.items() if session.login.environment.get(name) != value]
    desktop = [name for name, value in variables.items() if session.desktop.environment.get(name) != value]
    told = [
        f"{place} lacks {_names(names, variables)}"
        for place, names in (("login", login), ("desktop", desktop))
        if names
    ]
    seen = f"{session.user}: {', '.join(told) or f'all {len(variables)} variables in login and desktop'}"
    if not told:
        return Answer("pass", seen, wanted)
    if not login and session.manager_was_running:
        remedy = f"Log {session.user} out everywhere and in again, or reboot."
        return Answer("pending", seen, wanted, remedy)
    lacking = login or desktop
    if len(lacking) == len(variables):
        return Answer("fail", seen, wanted, AGAIN)
    home = f"~{session.user}"
    return Answer(
        "fail",
        seen,
        wanted,
        "Run the playbook nspa.proaudio.site; if that does not help, another file sets it too, and this finds it: "
        f"grep -rs {lacking[0]} /etc {home}/.*profile {home}/.bash* {home}/.z* {home}/.config/environment.d",
    )


def _names(lacking: List[str], variables: Dict[str, str]) -> str:
    return f"all {len(variables)}" if len(lacking) == len(variables) else " ".join(lacking)


def _read_by(machine: Machine, settings: Settings, variables: Dict[str, str], wanted: str) -> Answer:
    """Whether the installed Wine can read at all what is set."""
    patterns = [item["path"] for item in settings["wine_nspa_capabilities"]]
    servers = [path for pattern in patterns for path in machine.wineservers(pattern)]
    decisive = [name for name in variables if name.endswith(_DECISIVE)]
    if not servers:
        evidence = f"there is no Wine to read them ({', '.join(patterns) or 'none is named'})"
        return Answer("vacuous", evidence, wanted, _WINE_NSPA)
    answers = []
    for path in servers:
        read = machine.variables_read(path, variables)
        unread = [name for name in variables if name not in read]
        if all(name in read for name in decisive):
            told = f", all but {' '.join(unread)}" if unread else ""
            answers.append(Answer("pass", f"{path} reads them{told}", wanted))
        else:
            told = f"this Wine ({path}), standing in for Wine-NSPA, reads none of {' '.join(unread)}"
            answers.append(Answer("vacuous", told, wanted, _WINE_NSPA))
    return worst(answers)


_WINE_NSPA = (
    "Install a Wine-NSPA (https://github.com/nine7nine/Wine-NSPA) and name its wineserver in wine_nspa_capabilities: "
    "the real-time variables do nothing in any other Wine."
)

CHECK = Check(
    "wine_environment",
    "Wine's environment",
    _ask,
    (
        "wine_env_series",
        "wine_env_rt_prio",
        "wine_env_rt_policy",
        "wine_env_extra",
        "wine_nspa_capabilities",
        *people.SETTINGS,
    ),
    role="wine_env",
    bare=True,
    broken=True,
)
