# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one boot says of a kernel on trial."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ansible_collections.nspa.proaudio.plugins.lookup.nspa_trial_script import LookupModule
from ansible_collections.nspa.proaudio.plugins.module_utils._boot import trial
from ansible_collections.nspa.proaudio.plugins.module_utils._command import trial as command
from ansible_collections.nspa.proaudio.plugins.module_utils._core import programs
from ansible_collections.nspa.proaudio.plugins.plugin_utils import _single_file

RT, STOCK = "6.12.9-rt-amd64", "6.12.9-amd64"
ARMED = trial.Trial(RT, trial.ARMED, STOCK, "first", "a" * 64, 1764000000)


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def judged(known=ARMED, asked=(), up_after=0.0, lacking=(), **facts):
    clock = Clock()
    seen = {"release": RT, "id": "second", "line": "root=/dev/vda1 threadirqs", **facts}
    boot = command.Boot(**seen, lacking=lambda: list(lacking), up=lambda: clock.now >= up_after)
    return command.judge(known, boot, asked, deadline=600, clock=clock, sleep=clock.sleep)


@pytest.mark.parametrize("seconds", [0, 599])
def test_a_system_that_comes_up_confirms_its_kernel(seconds):
    end = judged(asked=["threadirqs"], up_after=seconds)
    assert (end.state, end.release, end.earlier) == (trial.CONFIRMED, RT, STOCK)
    assert "confirmed on" in end.told()


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"up_after": 601}, "did not come up within 600 s"),
        ({"asked": ["threadirqs", "preempt=full"]}, "it ran without preempt=full"),
        ({"lacking": ["Wanted: a way to wait."]}, "Wanted: a way to wait."),
        ({"release": STOCK}, f"came back with {STOCK} before {RT} had shown"),
        ({"release": "5.10.0-another"}, "came back with 5.10.0-another"),
    ],
)
def test_what_is_wrong_with_a_boot_is_said(facts, words):
    end = judged(**facts)
    assert end.state == trial.FAILED
    assert words in end.why
    assert words in end.told()


def test_before_the_reboot_nothing_is_judged():
    assert judged(release=STOCK, id="first") is None


def test_a_run_that_was_killed_before_it_had_told_the_loader_is_judged_by_what_booted():
    arming = ARMED._replace(state=trial.ARMING)
    assert judged(known=arming).state == trial.CONFIRMED


class Journal:
    def __init__(self, text):
        self.text = text

    def __call__(self, *asked, timeout=None):
        assert asked[:3] == ("journalctl", "-b", "-1")
        if self.text is None:
            raise programs.ProgramError("journalctl cannot be run")
        return subprocess.CompletedProcess(asked, 0, self.text, "")


def log(release, lines=30):
    return "".join([f"Linux version {release} (debian)\n", *(f"line {number}\n" for number in range(lines))])


def test_the_last_words_are_the_failed_kernels_and_nobody_elses(tmp_path):
    assert command.last_words(RT, tmp_path, Journal(log(RT)))[-1] == "line 29"
    assert len(command.last_words(RT, tmp_path, Journal(log(RT)))) == command.LINES
    assert command.last_words(RT, tmp_path, Journal(log(STOCK))) == []
    assert command.last_words(RT, tmp_path, Journal(log(RT + "2"))) == []
    assert command.last_words(RT, tmp_path, Journal(None)) == []


def test_what_the_firmware_kept_of_a_panic_is_found(tmp_path):
    kept = tmp_path / "var/lib/systemd/pstore/1764000000"
    kept.mkdir(parents=True)
    (kept / "dmesg.txt").write_text(f"CPU: 0 Comm: swapper Not tainted {RT} #1 Debian\nKernel panic - not syncing\n")
    assert command.last_words(RT, tmp_path, Journal(log(STOCK)))[-1] == "Kernel panic - not syncing"


def test_it_runs_on_its_own_and_is_silent_where_nothing_is_on_trial(tmp_path):
    program = tmp_path / "trial"
    program.write_text(LookupModule().run([])[0])
    assert program.read_text() == _single_file.compose("_command.trial", "trial")
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(program)], capture_output=True, text=True, cwd="/", env={}, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
