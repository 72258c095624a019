# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interrupts run in threads: those of the kernel are counted, no word on the command line."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("left", [0, 1], ids=["none", "one that its driver asked for"])
@pytest.mark.parametrize(
    ("now", "then", "status"),
    [("ro", "ro threadirqs", "pending"), ("ro", "ro", "fail"), ("ro threadirqs", "ro threadirqs", "fail")],
)
def test_a_word_on_the_command_line_is_no_thread(studio, left, now, then, status):
    for pid in (51, 52)[: 2 - left]:
        studio.remove(f"/proc/{pid}/stat")
    studio.write("/proc/cmdline", now)
    studio.entry.cmdline = then
    assert studio.ask()["irq_threads"]["status"] == status


def test_a_word_behind_two_dashes_is_nothing_to_wait_for(studio):
    for pid in (51, 52):
        studio.remove(f"/proc/{pid}/stat")
    studio.write("/proc/cmdline", "ro")
    studio.entry.cmdline = "ro -- threadirqs"
    assert studio.ask()["irq_threads"]["status"] == "fail"


def test_a_users_program_is_no_interrupts_thread(studio):
    for pid, name in ((51, "irq/9-acpi"), (52, "irq/24-snd")):
        studio.thread(pid, name, 95, flags=0)
    row = studio.ask()["irq_threads"]
    assert (row["status"], row["evidence"]) == ("fail", "0 of 3 interrupts")


def test_threads_that_nobody_asked_for_are_not_missed(studio):
    for pid in (51, 52):
        studio.remove(f"/proc/{pid}/stat")
    assert studio.ask(boot_params_parameters=["preempt=full"])["irq_threads"]["status"] == "vacuous"
    studio.thread(51, "irq/9-acpi", 50)
    row = studio.ask(boot_params_parameters=[])["irq_threads"]
    assert row["evidence"] == "1 of 3 interrupts, SCHED_FIFO 50; threadirqs is not asked for"


def test_their_priorities_are_shown(studio):
    assert studio.ask()["irq_threads"]["evidence"] == "2 of 3 interrupts, SCHED_FIFO 50 to 95"
    studio.thread(52, "irq/24-snd", 64)
    assert studio.ask()["irq_threads"]["evidence"] == "2 of 3 interrupts, SCHED_FIFO 50 to 64"
    studio.thread(52, "irq/24-snd", 50)
    assert studio.ask()["irq_threads"]["evidence"] == "2 of 3 interrupts, SCHED_FIFO 50"
    studio.thread(52, "irq/24-snd", 0, policy=0)
    studio.thread(51, "irq/9-acpi", 0, policy=0)
    assert studio.ask()["irq_threads"]["evidence"] == "2 of 3 interrupts"


def test_a_container_does_not_see_them(studio):
    studio.write("/run/systemd/container", "docker\n")
    assert studio.ask()["irq_threads"]["status"] == "vacuous"


def test_a_machine_whose_kernel_comes_from_outside_does_not_fail(studio):
    studio.loader.managed, studio.loader.reason = False, "it comes from outside"
    for pid in (51, 52):
        studio.remove(f"/proc/{pid}/stat")
    row = studio.ask()["irq_threads"]
    assert (row["status"], "from outside" in row["evidence"]) == ("vacuous", True)
