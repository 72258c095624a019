# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each check of the verdict in each of its statuses. The machine is a stand-in; scenarios ask real ones."""

from __future__ import annotations

import os

import pytest
from support.host import Host

from ansible_collections.nspa.proaudio.plugins.module_utils._boot import grub, wanted
from ansible_collections.nspa.proaudio.plugins.module_utils._host import sessions
from ansible_collections.nspa.proaudio.plugins.module_utils._sync import probe
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict import machine as verdict
from ansible_collections.nspa.proaudio.plugins.module_utils._wine import server
from ansible_collections.nspa.proaudio.plugins.plugin_utils import _settings

RT, STOCK = "6.12.9-rt-amd64", "6.12.9-amd64"
WINE = ["/usr/lib/wine/wineserver64"]
ROLES = ("linux_nspa", "boot_params", "rt_limits", "sched_tuning", "wine_nspa", "wine_env")


def settings(**more):
    return {**_settings.effective({}, lambda value: value), "rt_limits_users": ["ada"], **more}


class Machine:
    """A pro-audio host as the checks see it; a test changes what it is about."""

    def __init__(self, monkeypatch):
        self.monkeypatch = monkeypatch
        self.loader = grub.Loader("grub", True, "a stand-in")
        self.release, self.next_kernel, self.installed = RT, RT, RT
        self.cmdline = self.next_cmdline = "ro quiet threadirqs"
        self.container = ""
        self.interrupts = [0, 9, 24]  # a timer never has a thread
        self.threads = {9: 50, 24: 95}
        self.files = {"/sys/kernel/realtime": "1", "/proc/sys/vm/swappiness": "10"}
        self.sync = {"wine_sync": "ntsync", "interfaces": {"futex_waitv": {"status": "supported"}}}
        self.slice_ms = float(settings()["sched_tuning_rr_timeslice_ms"])
        self.capable, self.wineservers = True, WINE
        limits = {sessions.RTPRIO: ("95", "95"), sessions.MEMLOCK: ("unlimited", "unlimited")}
        variables = self.environment()
        self.session = sessions.Session(
            "ada", dict(limits), ["ada", "realtime"], dict(variables), dict(limits), dict(variables)
        )

    @staticmethod
    def environment():
        values = settings()
        return verdict.environment.environment.environment(
            values["wine_env_series"], values["wine_env_rt_prio"], values["wine_env_rt_policy"], {}
        )

    def login(self, user):
        assert user == "ada"
        return self.session

    def ask(self, **more):
        """Return the checks by id."""
        patch = self.monkeypatch.setattr
        entry = grub.Entry("x", "0", "x", self.next_kernel, self.next_cmdline)
        patch(grub, "detect", lambda: self.loader)
        patch(grub, "container", lambda: self.container)
        patch(grub, "Grub", lambda: type("Grub", (), {"default": lambda grub: entry})())
        patch(wanted, "running_cmdline", lambda: self.cmdline)
        patch(wanted, "newest_kernel", lambda packages: self.installed)
        patch(os, "uname", lambda: os.uname_result(("Linux", "studio1", self.release, "#1 SMP", "x86_64")))
        patch(verdict, "_read", lambda path: self.files.get(path, ""))
        patch(verdict, "_interrupts", lambda: self.interrupts)
        patch(verdict, "_interrupt_threads", lambda: self.threads)
        patch(verdict, "_in_child", lambda function: self.slice_ms)
        patch(verdict, "_may_raise_limits", lambda: not self.container)
        patch(probe, "probe", lambda: self.sync)
        patch(sessions, "login", self.login)
        patch(server, "find", lambda pattern: self.wineservers)
        patch(server, "holds_cap_sys_nice", lambda path, user: self.capable)
        self.report = machine.ask(settings(**more))
        return {check["id"]: check for check in self.report["checks"]}


@pytest.fixture
def machine(monkeypatch):
    return Machine(monkeypatch)


