# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user really gets, in a new login and in a service of the user's systemd manager.

A session runs files of the user's own: they may print what they like, hang, or start programs that stay. So nothing
that a session prints is read. In each place a process of ours does what a plug-in does (see `attempt`), we find it by
its number and control group, and the kernel tells us from outside what it got. All of it has a deadline, and whatever
was started is ended then, by control group.
"""

from __future__ import annotations

import grp
import os
import pwd
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Dict, List, Mapping, Optional, Tuple

from ansible_collections.nspa.proaudio.plugins.module_utils._core import programs
from ansible_collections.nspa.proaudio.plugins.module_utils._core.errors import HostError
from ansible_collections.nspa.proaudio.plugins.module_utils._host import processes, systemd
from ansible_collections.nspa.proaudio.plugins.module_utils._host.attempt import LIFETIME, Attempt, Promise
from ansible_collections.nspa.proaudio.plugins.module_utils._host.processes import Process
from ansible_collections.nspa.proaudio.plugins.module_utils._host.systemd import ANSWER, Run, Systemd

#: Seconds until a login and a service of the user's manager must be there; an emulated machine needs about ten.
WAIT = 40.0

#: Seconds for each step of ending what was started, before it is ended by force.
ENDING = 5.0

#: Seconds between two looks.
STEP = 0.01

#: Names of rows in /proc/PID/limits (fs/proc/base.c, lnames).
RTPRIO, MEMLOCK, NICE, NOFILE, RTTIME = (
    "Max realtime priority",
    "Max locked memory",
    "Max nice priority",
    "Max open files",
    "Max realtime timeout",
)

# Becomes the login shell, as login(1) starts one: named with a dash. PID 1's own environment (DefaultEnvironment= of
# system.conf) reaches a transient unit and no login, so those variables come marked, and what PAM did not set goes.
# Python adds to its own environment (LC_CTYPE, PEP 538), so the one that it was given is read.
_LOGIN = "; ".join(
    [
        "import os, sys",
        'entries = open("/proc/self/environ", "rb").read().split(bytes(1))',
        'given = dict(entry.split(b"=", 1) for entry in entries if b"=" in entry)',
        "kept = {name: value for name, value in given.items() if value != sys.argv[1].encode()}",
        "os.execve(sys.argv[2], sys.argv[3:], kept)",
    ]
)

# Variables that systemd makes anew for each user, so that PID 1's own do not reach a login.
_OWN = ("PATH", "HOME", "USER", "LOGNAME", "SHELL")

_EXIT_PAM = 224  # EXIT_PAM (systemd.exec(5), "Process Exit Codes")


class SessionError(HostError):
    """No session could be opened, or not all of it ended; the message says why and what to do."""


@dataclass
class Place:
    """What a process of the user gets in one place, as the kernel shows it from outside."""

    problem: str = ""  #: why it could not be looked at; then all that was tried says the same
    limits: Dict[str, Tuple[str, str]] = field(default_factory=dict)  #: (soft, hard) by row of /proc/PID/limits
    environment: Dict[str, str] = field(default_factory=dict)
    fifo: str = ""  #: empty: it really became SCHED_FIFO at the promised priority; else what the kernel said
    locks: str = ""  #: empty: it really locked `locked_kb`, and its limit is as promised; else what the kernel said
    locked_kb: int = 0
    opens: str = ""  #: empty: it really has as many files open as promised; else what the kernel said
    nices: str = ""  #: empty: it really has the promised nice value; else what the kernel said
    stays_awake: str = ""  #: empty: it really opened the device that keeps the CPUs awake; else what the kernel said
    groups: List[str] = field(default_factory=list)
    capabilities: str = ""  #: empty: a program gets cap_sys_nice from its file there; else what forbids it

    @classmethod
    def unseen(cls, problem: str) -> Place:
        """A place that could not be looked at: nothing in it is green."""
        return cls(
            problem,
            fifo=problem,
            locks=problem,
            opens=problem,
            nices=problem,
            stays_awake=problem,
            capabilities=problem,
        )


@dataclass
class Session:
    """A new login of one user, and the user's manager."""

    user: str
    groups: List[str] = field(default_factory=list)  #: of the login
    login: Place = field(default_factory=Place)  #: the user's own login shell, as it really starts (su - USER, ssh)
    desktop: Place = field(default_factory=Place)  #: a service of the user's manager: PipeWire, the desktop
    manager_was_running: bool = False  #: the user was logged in already, so the manager may be from before a change
    lingers: bool = False  #: and it runs on without a session, so that a logout does not end it
    uid: int = 0


