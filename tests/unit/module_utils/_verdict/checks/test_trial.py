# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The row of a kernel's trial says how it ended, and what to do."""

from __future__ import annotations

import pytest

from ansible_collections.nspa.proaudio.plugins.module_utils._boot import trial
from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import DEFAULT_PATH, Manifest

RT, STOCK = "6.12.9-rt-amd64", "6.12.9-amd64"


def tried(studio, state, **facts):
    known = trial.Trial(RT, state, STOCK, "first", "a" * 64, 1764000000)._replace(**facts)
    with Manifest.change(str(studio.root / DEFAULT_PATH.lstrip("/"))) as manifest:
        trial.record(manifest, "linux_nspa/boot_default", known)


def test_without_a_trial_there_is_nothing_to_say(studio):
    assert studio.ask()["trial"]["status"] == "vacuous"


@pytest.mark.parametrize(
    ("state", "running", "status", "words"),
    [
        (trial.CONFIRMED, RT, "pass", "confirmed on 2025-11-24"),
        (trial.ARMED, STOCK, "pending", f"if it does not, {STOCK} boots again"),
        (trial.ARMED, RT, "pending", "is being looked at"),
        (trial.FAILED, STOCK, "fail", "given up on 2025-11-24 16:00 UTC: it panicked"),
    ],
)
def test_each_state_has_its_answer(studio, state, running, status, words):
    tried(studio, state, why="it panicked")
    studio.release = running
    row = studio.ask()["trial"]
    assert row["status"] == status
    assert words in row["evidence"]


def test_the_last_words_of_a_kernel_that_failed_are_quoted(studio):
    tried(studio, trial.FAILED, why="it came back", log=["before", "Kernel panic - not syncing: VFS"])
    row = studio.ask()["trial"]
    assert row["evidence"].endswith("its last words: Kernel panic - not syncing: VFS")
    assert "linux_nspa_retry" in row["remedy"]