def test_a_ready_machine_passes_every_check_that_it_can(machine):
    checks = machine.ask()
    assert {name: check["status"] for name, check in checks.items() if check["status"] != "pass"} == {
        "governor": "vacuous"
    }
    assert len(checks) == 12
    assert all(check["remedy"] for check in checks.values() if check["status"] in ("pending", "blocked", "fail"))


def test_only_what_is_present_is_asked_for(machine):
    checks = machine.ask(**{f"{role}_state": "absent" for role in ROLES})
    assert list(checks) == ["futex_wait_multiple"]


@pytest.mark.parametrize(
    ("running", "booting", "installed", "status", "words"),
    [
        (RT, RT, RT, "pass", "runs"),
        (STOCK, RT, RT, "pending", f"{RT} boots next"),
        (STOCK, STOCK, RT, "fail", f"{STOCK} boots next"),
        (STOCK, STOCK, "", "fail", "linux-image-rt-amd64 is not installed"),
    ],
)
def test_the_kernel(machine, running, booting, installed, status, words):
    machine.release, machine.next_kernel, machine.installed = running, booting, installed
    check = machine.ask()["kernel"]
    assert check["status"] == status
    assert words in check["evidence"]


@pytest.mark.parametrize(
    ("running", "booting", "status"), [(RT, RT, "fail"), (STOCK, RT, "pending"), (STOCK, STOCK, "fail")]
)
def test_a_kernel_that_only_has_the_name_is_not_a_real_time_kernel(machine, running, booting, status):
    machine.files["/sys/kernel/realtime"] = ""
    machine.release, machine.next_kernel = running, booting
    check = machine.ask()["preempt_rt"]
    assert check["status"] == status
    assert ("linux_nspa_source" in check["remedy"]) == (running == RT)


@pytest.mark.parametrize(
    ("now", "then", "status"),
    [("ro threadirqs", "ro", "pass"), ("ro", "ro threadirqs", "pending"), ("ro", "ro", "fail")],
)
def test_kernel_parameters(machine, now, then, status):
    machine.cmdline, machine.next_cmdline = now, then
    assert machine.ask()["kernel_parameters"]["status"] == status


@pytest.mark.parametrize("threads", [{}, {9: 50}], ids=["none", "one that its driver asked for"])
@pytest.mark.parametrize(
    ("now", "then", "status"),
    [("ro", "ro threadirqs", "pending"), ("ro", "ro", "fail"), ("ro threadirqs", "ro threadirqs", "fail")],
)
def test_a_word_on_the_command_line_is_no_interrupt_thread(machine, threads, now, then, status):
    machine.threads, machine.cmdline, machine.next_cmdline = threads, now, then
    assert machine.ask()["irq_threads"]["status"] == status


def test_interrupt_threads_that_nobody_asked_for_are_not_missed(machine):
    machine.threads = {}
    assert machine.ask(boot_params_parameters=["preempt=full"])["irq_threads"]["status"] == "vacuous"


def test_the_priorities_of_interrupt_threads_are_shown(machine):
    assert machine.ask()["irq_threads"]["evidence"] == "2 of 3 interrupts, SCHED_FIFO 50 to 95"
    machine.threads = {9: 50, 24: 50}
    assert machine.ask()["irq_threads"]["evidence"] == "2 of 3 interrupts, SCHED_FIFO 50"


def test_a_machine_whose_kernel_comes_from_outside_is_told_so_and_does_not_fail(machine):
    machine.loader = grub.Loader("none", False, "the kernel comes from outside")
    machine.release, machine.cmdline, machine.threads, machine.files["/sys/kernel/realtime"] = STOCK, "ro", {}, ""
    checks = machine.ask()
    for name in ("kernel", "preempt_rt", "kernel_parameters", "irq_threads"):
        assert checks[name]["status"] == "vacuous", name
    assert "comes from outside" in checks["kernel"]["evidence"]


