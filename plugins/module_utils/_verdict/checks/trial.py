# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last kernel that had one boot to show that it works, did.

That a trial was, and how it ended, only its record can say; which kernel runs, the check kernel asks the machine.
"""

from __future__ import annotations

from ansible_collections.nspa.proaudio.plugins.module_utils._boot import trial
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.machine import Machine
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.model import REBOOT, Answer, Check, Settings

_WANTED = "a kernel that has shown that it works"


def _ask(machine: Machine, settings: Settings) -> Answer:
    known = machine.trial
    if known is None:
        return Answer("vacuous", "no kernel was tried on this machine", _WANTED)
    if known.state == trial.CONFIRMED:
        return Answer("pass", known.told(), _WANTED)
    if known.state == trial.FAILED:
        said = f"; its last words: {known.log[-1]}" if known.log else ""
        remedy = (
            f"Install a {known.release} that is mended, or another kernel, and run the playbook nspa.proaudio.site. "
            "To try this one again as it is: linux_nspa_retry: true."
        )
        return Answer("fail", known.told() + said, _WANTED, remedy)
    if machine.release == known.release:
        return Answer("pending", f"{known.release} is being looked at", _WANTED, "Ask again in a few minutes.")
    return Answer("pending", known.told(), _WANTED, REBOOT)


CHECK = Check("trial", "Kernel's trial", _ask, role="linux_nspa")
