# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""All checks in the order of the verdict, and the verdict."""

from __future__ import annotations

from types import ModuleType
from typing import Any, Dict, List, Optional, Tuple

from ansible_collections.nspa.proaudio.plugins.module_utils._core.errors import HostError

# A check is one line here; the order of the lines is the order of the verdict. Ansible sends to a host what is
# imported in so many words, so this is no search through the folder; a test compares the two.
# isort: off
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.checks import (  # noqa: F401 pylint: disable=unused-import
    kernel,
    trial,
    preempt_rt,
    kernel_parameters,
    irq_threads,
    irq_order,
    futex_wait_multiple,
    rtprio,
    memlock,
    nice,
    nofile,
    rttime,
    user_manager,
    rtkit,
    cpu_latency,
    runaway_guard,
    rr_timeslice,
    swappiness,
    governor,
    governor_owner,
    energy_preference,
    inotify_watches,
    dirty_bytes,
    thp,
    timer_frequency,
    hda_power_save,
    wineserver_capability,
    wine_environment,
)

# isort: on
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict import model
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.machine import Machine
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.model import Answer, Check, Settings

CHECKS: Tuple[Check, ...] = tuple(
    part.CHECK for part in list(globals().values()) if isinstance(part, ModuleType) and hasattr(part, "CHECK")
)
"""Every check, in the order of the verdict."""


def ids(bare: Optional[bool] = None, broken: Optional[bool] = None) -> List[str]:
    """The checks' ids in the order of the verdict; only those that fail (or need not) on a bare or a broken machine."""
    return [
        check.id
        for check in CHECKS
        if (bare is None or check.bare == bare) and (broken is None or check.broken == broken)
    ]


def verdict(settings: Settings, machine: Optional[Machine] = None) -> Dict[str, Any]:
    """Ask the machine everything that the settings (the roles' variables) want of it; returns the report."""
    machine = machine or Machine()
    answers = [(check, _ask(check, machine, settings)) for check in CHECKS if check.applies(settings)]
    return model.report(answers, machine.identity())


def _ask(check: Check, machine: Machine, settings: Settings) -> Answer:
    """Ask one question; what the machine cannot be asked does not keep the other answers back."""
    try:
        return check.ask(machine, {name: settings[name] for name in check.settings})
    except HostError as error:
        reason = str(error)
    except OSError as error:
        reason = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    return Answer("blocked", reason, "", "Mend what stands there, and ask again.")
