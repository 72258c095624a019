# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks behind the verdict. Each asks the running machine, never a file that this collection wrote."""

from __future__ import annotations

import grp
import os
import re
import socket
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from ansible_collections.nspa.proaudio.plugins.module_utils._boot import cmdline, grub
from ansible_collections.nspa.proaudio.plugins.module_utils._boot import wanted as boot
from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import Manifest
from ansible_collections.nspa.proaudio.plugins.module_utils._host import machine, sessions
from ansible_collections.nspa.proaudio.plugins.module_utils._sync import probe
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.table import Check, report
from ansible_collections.nspa.proaudio.plugins.module_utils._wine import environment, server

_REBOOT = "Reboot this machine."
_AGAIN = "Run the playbook nspa.proaudio.site, and reboot if it says so."


def ask(settings: Mapping[str, Any]) -> Dict[str, Any]:
    """Ask the machine everything that *settings* (the roles' variables) want of it; return the report."""
    asked = _Machine(settings)
    checks: List[Check] = []
    if settings["linux_nspa_state"] == "present":
        checks += [asked.kernel(), asked.realtime()]
    if settings["boot_params_state"] == "present":
        checks += [asked.parameters(), asked.interrupt_threads()]
    checks.append(asked.sync())
    if settings["rt_limits_state"] == "present":
        checks += asked.limits()
    if settings["sched_tuning_state"] == "present":
        checks += [asked.timeslice(), asked.swappiness(), asked.governor()]
    if settings["wine_nspa_state"] == "present":
        checks.append(asked.wineserver())
    if settings["wine_env_state"] == "present":
        checks.append(asked.environment())
    name = machine.os_release().get("PRETTY_NAME", "an unknown distribution")
    return report(checks, {"machine": socket.gethostname(), "name": name, "kernel": os.uname().release})


