# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The look at a user's sessions: what is believed, what is said when nothing can be seen, and that nothing is left."""

from __future__ import annotations

import os
import pwd
import shlex
import subprocess
import sys
from types import SimpleNamespace

import pytest
from support.processes import add_process, remove_process

from ansible_collections.nspa.proaudio.plugins.module_utils._core import programs
from ansible_collections.nspa.proaudio.plugins.module_utils._host import attempt, sessions
from ansible_collections.nspa.proaudio.plugins.module_utils._host.attempt import Promise
from ansible_collections.nspa.proaudio.plugins.module_utils._host.sessions import Place, SessionError

UID = 4711
USER_GROUP = f"/user.slice/user-{UID}.slice"
SCOPE = "session-c7.scope"
MANAGER = f"user@{UID}.service"
PROMISE = Promise(95, None, -20, 1048576)
GOT = {4: attempt.LATENCY_DEVICE, 1048575: "/dev/null"}
ADA = SimpleNamespace(pw_name="ada", pw_uid=UID, pw_gid=UID, pw_shell="/bin/bash")


class Machine:
    """A stand-in for systemd, logind and the kernel. What happens in a place is a function that a test can replace."""

    def __init__(self, root):
        self.root = root
        (root / "run/systemd/system").mkdir(parents=True)
        (root / "proc").mkdir()
        self.ran = []
        self.units = {}
        self.sessions = {}
        self.linger = "no"
        self.account = ADA
        self.environment = "LANG=C\nPATH=/bin\n"
        self.refuses = {}  # by the first words of a command: exit status and error
        self.in_login = self.in_desktop = lambda machine, command: machine.process(command)
        self.dies = lambda pid: True
        self.place = {}

    def look(self, memlock_kb=None, wait=0.3):
        return sessions.look(
            "ada", PROMISE._replace(memlock_kb=memlock_kb), self.run, self.root, wait, lambda name: self.account
        )

    # -- what the tests do in a place

    def process(self, command, **facts):
        """The process in the place that is being started, with these facts."""
        usual = {"uid": UID, "groups": [UID, 0], "program": attempt.interpreter(), "locked_kb": attempt.MOST_KB}
        through = {"name": "nspa 0000000000", "policy": 1, "priority": 95, "nice": -20, "files": GOT}
        facts = {**usual, **through, "environment": {"WHERE": self.place["name"]}, **facts}
        facts.setdefault("cgroup", self.place["cgroup"])
        add_process(self.root, facts.pop("pid", self.place["pid"]), command, **facts)

    def left(self):
        return sorted(int(folder.name) for folder in (self.root / "proc").iterdir())

    def commands(self, *words):
        return [command for command in self.ran if list(command[: len(words)]) == list(words)]

    # -- what the collection runs

    def run(self, *command, timeout=None):
        assert timeout is not None, "everything has a deadline"
        self.ran.append(command)
        for words, (status, said) in self.refuses.items():
            if " ".join(command).startswith(words) or words in " ".join(command):
                if status is None:
                    raise programs.ProgramError(said)
                return subprocess.CompletedProcess(command, status, "", said)
        answer = ""
        if command[0] == "systemctl":
            answer = self.systemctl(*command[1:])
        elif command[0] == "loginctl":
            answer = self.loginctl(*command[1:])
        elif command[0] == "systemd-run":
            self.log_in(command)
        elif "systemd-run" in command:
            self.start_service(command)
        elif "stop" in command:
            self.end(self.units[MANAGER]["ControlGroup"] + f"/app.slice/{command[-1]}")
        return subprocess.CompletedProcess(command, 0, answer or "", "")

    def systemctl(self, verb, *words):
        if verb == "show" and words[1] == "--":
            name = words[0].partition("=")[2]
            return "\n".join(f"{name}={self.units.get(unit, {}).get(name, '')}\n" for unit in words[2:])
        if verb == "show":
            return "".join(f"{name}={value}\n" for name, value in self.units.get(words[0], {}).items())
        if verb == "show-environment":
            return self.environment
        if verb == "stop":
            unit = self.units.get(words[-1], {})
            if unit.get("ExecMainPID") in map(str, self.left()):
                remove_process(self.root, int(unit["ExecMainPID"]))
            self.end(unit.get("ControlGroup", ""))
        elif verb == "kill":
            self.end(self.units.get(words[-1], {}).get("ControlGroup", ""))
        return ""

    def loginctl(self, verb, *words):
        if verb == "show-user":
            return f"Sessions={' '.join(self.sessions)}\nLinger={self.linger}\n"
        if verb == "show-session":
            return "".join(f"{name}={value}\n" for name, value in self.sessions[words[0]].items())
        if verb == "terminate-user":
            self.end(USER_GROUP)
            self.units.pop(MANAGER, None)
        return ""

    def log_in(self, command):
        unit = next(word for word in command if word.startswith("--unit="))[len("--unit=") :]
        self.units[unit] = {"ExecMainPID": "500", "ControlGroup": f"/system.slice/{unit}", "Result": "success"}
        self.units[SCOPE] = {"ControlGroup": f"{USER_GROUP}/{SCOPE}"}
        self.sessions["c7"] = {"Leader": "500", "Scope": SCOPE, "Class": "user"}
        self.start_manager()
        self.place = {"name": "login", "pid": 500, "cgroup": f"{USER_GROUP}/{SCOPE}"}
        words = shlex.split(command[-1])
        assert words[0] == "exec"
        self.in_login(self, words[1:])

    def start_manager(self, state="active"):
        if MANAGER not in self.units:
            self.units[MANAGER] = {"ActiveState": state, "ControlGroup": f"{USER_GROUP}/{MANAGER}", "Result": "success"}
            add_process(self.root, 400, ["/usr/lib/systemd/systemd", "--user"], f"{USER_GROUP}/{MANAGER}/init.scope")

    def start_service(self, command):
        command = list(command)
        unit = next(word for word in command if word.startswith("--unit="))[len("--unit=") :]
        self.place = {"name": "desktop", "pid": 600, "cgroup": f"{USER_GROUP}/{MANAGER}/app.slice/{unit}"}
        self.in_desktop(self, command[command.index(attempt.interpreter()) :])

    def end(self, cgroup):
        for pid in self.left() if cgroup else []:
            path = (self.root / f"proc/{pid}/cgroup").read_text().splitlines()[-1].partition("::")[2]
            if (path == cgroup or path.startswith(cgroup + "/")) and self.dies(pid):
                remove_process(self.root, pid)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    monkeypatch.setattr(sessions, "STEP", 0.02)
    monkeypatch.setattr(sessions, "ENDING", 0.3)
    return Machine(tmp_path)


