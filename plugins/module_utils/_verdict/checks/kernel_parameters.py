# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel was started with the parameters that are wanted, and will be."""

from __future__ import annotations

from ansible_collections.nspa.proaudio.plugins.module_utils._boot import cmdline
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.machine import Machine
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.model import AGAIN, REBOOT, Answer, Check, Settings


def _ask(machine: Machine, settings: Settings) -> Answer:
    parameters = settings["boot_params_parameters"]
    wanted = " ".join(parameters)
    lacking = cmdline.missing(parameters, machine.command_line)
    coming = cmdline.missing(parameters, machine.next_boot.cmdline) if machine.next_boot else parameters
    in_effect = f"{wanted} in effect" if parameters else "none asked for"
    if not machine.loader.managed:
        if not lacking:
            return Answer("pass", in_effect, wanted)
        return Answer(
            "vacuous",
            f"the kernel runs without {' '.join(lacking)}, "
            f"which is not this machine's to choose: {machine.loader.reason}",
            wanted,
            "Set the parameters where this machine is started from.",
        )
    if coming:
        now = f"the kernel runs without {' '.join(lacking)}" if lacking else in_effect
        return Answer("fail", f"{now}; the boot menu starts it without {' '.join(coming)}", wanted, AGAIN)
    if lacking:
        return Answer("pending", f"the kernel runs without {' '.join(lacking)}", wanted, REBOOT)
    return Answer("pass", in_effect, wanted)


CHECK = Check(
    "kernel_parameters",
    "Kernel parameters",
    _ask,
    ("boot_params_parameters",),
    role="boot_params",
    bare=True,
    broken=True,
)
