# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The group and its members: only what this collection did is ever taken back."""

from __future__ import annotations

import grp
import pwd
from types import SimpleNamespace

import pytest

from ansible_collections.nspa.proaudio.plugins.module_utils._host import groups


class Database:
    """A stand-in for the user and group database, changed by the commands that the module runs."""

    def __init__(self, manifest, monkeypatch):
        self.manifest = str(manifest)
        self.groups = {"audio": ["ada"], "ada": [], "grace": []}
        self.numbers = {}
        self.users = {"ada": "ada", "grace": "grace"}  # with their primary groups
        self.commands = []
        monkeypatch.setattr(grp, "getgrnam", self.group)
        monkeypatch.setattr(pwd, "getpwnam", lambda name: self.user(name))
        monkeypatch.setattr(pwd, "getpwall", lambda: [self.user(name) for name in self.users])
        monkeypatch.setattr(groups, "_run", self.run)

    def number(self, group):
        return self.numbers.setdefault(group, 1000 + len(self.numbers))

    def group(self, name):
        return SimpleNamespace(gr_mem=self.groups[name], gr_gid=self.number(name))

    def user(self, name):
        return SimpleNamespace(pw_name=name, pw_gid=self.number(self.users[name]))

    def run(self, *command):
        self.commands.append(" ".join(command))
        program, *words = command
        if program == "groupadd":
            self.groups[words[-1]] = []
        elif program == "groupdel":
            del self.groups[words[-1]]
        else:
            change = self.groups[words[2]].append if words[0] == "--add" else self.groups[words[2]].remove
            change(words[1])

    def compare(self, group="realtime", wanted=("ada",)):
        return groups.compare(group, None if wanted is None else list(wanted), self.manifest)


@pytest.fixture
def database(tmp_path, monkeypatch):
    return Database(tmp_path / "state/nspa-proaudio/manifest.json", monkeypatch)


def test_a_group_is_made_and_taken_back(database):
    plan = database.compare(wanted=["ada", "grace"])
    assert plan.result()["diff"]["after"] == "realtime: ada, grace\n"
    assert database.commands == []
    plan.apply()
    assert database.groups["realtime"] == ["ada", "grace"]
    assert plan.result()["relogin"] == ["ada", "grace"]
    assert not database.compare(wanted=["ada", "grace"]).changed
    database.compare(wanted=None).apply()
    assert "realtime" not in database.groups
    assert not database.compare(wanted=None).changed


def test_a_group_and_a_member_that_were_there_before_stay(database):
    database.compare("audio", ["ada", "grace"]).apply()
    assert database.commands == ["gpasswd --add grace audio"]
    database.compare("audio", None).apply()
    assert database.groups["audio"] == ["ada"]


def test_a_user_who_is_dropped_leaves_and_one_of_somebody_elses_stays(database):
    database.compare(wanted=["ada"]).apply()
    database.groups["realtime"].append("grace")  # by hand
    database.compare(wanted=[]).apply()
    assert database.groups["realtime"] == ["grace"]
    database.compare(wanted=None).apply()
    assert database.groups["realtime"] == ["grace"], "a group with members of somebody else's is kept"


def test_another_name_takes_the_earlier_group_back(database):
    database.compare("realtime").apply()
    plan = database.compare("pipewire")
    assert plan.result()["diff"]["after"] == "pipewire: ada\n"
    plan.apply()
    assert "realtime" not in database.groups
    assert database.groups["pipewire"] == ["ada"]


def test_a_primary_group_counts_as_membership(database):
    assert not database.compare("ada", ["ada"]).changed


def test_an_unknown_user_is_refused_before_anything_is_done(database):
    with pytest.raises(groups.GroupError, match=r"no user 'eve'.*adduser eve"):
        database.compare(wanted=["ada", "eve"])
    assert database.commands == []


def test_an_interrupted_run_is_taken_back_as_well(database, monkeypatch):
    plan = database.compare()

    def fail(*command):
        if command[0] == "gpasswd":
            raise groups.GroupError("killed")
        database.run(*command)

    monkeypatch.setattr(groups, "_run", fail)
    with pytest.raises(groups.GroupError):
        plan.apply()
    monkeypatch.setattr(groups, "_run", database.run)
    database.compare(wanted=None).apply()
    assert "realtime" not in database.groups
    assert not database.compare(wanted=None).changed


def test_a_command_that_fails_is_told_with_its_words():
    with pytest.raises(groups.GroupError, match=r"ls /nowhere-at-all failed: .*nowhere-at-all"):
        groups._run("ls", "/nowhere-at-all")
