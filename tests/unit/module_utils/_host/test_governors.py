# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that set the governor by themselves are found among the units and the processes."""

from __future__ import annotations

import subprocess

import pytest
from support.processes import add_process

from ansible_collections.nspa.proaudio.plugins.module_utils._host import governors


@pytest.fixture
def machine(tmp_path):
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    (tmp_path / "proc").mkdir()
    return tmp_path


def systemd(**states):
    """systemctl, as it answers of units that are there or not."""

    def run(*command, timeout=None):
        units = command[command.index("--") + 1 :]
        told = [f"Id={unit}\nActiveState={states.get(unit.split('.')[0], 'inactive')}\n" for unit in units]
        return subprocess.CompletedProcess(command, 0, "\n".join(told), "")

    return run


@pytest.mark.parametrize("state", ["active", "activating", "reloading", "inactive", "failed"])
def test_units_that_run_are_named_with_what_stops_them(machine, state):
    found = governors.running(machine, systemd(tlp=state, tuned="active"))
    assert found["tuned"] == "systemctl disable --now tuned.service"
    assert ("TLP" in found) == (state in ("active", "activating", "reloading"))
    assert len(found) == 1 + ("TLP" in found)


def test_gamemode_is_a_process_of_a_session(machine):
    assert governors.running(machine, systemd()) == {}
    add_process(machine, 7, ["gamemoded"], name="gamemoded")
    assert "/etc/gamemode.ini" in governors.running(machine, systemd())["GameMode"]


def test_without_systemd_no_unit_is_asked(machine):
    (machine / "run/systemd/system").rmdir()
    assert governors.running(machine, None) == {}
