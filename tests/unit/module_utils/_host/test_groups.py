# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The group and its members: only what this collection did is ever taken back."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest
import support.host
from support.host import Host, Run

from ansible_collections.nspa.proaudio.plugins.module_utils._core import programs
from ansible_collections.nspa.proaudio.plugins.module_utils._core.change import Purpose
from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import Manifest
from ansible_collections.nspa.proaudio.plugins.module_utils._host import groups
from ansible_collections.nspa.proaudio.plugins.module_utils._host.groups import GroupError

ROLE = "some_role"
LOCKED = "groupadd: existing lock file /etc/group.lock with PID 1\ngroupadd: cannot lock /etc/group; try again later."


class Database(groups.Accounts):
    """A stand-in for the user and group database, changed by the programs that are run.

    `fail`: what a program says that fails once, by its name.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(run=self.program, clock=lambda: self.time, sleep=self.pass_time, gshadow=folder / "no-gshadow")
        self.manifest = str(folder / "state/nspa-proaudio/manifest.json")
        self.groups: Dict[str, List[str]] = {"audio": ["ada"], "ada": [], "grace": []}
        self.numbers: Dict[str, int] = {}
        self.users = {"ada": "ada", "grace": "grace"}  # with their primary groups
        self.commands: List[str] = []
        self.fail: Dict[str, List[str]] = {}
        self.time = 0.0

    def pass_time(self, seconds: float) -> None:
        self.time += seconds

    def number(self, group: str) -> Optional[int]:
        return self.numbers.setdefault(group, 1000 + len(self.numbers)) if group in self.groups else None

    def members(self, group: str) -> Optional[List[str]]:
        return list(self.groups[group]) if group in self.groups else None

    def primary(self, user: str) -> Optional[int]:
        return self.number(self.users[user]) if user in self.users else None

    def is_somebodys_own(self, group: str) -> bool:
        return group in self.users.values()

    def program(self, name: str, *words: str) -> Any:
        if self.fail.get(name):
            self.pass_time(15)  # which shadow's programs take themselves where something is locked
            return subprocess.CompletedProcess(name, 10, "", self.fail[name].pop(0))
        self.commands.append(" ".join([name, *words]))
        group = words[-1]
        assert words[-2] == "--"
        if name == "groupadd":
            self.groups[group] = []
        elif name == "groupdel":
            del self.groups[group]
        else:
            option, _equals, user = words[0].partition("=")
            (self.groups[group].append if option == "--add" else self.groups[group].remove)(user)
        return subprocess.CompletedProcess(name, 0, "", "")

    def compare(
        self, group: str = "realtime", members: Optional[List[str]] = None, role: str = ROLE, **options: Any
    ) -> groups.GroupChange:
        """Compare; members None means that nothing is wanted."""
        wanted = None if members is None else {"group": group, "members": members}
        manifest = options.get("manifest") or Manifest.load(self.manifest)
        return groups.compare(manifest, role, wanted, Purpose.APPLY, self)

    def run_for(self, *arguments: Any, **options: Any) -> groups.GroupChange:
        """Compare and apply, as the module does."""
        with Manifest.change(self.manifest) as manifest:
            change = self.compare(*arguments, **options, manifest=manifest)
            change.apply(manifest)
            return change


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path)


def test_a_group_is_made_and_removed_again(database: Database) -> None:
    change = database.compare("realtime", ["ada", "grace"])
    assert change.diff()[0]["after"] == "realtime: ada, grace\n"
    assert database.commands == []
    database.run_for("realtime", ["ada", "grace"])
    assert database.groups["realtime"] == ["ada", "grace"]
    assert change.result() == {"members": ["ada", "grace"], "relogin": ["ada", "grace"]}
    assert not database.compare("realtime", ["ada", "grace"]).changed
    database.run_for()
    assert "realtime" not in database.groups
    assert not database.compare().changed
    assert not Path(database.manifest).parent.exists()


def test_a_group_and_a_member_that_were_there_before_stay(database: Database) -> None:
    database.run_for("audio", ["ada", "grace"])
    assert database.commands == ["gpasswd --add=grace -- audio"]
    database.run_for()
    assert database.groups["audio"] == ["ada"]


def test_a_user_who_is_dropped_leaves_and_one_of_somebody_elses_stays(database: Database) -> None:
    database.run_for("realtime", ["ada"])
    database.groups["realtime"].append("grace")  # by hand
    database.run_for("realtime", [])
    assert database.groups["realtime"] == ["grace"]
    change = database.run_for()
    assert database.groups["realtime"] == ["grace"], "a group with members of somebody else's is kept"
    assert change.warnings == ["the group realtime stays: others are in it now (grace)"]
    assert not database.compare().changed


def test_a_group_that_is_a_users_own_by_now_stays(database: Database) -> None:
    database.run_for("realtime", ["ada"])
    database.users["eve"] = "realtime"
    assert database.run_for().warnings == ["the group realtime stays: it is a user's own group now"]
    assert database.groups["realtime"] == []


def test_another_name_puts_the_earlier_group_back(database: Database) -> None:
    database.run_for("realtime", ["ada"])
    change = database.run_for("pipewire", ["ada"])
    assert change.diff()[0]["after"] == "pipewire: ada\n"
    assert "realtime" not in database.groups
    assert database.groups["pipewire"] == ["ada"]


def test_a_primary_group_counts_as_membership(database: Database) -> None:
    assert not database.compare("ada", ["ada"]).changed


def test_a_user_who_is_named_twice_joins_once(database: Database) -> None:
    database.run_for("audio", ["grace", "grace"])
    assert database.commands == ["gpasswd --add=grace -- audio"]


def test_two_roles_keep_apart(database: Database) -> None:
    database.run_for("realtime", ["ada"])
    database.run_for("realtime", ["ada", "grace"], role="other")
    change = database.run_for()
    assert database.groups["realtime"] == ["grace"]
    assert len(change.warnings) == 1
    database.run_for("realtime", ["ada", "grace"])
    database.groups["realtime"] = []
    with pytest.raises(GroupError, match=r"realtime/grace .* is wanted by some_role and belongs to other"):
        database.compare("realtime", ["ada", "grace"])


# -- names and accounts


def test_an_unknown_user_is_refused_before_anything_is_done(database: Database) -> None:
    with pytest.raises(GroupError, match=r"no user 'eve'.*adduser eve"):
        database.run_for("realtime", ["ada", "eve"])
    assert database.commands == []
    assert not Path(database.manifest).exists()


BAD = [
    "",
    "-r",
    "--help",
    "+x",
    "~x",
    "../ada",
    "a/b",
    "a b",
    "a\tb",
    "a\nb",
    "a:b",
    "a,b",
    "a\0b",
    "a\x1b[2J",
    "\u00a0a",
]


@pytest.mark.parametrize("name", BAD)
def test_a_name_that_can_be_none_is_refused_before_anything_is_done(database: Database, name: str) -> None:
    database.users[name] = name
    database.groups[name] = []
    for group, members in ((name, ["ada"]), ("audio", [name])):
        with pytest.raises(GroupError, match="is no name of a user or group"):
            database.run_for(group, members)
    assert database.commands == []


@pytest.mark.parametrize("name", ["1000", "a#b", "a.b", "..", "ä", "a" * 33, "a$b", "a@b"])
def test_a_group_that_exists_is_used_by_any_name_but_only_a_plain_one_is_made(database: Database, name: str) -> None:
    with pytest.raises(GroupError, match=r"no group .* can be made: its name starts with a letter"):
        database.compare(name, ["ada"])
    database.groups[name] = []
    database.run_for(name, ["ada"])
    assert database.groups[name] == ["ada"]


def test_a_member_whose_account_is_gone_is_named_and_can_be_dropped(database: Database) -> None:
    database.run_for("realtime", ["ada", "grace"])
    del database.users["grace"]
    with pytest.raises(GroupError, match=r"no user 'grace'.*take it out of the list"):
        database.compare("realtime", ["ada", "grace"])
    database.run_for("realtime", ["ada"])
    assert database.groups["realtime"] == ["ada"]


def test_a_member_whose_account_is_gone_can_be_put_back(database: Database) -> None:
    database.run_for("realtime", ["ada", "grace"])
    del database.users["grace"]
    database.groups["realtime"].remove("grace")  # as deluser does
    del database.users["ada"]
    database.run_for()
    assert "realtime" not in database.groups


def test_a_group_that_is_gone_is_made_again_or_forgotten(database: Database) -> None:
    database.run_for("realtime", ["ada"])
    del database.groups["realtime"]
    assert database.compare("realtime", ["ada"]).changed
    database.run_for("realtime", ["ada"])
    assert database.groups["realtime"] == ["ada"]
    del database.groups["realtime"]
    assert database.compare().changed
    database.run_for()
    assert not database.compare().changed


# -- other programs


def test_a_program_that_is_refused_is_told_with_its_words(database: Database) -> None:
    database.fail["gpasswd"] = ["gpasswd: group 'audio' does not exist in /etc/group"]
    with pytest.raises(
        GroupError, match=r"'gpasswd --add=grace -- audio' was refused: gpasswd: group 'audio' does not"
    ):
        database.run_for("audio", ["grace"])
    assert database.time == 15, "what is not a lock is not tried again"


def test_a_program_that_is_not_there_is_told() -> None:
    accounts = groups.Accounts()
    with pytest.raises(programs.ProgramError, match="no-such-program cannot be run"):
        accounts.change("no-such-program")


def test_a_lock_is_waited_for(database: Database) -> None:
    database.fail["groupadd"] = [LOCKED] * 3
    database.fail["gpasswd"] = ["gpasswd: cannot lock /etc/gshadow; try again later."]
    database.run_for("realtime", ["ada"])
    assert database.groups["realtime"] == ["ada"]
    assert database.time == 4 * 16


def test_a_lock_that_stays_is_told_with_what_to_do(database: Database) -> None:
    database.fail["groupadd"] = [LOCKED] * 100
    with pytest.raises(GroupError, match=r"for more than 60 seconds \(groupadd: existing.*remove it"):
        database.run_for("realtime", ["ada"])
    assert 60 <= database.time < 80


def test_an_interrupted_run_is_put_back_as_well(database: Database) -> None:
    database.fail["gpasswd"] = ["killed"]
    with pytest.raises(GroupError):
        database.run_for("realtime", ["ada"])
    assert "realtime" in database.groups
    database.run_for()
    assert "realtime" not in database.groups
    assert not database.compare().changed


def test_an_interrupted_run_goes_on_where_it_stopped(database: Database) -> None:
    database.fail["gpasswd"] = ["killed"]
    with pytest.raises(GroupError):
        database.run_for("realtime", ["ada"])
    database.run_for("realtime", ["ada"])
    assert database.groups["realtime"] == ["ada"]
    database.run_for()
    assert "realtime" not in database.groups


# -- the real programs, with an /etc of their own

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("gpasswd"),
    reason="needs root, unshare and shadow (passwd)",
)


class Real:
    """Runs commands and the module where /etc is a folder of the test."""

    def __init__(self, folder: Path, scripts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.etc = folder / "etc"
        self.etc.mkdir(parents=True)
        for name, text in {
            "passwd": "root:x:0:0::/root:/bin/sh\nada:x:1000:1000::/:/bin/sh\ngrace:x:1001:1001::/:/bin/sh\n",
            "shadow": "root:*:1::::::\nada:*:1::::::\ngrace:*:1::::::\n",
            "group": "root:x:0:\nada:x:1000:\ngrace:x:1001:\naudio:x:29:ada\n",
            "gshadow": "root:*::\nada:!::\ngrace:!::\naudio:*::ada\n",
            "nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\ngshadow: files\n",
            "login.defs": "SYS_GID_MIN 100\nSYS_GID_MAX 999\nGID_MIN 1000\nGID_MAX 60000\n",
        }.items():
            (self.etc / name).write_text(text)
        self.shell = scripts / "in-private-etc"
        self.shell.write_text(
            textwrap.dedent(f"""\
                #!/bin/sh
                exec unshare --mount sh -c 'mount --bind {self.etc} /etc && exec "$@"' sh "$@"
                """)
        )
        self.python = scripts / "python-in-private-etc"
        self.python.write_text(f'#!/bin/sh\nexec {self.shell} {support.host.HOST_PYTHON} "$@"\n')
        for script in (self.shell, self.python):
            script.chmod(0o755)
        monkeypatch.setattr(support.host, "HOST_PYTHON", str(self.python))
        self.host = Host(folder)

    def module(self, members: Optional[List[str]], group: str = "realtime", check: bool = False) -> Run:
        state = "absent" if members is None else "present"
        return self.host.run("group_members", check=check, role=ROLE, group=group, members=members or [], state=state)

    def group(self, name: str) -> Optional[List[str]]:
        lines = [line.split(":") for line in (self.etc / "group").read_text().splitlines()]
        return next((fields[3].split(",") for fields in lines if fields[0] == name), None)

    def state(self) -> Dict[str, str]:
        names = ("passwd", "shadow", "group", "gshadow")
        return {name: (self.etc / name).read_text() for name in names}


@pytest.fixture
def real(memory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Real:
    # The scripts apart: nothing can be started from a memory that is mounted with noexec.
    return Real(memory / "real", tmp_path, monkeypatch)


@needs_root
def test_the_module_predicts_what_it_then_does_and_puts_the_files_back(real: Real) -> None:
    start = real.state()
    predicted = real.module(["ada", "grace"], check=True)
    assert real.state() == start
    assert not real.host.manifest.exists()
    done = real.module(["ada", "grace"])
    assert done.result == predicted.result
    assert done.result["members"] == ["ada", "grace"]
    assert real.group("realtime") == ["ada", "grace"]
    assert not real.module(["ada", "grace"]).changed
    assert real.module(None).changed
    assert real.state() == start
    assert not real.host.manifest.parent.exists()


# shadow's programs replace /etc/group and /etc/gshadow one after the other.
between_the_two = pytest.mark.parametrize("late", ["group", "gshadow"])


@needs_root
@between_the_two
def test_a_user_who_joined_in_one_of_the_two_files_joins_in_the_other(real: Real, late: str) -> None:
    real.module(["ada"])
    made = real.state()
    (real.etc / late).write_text(re.sub(r"(?m)^(realtime:.*)ada$", r"\1", made[late]))
    assert real.module(["ada"]).code == 0
    assert real.state() == made
    assert not real.module(["ada"]).changed


@needs_root
@between_the_two
@pytest.mark.parametrize("group", ["audio", "realtime"])
def test_what_is_gone_from_one_of_the_two_files_goes_from_the_other(real: Real, group: str, late: str) -> None:
    start = real.state()
    real.module(["grace"], group)
    early = "gshadow" if late == "group" else "group"
    (real.etc / early).write_text(start[early])
    assert real.module(None, group).code == 0
    assert real.state() == start
    assert not real.host.manifest.parent.exists()
    assert not real.module(None, group).changed


@needs_root
def test_users_whom_others_put_into_one_of_the_two_files_are_theirs(real: Real) -> None:
    group = real.etc / "group"
    group.write_text(group.read_text().replace("audio:x:29:ada", "audio:x:29:ada,grace"))
    start = real.state()
    assert not real.module(["ada", "grace"], "audio").changed
    real.module(None, "audio")
    assert real.state() == start


@needs_root
def test_the_account_of_a_member_may_be_gone(real: Real) -> None:
    real.module(["ada", "grace"])
    passwd = real.etc / "passwd"
    passwd.write_text("".join(line for line in passwd.open() if not line.startswith("grace")))
    refused = real.module(["ada", "grace"])
    assert "no user 'grace'" in refused.message
    assert real.module(["ada"]).changed
    assert real.group("realtime") == ["ada"]
    assert real.module(None).changed
    assert real.group("realtime") is None


@needs_root
def test_a_group_that_became_a_users_own_stays(real: Real) -> None:
    real.module(["ada"])
    passwd = real.etc / "passwd"
    number = next(line.split(":")[2] for line in (real.etc / "group").open() if line.startswith("realtime:"))
    passwd.write_text(passwd.read_text().replace(":1001:1001:", f":1001:{number}:"))
    done = real.module(None)
    assert (done.code, real.group("realtime")) == (0, [""])
    assert "it is a user's own group now" in str(done.result["warnings"])
    assert not real.module(["grace"]).result["relogin"], "her own group, so she is in it"


@needs_root
@pytest.mark.parametrize("name", ["-r", "../x", "a b", "a:b", "a\x1bb"])
def test_bad_names_do_not_reach_the_programs(real: Real, name: str) -> None:
    start = real.state()
    for group, members in ((name, ["ada"]), ("audio", [name])):
        assert "is no name of a user or group" in real.module(members, group).message
    assert real.state() == start


@needs_root
def test_another_program_that_holds_the_lock_is_waited_for(real: Real) -> None:
    # A lock as shadow makes it: a file with the number of a process that lives.
    lock = real.etc / "group.lock"
    lock.write_text(f"{os.getpid()}\0")
    timer = threading.Timer(18, lock.unlink)
    timer.start()
    begin = time.monotonic()
    done = real.module(["ada"])
    timer.join()
    assert (done.code, real.group("realtime")) == (0, ["ada"])
    assert time.monotonic() - begin > 17


@needs_root
def test_runs_at_once_wait_for_each_other(real: Real) -> None:
    names = ["realtime", "pipewire", "jackuser", "proaudio"]
    runs: Dict[str, Run] = {}

    def one(name: str) -> None:
        runs[name] = real.host.run("group_members", role=name, group=name, members=["ada", "grace"])

    threads = [threading.Thread(target=one, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {name: run.code for name, run in runs.items()} == dict.fromkeys(names, 0)
    assert [real.group(name) for name in names] == [["ada", "grace"]] * 4


KILL = """
import sys
from support.host import killed_at
from ansible_collections.nspa.proaudio.plugins.module_utils._core.change import Purpose
from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import Manifest
from ansible_collections.nspa.proaudio.plugins.module_utils._host import groups

path, group_file = sys.argv[1], "/etc/group"
start = open(group_file).read()

def run(members):
    wanted = None if members is None else {"group": "realtime", "members": members}
    with Manifest.change(path) as manifest:
        change = groups.compare(manifest, "r", wanted, Purpose.APPLY)
        if change.changed:
            change.apply(manifest)

for then in ("present", "absent"):
    step, killed = 1, True
    while killed:
        killed = killed_at(step, lambda: run(["ada", "grace"]))
        if then == "present":
            run(["ada", "grace"])
            assert "realtime:x:999:ada,grace" in open(group_file).read(), (then, step)
        run(None)
        assert open(group_file).read() == start, (then, step)
        assert not groups.compare(Manifest.load(path), "r", None, Purpose.APPLY).changed
        step += 1
print("survived", step)
"""


@needs_root
def test_killed_at_any_step_both_ways_are_still_open(real: Real, memory: Path) -> None:
    done = subprocess.run(
        [str(real.shell), sys.executable, "-c", KILL, str(memory / "state/x/manifest.json")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.stdout.startswith("survived"), done.stderr
