# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What PID 1 and logind answer is read as it is printed, and no answer is no property."""

from __future__ import annotations

import subprocess

import pytest

from ansible_collections.nspa.proaudio.plugins.module_utils._core import programs
from ansible_collections.nspa.proaudio.plugins.module_utils._host import systemd
from ansible_collections.nspa.proaudio.plugins.module_utils._host.systemd import Systemd


def answering(answers):
    """A way to run programs that answers by the command's words, and with an error to all others."""

    def run(*command, timeout=None):
        assert timeout == systemd.ANSWER
        answer = answers.get(" ".join(command))
        return subprocess.CompletedProcess(command, 1 if answer is None else 0, answer or "", "")

    return Systemd(run)


def test_properties_of_a_unit_in_any_order():
    asked = answering({"systemctl show a.service --property=A --property=B": "B=x=y\nA=\n"})
    assert asked.unit("a.service", "A", "B") == {"A": "", "B": "x=y"}
    assert asked.unit("no.service", "A") == {"A": ""}
    assert asked.property("no.service", "A") == ""


def test_one_property_of_several_units_in_their_order():
    asked = answering({"systemctl show --property=A -- a.service b.service c.service": "A=1\n\nA=\n\nA=x=y\n"})
    assert asked.each("A", "a.service", "b.service", "c.service") == ["1", "", "x=y"]
    assert asked.each("A", "no.service", "none.service") == ["", ""]


def test_the_names_in_the_environment():
    assert answering({"systemctl show-environment": "B=$'two\\nlines'\nA=1\n"}).environment() == ["A", "B"]


def test_sessions_of_a_user_each_with_its_own_properties():
    asked = answering(
        {
            "loginctl show-user 7 --property=Sessions": "Sessions=c1 2\n",
            "loginctl show-session c1 --property=Leader --property=Scope": "Leader=5\nScope=session-c1.scope\n",
            "loginctl show-session 2 --property=Leader --property=Scope": "Leader=6\n",
        }
    )
    assert asked.sessions(7, "Leader", "Scope") == [
        {"Leader": "5", "Scope": "session-c1.scope"},
        {"Leader": "6", "Scope": ""},
    ]
    assert asked.sessions(8, "Leader") == []


@pytest.mark.parametrize(("said", "lingers"), [("Linger=yes\n", True), ("Linger=no\n", False), (None, False)])
def test_who_lingers(said, lingers):
    assert answering({"loginctl show-user 7 --property=Linger": said}).lingers(7) is lingers


def test_an_order_that_is_not_answered_is_no_error():
    def run(*command, timeout=None):
        raise programs.ProgramError("systemctl did not end")

    Systemd(run).order("systemctl", "stop", "a.service")


def test_whether_systemd_runs_the_machine(tmp_path):
    assert not systemd.runs(tmp_path)
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    assert systemd.runs(tmp_path)
