# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A session may keep the CPUs awake: a program holds /dev/cpu_dma_latency open for as long as it makes music.

The kernel creates the device for root alone. Ardour and cyclictest use it; the CPUs wake up in time while they run, and
sleep when they do not.
"""

from __future__ import annotations

from ansible_collections.nspa.proaudio.plugins.module_utils._host.attempt import LATENCY_DEVICE
from ansible_collections.nspa.proaudio.plugins.module_utils._host.sessions import Session
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict import people
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.machine import Machine
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.model import AGAIN, Answer, Check, Settings

_WANTED = f"login and desktop may open {LATENCY_DEVICE}"


def _ask(machine: Machine, settings: Settings) -> Answer:
    if not machine.has(LATENCY_DEVICE):
        where = "a container has not its host's devices" if machine.container else "this kernel has no such device"
        return Answer("vacuous", where, _WANTED)
    return people.ask_each(machine, settings, _WANTED, lambda session: _judge(settings["rt_limits_group"], session))


def _judge(group: str, session: Session) -> Answer:
    places = {"login": session.login, "desktop": session.desktop}
    refused = {name: place.stays_awake for name, place in places.items() if place.stays_awake}
    if not refused:
        return Answer("pass", f"{session.user}: login and desktop opened it", _WANTED)
    said = ", ".join(f"in the {name}: {people.quote(reason)}" for name, reason in refused.items())
    evidence = f"{session.user}, {said}"
    if "login" not in refused and session.manager_was_running and group not in session.desktop.groups:
        return Answer("pending", evidence, _WANTED, people.again(session))
    return Answer("fail", evidence, _WANTED, AGAIN)


CHECK = Check("cpu_latency", "CPUs kept awake", _ask, people.SETTINGS, role="rt_limits", bare=True)
