# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A system group and its members.

The manifest has the groups that we made (``groups``, by name) and the users that we put into one (``members``, by
``group/user``); only these are ever taken out and removed again.
"""

from __future__ import annotations

import grp
import pwd
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from ansible_collections.nspa.proaudio.plugins.module_utils._core import programs
from ansible_collections.nspa.proaudio.plugins.module_utils._core.change import Concern, Purpose
from ansible_collections.nspa.proaudio.plugins.module_utils._core.errors import HostError
from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import Manifest
from ansible_collections.nspa.proaudio.plugins.module_utils._host import distributions

GROUPS = "groups"
MEMBERS = "members"
LOCK_TIMEOUT = 60.0
"""Seconds to wait for another program that is changing users and groups."""

OPTIONS: Dict[str, Any] = {
    "group": {"type": "str"},
    "members": {"type": "list", "elements": "str", "default": []},
}

Run = Callable[..., Any]


class GroupError(HostError):
    """The group cannot be brought to what is wanted; the message says what to do."""


@dataclass
class Accounts:
    """The users and groups of this machine, and the programs that change them (shadow)."""

    names: distributions.Names = field(default_factory=distributions.names)
    run: Run = programs.run
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    gshadow: Path = Path("/etc/gshadow")

    def members(self, group: str) -> Optional[List[str]]:
        """Return who is listed in a group, an account or not; None where there is no such group."""
        try:
            return list(grp.getgrnam(group).gr_mem)
        except KeyError:
            return None

    def shadow(self, group: str) -> Optional[List[str]]:
        """Return who is listed in a group's row of gshadow(5); None where there is none, or it is not for our eyes.

        shadow's programs replace two files one after the other, and one of them may have been killed in between.
        """
        try:
            lines = self.gshadow.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return None
        rows = [line.split(":") for line in lines if line.startswith(f"{group}:")]
        return [user for user in rows[0][-1].split(",") if user] if rows else None

    def number(self, group: str) -> Optional[int]:
        """Return the gid of a group."""
        try:
            return grp.getgrnam(group).gr_gid
        except KeyError:
            return None

    def primary(self, user: str) -> Optional[int]:
        """Return the gid of a user's own group; None where there is no such user."""
        try:
            return pwd.getpwnam(user).pw_gid
        except KeyError:
            return None

    def is_somebodys_own(self, group: str) -> bool:
        """Whether it is any user's own group."""
        number = self.number(group)
        return any(user.pw_gid == number for user in pwd.getpwall())

    def change(self, *command: str) -> None:
        """Run one of shadow's programs, and wait where another program holds the lock of /etc/group or /etc/passwd."""
        deadline = self.clock() + LOCK_TIMEOUT
        while True:
            done = self.run(*command)
            if not done.returncode:
                return
            said = "; ".join(done.stderr.strip().splitlines()) or f"exit status {done.returncode}"
            if not re.search(r"cannot lock |existing lock file ", said):
                raise GroupError(f"'{' '.join(command)}' was refused: {said}. Mend that, and run this again")
            if self.clock() >= deadline:
                raise GroupError(
                    f"Users and groups are being changed by another program for more than {LOCK_TIMEOUT:.0f} seconds "
                    f"({said}). Wait until it has ended and run this again; if there is none, a file such as "
                    "/etc/group.lock was left behind: remove it"
                )
            self.sleep(1.0)


