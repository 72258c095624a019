# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs may watch as many files as is wanted: a browser of samples watches every folder of a library."""

from __future__ import annotations

from ansible_collections.nspa.proaudio.plugins.module_utils._verdict import tunable
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.machine import Machine
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.model import Answer, Check, Settings


def _ask(machine: Machine, settings: Settings) -> Answer:
    return tunable.sysctl(machine, "fs.inotify.max_user_watches", settings["sched_tuning_inotify_watches"])


CHECK = Check(
    "inotify_watches", "Watched files", _ask, ("sched_tuning_inotify_watches",), role="sched_tuning", bare=True
)
