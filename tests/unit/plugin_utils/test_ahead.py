# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tasks of a play want of a host is known before they run, with the variables that Ansible has for each.

Plays are loaded as ansible-playbook loads them, in a process of its own that has Ansible's loader of collections. The
host stands in: it says of every want that it stands, and notes which wants these were.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from support import CHECKOUT

FORESEE = """
import json, sys
from ansible.plugins.loader import init_plugin_loader
init_plugin_loader([sys.argv[1]])
import ansible.plugins.loader as loaders
from ansible.parsing.dataloader import DataLoader
from ansible.inventory.manager import InventoryManager
from ansible.playbook import Playbook
from ansible.template import Templar
from ansible.vars.manager import VariableManager
from ansible_collections.nspa.proaudio.plugins.plugin_utils import _ahead, _play

given = json.loads(sys.argv[2])
loader = DataLoader()
inventory = InventoryManager(loader=loader, sources="one,")
manager = VariableManager(loader=loader, inventory=inventory)
manager.extra_vars.update(given["extra"])
host = inventory.get_host("one")
for name, value in given["inventory"].items():
    host.set_variable(name, value)
play = Playbook.load(sys.argv[3], variable_manager=manager, loader=loader).get_plays()[0]
ask = [task for task in _play._line(play) if task.action == "nspa.proaudio.preflight"][0]
variables = manager.get_vars(play=play, host=host, task=ask)
action = loaders.action_loader.get(
    ask.action, task=ask, connection=None, play_context=None, loader=loader,
    templar=Templar(loader=loader, variables=variables), shared_loader_obj=loaders,
)
wants = []

class Everything(dict):
    def get(self, digest):
        wants.append(digest)
        stands = digest not in given["differing"]
        return {"result": {"names": ["linux-mine"]}, "warnings": ["kept an edit"]} if stands else None

class Rebooting(Everything):
    def get(self, digest):
        return {"result": {"names": [], "reboot_reasons": ["threadirqs is not in effect"]}, "warnings": []}

loader_facts = {"name": "grub", "managed": given["managed"], "reason": ""}
known = {"standing": Everything(all=True), "loader": loader_facts, "kernel_packages": [], "uids": {"ada": 1000},
         "asked": _play.mark(ask)}
answers = _ahead.answers(action, known, variables)
result = {"warnings": ["heard before"]}
done = action._done(result, known, variables)
reboots = dict(known, standing=Rebooting(all=True))
print(json.dumps({
    "answers": answers and [answer for answer in answers if answer], "wants": wants[:len(wants) // 2],
    "done": done, "warnings": result["warnings"], "done before a reboot": action._done({}, reboots, variables),
    "done of an unknown host": action._done({}, dict(known, standing={}), variables),
}))
"""
LIMITS = "nspa.proaudio.rt_limits"
USERS = {"rt_limits_users": ["ada"]}


@pytest.fixture
def foresee(tmp_path):
    """What the tasks of a play would answer, and the digests of what they want."""

    def foresee(extra=None, inventory=None, differing=(), managed=True, **play):
        given = {
            "extra": extra or {},
            "inventory": {**USERS, **(inventory or {})},
            "differing": list(differing),
            "managed": managed,
        }
        playbook = tmp_path / "site.yml"
        playbook.write_text(json.dumps([{"hosts": "all", "gather_facts": False, **play}]))
        command = [sys.executable, "-c", FORESEE, str(CHECKOUT / "collections"), json.dumps(given), str(playbook)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return foresee


def test_every_task_that_wants_something_is_foreseen_with_what_it_would_warn_of(foresee):
    found = foresee(roles=[LIMITS])
    assert [answer["changed"] for answer in found["answers"]] == [False, False]
    assert [answer["warnings"] for answer in found["answers"]] == [["kept an edit"], ["kept an edit"]]
    assert len(set(found["wants"])) == 2


def test_a_play_is_done_where_all_stands_and_no_reboot_is_due(foresee):
    found = foresee(roles=[LIMITS])
    assert (found["done"], found["done before a reboot"], found["done of an unknown host"]) == (True, False, False)
    assert found["warnings"] == ["heard before", "kept an edit", "kept an edit"]
    differing = found["wants"][:1]
    assert foresee(roles=[LIMITS], differing=differing)["done"] is False


def test_one_want_that_does_not_stand_has_to_be_run(foresee):
    wants = foresee(roles=[LIMITS])["wants"]
    assert [foresee(roles=[LIMITS], differing=[want])["answers"] for want in wants] == [None, None]


def test_a_value_counts_wherever_it_is_set_and_by_ansibles_precedence(foresee):
    one = {"rt_limits_rtprio": 91}
    default = foresee(roles=[LIMITS])["wants"]
    everywhere = [
        foresee(roles=[LIMITS], inventory=one),
        foresee(roles=[LIMITS], extra=one),
        foresee(roles=[LIMITS], vars=one),
        foresee(roles=[{"role": LIMITS, "vars": one}]),
        foresee(tasks=[{"import_role": {"name": LIMITS}, "vars": one}]),
        foresee(tasks=[{"block": [{"import_role": {"name": LIMITS}}], "vars": one}]),
        foresee(roles=[{"role": LIMITS, "vars": {"rt_limits_rtprio": 90}}], extra=one),
        foresee(roles=[{"role": LIMITS, "vars": one}], inventory={"rt_limits_rtprio": 90}),
    ]
    assert len({tuple(found["wants"]) for found in everywhere}) == 1
    assert everywhere[0]["wants"] != default


def test_a_task_whose_conditions_are_not_met_wants_nothing(foresee):
    kernel = {"linux_nspa_source": "packages"}
    assert foresee(roles=["nspa.proaudio.linux_nspa"], extra=kernel, managed=False)["wants"] == []
    assert foresee(tasks=[{"import_role": {"name": LIMITS}, "when": False}])["wants"] == []
    assert len(foresee(tasks=[{"import_role": {"name": LIMITS}, "when": "1 == 1"}])["wants"]) == 2


def test_a_later_task_sees_what_an_earlier_one_would_register(foresee):
    """The default kernel is that of the packages which the files turned out to be."""
    found = foresee(roles=["nspa.proaudio.linux_nspa"], extra={"linux_nspa_source": "packages"})
    assert len(found["answers"]) == 3


def test_of_the_machines_own_kernel_nothing_is_wanted(foresee):
    found = foresee(roles=["nspa.proaudio.linux_nspa"], extra={"linux_nspa_source": "existing"})
    wanted = foresee(roles=["nspa.proaudio.linux_nspa"], extra={"linux_nspa_state": "absent"})
    assert found["wants"] == wanted["wants"] != []


@pytest.mark.parametrize(
    "play",
    [
        {"tasks": [{"import_role": {"name": LIMITS}, "delegate_to": "other"}]},
        {"tasks": [{"import_role": {"name": LIMITS}, "when": "nobody_defined_this"}]},
        {"roles": [LIMITS], "vars": {"rt_limits_group": "{{ nobody_defined_this }}"}},
        # Which of the two has asked cannot be told.
        {"roles": [LIMITS, {"role": LIMITS, "vars": {"rt_limits_rtprio": 91}}]},
        # A task of somebody else stands between: what the host said does not hold behind it.
        {"roles": [LIMITS], "post_tasks": [{"command": "true"}, {"import_role": {"name": LIMITS}}]},
    ],
)
def test_what_cannot_be_foreseen_is_run(foresee, play):
    assert foresee(**play)["answers"] is None