# -- what is seen


def test_both_places_are_what_the_kernel_shows(machine):
    machine.in_login = lambda machine, command: machine.process(command, memlock="8388608", rtprio="95")
    machine.in_desktop = lambda machine, command: machine.process(command, memlock="unlimited", rtprio="88")
    session = machine.look(memlock_kb=8192)
    assert session.user == "ada"
    assert session.groups == [str(UID), "root"]
    assert session.login.limits[sessions.MEMLOCK] == ("8388608", "8388608")
    assert session.login.limits[sessions.RTPRIO][0] == "95"
    assert session.desktop.limits[sessions.RTPRIO][0] == "88"
    assert (session.login.environment, session.desktop.environment) == ({"WHERE": "login"}, {"WHERE": "desktop"})
    for place in (session.login, session.desktop):
        tried = (place.fifo, place.locks, place.opens, place.nices, place.stays_awake, place.capabilities)
        assert (place.problem, *tried) == ("",) * 7
        assert place.groups == [str(UID), "root"]
        assert place.locked_kb == attempt.MOST_KB
    assert not session.manager_was_running


def test_the_login_is_one_of_pam_and_logind_with_the_users_own_shell(machine):
    machine.account = SimpleNamespace(**dict(vars(ADA), pw_shell="/usr/bin/zsh"))
    machine.look()
    (command,) = machine.commands("systemd-run")
    assert {
        "--uid=ada",
        "--property=PAMName=login",
        "--service-type=simple",
        "--setenv=XDG_SESSION_CLASS=user",
        "--property=StandardOutput=null",
        "--property=StandardError=null",
        "--property=StandardInput=null",
    } <= set(command)
    assert list(command[-4:-1]) == ["/usr/bin/zsh", "-zsh", "-c"]
    assert any(word.startswith("--property=RuntimeMaxSec=") for word in command)