@pytest.mark.parametrize(
    ("interfaces", "best", "status"),
    [
        ({"futex_waitv": {"status": "supported", "wake_latency_us": {"p50": 9.0, "max": 20.0}}}, "fsync", "pass"),
        ({"futex_waitv": {"status": "absent"}}, "esync", "fail"),
        ({"futex_waitv": {"status": "blocked"}}, "server", "blocked"),
        ({"futex_waitv": {"status": "broken"}}, "esync", "fail"),
    ],
)
def test_waiting_on_many_futexes(machine, interfaces, best, status):
    machine.sync = {"wine_sync": best, "interfaces": interfaces}
    check = machine.ask()["futex_wait_multiple"]
    assert check["status"] == status
    assert best in check["evidence"]


@pytest.mark.parametrize(
    ("login", "desktop", "was_running", "status"),
    [
        ("95", "95", False, "pass"),
        ("98", "unlimited", False, "pass"),
        ("0", "0", False, "fail"),
        ("95", "0", False, "fail"),  # a new manager without the limit is not helped by another login
        ("95", "0", True, "pending"),
        ("?", "95", False, "fail"),
    ],
)
def test_a_limit_must_reach_login_and_desktop(machine, login, desktop, was_running, status):
    machine.session.limits[sessions.RTPRIO] = (login, "99")  # the soft limit is what counts
    machine.session.manager_limits[sessions.RTPRIO] = (desktop, "99")
    machine.session.manager_was_running = was_running
    check = machine.ask()["rtprio"]
    assert check["status"] == status
    assert check["evidence"].startswith(f"ada: login {login}, desktop {desktop}")


def test_locked_memory_is_compared_in_bytes(machine):
    for limits in (machine.session.limits, machine.session.manager_limits):
        limits[sessions.MEMLOCK] = ("1048576", "1048576")
    assert machine.ask(rt_limits_memlock="1024")["memlock"]["status"] == "pass"
    assert machine.ask(rt_limits_memlock="1025")["memlock"]["status"] == "fail"
    assert machine.ask()["memlock"]["status"] == "fail"


def test_a_user_outside_the_group_is_named(machine):
    machine.session.groups = ["ada"]
    machine.session.limits[sessions.RTPRIO] = ("0", "0")
    check = machine.ask()["rtprio"]
    assert "not in the group realtime" in check["evidence"]
    assert "grep" not in check["remedy"]


def test_a_member_whose_limit_is_lost_is_told_how_to_find_the_other_file(machine):
    machine.session.limits[sessions.RTPRIO] = ("10", "10")
    assert "grep -rsi rtprio /etc/security" in machine.ask()["rtprio"]["remedy"]


def test_a_container_that_may_not_raise_limits_is_blocked(machine):
    machine.container = "docker"
    machine.session.limits[sessions.RTPRIO] = ("0", "0")
    checks = machine.ask()
    assert checks["rtprio"]["status"] == "blocked"
    for name in ("irq_threads", "rr_timeslice", "swappiness", "governor"):
        assert checks[name]["status"] == "vacuous"


def test_nobody_to_log_in_fails_and_a_login_that_fails_is_blocked(machine, monkeypatch):
    checks = machine.ask(rt_limits_users=[], rt_limits_group="no-such-group-here")
    assert {checks[name]["status"] for name in ("rtprio", "memlock", "wine_environment")} == {"fail"}
    assert "rt_limits_users" in checks["rtprio"]["remedy"]

    def refuse(user):
        raise sessions.SessionError("PAM said no")

    machine.login = refuse
    checks = machine.ask()
    assert {checks[name]["status"] for name in ("rtprio", "memlock", "wine_environment")} == {"blocked"}
    assert "PAM said no" in checks["wine_environment"]["evidence"]


