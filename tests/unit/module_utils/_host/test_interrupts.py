# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The threads of interrupts, whose they are, and where the plan wants them."""

from __future__ import annotations

import pytest

from ansible_collections.nspa.proaudio.plugins.module_utils._host import interrupts
from ansible_collections.nspa.proaudio.plugins.module_utils._host.interrupts import (
    OTHER,
    SOUND,
    USB,
    Priorities,
    Thread,
)

PLAN = Priorities(95, 90, 50)
KERNEL = 0x00200040


@pytest.fixture
def machine(tmp_path):
    class Machine:
        root = tmp_path

        def thread(self, pid, name, priority=50, policy=1, flags=KERNEL):
            fields = {number: str(number * 1000) for number in range(3, 53)}
            fields.update({3: "S", 9: str(flags), 40: str(priority), 41: str(policy)})
            (tmp_path / f"proc/{pid}").mkdir(parents=True)
            (tmp_path / f"proc/{pid}/stat").write_text(f"{pid} ({name}) {' '.join(fields.values())}\n")

        def card(self, number, irq="0", msi=()):
            device = tmp_path / f"sys/class/sound/card{number}/device"
            device.mkdir(parents=True)
            (device / "irq").write_text(f"{irq}\n")
            for name in msi:
                (device / "msi_irqs").mkdir(exist_ok=True)
                (device / "msi_irqs" / name).touch()

        def threads(self):
            return interrupts.threads(tmp_path)

    return Machine()


@pytest.mark.parametrize(
    ("name", "number", "driver", "kind"),
    [
        ("irq/36-snd_hda_intel:card0", 36, "snd_hda_intel:card0", SOUND),
        ("irq/127-snd_hda", 127, "snd_hda", SOUND),  # cut after 15 characters
        ("irq/16-s-AudioDSP", 16, "AudioDSP", SOUND),
        ("irq/19-firewire_ohci", 19, "firewire_ohci", SOUND),
        ("irq/32-xhci_hcd", 32, "xhci_hcd", USB),
        ("irq/16-ehci_hcd:usb1", 16, "ehci_hcd:usb1", USB),
        ("irq/25-virtio0-req.0", 25, "virtio0-req.0", OTHER),
        ("irq/8-rtc0 (a) b", 8, "rtc0 (a) b", OTHER),
    ],
)
def test_a_thread_is_known_by_its_name(machine, name, number, driver, kind):
    machine.thread(7, name, 50)
    assert machine.threads() == [Thread(7, number, driver, kind, 1, 50)]


def test_only_threads_of_the_kernel_count(machine):
    machine.thread(7, "irq/31-snd_nice_try", flags=0x40)
    machine.thread(8, "kworker/0:1-irq/3")
    (machine.root / "proc/77").mkdir()  # one that ended while it was read
    assert machine.threads() == []


def test_one_that_is_not_under_fifo_is_told_apart(machine):
    machine.thread(7, "irq/9-acpi", 0, policy=0)
    machine.thread(8, "irq/10-acpi")
    assert [thread.is_fifo for thread in machine.threads()] == [False, True]


@pytest.mark.parametrize(("irq", "msi"), [("11", ()), ("11", ("30", "31")), ("0", ("30",))])
def test_a_card_whose_driver_has_another_name_is_known_by_its_interrupt(machine, irq, msi):
    machine.card(0, irq, msi)
    wanted = sorted(int(number) for number in msi or [irq])
    for pid, number in enumerate((11, 30, 31), start=7):
        machine.thread(pid, f"irq/{number}-ice")
    assert [thread.number for thread in machine.threads() if thread.kind == SOUND] == wanted


def test_on_a_line_that_is_shared_the_names_tell(machine):
    machine.card(0, "16")
    machine.thread(7, "irq/16-i801_smbus")
    machine.thread(8, "irq/16-snd_ice1712")
    assert [thread.kind for thread in machine.threads()] == [OTHER, SOUND]


@pytest.mark.parametrize(
    ("kind", "policy", "priority", "wanted", "differs"),
    [
        (SOUND, 1, 50, 95, True),
        (SOUND, 1, 98, 95, True),
        (SOUND, 1, 95, 95, False),
        (SOUND, 0, 95, 95, True),
        (USB, 1, 95, 90, True),
        (USB, 1, 90, 90, False),
        (OTHER, 1, 51, 50, True),
        (OTHER, 1, 50, 50, False),
        (OTHER, 2, 80, 50, True),
        (OTHER, 1, 49, 49, False),  # lower than usual, by its driver's wish
        (OTHER, 0, 0, 0, False),
    ],
)
def test_the_plan_has_a_place_for_each(kind, policy, priority, wanted, differs):
    thread = Thread(7, 9, "a", kind, policy, priority)
    assert PLAN.wanted(thread) == wanted
    assert bool(PLAN.differing([thread])) == differs