def test_an_account_without_a_shell_has_the_systems(machine):
    machine.account = SimpleNamespace(**dict(vars(ADA), pw_shell=""))
    machine.look()
    assert list(machine.commands("systemd-run")[0][-4:-2]) == ["/bin/sh", "-sh"]


def test_the_service_is_asked_for_with_the_users_rights_and_unheard(machine):
    machine.look()
    (command,) = [command for command in machine.commands("/bin/sh") if "systemd-run" in command]
    before = list(command[: command.index("systemd-run")])
    assert before[:4] == ["/bin/sh", "-c", 'exec "$@" >/dev/null 2>&1', "sh"]
    assert before[4:6] == ["env", "-i"]
    assert before[-5:] == ["setsid", "setpriv", f"--reuid={UID}", f"--regid={UID}", "--init-groups"]
    assert f"XDG_RUNTIME_DIR=/run/user/{UID}" in before


def test_the_environment_of_pid_1_is_no_logins(machine):
    machine.environment = "WINEFSYNC=1\nPATH=/bin\nHOME=/\n"
    machine.look()
    (command,) = machine.commands("systemd-run")
    (mark,) = [word for word in command if word.startswith("--setenv=WINEFSYNC=")]
    token = mark.rpartition("=")[2]
    assert len(token) == 16 and f"--setenv=PATH={token}" not in command and f"--setenv=HOME={token}" not in command
    start = command.index(sessions._LOGIN)
    given = {"WINEFSYNC": token, "KEPT": "from PAM", "PATH": "/bin"}
    words = [sys.executable, "-I", "-S", "-c", sessions._LOGIN, command[start + 1], "/usr/bin/env", "-env"]
    told = subprocess.run(words, env=given, capture_output=True, text=True, check=True).stdout
    assert sorted(told.splitlines()) == ["KEPT=from PAM", "PATH=/bin"]


def test_the_login_shell_is_named_with_a_dash():
    words = [sys.executable, "-I", "-S", "-c", sessions._LOGIN, "token", "/bin/sh", "-sh", "-c", "echo $0"]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "-sh\n"
    assert not set(sessions._LOGIN) & set("'\\$%\n")


@pytest.mark.parametrize(
    ("promised", "limit", "locked", "words"),
    [
        (None, "unlimited", attempt.MOST_KB, ""),
        (None, "8388608", attempt.MOST_KB, "up to 8192 kB, not without a limit"),
        (None, "unlimited", 1024, f"locking {attempt.MOST_KB} kB of memory was refused: Cannot allocate memory"),
        (8192, "8388608", 8192, ""),
        (8192, "8388607", 8192, "up to 8191 kB, not up to 8192 kB"),
        (8192, "8388608", 4096, "locking 8192 kB of memory was refused"),
        (8192, "unlimited", 8192, ""),
    ],
)
def test_memory_is_locked_and_the_limit_is_the_promised_one(machine, promised, limit, locked, words):
    facts = {"memlock": limit, "locked_kb": locked, "name": "nspa 0c00000000"}
    machine.in_login = machine.in_desktop = lambda machine, command: machine.process(command, **facts)
    session = machine.look(memlock_kb=promised)
    for place in (session.login, session.desktop):
        assert (words in place.locks) if words else not place.locks
        assert not place.fifo and not place.problem


def test_a_limit_is_no_proof_of_a_priority(machine):
    machine.in_desktop = lambda machine, command: machine.process(
        command, rtprio="95", policy=0, priority=0, name="nspa 0001000000"
    )
    session = machine.look()
    assert session.desktop.fifo == "SCHED_FIFO 95 was refused: Operation not permitted"
    assert not session.login.fifo