class _Machine:
    """The running machine, and what is wanted of it."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.settings = settings
        self.loader = grub.detect()
        self.container = grub.container()
        self.release = os.uname().release
        self.cmdline = boot.running_cmdline()
        self.next = grub.Grub().default() if self.loader.managed else None
        self._sessions: Optional[Tuple[List[sessions.Session], str]] = None

    # -- the kernel

    def kernel(self) -> Check:
        """The kernel that was installed is the one that runs."""
        wanted = boot.newest_kernel(self._kernel_packages())
        check = Check("kernel", "Kernel", "pass", f"{self.release} runs", wanted or "an installed real-time kernel")
        if not self.loader.managed:
            check.status = "vacuous"
            check.evidence += f"; it is not this machine's to choose: {self.loader.reason}"
            check.remedy = "Choose the kernel where this machine is started from."
        elif not wanted:
            check.status, check.remedy = "fail", _AGAIN
            check.evidence += f"; {' '.join(self._kernel_packages()) or 'the kernel package'} is not installed"
        elif self.release != wanted:
            booting = self.next.kernel if self.next else "nothing"
            check.status, check.remedy = ("pending", _REBOOT) if booting == wanted else ("fail", _AGAIN)
            check.evidence += f"; {booting} boots next"
        return check

    def realtime(self) -> Check:
        """The running kernel is PREEMPT_RT."""
        active = _read("/sys/kernel/realtime") == "1"
        seen = "PREEMPT_RT (/sys/kernel/realtime is 1)" if active else f"not PREEMPT_RT ({os.uname().version})"
        check = Check("preempt_rt", "Real-time preemption", "pass", seen, "a PREEMPT_RT kernel")
        if not active:
            if not self.loader.managed:
                check.status = "vacuous"
                check.remedy = "Choose a real-time kernel where this machine is started from."
            elif self.next and self.next.kernel != self.release:
                check.status, check.remedy = "pending", _REBOOT
            elif self.release == boot.newest_kernel(self._kernel_packages()):
                check.status = "fail"
                check.remedy = "This is the kernel that linux_nspa_source chose: choose a real-time kernel."
            else:
                check.status, check.remedy = "fail", _AGAIN
        return check

    def _kernel_packages(self) -> List[str]:
        if self.settings["linux_nspa_source"] == "distro":
            return machine.kernel_packages(self.settings["linux_nspa_distro_packages"])
        return list(Manifest.load().owned("packages", "linux_nspa"))

    def parameters(self) -> Check:
        """The kernel was started with the parameters that are wanted."""
        wanted: List[str] = self.settings["boot_params_parameters"]
        lacking = cmdline.missing(wanted, self.cmdline)
        check = Check(
            "kernel_parameters",
            "Kernel parameters",
            "pass",
            f"{' '.join(wanted)} in effect" if wanted else "none asked for",
            " ".join(wanted),
        )
        if lacking:
            check.evidence = f"the kernel runs without {' '.join(lacking)}"
            if not self.loader.managed:
                check.status = "vacuous"
                check.evidence += f", which is not this machine's to choose: {self.loader.reason}"
                check.remedy = "Set the parameters where this machine is started from."
            elif self.next and not cmdline.missing(wanted, self.next.cmdline):
                check.status, check.remedy = "pending", _REBOOT
            else:
                check.status, check.remedy = "fail", _AGAIN
        return check

    def interrupt_threads(self) -> Check:
        """Interrupts run in threads of their own, whatever the command line says."""
        handled, threads = _interrupts(), _interrupt_threads()
        check = Check("irq_threads", "Interrupts in threads", "pass", "", "threads named irq/...")
        threaded = [number for number in handled if number in threads]
        if self.container:
            check.status, check.evidence = "vacuous", "a container does not see its host's interrupts"
            return check
        check.evidence = f"{len(threaded)} of {len(handled)} interrupts"
        if threaded:
            priorities = sorted(threads[number] for number in threaded)
            check.evidence += (
                f", SCHED_FIFO {' to '.join(str(item) for item in sorted({priorities[0], priorities[-1]}))}"
            )
        # Some drivers ask for a thread by themselves; with threadirqs or PREEMPT_RT nearly all interrupts have one,
        # all but timers and a few more (kernel/irq/manage.c, irq_setup_forced_threading).
        if 2 * len(threaded) > len(handled):
            return check
        wanted: List[str] = self.settings["boot_params_parameters"]
        if "threadirqs" not in wanted:
            check.status = "vacuous"
            check.evidence += "; threadirqs is not asked for"
        elif not self.loader.managed:
            check.status = "vacuous"
            check.evidence += f"; it is not this machine's to choose: {self.loader.reason}"
            check.remedy = "Put interrupts in threads where this machine is started from."
        elif "threadirqs" not in self.cmdline.split() and self.next and "threadirqs" in self.next.cmdline.split():
            check.status, check.remedy = "pending", _REBOOT
        else:
            check.status, check.remedy = "fail", _AGAIN
        return check

    def sync(self) -> Check:
        """The kernel wakes a waiter of many futexes: it is done here, not looked up."""
        probed = probe.probe()
        best = probed["wine_sync"]
        told = [f"{name} {item['status']}" for name, item in probed["interfaces"].items() if item["status"] != "absent"]
        waitv = probed["interfaces"]["futex_waitv"]
        latency = waitv.get("wake_latency_us") or {}
        evidence = f"Wine could use {best}: {', '.join(told) or 'no interface is there'}"
        if latency:
            evidence += f"; half of the wakes within {latency['p50']:.0f} µs, the slowest {latency['max']:.0f} µs"
        check = Check("futex_wait_multiple", "Waiting on many futexes", "pass", evidence, "fsync or ntsync")
        if best not in ("fsync", "ntsync"):
            blocked = any(item["status"] == "blocked" for item in probed["interfaces"].values())
            check.status = "blocked" if blocked else "fail"
            check.remedy = (
                "Something here (a container's seccomp filter, most likely) forbids to ask; run this on the host."
                if blocked
                else "Boot a kernel from 5.16 on, such as the one that the role linux_nspa installs."
            )
        return check

    # -- sessions

    def limits(self) -> List[Check]:
        """A member of the group gets the limits in a new login and in the desktop's user manager."""
        rtprio = str(self.settings["rt_limits_rtprio"])
        memlock: str = self.settings["rt_limits_memlock"]
        if memlock != "unlimited":
            memlock = str(int(memlock) * 1024)
        return [
            self._limit("rtprio", "Real-time priority of sessions", sessions.RTPRIO, rtprio),
            self._limit("memlock", "Locked memory of sessions", sessions.MEMLOCK, memlock),
        ]

    def _limit(self, identifier: str, title: str, row: str, wanted: str) -> Check:
        check = Check(identifier, title, "pass", "", wanted)
        sessions, problem = self._logins()
        if problem:
            check.status, check.evidence, check.remedy = problem_status(problem), problem, _who(problem)
            return check
        seen = []
        for session in sessions:
            login = session.limits.get(row, ("?", "?"))[0]
            manager = session.manager_limits.get(row, ("?", "?"))[0]
            seen.append(f"{session.user}: login {login}, desktop {manager}")
            if not _reaches(login, wanted) and not _may_raise_limits():
                check.status = "blocked"
                check.remedy = "Let this container raise limits (CAP_SYS_RESOURCE) where it is started."
            elif not _reaches(login, wanted):
                check.status = "fail"
                group = self.settings["rt_limits_group"]
                if group in session.groups:
                    check.remedy = _overruled(identifier, "/etc/security")
                else:
                    check.remedy = _AGAIN
                    seen[-1] += f" (not in the group {group})"
            elif not _reaches(manager, wanted) and check.status != "fail":
                late = session.manager_was_running
                check.status = "pending" if late else "fail"
                check.remedy = _relogin(session) if late else _overruled(identifier, "/etc/systemd")
        check.evidence = "; ".join(seen)
        return check

    def environment(self) -> Check:
        """Wine's variables are there in a new login and in the desktop's user manager."""
        wanted = environment.environment(
            self.settings["wine_env_series"],
            self.settings["wine_env_rt_prio"],
            self.settings["wine_env_rt_policy"],
            self.settings["wine_env_extra"],
        )
        shown = " ".join(f"{name}={value}" for name, value in wanted.items())
        check = Check("wine_environment", "Wine's environment", "pass", "", shown)
        sessions, problem = self._logins()
        if problem:
            check.status, check.evidence, check.remedy = problem_status(problem), problem, _who(problem)
            return check
        seen = []
        for session in sessions:
            places = {"login": session.environment, "desktop": session.manager_environment}
            lacking = {
                place: [name for name, value in wanted.items() if found.get(name) != value]
                for place, found in places.items()
            }
            told = [
                f"{place} lacks {f'all {len(wanted)}' if len(names) == len(wanted) else ' '.join(names)}"
                for place, names in lacking.items()
                if names
            ]
            seen.append(f"{session.user}: {', '.join(told) or f'all {len(wanted)} variables in login and desktop'}")
            if lacking["login"] or (lacking["desktop"] and not session.manager_was_running):
                names = lacking["login"] or lacking["desktop"]
                check.status = "fail"
                check.remedy = (
                    _AGAIN if len(names) == len(wanted) else _overruled(names[0], "/etc ~/.profile ~/.config")
                )
            elif lacking["desktop"] and check.status != "fail":
                check.status, check.remedy = "pending", _relogin(session)
        check.evidence = "; ".join(seen)
        return check

    def users(self) -> List[str]:
        """Return the users who shall make music here: those of the settings, else the group's members."""
        wanted: List[str] = self.settings["rt_limits_users"]
        if wanted:
            return wanted
        try:
            return list(grp.getgrnam(self.settings["rt_limits_group"]).gr_mem)
        except KeyError:
            return []

    def _logins(self) -> Tuple[List[sessions.Session], str]:
        if self._sessions is None:
            users = self.users()
            try:
                self._sessions = ([sessions.login(user) for user in users], "" if users else _NOBODY)
            except sessions.SessionError as error:
                self._sessions = ([], str(error))
        return self._sessions

    # -- the scheduler

    def timeslice(self) -> Check:
        """A SCHED_RR thread gets the time slice that is wanted: the kernel is asked for a thread's own."""
        wanted: Optional[int] = self.settings["sched_tuning_rr_timeslice_ms"]
        check = Check("rr_timeslice", "Time slice of SCHED_RR", "pass", "", f"{wanted} ms")
        if self.container or wanted is None:
            check.status = "vacuous"
            check.evidence = "left to the kernel" if wanted is None else "a container runs on its host's settings"
            return check
        try:
            seen = _in_child(_round_robin_ms)
        except OSError as error:
            check.status, check.evidence = "blocked", f"no SCHED_RR thread may be started here: {error.strerror}"
            check.remedy = "Run this as root on the machine itself."
            return check
        check.evidence = f"{seen:.0f} ms, as a SCHED_RR thread gets it"
        # The kernel counts in ticks, at most 10 ms each (HZ 100).
        if abs(seen - wanted) >= 10:
            check.status, check.remedy = "fail", _AGAIN
        return check

    def swappiness(self) -> Check:
        """The running kernel swaps as reluctantly as is wanted."""
        wanted: Optional[int] = self.settings["sched_tuning_swappiness"]
        seen = _read("/proc/sys/vm/swappiness")
        check = Check("swappiness", "Swappiness", "pass", seen, str(wanted))
        if self.container or wanted is None:
            check.status = "vacuous"
            check.evidence = "left to the kernel" if wanted is None else "a container runs on its host's settings"
        elif seen != str(wanted):
            check.status, check.remedy = "fail", _AGAIN
        return check

    def governor(self) -> Check:
        """Every CPU runs with the frequency governor that is wanted."""
        wanted: str = self.settings["sched_tuning_governor"]
        check = Check("governor", "CPU frequency governor", "pass", "", wanted)
        files = sorted(Path("/sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_governor"))
        seen = [_read(str(path)) for path in files]
        check.evidence = f"{' '.join(sorted(set(seen)))} on {len(seen)} CPUs"
        if not wanted or not seen or self.container:
            check.status = "vacuous"
            check.evidence = "left alone" if seen else "no CPU frequency scaling on this machine"
        elif set(seen) != {wanted}:
            check.status, check.remedy = "fail", _AGAIN
        return check

    # -- Wine

    def wineserver(self) -> Check:
        """A wineserver that an ordinary user starts really holds cap_sys_nice."""
        check = Check("wineserver_capability", "Wine's server may set priorities", "pass", "", "cap_sys_nice in effect")
        paths = [path for item in self.settings["wine_nspa_capabilities"] for path in server.find(item["path"])]
        if not paths:
            check.status, check.evidence, check.remedy = "fail", "no wineserver is installed", _AGAIN
            return check
        user = (self.users() or ["nobody"])[0]
        seen = []
        for path in paths:
            try:
                holds = server.holds_cap_sys_nice(path, user)
            except server.WineserverError as error:
                check.status, check.evidence = "blocked", str(error)
                check.remedy = f"See whether {user} can start Wine at all (wineboot), then run this again."
                return check
            seen.append(f"{path} started by {user} {'holds' if holds else 'lacks'} it")
            if not holds:
                check.status, check.remedy = "fail", _AGAIN
        check.evidence = "; ".join(seen)
        return check


