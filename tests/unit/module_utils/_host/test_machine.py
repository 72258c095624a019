# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The look at the host before anything is changed: everything in the way is told at once, with what to do."""

from __future__ import annotations

import os
import pwd

import pytest

from ansible_collections.nspa.proaudio.plugins.module_utils._host import machine
from ansible_collections.nspa.proaudio.plugins.module_utils._host.machine import Question
from ansible_collections.nspa.proaudio.plugins.module_utils._packages import packages

TRIXIE = 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\nVERSION_ID="13"\n# ID=none\n'
ME = pwd.getpwuid(os.getuid()).pw_name


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A Debian 13 that systemd started, on which every package is installed."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text(TRIXIE)
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    monkeypatch.setattr(packages, "missing", lambda names: [])
    return tmp_path


def problems(root, uid=0, **asked):
    return machine.examine(Question(**asked), root, uid)[0]


def test_a_supported_machine_is_described(root):
    found, host = machine.examine(Question(users=[ME]), root, 0)
    assert found == []
    assert (host["distribution"], host["version"], host["name"]) == ("debian", "13", "Debian GNU/Linux 13 (trixie)")
    assert host["uids"] == {ME: os.getuid()}
    assert host["loader"]["managed"] is False  # there is no boot loader in this tree
    assert host["kernel_packages"] == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('ID=debian\nVERSION_ID="11"\n', ["ID=debian, VERSION_ID=11", "wanted debian 12 and 13"]),
        ("ID=arch\n", ["ID=arch, VERSION_ID=unknown", "wanted debian 12 and 13"]),
        ('ID=other\nID_LIKE=debian\nVERSION_ID="13"\n', ["ID=other", "wanted debian 12 and 13"]),
        ("", ["unknown"]),
    ],
)
def test_another_distribution_is_refused_by_name(root, text, words):
    (root / "etc/os-release").write_text(text)
    found = problems(root)
    assert len(found) == 1
    assert [word for word in words if word not in found[0]] == []


def test_a_machine_without_systemd_is_refused_before_anything_is_changed(root):
    (root / "run/systemd/system").rmdir()
    found = problems(root)
    assert len(found) == 1
    assert "systemd did not start this machine" in found[0]


@pytest.mark.parametrize("name", ["--help", "../root", "a b", "a\0b", ""])
def test_what_cannot_be_a_user_is_refused_as_a_name(root, name):
    found = problems(root, users=[name])
    assert len(found) == 1
    assert "rt_limits_users" in found[0]
    assert "no name of a user" in found[0]


def test_everything_in_the_way_is_told_at_once(root):
    (root / "etc/os-release").write_text("ID=arch\n")
    found = problems(root, uid=1000, users=["nobody-of-this-name"], packages=["wine"])
    assert len(found) == 3
    assert "adduser nobody-of-this-name" in found[1]
    assert "become: true" in found[2]


def test_an_archive_that_does_not_answer_is_told_only_if_something_is_missing(root, monkeypatch):
    monkeypatch.setattr(packages, "unreachable", lambda names: [("http://mirror.test/debian", f"no {names[0]}")])
    assert problems(root, packages=["wine"]) == []
    monkeypatch.setattr(packages, "missing", lambda names: list(names))
    found = problems(root, packages=["wine"])
    assert len(found) == 1
    assert "to install wine" in found[0]
    assert "http://mirror.test/debian" in found[0]
    assert "apt-get update" in found[0]