def test_what_was_refused_in_one_place_is_said_of_that_place(machine):
    machine.in_desktop = lambda machine, command: machine.process(command, nice=0, files={}, name="nspa 000018160d")
    session = machine.look()
    assert session.desktop.opens == "file number 1048576 was refused: Too many open files"
    assert session.desktop.nices == "nice -20 was refused: Invalid argument"
    assert session.desktop.stays_awake == "opening /dev/cpu_dma_latency was refused: Permission denied"
    assert not (session.login.opens or session.login.nices or session.login.stays_awake)


@pytest.mark.parametrize(
    ("runs", "linger", "lingers"), [(True, "yes", True), (True, "no", False), (False, "yes", False)]
)
def test_a_manager_that_outlives_a_logout_is_known(machine, runs, linger, lingers):
    machine.linger = linger
    if runs:
        machine.start_manager()
    session = machine.look()
    assert (session.manager_was_running, session.lingers, session.uid) == (runs, lingers, UID)


def test_what_keeps_programs_from_capabilities_is_said(machine):
    machine.in_login = lambda machine, command: machine.process(command, no_new_privs=1)
    machine.in_desktop = lambda machine, command: machine.process(command, bounding=~(1 << 23) & ((1 << 41) - 1))
    session = machine.look()
    assert "NoNewPrivileges" in session.login.capabilities
    assert "bounding set" in session.desktop.capabilities


# -- what is not believed


@pytest.mark.parametrize(
    "facts",
    [
        {"uid": 0},
        {"started": 0},
        {"program": "/bin/sleep"},
        {"name": "python3"},
        {"cgroup": f"{USER_GROUP}/session-c1.scope"},
        {"cgroup": f"{USER_GROUP}/{MANAGER}/app.slice/other.service"},
        {"cgroup": "/elsewhere"},
    ],
    ids=str,
)
def test_a_process_that_is_not_the_one_in_the_users_manager_is_not_believed(machine, facts):
    machine.in_desktop = lambda machine, command: machine.process(command, **facts)
    if facts.get("cgroup") == "/elsewhere":
        machine.in_desktop = lambda machine, command: machine.process(
            command, cgroup=f"/elsewhere/{machine.place['cgroup'].rpartition('/')[2]}"
        )
    place = machine.look().desktop
    assert "nothing of it ran" in place.problem
    assert (place.limits, place.environment) == ({}, {})


@pytest.mark.parametrize("facts", [{"uid": 0}, {"started": 0}, {"program": "/bin/sleep"}, {"name": "python3"}], ids=str)
def test_a_process_that_is_not_the_one_in_the_login_is_not_believed(machine, facts):
    machine.in_login = lambda machine, command: machine.process(command, **facts)
    assert "did not get through its start files" in machine.look().login.problem


def test_start_files_that_put_another_program_in_our_place_are_not_believed(machine):
    def start_files(machine, command):
        machine.process([*command[:-1], "guessed"])
        machine.process(command, pid=501)  # the right one, but not the shell that systemd started

    machine.in_login = start_files
    assert "did not get through its start files" in machine.look().login.problem


def test_a_process_whose_number_another_one_took_meanwhile_is_not_believed(machine, monkeypatch):
    starts = iter(range(1 << 40, 1 << 50))
    monkeypatch.setattr(sessions.Process, "started", lambda process: next(starts))
    assert "nothing of it ran" in machine.look().desktop.problem


def test_what_was_not_seen_is_not_green():
    place = Place.unseen("no manager")
    tried = (place.fifo, place.locks, place.opens, place.nices, place.stays_awake, place.capabilities)
    assert {place.problem, *tried} == {"no manager"}


# -- what is said when nothing can be seen


def test_start_files_that_never_end_are_named_harmlessly_and_the_desktop_is_seen(machine):
    def start_files(machine, command):
        machine.process(["-bash", "-c", "exec"], name="bash", program="/bin/bash")
        machine.process(["slee\x1b[2Jp", "100000"], pid=501, name="sleep", started=1 << 50)
        machine.process(["(sd-pam)"], pid=502, name="(sd-pam)", started=1 << 51)

    machine.in_login = start_files
    session = machine.look()
    assert "within 0.3 s; what was started last: slee\ufffd[2Jp 100000. Look in" in session.login.problem
    assert session.login.fifo and session.login.locks
    assert not session.desktop.problem
    assert session.groups == [str(UID), "root"]
    assert machine.left() == []