@dataclass
class GroupChange:
    """What differs between this machine's groups and what is wanted."""

    role: str
    accounts: Accounts
    group: str = ""  #: what is wanted; empty where nothing is
    before: Dict[str, List[str]] = field(default_factory=dict)  #: members by group; no key where a group is missing
    create: bool = False
    remove: List[str] = field(default_factory=list)
    remains: List[str] = field(default_factory=list)  #: groups of which only the row in gshadow is left
    join: List[str] = field(default_factory=list)
    leave: List[Tuple[str, str]] = field(default_factory=list)  #: (group, user)
    forget: List[Tuple[str, str]] = field(default_factory=list)  #: entries of the manifest, (kind, key)
    warnings: List[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        """Whether the machine differs from what is wanted, or the manifest has entries that are done with."""
        return bool(self.create or self.remove or self.remains or self.join or self.leave or self.forget)

    def after(self) -> Dict[str, List[str]]:
        """Return the members by group as they are after `apply`."""
        found = {
            group: [user for user in users if (group, user) not in self.leave]
            for group, users in self.before.items()
            if group not in self.remove
        }
        if self.create or self.join:
            found[self.group] = sorted({*found.get(self.group, []), *self.join})
        return found

    def apply(self, manifest: Manifest) -> None:
        """Make the group, let users join and leave, and note it in the manifest first."""
        # No program sees an option where a name is meant: names with a leading minus are refused, and -- ends options.
        if self.create:
            manifest.record(GROUPS, self.group, self.role, before=None)
            manifest.save()
            self.accounts.change("groupadd", "--system", "--", self.group)
        for user in self.join:
            manifest.record(MEMBERS, f"{self.group}/{user}", self.role, before=None)
        if self.join:
            manifest.save()
        for user in self.join:
            self.accounts.change("gpasswd", f"--add={user}", "--", self.group)
        for group, user in self.leave:
            self.accounts.change("gpasswd", f"--delete={user}", "--", group)
        for group in self.remains:
            # No program removes such a row alone.
            self.accounts.change("groupadd", "--system", "--", group)
        for group in [*self.remains, *self.remove]:
            self.accounts.change("groupdel", "--", group)
        for kind, key in self.forget:
            manifest.forget(kind, key)
        manifest.save()

    def result(self) -> Dict[str, Any]:
        """Return what the module reports."""
        return {
            "members": self.after().get(self.group, []),
            "relogin": sorted({*self.join, *(user for _group, user in self.leave)}),
        }

    def diff(self) -> List[Dict[str, str]]:
        """Return the members of each group before and after."""
        texts = [
            "".join(f"{group}: {', '.join(sorted(users))}\n" for group, users in sorted(state.items()))
            for state in (self.before, self.after())
        ]
        return [{"before": texts[0], "after": texts[1], "before_header": "groups", "after_header": "groups"}]


def compare(
    manifest: Manifest,
    role: str,
    wanted: Optional[Mapping[str, Any]],
    purpose: Purpose,
    accounts: Optional[Accounts] = None,
) -> GroupChange:
    """Compare the group with what is wanted. What the role did to other groups earlier is to be put back.

    :param wanted: ``group``, its name, and ``members``, the users who must be in it.
    :raises GroupError: when a name cannot be one, or a user does not exist.
    """
    change = GroupChange(role=role, accounts=accounts or Accounts())
    ours = {key: tuple(key.split("/", 1)) for key in manifest.owned(MEMBERS, role)}
    made = list(manifest.owned(GROUPS, role))
    users: List[str] = []
    if wanted is not None:
        change.group, users = wanted["group"], list(dict.fromkeys(wanted["members"]))
        _check_names(change.group, users, change.accounts)
    for name in {change.group, *made, *(item[0] for item in ours.values())} - {""}:
        members = change.accounts.members(name)
        if members is not None:
            change.before[name] = members
    if wanted is not None:
        change.create = change.group not in change.before
        halves = [user for user in users if f"{change.group}/{user}" in ours and _is_half(change, change.group, user)]
        change.join = [user for user in users if user in halves or not _is_in(change, user)]
        _check_owners(manifest, change)
    for key, (name, user) in ours.items():
        if name == change.group and user in users:
            continue
        change.forget.append((MEMBERS, key))
        if user in change.before.get(name, []) or (name in change.before and _is_half(change, name, user)):
            change.leave.append((name, user))
    for name in made:
        if name == change.group:
            continue
        change.forget.append((GROUPS, name))
        if name not in change.before:
            if change.accounts.shadow(name) is not None:
                change.remains.append(name)
            continue
        others = [user for user in change.before[name] if (name, user) not in change.leave]
        if others:
            change.warnings.append(f"the group {name} stays: others are in it now ({', '.join(sorted(others))})")
        elif change.accounts.is_somebodys_own(name):
            change.warnings.append(f"the group {name} stays: it is a user's own group now")
        else:
            change.remove.append(name)
    return change


CONCERN = Concern("group_members", OPTIONS, compare, needed=["group"])


def _is_in(change: GroupChange, user: str) -> bool:
    if user in change.before.get(change.group, []):
        return True
    return change.accounts.primary(user) == change.accounts.number(change.group)


def _is_half(change: GroupChange, group: str, user: str) -> bool:
    """Whether only one of the two files has a user in a group."""
    shadow = change.accounts.shadow(group)
    return shadow is not None and (user in shadow) != (user in change.before.get(group, []))


def _check_names(group: str, users: List[str], accounts: Accounts) -> None:
    """Check all names before anything is changed, by the distribution's rule, and that the users exist."""
    rule = accounts.names
    for name in (group, *users):
        if rule.problem(name):
            raise GroupError(rule.problem(name))
    if accounts.members(group) is None and rule.problem_of_new(group):
        raise GroupError(rule.problem_of_new(group))
    for user in users:
        if accounts.primary(user) is None:
            raise GroupError(
                f"this machine has no user '{user}': mend the name, create the user first (adduser {user}), or, if the "
                "account is gone for good, take it out of the list"
            )


def _check_owners(manifest: Manifest, change: GroupChange) -> None:
    """Refuse to make again what belongs to another role: when that one goes, so would ours."""
    made = [(GROUPS, change.group)] if change.create else []
    for kind, key in [*made, *((MEMBERS, f"{change.group}/{user}") for user in change.join)]:
        entry = manifest.get(kind, key)
        if entry is not None and entry["owner"] != change.role:
            raise GroupError(
                f"{key} ({kind}) is wanted by {change.role} and belongs to {entry['owner']}. "
                "Let only one of them manage it"
            )
