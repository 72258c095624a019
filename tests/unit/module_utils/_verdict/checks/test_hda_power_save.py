# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The onboard sound card stays on as long as is wanted."""

from __future__ import annotations

import pytest

PATH = "/sys/module/snd_hda_intel/parameters/power_save"


@pytest.mark.parametrize(("live", "wanted", "status"), [("0", 0, "pass"), ("10", 0, "fail"), ("10", 10, "pass")])
def test_the_driver_is_asked(studio, live, wanted, status):
    studio.write(PATH, live)
    assert studio.ask(sched_tuning_hda_power_save=wanted)["hda_power_save"]["status"] == status


def test_zero_is_a_value_and_null_is_none(studio):
    studio.write(PATH, "10")
    assert studio.ask(sched_tuning_hda_power_save=None)["hda_power_save"]["status"] == "vacuous"
    assert studio.ask(sched_tuning_hda_power_save=0)["hda_power_save"]["status"] == "fail"


def test_a_machine_without_onboard_sound_is_vacuous(studio):
    studio.remove(PATH)
    assert studio.ask()["hda_power_save"]["evidence"] == "there is no onboard sound card"
