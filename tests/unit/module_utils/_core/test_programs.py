# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's programs are found whoever calls."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from ansible_collections.nspa.proaudio.plugins.module_utils._core import programs


def test_system_programs_are_found_with_an_ordinary_users_path(monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert programs.run("groupadd", "--help").returncode == 0


def test_a_program_of_the_callers_comes_first(monkeypatch, tmp_path):
    (tmp_path / "groupadd").write_text("#!/bin/sh\necho mine\n")
    (tmp_path / "groupadd").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert programs.run("groupadd").stdout == "mine\n"


def test_messages_are_in_english_whatever_the_machine_speaks(monkeypatch):
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("LANGUAGE", "de")
    assert "No such file" in programs.run("ls", "/nowhere-at-all").stderr


def test_a_program_that_is_not_there_is_named():
    with pytest.raises(programs.ProgramError, match="no-such-program cannot be run on this machine: No such file"):
        programs.run("no-such-program")


def test_a_program_that_does_not_end_is_ended():
    with pytest.raises(programs.ProgramError, match=r"sleep did not end within 0\.2 s"):
        programs.run("sleep", "60", timeout=0.2)


def test_what_a_program_is_told_beside_our_environment():
    assert programs.run("sh", "-c", "echo $LANGUAGE-$ANSWER", variables={"ANSWER": "42"}).stdout == "-42\n"


@pytest.mark.parametrize("apart", [False, True])
def test_a_name_that_no_program_can_be_given_is_no_traceback(apart):
    with pytest.raises(programs.ProgramError, match="ls cannot be run on this machine: embedded null byte"):
        programs.run("ls", "a\0b", apart=apart)


def test_apart_all_that_is_said_comes_in_its_order():
    done = programs.run("sh", "-c", "echo one; echo two >&2; echo three; exit 7", apart=True)
    assert (done.returncode, done.stdout) == (7, "one\ntwo\nthree\n")


def test_apart_a_program_comes_to_its_end_when_we_are_killed(tmp_path):
    script = f"touch {tmp_path}/begun; sleep 1; echo still here; touch {tmp_path}/done"
    code = f"""
import sys
sys.path[:] = {sys.path!r}
from ansible_collections.nspa.proaudio.plugins.module_utils._core import programs
programs.run("sh", "-ec", {script!r}, apart=True)
"""
    ours = subprocess.Popen([sys.executable, "-c", code], start_new_session=True, stdout=subprocess.PIPE)
    while not (tmp_path / "begun").exists():
        time.sleep(0.02)
    os.killpg(ours.pid, signal.SIGKILL)
    ours.wait()
    ours.stdout.close()
    deadline = time.monotonic() + 10
    while not (tmp_path / "done").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert (tmp_path / "done").exists()


def test_apart_what_a_program_started_is_ended_with_it(tmp_path):
    with pytest.raises(programs.ProgramError, match=r"did not end within 0\.3 s"):
        programs.run("sh", "-c", f"(sleep 1; touch {tmp_path}/late) & sleep 60", timeout=0.3, apart=True)
    time.sleep(1.2)
    assert not (tmp_path / "late").exists()
