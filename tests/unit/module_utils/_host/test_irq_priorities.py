# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The threads get their places, and go back to the kernel's own."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ansible_collections.nspa.proaudio.plugins.module_utils._core.change import Purpose
from ansible_collections.nspa.proaudio.plugins.module_utils._core.errors import HostError
from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import Manifest
from ansible_collections.nspa.proaudio.plugins.module_utils._host import irq_priorities
from ansible_collections.nspa.proaudio.plugins.module_utils._host.interrupts import OTHER, SOUND, USB, Thread

WANTED = {"sound": 95, "usb": 90, "other": 50}


class Machine:
    """A kernel with threads, and a manifest."""

    def __init__(self, root):
        self.root, self.refuses = root, None
        self.manifest = str(root / "state/manifest.json")
        self.kinds = {36: SOUND, 32: USB, 9: OTHER, 10: OTHER}
        self.priorities = {36: 50, 32: 50, 9: 50, 10: 88}

    def threads(self, root):
        assert root == self.root
        return [Thread(number, number, "driver", self.kinds[number], 1, now) for number, now in self.priorities.items()]

    def give(self, thread, priority):
        if self.refuses:
            raise self.refuses
        self.priorities[thread.number] = priority

    def compare(self, wanted=WANTED, role="a_role", manifest=None):
        kernel = irq_priorities.Kernel(self.root, self.threads, self.give)
        return irq_priorities.compare(manifest or Manifest.load(self.manifest), role, wanted, Purpose.APPLY, kernel)

    def run(self, *arguments):
        with Manifest.change(self.manifest) as manifest:
            change = self.compare(*arguments, manifest=manifest)
            change.apply(manifest)
        return change


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_threads_get_their_places_and_the_kernels_own_back(machine):
    assert machine.compare().changed
    done = machine.run()
    assert machine.priorities == {36: 95, 32: 90, 9: 50, 10: 50}
    assert done.result()["priorities"] == {"IRQ 36 driver": 95, "IRQ 32 driver": 90, "IRQ 10 driver": 50}
    assert done.diff()[0]["before"].splitlines()[0] == "IRQ 36 driver = 50"
    assert not machine.compare().changed
    machine.run(None)
    assert machine.priorities == {36: 50, 32: 50, 9: 50, 10: 50}
    assert not machine.compare(None).changed
    assert not Path(machine.manifest).exists()


def test_what_somebody_else_set_since_is_left(machine):
    machine.run()
    machine.priorities[36] = 77
    machine.run(None)
    assert machine.priorities == {36: 77, 32: 50, 9: 50, 10: 50}


def test_an_earlier_plan_is_put_back_too(machine):
    machine.run()
    machine.priorities[99], machine.kinds[99] = 95, OTHER  # has the first plan's priority still
    machine.run({**WANTED, "sound": 93, "other": 96})
    assert machine.priorities[99] == 95
    machine.run(None)
    assert set(machine.priorities.values()) == {50}


def test_a_machine_that_was_never_ours_is_left_alone(machine):
    assert not machine.compare(None).changed
    machine.run()
    assert not machine.compare(None, "another").changed


def test_a_card_that_comes_later_differs(machine):
    machine.run()
    machine.priorities[40], machine.kinds[40] = 50, SOUND
    assert [str(step) for step in machine.compare().steps] == ["IRQ 40 driver"]


def test_a_thread_that_goes_meanwhile_is_no_error(machine):
    machine.refuses = ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
    machine.run()


def test_a_kernel_that_refuses_is_said_and_the_rest_stays_ours(machine):
    machine.refuses = PermissionError(errno.EPERM, os.strerror(errno.EPERM))
    with pytest.raises(HostError, match=r"IRQ 36 driver cannot have the priority 95: Operation not permitted"):
        machine.run()
    machine.refuses = None
    machine.priorities[36] = 95  # as if it had been killed after the first
    machine.run(None)
    assert machine.priorities[36] == 50


@pytest.mark.parametrize("priority", [0, 99])
def test_what_is_no_priority_is_refused(machine, priority):
    with pytest.raises(HostError, match=f"usb is {priority}: wanted 1 to 98"):
        machine.compare({**WANTED, "usb": priority})


def test_where_there_is_nothing_to_order_it_is_said(machine):
    machine.priorities.clear()
    change = machine.compare()
    assert not change.changed
    assert "has no interrupt in a thread" in change.result()["left_alone"][0]


def test_a_container_is_left_alone(machine):
    (machine.root / "run/systemd").mkdir(parents=True)
    (machine.root / "run/systemd/container").write_text("systemd-nspawn")
    change = machine.compare()
    assert not change.changed
    assert "container" in change.left_alone[0]
