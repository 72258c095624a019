# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host said holds only as long as the play runs nothing but our own roles.

Plays are loaded as ansible-playbook loads them, in a process of its own that has Ansible's loader of collections.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from support import CHECKOUT

ASK = """
import json, sys
from ansible.plugins.loader import init_plugin_loader
init_plugin_loader([sys.argv[1]])
from ansible.parsing.dataloader import DataLoader
from ansible.inventory.manager import InventoryManager
from ansible.playbook.play import Play
from ansible.vars.manager import VariableManager
from ansible_collections.nspa.proaudio.plugins.plugin_utils import _play

loader = DataLoader()
variables = VariableManager(loader=loader, inventory=InventoryManager(loader=loader, sources="host,"))
play = Play.load(json.loads(sys.argv[2]), variable_manager=variables, loader=loader)
tasks = list(_play._line(play))
asks = [task for task in tasks if task.action == "nspa.proaudio.preflight"]
states = [task for task in tasks if task.action in ("nspa.proaudio.host_files", "nspa.proaudio.group_members")]
known = {"asked": _play.mark(asks[0])}
other = {"asked": dict(_play.mark(asks[0]), play="another")}
print(json.dumps({
    "first": _play.holds(states[0], known), "last": _play.holds(states[-1], known),
    "other play": _play.holds(states[0], other), "role": _play.role(states[-1]),
    "before": _play.holds(asks[0], {"asked": _play.mark(states[-1])}),
}))
"""
OURS, OTHERS = {"import_role": {"name": "nspa.proaudio.rt_limits"}}, {"command": "true"}


def ask(**play):
    """What holds in a play: at the first and at the last task that wants something of the host."""
    text = json.dumps({"hosts": "all", "gather_facts": False, **play})
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(CHECKOUT / "collections"), text], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


ENV = {"import_role": {"name": "nspa.proaudio.wine_env"}}


@pytest.mark.parametrize(
    ("play", "last"),
    [
        ({"roles": ["nspa.proaudio.rt_limits", "nspa.proaudio.wine_env"]}, True),
        ({"tasks": [OURS, ENV]}, True),
        ({"tasks": [{"block": [OURS, ENV]}]}, True),
        ({"roles": ["nspa.proaudio.rt_limits"], "post_tasks": [ENV]}, True),
        ({"tasks": [OURS, OTHERS, ENV]}, False),
        ({"tasks": [OURS, {"block": [OTHERS], "when": False}, ENV]}, False),
        ({"roles": ["nspa.proaudio.rt_limits"], "tasks": [OTHERS], "post_tasks": [ENV]}, False),
        ({"tasks": [{"delegate_to": "other", **OURS}]}, False),
    ],
)
def test_it_holds_until_a_task_of_somebody_else(play, last):
    found = ask(**play)
    assert found["last"] is last


def test_a_task_of_somebody_else_before_the_question_or_after_the_last_wish_does_not_matter():
    assert ask(pre_tasks=[OTHERS], tasks=[OURS, ENV], post_tasks=[OTHERS])["last"] is True


def test_what_was_heard_in_another_play_does_not_hold():
    found = ask(tasks=[OURS])
    assert (found["first"], found["other play"]) == (True, False)


def test_what_will_be_asked_later_does_not_hold_now():
    assert ask(tasks=[OURS])["before"] is False


def test_a_task_knows_its_role():
    assert ask(tasks=[OURS, ENV])["role"] == "wine_env"
