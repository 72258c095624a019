# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Live tunables: what differs is written once, and absent brings back what stood there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.nspa.proaudio.plugins.module_utils._host import tunables

SYSCTLS = {"vm.swappiness": 10, "kernel.sched_rr_timeslice_ms": 10}


class Kernel:
    """A tree with the files that a running kernel has, and a manifest."""

    def __init__(self, root):
        self.root = root
        self.manifest = str(root / "var/lib/nspa-proaudio/manifest.json")
        self.swappiness = self.file("proc/sys/vm/swappiness", "60")
        self.timeslice = self.file("proc/sys/kernel/sched_rr_timeslice_ms", "100")

    def file(self, path, text):
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text + "\n")
        return target

    def cpu(self, number, governor="schedutil", offered="performance schedutil"):
        folder = f"sys/devices/system/cpu/cpu{number}/cpufreq"
        self.file(f"{folder}/scaling_available_governors", offered)
        return self.file(f"{folder}/scaling_governor", governor)

    def compare(self, sysctls=SYSCTLS, governor="", state="present"):
        return tunables.compare(sysctls, governor, state, self.root, self.manifest)


@pytest.fixture
def kernel(tmp_path):
    return Kernel(tmp_path)


def test_what_differs_is_written_and_put_back(kernel):
    plan = kernel.compare()
    assert plan.changed
    assert (kernel.swappiness.read_text(), kernel.timeslice.read_text()) == (
        "60\n",
        "100\n",
    )  # comparing writes nothing
    plan.apply()
    assert (kernel.swappiness.read_text(), kernel.timeslice.read_text()) == ("10\n", "10\n")
    assert not kernel.compare().changed
    back = kernel.compare(state="absent")
    assert back.changed
    assert back.result()["diff"]["after"] == "kernel.sched_rr_timeslice_ms = 100\nvm.swappiness = 60\n"
    back.apply()
    assert (kernel.swappiness.read_text(), kernel.timeslice.read_text()) == ("60\n", "100\n")
    assert not kernel.compare(state="absent").changed


def test_the_first_value_is_kept_when_another_is_wanted_later(kernel):
    kernel.compare().apply()
    kernel.compare({"vm.swappiness": 1}).apply()
    kernel.compare(state="absent").apply()
    assert kernel.swappiness.read_text() == "60\n"


def test_a_value_that_was_right_from_the_start_is_not_owned(kernel):
    kernel.swappiness.write_text("10\n")
    kernel.compare().apply()
    kernel.compare(state="absent").apply()
    assert (kernel.swappiness.read_text(), kernel.timeslice.read_text()) == ("10\n", "100\n")


def test_lists_of_numbers_are_compared_by_their_numbers(kernel):
    kernel.file("proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456")
    assert not kernel.compare({"net.ipv4.tcp_rmem": "4096 131072 6291456"}).changed


def test_null_leaves_a_tunable_alone(kernel):
    assert not kernel.compare({"vm.swappiness": None}).changed


def test_a_tunable_that_this_kernel_lacks_is_refused_with_a_way_out(kernel):
    with pytest.raises(tunables.TunableError, match=r"kernel\.gone is wanted to be 1.*set it to null"):
        kernel.compare({"kernel.gone": 1})


def test_every_cpu_gets_the_governor_and_its_own_back(kernel):
    files = [kernel.cpu(0), kernel.cpu(1, "powersave", "performance powersave")]
    kernel.compare({}, "performance").apply()
    assert [path.read_text() for path in files] == ["performance\n"] * 2
    assert not kernel.compare({}, "performance").changed
    kernel.compare(state="absent").apply()
    assert [path.read_text() for path in files] == ["schedutil\n", "powersave\n"]


def test_a_governor_that_is_not_offered_is_refused_with_those_that_are(kernel):
    kernel.cpu(0)
    with pytest.raises(tunables.TunableError, match="'fast' is not offered by cpu0; choose one of performance, sched"):
        kernel.compare({}, "fast")


def test_a_machine_without_frequency_scaling_is_left_alone_and_told(kernel):
    plan = kernel.compare({}, "performance")
    assert not plan.changed
    assert "no CPU frequency scaling" in plan.left_alone[0]


def test_a_container_is_left_alone(kernel):
    kernel.file("run/systemd/container", "systemd-nspawn")
    plan = kernel.compare(governor="performance")
    assert not plan.changed
    assert len(plan.left_alone) == 2


def test_an_interrupted_write_is_put_back_too(kernel, monkeypatch):
    plan = kernel.compare()
    monkeypatch.setattr(tunables.Tunable, "write", lambda *_arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        plan.apply()
    monkeypatch.undo()
    # The manifest was saved before the first write.
    recorded = json.loads(Path(kernel.manifest).read_text(encoding="utf-8"))
    assert "60" in json.dumps(recorded)
    kernel.swappiness.write_text("10\n")
    kernel.compare(state="absent").apply()
    assert kernel.swappiness.read_text() == "60\n"


def test_a_value_that_the_kernel_refuses_is_told(kernel):
    kernel.swappiness.unlink()
    kernel.swappiness.mkdir()
    with pytest.raises(tunables.TunableError, match=r"vm\.swappiness cannot be set to 10"):
        tunables.Tunable("vm.swappiness", [kernel.swappiness], "10").write(str(kernel.swappiness), "10")
