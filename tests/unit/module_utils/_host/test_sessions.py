# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a login and a wineserver are asked, and what happens when they do not answer."""

from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path

import pytest

from ansible_collections.nspa.proaudio.plugins.module_utils._host import sessions
from ansible_collections.nspa.proaudio.plugins.module_utils._wine import server

ME = pwd.getpwuid(os.getuid()).pw_name
LIMITS = "Max realtime priority     {0}                   {0}                   \n"
MARK = sessions._MARK + "\n"


@pytest.fixture
def systemd(monkeypatch):
    """A stand-in for systemd-run and systemctl: answers what the test says."""
    answers = {"systemctl": (0, "0\n", ""), "systemd-run": (0, "", "")}

    def run(*command):
        code, output, error = answers[command[0]]
        return subprocess.CompletedProcess(command, code, output, error)

    monkeypatch.setattr(sessions, "_run", run)
    real = Path.is_dir
    monkeypatch.setattr(Path, "is_dir", lambda path: str(path) == "/run/systemd/system" or real(path))
    return answers


def test_the_parts_of_a_session_are_told_apart(systemd):
    parts = [LIMITS.format(95), "ada realtime\n", "A=login\n", "A=manager\n", LIMITS.format(88)]
    systemd["systemd-run"] = (0, MARK.join(parts), "")
    systemd["systemctl"] = (0, "4711\n", "")
    session = sessions.login(ME)
    assert session.limits[sessions.RTPRIO][0] == "95"
    assert session.manager_limits[sessions.RTPRIO][0] == "88"
    assert session.groups == ["ada", "realtime"]
    assert (session.environment["A"], session.manager_environment["A"]) == ("login", "manager")
    assert session.manager_was_running


def test_a_login_that_fails_says_what_was_said(systemd):
    systemd["systemd-run"] = (1, "", "noise\nFailed to start: Permission denied\n")
    with pytest.raises(sessions.SessionError, match=f"{ME} could not be logged in.*Permission denied"):
        sessions.login(ME)
    systemd["systemd-run"] = (7, "half of it\n", "")
    with pytest.raises(sessions.SessionError, match="exit status 7"):
        sessions.login(ME)


def test_without_systemd_there_is_no_session(monkeypatch):
    monkeypatch.setattr(Path, "is_dir", lambda path: False)
    with pytest.raises(sessions.SessionError, match="systemd does not run this machine"):
        sessions.login(ME)


def test_a_program_that_is_not_there_is_a_session_error():
    with pytest.raises(sessions.SessionError, match="no-such-program-here"):
        sessions._run("no-such-program-here")


def test_nobody_has_no_manager():
    assert sessions.manager_pid("no-such-user-here") is None


def test_only_real_programs_are_found(tmp_path):
    program, script, link = tmp_path / "wineserver64", tmp_path / "wineserver", tmp_path / "wineserver32"
    program.write_bytes(b"\x7fELF and more")
    script.write_text("#!/bin/sh\n")
    link.symlink_to(program)
    (tmp_path / "wineserver-folder").mkdir()
    assert server.find(str(tmp_path / "wineserver*")) == [str(program)]


@pytest.mark.skipif(os.geteuid() != 0, reason="starts a program as another user, which needs root")
def test_a_server_that_ends_at_once_is_told_with_its_words_and_leaves_nothing(tmp_path, monkeypatch):
    server = tmp_path / "wineserver"
    server.write_text("#!/bin/sh\necho wanted libwine.so.1, which is not here >&2\nexit 3\n")
    server.chmod(0o755)
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.getuid() and str(folder).startswith("/tmp/pytest"):
            folder.chmod(0o755)
    before = set(os.listdir("/tmp"))
    with pytest.raises(server.WineserverError, match=r"did not start: wanted libwine\.so\.1"):
        server.holds_cap_sys_nice(str(server), "nobody")
    assert {name for name in set(os.listdir("/tmp")) - before if "nspa-proaudio-prefix" in name} == set()
