# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A system group and its members."""

from __future__ import annotations

import contextlib
import grp
import pwd
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Tuple

from ansible_collections.nspa.proaudio.plugins.module_utils._core import programs
from ansible_collections.nspa.proaudio.plugins.module_utils._core.errors import HostError
from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import Manifest

_OWNER = "rt_limits"


class GroupError(HostError):
    """The group cannot be brought to what is wanted; the message says what to do."""


@dataclass
class Plan:
    """What differs; ``apply`` brings it about."""

    group: str
    before: Dict[str, List[str]]  #: members in the group database, by group; no key where a group is missing
    create: bool = False
    remove: List[str] = field(default_factory=list)
    join: List[str] = field(default_factory=list)
    leave: List[Tuple[str, str]] = field(default_factory=list)  #: (group, user)
    settled: List[Tuple[str, str]] = field(default_factory=list)  #: manifest entries (kind, key) that are done with
    manifest: Optional[str] = None

    @property
    def changed(self) -> bool:
        """Whether the machine differs from what is wanted."""
        return bool(self.create or self.remove or self.join or self.leave or self.settled)

    def after(self) -> Dict[str, List[str]]:
        """Return the members by group as they are after ``apply``."""
        found = {
            group: [user for user in users if (group, user) not in self.leave]
            for group, users in self.before.items()
            if group not in self.remove
        }
        if self.create or self.join:
            found[self.group] = sorted({*found.get(self.group, []), *self.join})
        return found

    def apply(self) -> None:
        """Make the group, let users join and leave, and note it in the manifest first."""
        with Manifest.change(self.manifest) as manifest:
            if self.create:
                manifest.record("groups", self.group, _OWNER, before=None)
                manifest.save()
                _run("groupadd", "--system", self.group)
            for user in self.join:
                manifest.record("members", f"{self.group}/{user}", _OWNER, before=None)
                manifest.save()
                _run("gpasswd", "--add", user, self.group)
            for group, user in self.leave:
                _run("gpasswd", "--delete", user, group)
            for group in self.remove:
                _run("groupdel", group)
            for kind, key in self.settled:
                manifest.forget(kind, key)
            manifest.save()

    def result(self) -> Dict[str, Any]:
        """Return what the module reports."""
        texts = [
            "".join(f"{group}: {', '.join(sorted(users))}\n" for group, users in sorted(state.items()))
            for state in (self.before, self.after())
        ]
        return {
            "changed": self.changed,
            "members": self.after().get(self.group, []),
            "relogin": sorted({*self.join, *(user for _group, user in self.leave)}),
            "diff": {"before": texts[0], "after": texts[1], "before_header": "groups", "after_header": "groups"},
        }


def compare(group: str, wanted: Optional[List[str]], manifest: Optional[str] = None) -> Plan:
    """Compare the group with what is wanted; changes nothing.

    What this collection did to other groups earlier is taken back too.

    :param group: the group's name.
    :param wanted: the users who must be in it, or None to take back what this collection did.
    :raises GroupError: when a user does not exist.
    """
    owned = Manifest.load(manifest)
    ours = {key: tuple(key.split("/", 1)) for key in owned.owned("members", _OWNER)}
    made = list(owned.owned("groups", _OWNER))
    plan = Plan(group, {}, manifest=manifest)
    for name in {group, *made, *(item[0] for item in ours.values())}:
        with contextlib.suppress(KeyError):
            plan.before[name] = list(grp.getgrnam(name).gr_mem)
    if wanted is not None:
        _must_exist(wanted)
        plan.create = group not in plan.before
        inside = {*plan.before.get(group, []), *_by_primary_group(group)}
        plan.join = [user for user in wanted if user not in inside]
    for key, (name, user) in ours.items():
        if wanted is not None and name == group and user in wanted:
            continue
        plan.settled.append(("members", key))
        if user in plan.before.get(name, []):
            plan.leave.append((name, user))
    for name in made:
        if wanted is not None and name == group:
            continue
        plan.settled.append(("groups", name))
        others = {user for user in plan.before.get(name, []) if (name, user) not in plan.leave}
        if name in plan.before and not others and not _by_primary_group(name):
            plan.remove.append(name)
    return plan


def _by_primary_group(group: str) -> List[str]:
    try:
        number = grp.getgrnam(group).gr_gid
    except KeyError:
        return []
    return [user.pw_name for user in pwd.getpwall() if user.pw_gid == number]


def _must_exist(users: List[str]) -> None:
    for user in users:
        try:
            pwd.getpwnam(user)
        except KeyError:
            raise GroupError(
                f"this machine has no user '{user}': mend the name, or create the user first (adduser {user})"
            ) from None


def _run(*command: str) -> None:
    done = programs.run(*command)
    if done.returncode:
        raise GroupError(f"{' '.join(command)} failed: {done.stderr.strip() or done.returncode}")
