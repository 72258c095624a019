# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rest of a play still has to do on a host, found before its tasks are started one by one.

Starting a task costs the controller some 20 ms of CPU for each host, whatever the task does; where the host has said
that all stands, there is no need to start any.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

from ansible.plugins.action import ActionBase

from ansible_collections.nspa.proaudio.plugins.module_utils._host import concerns
from ansible_collections.nspa.proaudio.plugins.plugin_utils import _play

#: The actions of the state modules, which can say what they would answer.
_STATE = frozenset(f"{_play.COLLECTION}.{concern.name}" for concern in concerns.CONCERNS)


def answers(
    action: ActionBase, known: Mapping[str, Any], variables: Mapping[str, Any]
) -> Optional[List[Dict[str, Any]]]:
    """What each later task of our roles would answer; None if one of them has to be run to know.

    Each task is resolved as Ansible does when its turn comes: by the variables that Ansible has for it, its
    conditions, its arguments.

    :param action: the action plugin of the task that asked the host.
    :param known: what the host said: the fact ``nspa_host``, which Ansible has not stored yet.
    :param variables: the host's variables, for that task.
    """
    registered: Dict[str, Any] = {}
    found = []
    try:
        for task in _play.later(action._task):
            answer = _answer(action, task, known, variables.get("ansible_facts") or {}, registered)
            if answer is None:
                return None
            if task.register:
                registered[task.register] = answer
            found.append(answer)
    except Exception:  # whatever an inventory's expressions raise, they raise again when the task has its turn
        return None
    return found


def _answer(action, task, known, facts, registered):
    """What one task would answer without a call; None if it would make one."""
    if task.action not in _STATE or task.delegate_to or task.loop_with or task.loop is not None:
        return None
    manager = task.get_variable_manager()
    host = manager._inventory.get_host(action._templar.available_variables["inventory_hostname"])
    variables = manager.get_vars(play=task.get_play(), host=host, task=task)
    variables.update(registered, ansible_facts={**facts, "nspa_host": known})
    templar = action._templar.copy_with_new_env(available_variables=variables)
    if not _meets(task, templar, variables):
        return {}
    task = task.copy()
    task.args = templar.template(task.args)
    later = action._shared_loader_obj.action_loader.get(
        task.action,
        task=task,
        connection=action._connection,
        play_context=action._play_context,
        loader=action._loader,
        templar=templar,
        shared_loader_obj=action._shared_loader_obj,
    )
    return later.foresee(variables)


def _meets(task, templar, variables):
    """Whether the conditions of a task are met."""
    if hasattr(templar, "evaluate_conditional"):  # ansible-core 2.19 and later
        return all(templar.evaluate_conditional(condition) for condition in task.when)
    return task.evaluate_conditional(templar, variables)
