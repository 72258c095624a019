# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interrupts run in threads of their own, whatever the command line says."""

from __future__ import annotations

from ansible_collections.nspa.proaudio.plugins.module_utils._boot import cmdline
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.machine import Machine
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.model import AGAIN, REBOOT, Answer, Check, Settings

_WANTED = "threads of the kernel named irq/..."
_PARAMETER = ["threadirqs"]


def _ask(machine: Machine, settings: Settings) -> Answer:
    if machine.container:
        return Answer("vacuous", "a container does not see its host's interrupts", _WANTED)
    handled, threads = machine.interrupts(), machine.interrupt_threads()
    threaded = {thread.number: thread for thread in threads if thread.number in handled}
    seen = f"{len(threaded)} of {len(handled)} interrupts"
    priorities = [thread.priority for thread in threaded.values() if thread.is_fifo]
    if priorities:
        lowest, highest = min(priorities), max(priorities)
        seen += f", SCHED_FIFO {lowest}" + (f" to {highest}" if highest > lowest else "")
    # Some drivers ask for a thread by themselves; with threadirqs or PREEMPT_RT nearly all interrupts have one,
    # all but timers and a few more (kernel/irq/manage.c, irq_setup_forced_threading).
    if 2 * len(threaded) > len(handled):
        return Answer("pass", seen, _WANTED)
    if cmdline.missing(_PARAMETER, " ".join(settings["boot_params_parameters"])):
        return Answer("vacuous", f"{seen}; threadirqs is not asked for", _WANTED)
    if not machine.loader.managed:
        return Answer(
            "vacuous",
            f"{seen}; it is not this machine's to choose: {machine.loader.reason}",
            _WANTED,
            "Put interrupts in threads where this machine is started from.",
        )
    running = not cmdline.missing(_PARAMETER, machine.command_line)
    coming = machine.next_boot is not None and not cmdline.missing(_PARAMETER, machine.next_boot.cmdline)
    if coming and not running:
        return Answer("pending", seen, _WANTED, REBOOT)
    return Answer("fail", seen, _WANTED, AGAIN)


CHECK = Check("irq_threads", "Interrupts in threads", _ask, ("boot_params_parameters",), role="boot_params", bare=True)
