# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's programs are found whoever calls."""

from __future__ import annotations

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
    with pytest.raises(programs.ProgramError, match="no-such-program cannot be run on this host: No such file"):
        programs.run("no-such-program")


def test_a_program_that_does_not_end_is_ended():
    with pytest.raises(programs.ProgramError, match=r"sleep did not end within 0\.2 s"):
        programs.run("sleep", "60", timeout=0.2)
