# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this play knows of a host since it asked it, and whether that still holds."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Mapping, Optional

from ansible.playbook.block import Block

COLLECTION = "nspa.proaudio"


def host(variables: Mapping[str, Any]) -> Optional[Dict[str, Any]]:
    """The fact ``nspa_host``, if preflight has asked this host."""
    facts = variables.get("ansible_facts") or {}
    return facts.get("nspa_host")


def forget(known: Mapping[str, Any]) -> Dict[str, Any]:
    """The fact without what no longer holds once something was changed on the host."""
    return {**known, "standing": {}, "report": None, "done": False}


def mark(task: Any) -> Dict[str, str]:
    """Which task of which play asks; kept in the fact, and understood by `holds`."""
    return {"play": task.get_play()._uuid, "task": task._uuid}


def same_play(task: Any, known: Mapping[str, Any]) -> bool:
    """Whether the fact is of this very play; facts live on in later plays, and in a cache."""
    return bool(known["asked"]["play"] == task.get_play()._uuid)


def holds(task: Any, known: Mapping[str, Any]) -> bool:
    """Whether nothing but our own roles can have touched the host since it was asked in this play.

    Our own modules drop what they change from the fact. Of another's task nobody knows what it did, a reboot among
    them; of a task that is included while the play runs, nobody knows what came before it.
    """
    if task.delegate_to or not same_play(task, known):
        return False
    line = list(_line(task.get_play()))
    places = {item._uuid: number for number, item in enumerate(line)}
    since, until = places.get(known["asked"]["task"]), _place(task, places)
    if since is None or until is None or since > until:
        return False
    return all(_is_ours(item) for item in line[since:until])


def later(task: Any) -> List[Any]:
    """The tasks of our roles that want something of the host after a task in its play, unless something fails."""
    line = list(_line(task.get_play(), rescue=False))
    place = next(number for number, item in enumerate(line) if item._uuid == task._uuid)
    return [item for item in line[place + 1 :] if role(item) and item.action not in (*_META, *_ASKING)]


def role(task: Any) -> str:
    """The role of ours that the task is in, or an empty text."""
    return task._role._role_name if task._role and task._role._role_collection == COLLECTION else ""


def _line(play: Any, rescue: bool = True) -> Iterator[Any]:
    """The tasks of a play in their order, as far as they are known before it runs."""
    for block in play.compile():
        yield from _tasks(block, rescue)


def _tasks(block: Any, rescue: bool) -> Iterator[Any]:
    for item in [*block.block, *(block.rescue if rescue else ()), *block.always]:
        if isinstance(item, Block):
            yield from _tasks(item, rescue)
        else:
            yield item


def _place(task: Any, places: Mapping[str, int]) -> Optional[int]:
    """Where a task stands in the line: for an included one, where its include stands."""
    while task is not None:
        if task._uuid in places:
            return places[task._uuid]
        task = task._parent
    return None


def _is_ours(task: Any) -> bool:
    """A task of ours, or one that only lets handlers run: those were notified by other tasks."""
    if task.action in _META or task.action.startswith(f"{COLLECTION}."):
        return True
    return bool(task._role and task._role._role_collection == COLLECTION)


_META = ("meta", "ansible.builtin.meta")
#: Modules that ask, and change nothing.
_ASKING = tuple(f"{COLLECTION}.{name}" for name in ("preflight", "readiness", "futex_wait_multiple"))
