# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel was started with the parameters, and will be."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("now", "then", "status"),
    [
        ("ro threadirqs", "ro threadirqs", "pass"),
        ("ro", "ro threadirqs", "pending"),
        ("ro", "ro", "fail"),
        ("ro threadirqs", "ro", "fail"),  # typed into the boot menu: it will be lost
    ],
)
def test_now_and_at_the_next_boot(studio, now, then, status):
    studio.write("/proc/cmdline", now)
    studio.entry.cmdline = then
    row = studio.ask()["kernel_parameters"]
    assert row["status"] == status
    assert ("boot menu" in row["evidence"]) == (status == "fail")


def test_what_is_and_what_will_be_are_both_said(studio):
    assert studio.ask()["kernel_parameters"]["evidence"] == "threadirqs in effect"
    studio.entry.cmdline = "ro"
    told = "the boot menu starts it without threadirqs"
    assert studio.ask()["kernel_parameters"]["evidence"] == f"threadirqs in effect; {told}"
    studio.write("/proc/cmdline", "ro")
    assert studio.ask()["kernel_parameters"]["evidence"] == f"the kernel runs without threadirqs; {told}"


@pytest.mark.parametrize("line", ["ro quiet -- nofb threadirqs preempt=full", "ro -- threadirqs preempt=full"])
def test_what_stands_behind_two_dashes_goes_to_init_and_not_to_the_kernel(studio, line):
    wanted = ["threadirqs", "preempt=full"]
    studio.write("/proc/cmdline", line)
    studio.entry.cmdline = line
    row = studio.ask(boot_params_parameters=wanted)["kernel_parameters"]
    assert row["status"] == "fail"
    assert "without threadirqs preempt=full" in row["evidence"]


def test_none_asked_for(studio):
    assert studio.ask(boot_params_parameters=[])["kernel_parameters"]["evidence"] == "none asked for"


@pytest.mark.parametrize(("line", "status"), [("ro", "vacuous"), ("ro threadirqs", "pass")])
def test_a_machine_whose_command_line_comes_from_outside_does_not_fail(studio, line, status):
    studio.loader.managed, studio.loader.reason = False, "it comes from outside"
    studio.write("/proc/cmdline", line)
    row = studio.ask()["kernel_parameters"]
    assert row["status"] == status
    assert ("from outside" in row["evidence"]) == (status == "vacuous")