def test_pam_that_never_ends_is_not_the_start_files(machine):
    machine.in_login = lambda machine, command: machine.process(["(python3)"], name="(python3)")
    assert "was not opened within 0.3 s: something that PAM" in machine.look().login.problem


@pytest.mark.parametrize(
    ("unit", "words"),
    [
        ({"ExecMainStatus": "1", "Result": "exit-code"}, "shell /bin/bash ended with status 1 before it ran a command"),
        ({"ExecMainStatus": "0", "Result": "success"}, "ended without an error"),
        ({"ExecMainStatus": "", "Result": "", "ExecMainPID": ""}, "ended without an error"),
        ({"ExecMainStatus": "9", "Result": "signal"}, "ended (signal)"),
        ({"ExecMainStatus": "224", "Result": "exit-code"}, "PAM does not let ada log in"),
    ],
)
def test_a_shell_that_ends_is_told_with_its_status(machine, unit, words):
    def ends(machine, command):
        login = next(name for name in machine.units if name.startswith("nspa-proaudio-login-"))
        machine.units[login].update(unit)

    machine.in_login = ends
    session = machine.look()
    assert words in session.login.problem
    assert not session.desktop.problem
    assert session.groups == []


def test_without_pam_systemd_the_cause_is_named(machine):
    def no_session(machine, command):
        machine.process(command, cgroup="/system.slice/login.service")
        machine.sessions.clear()
        machine.end(USER_GROUP)
        del machine.units[MANAGER]

    machine.in_login = no_session
    session = machine.look()
    assert not session.login.problem
    assert "pam_systemd.so: install the package" in session.desktop.problem


def test_a_manager_that_failed_is_named(machine):
    def failed(machine, command):
        machine.process(command)
        machine.units[MANAGER].update(ActiveState="failed", Result="protocol")

    machine.in_login = failed
    assert f"{MANAGER} is failed, result: protocol" in machine.look().desktop.problem


def test_a_manager_that_never_gets_there_is_named(machine):
    def starts(machine, command):
        machine.process(command)
        machine.units[MANAGER].update(ActiveState="activating")

    machine.in_login = starts
    assert "manager was not there within 0.3 s" in machine.look().desktop.problem


@pytest.mark.parametrize("refusal", [(1, ""), (None, "sh did not end within 1 s")])
def test_a_manager_that_takes_no_service_is_named(machine, refusal):
    machine.refuses["--user --quiet"] = refusal
    session = machine.look()
    assert "started no service. Log in as ada" in session.desktop.problem
    assert not session.login.problem


def test_a_kernel_that_forbids_to_look_is_said(machine, monkeypatch):
    def forbidden(*paths):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os.path, "samefile", forbidden)
    session = machine.look()
    assert "forbids root to look at ada's processes (Permission denied)" in session.login.problem
    assert session.desktop.fifo


def test_systemd_that_starts_no_unit_is_told_with_its_words(machine):
    machine.refuses["systemd-run"] = (1, "noise\nFailed to start: \x1b[2JPermission denied\n")
    with pytest.raises(SessionError, match=r"ada could not be logged in .* Failed to start: �.2JPermission denied"):
        machine.look()
    assert machine.commands("systemctl", "stop")


def test_a_systemd_that_does_not_answer_is_a_session_error(machine):
    machine.refuses["systemctl show"] = (None, "systemctl did not end within 20 s")
    with pytest.raises(SessionError, match="ada's sessions could not be looked at: systemctl did not end"):
        machine.look()


def test_without_systemd_there_is_no_session(tmp_path):
    with pytest.raises(SessionError, match="systemd does not run this machine"):
        sessions.look("ada", PROMISE, root=tmp_path)


