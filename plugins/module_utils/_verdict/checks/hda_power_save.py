# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An onboard sound card is not switched off behind the music's back (sound/hda, power_save)."""

from __future__ import annotations

from ansible_collections.nspa.proaudio.plugins.module_utils._verdict import tunable
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.machine import Machine
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.model import Answer, Check, Settings

_PATH = "/sys/module/snd_hda_intel/parameters/power_save"


def _ask(machine: Machine, settings: Settings) -> Answer:
    return tunable.attribute(machine, _PATH, settings["sched_tuning_hda_power_save"], "there is no onboard sound card")


CHECK = Check(
    "hda_power_save", "Sound card's power saving", _ask, ("sched_tuning_hda_power_save",), role="sched_tuning"
)
