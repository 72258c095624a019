# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The look at the host before anything is changed: everything in the way is told at once, with what to do."""

from __future__ import annotations

import os
import pwd

import pytest

from ansible_collections.nspa.proaudio.plugins.module_utils._host import machine
from ansible_collections.nspa.proaudio.plugins.module_utils._packages import packages

TRIXIE = 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\nVERSION_ID="13"\n# ID=none\n'
ME = pwd.getpwuid(os.getuid()).pw_name


@pytest.fixture
def root(tmp_path, monkeypatch):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text(TRIXIE)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(packages, "missing", lambda packages: [])
    return tmp_path


def test_a_supported_machine_is_described(root):
    problems, host = machine.examine([ME], [], None, root)
    assert problems == []
    assert (host["distribution"], host["version"], host["name"]) == ("debian", "13", "Debian GNU/Linux 13 (trixie)")
    assert host["uids"] == {ME: os.getuid()}
    assert host["loader"]["managed"] is False  # there is no boot loader in this tree
    assert host["kernel_packages"] == []


def test_os_release_is_found_in_its_second_place(tmp_path):
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "usr/lib/os-release").write_text("ID='arch'\n")
    assert machine.os_release(tmp_path) == {"ID": "arch"}
    assert machine.os_release(tmp_path / "usr") == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('ID=debian\nVERSION_ID="11"\n', ["ID=debian, VERSION_ID=11", "wanted debian 12 and 13"]),
        ("ID=arch\n", ["ID=arch, VERSION_ID=unknown", "wanted debian 12 and 13"]),
        ("", ["unknown"]),
    ],
)
def test_another_distribution_is_refused_by_name(root, text, words):
    (root / "etc/os-release").write_text(text)
    problems, _host = machine.examine([], [], None, root)
    assert len(problems) == 1
    assert [word for word in words if word not in problems[0]] == []


def test_everything_in_the_way_is_told_at_once(root, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    (root / "etc/os-release").write_text("ID=arch\n")
    problems, _host = machine.examine(["nobody-of-this-name"], ["wine"], None, root)
    assert len(problems) == 3
    assert "adduser nobody-of-this-name" in problems[1]
    assert "become: true" in problems[2]


def test_an_archive_that_does_not_answer_is_told_only_if_something_is_missing(root, monkeypatch):
    monkeypatch.setattr(packages, "unreachable_archives", lambda: [("http://mirror.test/debian", "no route")])
    assert machine.examine([], ["wine"], None, root)[0] == []
    monkeypatch.setattr(packages, "missing", lambda packages: list(packages))
    problems, _host = machine.examine([], ["wine"], None, root)
    assert len(problems) == 1
    assert "to install wine" in problems[0]
    assert "http://mirror.test/debian" in problems[0]
    assert "apt-get update" in problems[0]


def test_the_kernel_of_the_distribution_follows_the_machine(monkeypatch):
    assert machine.kernel_packages(["linux-image-amd64"]) == ["linux-image-amd64"]
    for architecture, found in (
        ("x86_64", ["linux-image-rt-amd64"]),
        ("aarch64", ["linux-image-rt-arm64"]),
        ("riscv64", []),
    ):
        names = os.uname_result(("Linux", "h", "6", "#1", architecture))
        monkeypatch.setattr(os, "uname", lambda names=names: names)
        assert machine.kernel_packages([]) == found
