# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a trial stands is told, and what cannot be ended by hand is refused."""

from __future__ import annotations

import os

import pytest
from support.host import Host

from ansible_collections.nspa.proaudio.plugins.module_utils._boot import trial
from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import Manifest

ARMED = trial.Trial("9.9.9-rt", trial.ARMED, "6.12.9-amd64", "first", "a" * 64, 1764000000)


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


def tried(host, known):
    host.manifest.parent.parent.mkdir(parents=True, exist_ok=True)
    with Manifest.change(str(host.manifest)) as manifest:
        trial.record(manifest, "linux_nspa/boot_default", known)


def test_a_machine_without_a_trial_is_told(host):
    answer = host.run("kernel_trial")
    assert (answer.code, answer.changed, answer.result["trial"]) == (0, False, None)


def test_a_trial_is_told(host):
    tried(host, ARMED)
    found = host.run("kernel_trial").result["trial"]
    assert (found["state"], found["running"], found["earlier"]) == ("armed", False, "6.12.9-amd64")


@pytest.mark.parametrize(
    ("known", "state", "words"),
    [
        (None, "failed", "no kernel is on trial"),
        (ARMED, "confirmed", f"9.9.9-rt cannot be confirmed: {os.uname().release} runs"),
        (ARMED._replace(state=trial.FAILED, why="it panicked"), "confirmed", "The trial has ended"),
    ],
)
def test_what_cannot_be_ended_is_refused(host, known, state, words):
    if known:
        tried(host, known)
    answer = host.run("kernel_trial", state=state)
    assert answer.code == 1
    assert words in answer.message


def test_check_mode_ends_nothing(host):
    tried(host, ARMED)
    assert host.run("kernel_trial", check=True, state="failed").changed
    assert trial.recorded(Manifest.load(str(host.manifest))).state == trial.ARMED