_NOBODY = "nobody is in the group yet"


def _overruled(what: str, places: str) -> str:
    return (
        "Run the playbook nspa.proaudio.site; if that does not help, another file sets it too, "
        f"and this finds it: grep -rsi {what} {places}"
    )


def _relogin(session: sessions.Session) -> str:
    return f"Log {session.user} out everywhere and in again, or reboot."


def problem_status(problem: str) -> str:
    """Return the status of a check that could look at no session."""
    return "fail" if problem == _NOBODY else "blocked"


def _who(problem: str) -> str:
    if problem == _NOBODY:
        return "Name the people who make music here in rt_limits_users, and run the playbook nspa.proaudio.site again."
    return "Log in on this machine and run: ulimit -r; ulimit -l; env | grep WINE."


def _reaches(seen: str, wanted: str) -> bool:
    if seen == "unlimited":
        return True
    return seen.isdigit() and wanted.isdigit() and int(seen) >= int(wanted)


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _may_raise_limits() -> bool:
    """Say whether systemd (PID 1) may raise anybody's limits: CAP_SYS_RESOURCE, number 24 (setrlimit(2))."""
    found = re.search(r"^CapEff:\s*([0-9a-f]+)$", _read("/proc/1/status"), re.MULTILINE)
    return found is None or bool(int(found.group(1), 16) >> 24 & 1)


