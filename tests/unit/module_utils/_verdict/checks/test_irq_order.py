# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The live threads of interrupts against the plan: who is out of place is named, with whom it would hold up."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("name", "priority", "words"),
    [
        ("irq/27-snd_hda_intel", 50, "IRQ 27 snd_hda_intel at 50 is below Wine's ceiling 78"),
        ("irq/27-snd_hda_intel", 78, "at 78 is below Wine's ceiling 78"),
        ("irq/27-snd_hda_intel", 80, "at 80 is below the audio clients 83"),
        ("irq/27-snd_hda_intel", 88, "at 88 is below the JACK or PipeWire server 88"),
        ("irq/27-snd_hda_intel", 89, ""),
        ("irq/27-xhci_hcd", 50, "IRQ 27 xhci_hcd at 50 is below Wine's ceiling 78"),
        ("irq/27-xhci_hcd", 90, ""),
        ("irq/27-ahci", 78, "IRQ 27 ahci at 78 is not below Wine's ceiling 78"),
        ("irq/27-ahci", 77, ""),
    ],
)
def test_each_thread_is_compared_with_the_programs_of_the_plan(studio, name, priority, words):
    studio.thread(60, name, priority)
    row = studio.ask()["irq_order"]
    assert row["status"] == ("fail" if words else "pass")
    assert words in row["evidence"]


def test_one_that_is_not_under_fifo_stands_below_all(studio):
    studio.thread(60, "irq/27-snd_hda_intel", 95, policy=0)
    assert "at 0 is below Wine's ceiling 78" in studio.ask()["irq_order"]["evidence"]


def test_the_plan_is_that_of_the_settings(studio):
    studio.thread(60, "irq/27-snd_hda_intel", 89)
    values = {"rt_limits_server_rtprio": 92, "sched_tuning_irq_usb_rtprio": 94}
    assert "server 92" in studio.ask(**values)["irq_order"]["evidence"]


def test_many_offenders_are_counted(studio):
    for number in range(30, 36):
        studio.thread(number, f"irq/{number}-snd_x", 50)
    assert studio.ask()["irq_order"]["evidence"].endswith("; 2 more")


def test_where_there_is_nothing_to_order_it_is_vacuous(studio):
    studio.remove("/proc/52/stat")
    row = studio.ask()["irq_order"]
    assert (row["status"], row["evidence"]) == ("vacuous", "no sound card or USB controller; 1 others below Wine")
    studio.remove("/proc/51/stat")
    assert studio.ask()["irq_order"]["evidence"] == "this kernel runs no interrupt in a thread"
    studio.write("/run/systemd/container", "docker")
    assert "container" in studio.ask()["irq_order"]["evidence"]
