# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that udev has started for each card: one file, and no Ansible."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ansible_collections.nspa.proaudio.plugins.lookup.nspa_irq_script import LookupModule
from ansible_collections.nspa.proaudio.plugins.module_utils._command import irq_priorities
from ansible_collections.nspa.proaudio.plugins.module_utils._host import interrupts
from ansible_collections.nspa.proaudio.plugins.module_utils._host.interrupts import OTHER, SOUND, Thread


@pytest.fixture
def given(monkeypatch):
    found = {}
    threads = [Thread(7, 36, "snd_hda_intel", SOUND, 1, 50), Thread(8, 9, "acpi", OTHER, 1, 50)]
    monkeypatch.setattr(interrupts, "threads", lambda: threads)
    monkeypatch.setattr(interrupts, "give", lambda thread, priority: found.update({thread.number: priority}))
    return found


def test_it_sets_what_differs_and_says_so(given, capsys):
    assert irq_priorities.main(["95", "90", "50"]) == 0
    assert given == {36: 95}
    assert capsys.readouterr().out == "IRQ 36 snd_hda_intel: 50 -> 95\n"


@pytest.mark.parametrize(("error", "status"), [(ProcessLookupError(3, "gone"), 0), (PermissionError(1, "no"), 1)])
def test_what_the_kernel_refuses_is_its_exit_status(given, monkeypatch, capsys, error, status):
    def refuse(thread, priority):
        raise error

    monkeypatch.setattr(interrupts, "give", refuse)
    assert irq_priorities.main(["95", "90", "50"]) == status
    assert capsys.readouterr().err == ("IRQ 36 snd_hda_intel: no\n" if status else "")


@pytest.mark.parametrize("arguments", [["0", "90", "50"], ["95", "99", "50"], ["95", "90"], ["a", "b", "c"]])
def test_what_is_no_plan_is_refused(given, arguments):
    with pytest.raises(SystemExit) as stop:
        irq_priorities.main(arguments)
    assert stop.value.code == 2
    assert given == {}


def test_it_runs_as_one_file(tmp_path):
    path = tmp_path / "irq-priorities"
    path.write_text(LookupModule().run([])[0])
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(path), "--help"], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "sound cards" in done.stdout