def _interrupts() -> List[int]:
    """Return the numbers of the interrupts that a driver handles (Documentation/ABI/testing/sysfs-kernel-irq)."""
    folders = Path("/sys/kernel/irq").glob("[0-9]*")
    return sorted(int(folder.name) for folder in folders if _read(str(folder / "actions")))


def _interrupt_threads() -> Dict[int, int]:
    """Return the SCHED_FIFO priority of the interrupts' threads, by interrupt (proc(5): comm; stat, field 40)."""
    found: Dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        stat = _read(str(folder / "stat"))
        name, _parenthesis, rest = stat.partition("(")[2].rpartition(")")
        number = re.match(r"irq/(\d+)-", name)
        if number:
            found[int(number.group(1))] = int(rest.split()[37])
    return found


def _round_robin_ms() -> float:
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    return os.sched_rr_get_interval(0) * 1000


def _in_child(function: Callable[[], float]) -> float:
    """Run *function* in a child, so that this process keeps its own scheduling; OSError passes through."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            answer = repr(function())
        except OSError as error:
            answer = f"errno {error.errno}"
        os.write(writer, answer.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        answer = stream.read()
    os.waitpid(child, 0)
    if answer.startswith("errno "):
        number = int(answer.split()[1])
        raise OSError(number, os.strerror(number))
    return float(answer)