@pytest.mark.parametrize(
    ("place", "was_running", "status", "words"),
    [
        ("environment", False, "fail", "login lacks WINEFSYNC"),
        ("manager_environment", False, "fail", "desktop lacks WINEFSYNC"),
        ("manager_environment", True, "pending", "desktop lacks WINEFSYNC"),
    ],
)
def test_wines_environment_in_both_places(machine, place, was_running, status, words):
    getattr(machine.session, place)["WINEFSYNC"] = "0"
    machine.session.manager_was_running = was_running
    check = machine.ask()["wine_environment"]
    assert (check["status"], words in check["evidence"]) == (status, True)
    assert ("grep -rsi WINEFSYNC" in check["remedy"]) == (status == "fail")


@pytest.mark.parametrize(("seen", "status"), [(10.0, "pass"), (12.0, "pass"), (20.0, "fail"), (100.0, "fail")])
def test_the_time_slice_within_a_tick(machine, seen, status):
    machine.slice_ms = seen
    assert machine.ask(sched_tuning_rr_timeslice_ms=10)["rr_timeslice"]["status"] == status


def test_a_time_slice_that_may_not_be_asked_for_is_blocked(machine, monkeypatch):
    def forbid(function):
        raise PermissionError(1, "Operation not permitted")

    machine.ask()
    monkeypatch.setattr(machine, "_in_child", forbid)
    check = machine._Machine(settings()).timeslice()
    assert (check.status, "Operation not permitted" in check.evidence) == ("blocked", True)


def test_swappiness_and_what_is_left_alone(machine):
    machine.files["/proc/sys/vm/swappiness"] = "60"
    assert machine.ask()["swappiness"]["status"] == "fail"
    checks = machine.ask(sched_tuning_swappiness=None, sched_tuning_rr_timeslice_ms=None)
    assert (checks["swappiness"]["status"], checks["rr_timeslice"]["status"]) == ("vacuous", "vacuous")


def test_one_cpu_with_another_governor_fails(machine, monkeypatch, tmp_path):
    for number, governor in enumerate(("performance", "powersave")):
        path = tmp_path / f"cpu{number}/cpufreq/scaling_governor"
        path.parent.mkdir(parents=True)
        machine.files[str(path)] = governor
        path.touch()
    real = machine.Path
    monkeypatch.setattr(machine, "Path", lambda path: tmp_path if path == "/sys/devices/system/cpu" else real(path))
    check = machine.ask(sched_tuning_governor="performance")["governor"]
    assert (check["status"], check["evidence"]) == ("fail", "performance powersave on 2 CPUs")
    machine.files = {path: text.replace("powersave", "performance") for path, text in machine.files.items()}
    assert machine.ask(sched_tuning_governor="performance")["governor"]["status"] == "pass"
    assert machine.ask(sched_tuning_governor="")["governor"]["status"] == "vacuous"


def test_wines_server(machine, monkeypatch):
    machine.capable = False
    assert machine.ask()["wineserver_capability"]["status"] == "fail"
    machine.wineservers = []
    check = machine.ask()["wineserver_capability"]
    assert (check["status"], check["evidence"]) == ("fail", "no wineserver is installed")


def test_a_wineserver_that_does_not_start_is_blocked(machine, monkeypatch):
    machine.ask()

    def die(path, user):
        raise server.WineserverError(f"{path} did not start: no such library")

    monkeypatch.setattr(server, "holds_cap_sys_nice", die)
    check = machine._Machine(settings()).wineserver()
    assert (check.status, "no such library" in check.evidence) == ("blocked", True)


def test_a_child_keeps_the_schedulers_of_the_two_apart():
    assert machine._in_child(lambda: 2.5) == 2.5

    def fail():
        raise PermissionError(1, "Operation not permitted")

    with pytest.raises(PermissionError):
        machine._in_child(fail)


def test_a_damaged_manifest_is_told_without_a_traceback(memory):
    host = Host(memory)
    host.manifest.parent.mkdir(parents=True)
    host.manifest.write_text("{")
    absent = {f"{role}_state": "absent" for role in ROLES[1:]}
    wanted = settings(linux_nspa_source="packages", **absent)
    answer = host.run("readiness", settings=wanted)
    assert answer.code == 1
    assert "manifest.json cannot be used" in answer.message
