# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A trial is followed over the reboots of its machine, to its end and no longer."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleConnectionFailure

from ansible_collections.nspa.proaudio.plugins.action import kernel_trial
from ansible_collections.nspa.proaudio.plugins.action.kernel_trial import ActionModule


def stands(state, running):
    return {"changed": False, "trial": {"release": "6.12.9-rt", "state": state, "running": running}}


DOWN = AnsibleConnectionFailure("the machine reboots")


@pytest.fixture
def followed(monkeypatch):
    """The result of following a machine that answers in this way, the time it took, and what was shown."""

    def follow(*answers, timeout=100):
        clock, shown, left = SimpleNamespace(now=0.0), [], list(answers)
        monkeypatch.setattr(kernel_trial.time, "monotonic", lambda: clock.now)
        monkeypatch.setattr(kernel_trial.time, "sleep", lambda seconds: setattr(clock, "now", clock.now + seconds))
        monkeypatch.setattr(kernel_trial, "Display", lambda: SimpleNamespace(display=shown.append))
        task = SimpleNamespace(args={"timeout": timeout}, async_val=0, check_mode=False, action="kernel_trial")
        connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None), reset=lambda: None)
        action = ActionModule(task, connection, SimpleNamespace(check_mode=False), None, None, None)

        def ask(**_asked):
            answer = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(answer, Exception):
                raise answer
            return dict(answer)

        monkeypatch.setattr(action, "_execute_module", ask)
        return action.run(task_vars={"inventory_hostname": "studio1"}), clock.now, shown

    return follow


@pytest.mark.parametrize("end", [stands("confirmed", True), stands("failed", False), {"changed": False, "trial": None}])
def test_a_trial_that_has_ended_is_told_at_once(followed, end):
    result, seconds, shown = followed(end)
    assert (result["trial"], seconds, shown) == (end["trial"], 0, [])


def test_a_kernel_that_is_still_to_boot_is_not_waited_for(followed):
    assert followed(stands("armed", False))[1] == 0


def test_a_kernel_is_followed_over_its_reboot_with_progress(followed):
    result, seconds, shown = followed(stands("armed", True), DOWN, DOWN, stands("failed", False))
    assert result["trial"]["state"] == "failed"
    assert not result.get("failed")
    assert seconds == 3 * kernel_trial.STEP
    assert ["looked at" in line for line in shown] == [True, False, False]
    assert all("studio1" in line for line in shown)


def test_a_machine_that_never_answers_is_a_failure_that_says_what_to_do(followed):
    result, seconds, _shown = followed(stands("armed", True), DOWN)
    assert result["failed"]
    assert "Switch it off and on again" in result["msg"]
    assert 100 <= seconds < 110


def test_a_module_that_fails_is_handed_on(followed):
    result, seconds, _shown = followed({"failed": True, "msg": "the manifest is damaged"})
    assert (result["failed"], result["msg"], seconds) == (True, "the manifest is damaged", 0)