def look(
    user: str,
    promise: Promise,
    run: Run = programs.run,
    root: Path = Path("/"),
    wait: float = WAIT,
    account: Callable[[str], pwd.struct_passwd] = pwd.getpwnam,
) -> Session:
    """Log *user* in anew and see what the session and the user's manager really give.

    Nothing that this starts is left: neither the session, nor what the user's start files put into the background,
    nor the user's manager, unless it ran before or has another reason to run. It takes at most `wait` seconds and
    half a minute more. Needs root, and systemd as PID 1.

    :param promise: what is tried there.
    :raises SessionError: when no session can be opened, or something of it cannot be ended.
    """
    if not systemd.runs(root):
        raise SessionError(
            "systemd does not run this machine, so no session can be opened to look at: start the machine with systemd."
        )
    try:
        entry = account(user)
    except KeyError:
        raise SessionError(
            f"{user} shall make music here, but has no account on this machine: "
            "create the account, or take the name out of the group and of rt_limits_users."
        ) from None
    if entry.pw_uid == 0:
        raise SessionError(
            f"{user} is the administrator, whom no limit stops, so a look at that session says nothing: "
            "name the people who make music here in rt_limits_users."
        )
    token = secrets.token_hex(8)
    try:
        attempt = Attempt(promise, token, root)
        return _Look(entry, attempt, token, run, root, wait).look()
    except SessionError:
        raise
    except HostError as error:
        raise SessionError(f"{user}'s sessions could not be looked at: {error}") from error