def test_an_account_that_is_gone_is_said(machine):
    with pytest.raises(SessionError, match="has no account on this machine: create the account"):
        sessions.look("no-such-user-here", PROMISE, machine.run, machine.root, account=pwd.getpwnam)


def test_root_makes_no_music(machine):
    with pytest.raises(SessionError, match="root is the administrator"):
        sessions.look("root", PROMISE, machine.run, machine.root, account=pwd.getpwnam)
    assert machine.ran == []


# -- what is left


def background(machine, command):
    machine.process(command)
    machine.process(["sleep", "100000"], pid=501, name="sleep")


def test_what_the_start_files_left_in_the_background_is_ended(machine):
    machine.in_login = background
    assert not machine.look().login.problem
    assert machine.left() == []
    assert machine.commands("systemctl", "kill", "--signal=KILL", SCOPE)


def test_a_session_that_ends_by_itself_is_not_killed(machine):
    machine.look()
    assert machine.left() == []
    assert not machine.commands("systemctl", "kill")


def test_a_manager_that_ran_before_stays_and_is_said(machine):
    machine.start_manager()
    session = machine.look()
    assert session.manager_was_running
    assert machine.left() == [400]


def test_a_manager_of_a_user_who_lingers_stays(machine):
    machine.linger = "yes"
    assert not machine.look().manager_was_running
    assert machine.left() == [400]


def test_a_manager_with_another_session_stays(machine):
    machine.sessions["c8"] = {"Leader": "77", "Scope": "session-c8.scope", "Class": "user"}
    machine.look()
    assert machine.left() == [400]


def test_the_managers_own_session_is_no_reason_to_stay(machine):
    machine.sessions["c8"] = {"Leader": "400", "Scope": "", "Class": "manager-early"}
    machine.look()
    assert machine.left() == []


def test_the_look_ends_when_the_users_runtime_folder_is_gone(machine):
    folder, asked = f"user-runtime-dir@{UID}.service", []

    def systemctl(verb, *words):
        if folder in words:
            asked.append(verb)
            machine.units[folder] = {"ActiveState": "deactivating" if len(asked) < 3 else "inactive"}
        return Machine.systemctl(machine, verb, *words)

    machine.systemctl = systemctl
    machine.look()
    assert len(asked) == 3
    assert machine.ran[-1] == ("systemctl", "reset-failed", MANAGER)  # so that its next start is not one too many


def test_a_manager_that_hangs_is_ended_by_force(machine):
    real = machine.loginctl
    machine.loginctl = lambda verb, *words: "" if verb == "terminate-user" else real(verb, *words)
    machine.look()
    assert machine.left() == []
    assert machine.commands("systemctl", "kill", "--signal=KILL", MANAGER)


def test_the_service_is_stopped_where_the_manager_stays(machine):
    machine.start_manager()
    machine.look()
    (stop,) = [command for command in machine.commands("/bin/sh") if "stop" in command]
    assert stop[-1].startswith("nspa-proaudio-desktop-")


@pytest.mark.parametrize("pid", [500, 501, 600])
def test_what_cannot_be_ended_is_an_error_that_names_it(machine, pid):
    machine.in_login = background
    machine.start_manager()
    machine.dies = lambda number: number != pid
    if pid == 500:
        machine.systemctl = lambda verb, *words: "" if verb == "stop" else Machine.systemctl(machine, verb, *words)
    with pytest.raises(SessionError, match=rf"could not be ended: {pid} \(.*kill -9"):
        machine.look()


def test_everything_is_ended_when_the_look_itself_breaks(machine, monkeypatch):
    def breaks(*arguments):
        raise KeyboardInterrupt

    machine.in_login = background
    monkeypatch.setattr(sessions._Look, "_look_until_seen", breaks)
    with pytest.raises(KeyboardInterrupt):
        machine.look()
    assert machine.left() == []


def test_a_program_that_does_not_end_does_not_stop_the_ending(machine):
    machine.in_login = background
    machine.refuses["systemctl stop"] = (None, "systemctl did not end within 20 s")
    machine.look()
    assert machine.left() == []
