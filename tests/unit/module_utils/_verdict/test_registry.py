# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry is all checks there are, and each gets what it asked for and no more."""

from __future__ import annotations

import errno
import inspect
import json
from pathlib import Path

import jsonschema
import pytest
from support import CHECKOUT

from ansible_collections.nspa.proaudio.plugins.module_utils._core.errors import HostError
from ansible_collections.nspa.proaudio.plugins.module_utils._host.attempt import Promise
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict import registry
from ansible_collections.nspa.proaudio.plugins.plugin_utils import _settings

FOLDER = Path(inspect.getfile(registry)).parent / "checks"
ROLES = ("linux_nspa", "boot_params", "rt_limits", "sched_tuning", "wine_nspa", "wine_env")


def test_the_registry_is_the_folder():
    assert sorted(registry.ids()) == sorted(path.stem for path in FOLDER.glob("*.py"))


def test_every_check_has_its_test():
    tests = {path.stem for path in (Path(__file__).parent / "checks").glob("test_*.py")}
    assert tests == {f"test_{name}" for name in registry.ids()}


def test_the_verdict_has_the_order_of_the_signal_chain():
    assert registry.ids() == [
        "kernel",
        "trial",
        "preempt_rt",
        "kernel_parameters",
        "irq_threads",
        "irq_order",
        "futex_wait_multiple",
        "rtprio",
        "memlock",
        "nice",
        "nofile",
        "rttime",
        "user_manager",
        "rtkit",
        "cpu_latency",
        "runaway_guard",
        "rr_timeslice",
        "swappiness",
        "governor",
        "governor_owner",
        "energy_preference",
        "inotify_watches",
        "dirty_bytes",
        "thp",
        "timer_frequency",
        "hda_power_save",
        "wineserver_capability",
        "wine_environment",
    ]


def test_titles_are_short_and_differ():
    titles = [check.title for check in registry.CHECKS]
    assert len(set(titles)) == len(titles)
    assert max(map(len, titles)) <= 32


def test_a_check_asks_for_settings_and_roles_that_exist():
    known = {name for options in _settings.SPECS.values() for name in options}
    for check in registry.CHECKS:
        assert known.issuperset(check.settings), check.id
        assert check.role in ("", *_settings.ROLES), check.id


def test_a_ready_machine_passes_every_check_that_it_can(studio):
    rows = studio.ask()
    absent = dict.fromkeys(("trial", "governor", "governor_owner", "energy_preference"), "vacuous")
    assert {name: row["status"] for name, row in rows.items() if row["status"] != "pass"} == absent
    assert list(rows) == registry.ids()


def test_the_report_of_a_machine_fits_its_schema(studio):
    report = studio.report()
    jsonschema.validate(report, json.loads((CHECKOUT / "docs/verdict.schema.json").read_text(encoding="utf-8")))
    assert report["host"] == {"machine": "studio1", "name": "Debian GNU/Linux 13 (trixie)", "kernel": studio.release}


def test_only_what_is_present_is_asked_for(studio):
    assert list(studio.ask(**{f"{role}_state": "absent" for role in ROLES})) == ["futex_wait_multiple"]
    assert studio.looks == []


def test_a_session_is_looked_at_once_for_all_checks(studio):
    studio.ask()
    assert studio.looks == [("ada", Promise(95, None, -20, 1048576))]


def test_a_check_gets_its_settings_and_no_others(studio, monkeypatch):
    given = {}

    def spy(check):
        def ask(machine, settings):
            given[check.id] = set(settings)
            return check.ask(machine, settings)

        return check._replace(ask=ask)

    monkeypatch.setattr(registry, "CHECKS", tuple(map(spy, registry.CHECKS)))
    studio.ask()
    assert given == {check.id: set(check.settings) for check in registry.CHECKS}


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (HostError("GRUB's menu cannot be read"), "GRUB's menu cannot be read"),
        (OSError(errno.EIO, "Input/output error", "/boot/grub/grub.cfg"), "/boot/grub/grub.cfg: Input/output error"),
        (OSError("no room"), "no room"),
    ],
)
def test_what_cannot_be_asked_keeps_no_other_answer_back(studio, error, words):
    def refuse(root):
        raise error

    machine = studio.machine()
    machine.detect_loader = refuse
    rows = {row["id"]: row for row in registry.verdict(studio.settings(), machine)["checks"]}
    assert (rows["kernel"]["status"], rows["kernel"]["evidence"]) == ("blocked", words)
    assert rows["kernel"]["remedy"]
    assert rows["swappiness"]["status"] == "pass"


def test_the_lists_of_the_scenarios_come_from_the_checks(studio):
    assert set(registry.ids(bare=True)) == {check.id for check in registry.CHECKS if check.bare}
    assert set(registry.ids(bare=True)) | set(registry.ids(bare=False)) == set(registry.ids())
    assert registry.ids(bare=True, broken=True) == [
        name for name in registry.ids(bare=True) if name in registry.ids(broken=True)
    ]


def test_what_must_fail_on_a_bare_machine_does(studio):
    """A Debian that nobody has set up, as molecule/default/bare.yml asks it."""
    studio.release, studio.version = "6.12.9-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.12.9-1"
    studio.entry.kernel, studio.entry.cmdline, studio.kernels = studio.release, "ro quiet", {}
    studio.write("/proc/cmdline", "ro quiet")
    studio.remove("/sys/kernel/realtime")
    for pid in (51, 52):
        studio.remove(f"/proc/{pid}/stat")
    studio.write("/proc/sys/vm/swappiness", "60")
    for name, value in (
        ("fs/inotify/max_user_watches", "13944"),
        ("vm/dirty_bytes", "0"),
        ("dev/hpet/max-user-freq", "64"),
    ):
        studio.write(f"/proc/sys/{name}", value)
    studio.slice_ms, studio.boot = 100.0, {}
    studio.wineserver.unlink()
    studio.ada.groups.remove("realtime")
    for place in (studio.ada.login, studio.ada.desktop):
        place.environment.clear()
        place.groups.clear()
        place.stays_awake = "opening /dev/cpu_dma_latency was refused: Permission denied"
        place.limits.update(
            {
                "Max realtime priority": ("0", "0"),
                "Max locked memory": ("8388608", "8388608"),
                "Max nice priority": ("0", "0"),
            }
        )
    rows = studio.ask()
    assert [name for name, row in rows.items() if row["status"] == "fail"] == registry.ids(bare=True)


def test_what_must_fail_on_a_broken_machine_does_and_nothing_else(studio):
    """A machine that was ready, after what molecule/default/break.yml does to it."""
    studio.attributes.clear()  # setcap -r
    studio.entry.cmdline = "ro quiet"
    studio.limit("Max realtime priority", ("10", "10"), "95")
    studio.limit("Max locked memory", ("65536", "65536"), "unlimited")
    studio.limit("Max nice priority", ("20", "20"), "40")
    studio.limit("Max open files", ("1024", "4096"), "1048576")
    del studio.ada.login.environment["WINEFSYNC"]
    studio.write("/proc/sys/vm/swappiness", "60")
    studio.slice_ms = 100.0
    rows = studio.ask()
    assert [name for name, row in rows.items() if row["status"] == "fail"] == registry.ids(broken=True)