class _Look:
    """One look at one user's sessions."""

    def __init__(
        self,
        account: pwd.struct_passwd,
        attempt: Attempt,
        token: str,
        run: Run,
        root: Path,
        wait: float,
    ) -> None:
        self.user, self.uid, self.gid = account.pw_name, account.pw_uid, account.pw_gid
        self.shell = account.pw_shell or "/bin/sh"  # passwd(5)
        self.attempt = attempt
        self.token = token
        self.run = run
        self.systemd = Systemd(run)
        self.root = root
        self.wait = wait
        self.until = time.monotonic() + wait
        self.login_unit = f"nspa-proaudio-login-{token}.service"
        self.desktop_unit = f"nspa-proaudio-desktop-{token}.service"
        self.manager_unit = f"user@{self.uid}.service"
        self.leader: Optional[Process] = None
        self.asked_at = 0
        self.desktop_asked = False

    def look(self) -> Session:
        """Open a session, look, and end all of it."""
        before = self.systemd.property(self.manager_unit, "ActiveState") in ("active", "activating", "reloading")
        session = Session(self.user, manager_was_running=before, uid=self.uid)
        session.lingers = before and self.systemd.lingers(self.uid)
        try:
            self.asked_at = self._clock()
            self._open()
            login, desktop = self._look_until_seen()
            session.login = login or Place.unseen(self._hung())
            session.desktop = desktop or Place.unseen(self._desktop_hung())
            session.groups = self._groups()
        finally:
            left = self._end(keep_manager=before)
        if left:
            raise SessionError(
                f"After a look at {self.user}'s session these processes could not be ended: {', '.join(left)}. "
                "End them (kill -9), or reboot this machine."
            )
        return session

    # -- opening

    def _open(self) -> None:
        """Start the login shell in a unit of its own, with a session that PAM and logind open.

        systemd moves the shell into the session's scope, away from the unit (systemd.exec(5), PAMName=); it stays the
        unit's main process. Should we be ended meanwhile, the attempt and with it the unit end by themselves.
        """
        shell = [self.shell, f"-{os.path.basename(self.shell)}", "-c", f"exec {_quoted(self.attempt.command)}"]
        marked = [f"--setenv={name}={self.token}" for name in self.systemd.environment() if name not in _OWN]
        done = self.run(
            *["systemd-run", "--quiet", f"--unit={self.login_unit}", f"--uid={self.user}"],
            *["--service-type=simple", "--property=PAMName=login"],
            *["--property=WorkingDirectory=-~", *_SILENT, f"--property=RuntimeMaxSec={LIFETIME + ENDING:g}"],
            *[*marked, "--setenv=XDG_SESSION_CLASS=user"],
            *[self.attempt.interpreter, "-I", "-S", "-c", _LOGIN, self.token, *shell],
            timeout=ANSWER,
        )
        if done.returncode != 0:
            raise SessionError(
                f"{self.user} could not be logged in to look at the session: systemd-run said "
                f"{_last_line(done.stderr) or f'nothing and ended with status {done.returncode}'}"
            )
        self.leader = self._main_process()

    def _main_process(self) -> Optional[Process]:
        """The process that systemd started for our login, ended or not."""
        pid = int(self.systemd.property(self.login_unit, "ExecMainPID") or 0)
        return Process(pid, self.root) if pid else None

    def _ask_for_service(self) -> bool:
        """Start a service in the user's manager, with the user's rights; say whether the manager took it.

        Whom the socket really belongs to is the user's choice, so root does not talk to it, hears nothing of it, and
        lends it no terminal.
        """
        self.desktop_asked = True
        return self._as_user(
            *["systemd-run", "--user", "--quiet", "--no-block", "--collect", f"--unit={self.desktop_unit}", *_SILENT],
            *[f"--property=RuntimeMaxSec={LIFETIME + ENDING:g}", *self.attempt.command],
            timeout=max(1.0, min(ANSWER, self.until - time.monotonic())),
        )

    def _as_user(self, *command: str, timeout: float) -> bool:
        """Run a program as the user, on the socket of the user's manager; say whether it did what it should."""
        user = ["setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", "--init-groups"]
        environment = ["env", "-i", "PATH=/usr/bin:/bin", f"XDG_RUNTIME_DIR=/run/user/{self.uid}"]
        silent = ["/bin/sh", "-c", 'exec "$@" >/dev/null 2>&1', "sh"]
        try:
            return self.run(*silent, *environment, "setsid", *user, *command, timeout=timeout).returncode == 0
        except programs.ProgramError:
            return False

    # -- looking

    def _look_until_seen(self) -> Tuple[Optional[Place], Optional[Place]]:
        """Both places as soon as they are there; None for one that does not get there in time."""
        login: Optional[Place] = None
        desktop: Optional[Place] = None
        while True:
            late = time.monotonic() >= self.until
            login = login or self._look_at_login()
            desktop = desktop or self._look_at_desktop(login)
            if (login and desktop) or late:
                return login, desktop
            time.sleep(STEP)

    def _look_at_login(self) -> Optional[Place]:
        """The login, once its start files are through; None while they run."""
        if self.leader is None or self.leader.ended():
            return Place.unseen(self._ended())
        return self._look_at(self.leader)

    def _look_at_desktop(self, login: Optional[Place]) -> Optional[Place]:
        """The service of the user's manager; None while it or the manager starts."""
        if self.desktop_asked:
            group = self.systemd.property(self.manager_unit, "ControlGroup")
            for process in processes.within(group, self.root) if group else ():
                place = self._in_desktop(process) and self._look_at(process)
                if place:
                    return place
            return None
        manager = self.systemd.unit(self.manager_unit, "ActiveState", "Result")
        if manager["ActiveState"] == "active":
            if self._ask_for_service():
                return None
            return Place.unseen(
                f"{self.user}'s systemd manager started no service. "
                f"Log in as {self.user} and see what this says: systemd-run --user true"
            )
        if login and manager["ActiveState"] != "activating":
            return Place.unseen(self._no_manager(manager))
        return None

    def _in_desktop(self, process: Process) -> bool:
        try:
            return process.cgroup().endswith(f"/{self.desktop_unit}")
        except OSError:
            return False

    def _look_at(self, process: Process) -> Optional[Place]:
        """What a process gets, if it is the one that we started and it is through; None if not."""
        try:
            started = process.started()
            if set(process.users()) != {self.uid} or started < self.asked_at:
                return None
            if not self.attempt.made_by(process) or not self.attempt.done(process):
                return None
            limits = process.limits()
            place = Place(
                limits=limits,
                environment=process.environment(),
                fifo=self.attempt.fifo(process),
                locks=self._too_little(limits) or self.attempt.locks(process),
                locked_kb=process.locked_kb(),
                opens=self.attempt.opens(process),
                nices=self.attempt.nices(process),
                stays_awake=self.attempt.stays_awake(process),
                groups=[_group_name(number) for number in process.groups()],
                capabilities=_capabilities(process),
            )
            return place if process.started() == started else None
        except PermissionError as error:
            return Place.unseen(
                f"this machine forbids root to look at {self.user}'s processes ({error.strerror}): "
                "let this container have CAP_SYS_PTRACE where it is started."
            )
        except OSError:
            return None  # it has ended; the next look finds that out

    def _too_little(self, limits: Mapping[str, Tuple[str, str]]) -> str:
        """What is wrong with the limit of locked memory; empty when it is as promised, or more."""
        soft, kb = limits.get(MEMLOCK, ("0", "0"))[0], self.attempt.promise.memlock_kb
        if soft == "unlimited" or (kb is not None and int(soft) >= kb * 1024):
            return ""
        promised = "without a limit" if kb is None else f"up to {kb} kB"
        return f"memory may be locked up to {int(soft) // 1024} kB, not {promised}"

    def _groups(self) -> List[str]:
        """The names of the groups that the login has, whether its start files came to an end or not."""
        try:
            numbers = self.leader.groups() if self.leader else []
        except OSError:
            numbers = []
        return [_group_name(number) for number in numbers]

    # -- what went wrong

    def _ended(self) -> str:
        """Why there is no login shell any more."""
        seen = self.systemd.unit(self.login_unit, "Result", "ExecMainStatus")
        status = seen["ExecMainStatus"]
        if status == str(_EXIT_PAM):
            return (
                f"PAM does not let {self.user} log in: the account has expired, or a module of /etc/pam.d/login fails. "
                f"This tells more: journalctl -b -u {self.login_unit}"
            )
        # systemd forgets a unit that ended well.
        how = {"exit-code": f"with status {status}", "success": "without an error", "": "without an error"}.get(
            seen["Result"], f"({seen['Result']})"
        )
        return (
            f"{self.user}'s login shell {self.shell} ended {how} before it ran a command. Give {self.user} a shell "
            "that runs commands (chsh), or look in /etc/profile, ~/.profile and the shell's other start files for what "
            "ends it."
        )

    def _hung(self) -> str:
        """Why the login shell did not run its command in time."""
        scope = self._scope()
        command = _command(self.leader) if self.leader else []
        if not command or command[0].startswith("("):  # systemd's own name for what is not yet the program
            return (
                f"{self.user}'s login was not opened within {self.wait:g} s: something that PAM or the user's systemd "
                f"manager starts hangs. As root, see what waits: systemctl list-jobs; as {self.user}: "
                "systemctl --user list-jobs"
            )
        newest = self._newest(scope) if scope else ""
        doing = f"; what was started last: {newest}" if newest else ""
        return (
            f"{self.user}'s login shell {self.shell} did not get through its start files within {self.wait:g} s{doing}."
            " Look in /etc/profile, ~/.profile and the shell's other start files for what never ends."
        )

    def _newest(self, scope: str) -> str:
        """What was started last in our session, for a message; PAM's helper aside, which systemd names so."""
        group = self.systemd.property(scope, "ControlGroup")
        commands = (_command(process) for process in (processes.newest_first(group, self.root) if group else []))
        return next((processes.shown(words) for words in commands if words and words[0][:6] != "(sd-pa"), "")

    def _desktop_hung(self) -> str:
        """Why no service of the user's manager was seen in time."""
        if self.desktop_asked:
            return (
                f"{self.user}'s systemd manager took a service, and nothing of it ran within {self.wait:g} s. "
                f"As {self.user}, see what it waits for: systemctl --user list-jobs"
            )
        return (
            f"{self.user}'s systemd manager was not there within {self.wait:g} s. "
            f"See what holds it up: systemctl status {self.manager_unit}"
        )

    def _no_manager(self, manager: Mapping[str, str]) -> str:
        """Why the login brought no manager of the user's."""
        if self._scope():
            return (
                f"{self.user}'s systemd manager does not run ({self.manager_unit} is {manager['ActiveState']}, result: "
                f"{manager['Result']}), so PipeWire and the desktop have nothing to run in. "
                f"See why: journalctl -b -u {self.manager_unit}"
            )
        return (
            f"the login of {self.user} opened no session at systemd-logind, so no systemd manager of {self.user}'s was "
            "started, and PipeWire and the desktop have nothing to run in. PAM lacks pam_systemd.so: install the "
            "package that has it (libpam-systemd or systemd-pam), see that systemd-logind runs, and log in anew."
        )

    # -- ending

    def _end(self, keep_manager: bool) -> List[str]:
        """End whatever was started; return what could not be ended, for a message."""
        self.leader = self.leader or self._main_process()
        scope = self._scope()
        units = [self.manager_unit, self.login_unit, *([scope] if scope else [])]
        manager, *groups = self.systemd.each("ControlGroup", *units)
        if self.desktop_asked:
            self._as_user("systemctl", "--user", "stop", self.desktop_unit, timeout=ENDING)
        # The shell goes first: PAM's helper beside it then closes the session as a logout does.
        self.systemd.order("systemctl", "stop", self.login_unit)
        self.systemd.order("systemctl", "reset-failed", self.login_unit)
        if scope:
            self._end_unit(scope, groups[-1])
        if manager and not keep_manager and not self._needed():
            self._end_manager(manager)
        left = [process for group in groups if group for process in processes.within(group, self.root)]
        if manager:
            left += [process for process in processes.within(manager, self.root) if self._in_desktop(process)]
        return [f"{process.pid} ({processes.shown(_command(process))})" for process in left if not process.ended()]

    def _end_unit(self, unit: str, group: str) -> None:
        """Wait until a unit that is about to end has no process any more, and end those that stay."""
        if not group or self._empty_soon(group):
            return
        for _attempt in range(3):
            self.systemd.order("systemctl", "kill", "--signal=KILL", unit)
            if self._empty_soon(group):
                return

    def _end_manager(self, group: str) -> None:
        """Have logind stop the user's manager now rather than soon; by force where something of the user's stays.

        logind is asked, since it would not start the manager again for somebody whose manager went behind its back. The
        user's runtime folder goes last; whoever logs in before that would lose it.
        """
        self.systemd.order("loginctl", "terminate-user", str(self.uid))
        self._end_unit(self.manager_unit, group)
        until = time.monotonic() + ENDING
        while self._stand(self.manager_unit, f"user-runtime-dir@{self.uid}.service"):
            if time.monotonic() >= until:
                break
            time.sleep(STEP)
        # This also forgets how often it was started: after a few times in ten seconds systemd would start it no more.
        self.systemd.order("systemctl", "reset-failed", self.manager_unit)

    def _stand(self, *units: str) -> bool:
        """Whether one of these units is not stopped yet."""
        states = self.systemd.each("ActiveState", *units)
        return any(state in ("active", "activating", "deactivating") for state in states)

    def _empty_soon(self, group: str) -> bool:
        """Whether the last process leaves a control group within a while."""
        until = time.monotonic() + ENDING / 3
        while any(not process.ended() for process in processes.within(group, self.root)):
            if time.monotonic() >= until:
                return False
            time.sleep(STEP)
        return True

    def _needed(self) -> bool:
        """Whether the user's manager has another reason to run: another session, or lingering."""
        ours = str(self.leader.pid) if self.leader else ""
        found = self.systemd.sessions(self.uid, "Class", "Leader")
        others = [one for one in found if not one["Class"].startswith("manager") and one["Leader"] != ours]
        return bool(others) or self.systemd.lingers(self.uid)

    def _scope(self) -> str:
        """The unit in which logind keeps the session that we opened; empty where it knows of none."""
        ours = str(self.leader.pid) if self.leader else ""
        found = self.systemd.sessions(self.uid, "Leader", "Scope") if ours else []
        return next((session["Scope"] for session in found if session["Leader"] == ours), "")

    def _clock(self) -> int:
        """Now, as the kernel counts when a process was started: ticks since the boot, suspended time included."""
        return int(time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK")) - 1


_SILENT = [
    *["--property=StandardInput=null", "--property=StandardOutput=null", "--property=StandardError=null"],
    *["--property=KillSignal=SIGKILL", f"--property=TimeoutStopSec={ENDING:g}"],
]


def _quoted(words: List[str]) -> str:
    """A command that every shell reads in the same way: words in single quotes, none of which has one itself."""
    return " ".join(f"'{word}'" for word in words)


def _capabilities(process: Process) -> str:
    """What keeps programs in this place from the capability on their file (capabilities(7)); empty if nothing does."""
    if process.no_new_privileges():
        return "no program may get rights that its starter has not (NoNewPrivileges, no_new_privs)"
    if not process.may_get(processes.CAP_SYS_NICE):
        return "cap_sys_nice is taken from every program (CapabilityBoundingSet, the bounding set)"
    return ""


def _group_name(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _command(process: Process) -> List[str]:
    try:
        return process.command()
    except OSError:
        return []


def _last_line(text: str) -> str:
    return processes.clean(text.strip().rpartition("\n")[2])[:200]
