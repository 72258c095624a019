# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel that was chosen is the one that runs, and that boots next."""

from __future__ import annotations

from typing import List

from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.machine import Machine
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.model import AGAIN, REBOOT, Answer, Check, Settings

SETTINGS = ("linux_nspa_source", "linux_nspa_distro_packages")


def packages(machine: Machine, settings: Settings) -> List[str]:
    """The distribution's kernel packages that were chosen; its real-time kernel where none is named."""
    return list(settings["linux_nspa_distro_packages"]) or machine.realtime_kernels()


def chosen(machine: Machine, settings: Settings) -> str:
    """The release of the chosen kernel; empty if there is none.

    Of the distribution's packages it is the newest that is installed. Package files do not say which kernel they
    brought once they are installed, so then it is the one that the boot menu starts by default. Where the machine's
    own is wanted, it is the one that runs.
    """
    if settings["linux_nspa_source"] == "existing":
        return machine.release
    if settings["linux_nspa_source"] == "distro":
        return machine.newest_kernel(packages(machine, settings))
    return machine.next_boot.kernel if machine.next_boot else ""


def _ask(machine: Machine, settings: Settings) -> Answer:
    stand_in = machine.realtime.active and not machine.is_nspa
    running = f"{machine.release} runs" + (", standing in for Linux-NSPA" if stand_in else "")
    if not machine.loader.managed:
        return Answer(
            "vacuous",
            f"{running}; it is not this machine's to choose: {machine.loader.reason}",
            "a real-time kernel",
            "Choose the kernel where this machine is started from.",
        )
    wanted = chosen(machine, settings)
    booting = machine.next_boot.kernel if machine.next_boot else ""
    if not wanted and settings["linux_nspa_source"] == "distro":
        names = " ".join(packages(machine, settings)) or "a real-time kernel"
        return Answer("fail", f"{machine.release} runs; {names} is not installed", names, AGAIN)
    if not wanted:
        evidence = f"{machine.release} runs; the boot menu has no entry that it starts by default"
        return Answer("fail", evidence, "the kernel of linux_nspa_packages", AGAIN)
    if machine.release == wanted == booting:
        return Answer("pass", running, wanted)
    evidence = f"{machine.release} runs; {booting or 'nothing'} boots next"
    if booting == wanted:
        return Answer("pending", evidence, wanted, REBOOT)
    if machine.release == wanted and machine.trial and machine.trial.lasts:
        return Answer("pending", f"{evidence}, until {wanted} is confirmed", wanted, "Ask again in a few minutes.")
    if settings["linux_nspa_source"] == "existing":
        remedy = "Reboot to see what the other kernel offers, or make the one that runs the boot menu's default."
        return Answer("pending", evidence, wanted, remedy)
    return Answer("fail", evidence, wanted, AGAIN)


CHECK = Check("kernel", "Kernel", _ask, SETTINGS, role="linux_nspa", bare=True)
