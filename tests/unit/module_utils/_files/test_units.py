# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether systemd has read the files of its units is asked of systemd, so that an interrupted run is finished."""

from __future__ import annotations

import subprocess

import pytest

from ansible_collections.nspa.proaudio.plugins.module_utils._core.errors import HostError
from ansible_collections.nspa.proaudio.plugins.module_utils._files import units

DROPIN = "/etc/systemd/system/user@1000.service.d/50-nspa-proaudio.conf"


@pytest.fixture
def systemd(tmp_path):
    """A stand-in for systemctl that answers what the test says, and notes what it was asked."""

    class Systemd:
        answer, code, asked = "", 0, []
        root = tmp_path

        def run(self, *command):
            self.asked.append(command)
            return subprocess.CompletedProcess(command, self.code, self.answer, "Refused by policy\n")

    (tmp_path / "run/systemd/system").mkdir(parents=True)
    found = Systemd()
    found.asked = []
    return found


@pytest.mark.parametrize(
    ("path", "unit"),
    [
        (DROPIN, ["user@1000.service"]),
        ("/etc/systemd/system/irq.service", ["irq.service"]),
        ("/etc/systemd/user.conf.d/50-nspa-proaudio.conf", []),
        ("/etc/systemd/system/user@1000.service.d/notes.txt", []),
        ("/etc/security/limits.d/95-nspa-proaudio.conf", []),
    ],
)
def test_the_unit_of_a_file(path, unit):
    assert units.of([path]) == unit


def test_only_units_that_systemd_has_yet_to_read_are_named(systemd):
    other = DROPIN.replace("1000", "1001")
    systemd.answer = "Id=user@1000.service\nNeedDaemonReload=yes\n\nId=user@1001.service\nNeedDaemonReload=no\n"
    assert units.unread([DROPIN, other], systemd.run, systemd.root) == ["user@1000.service"]
    assert systemd.asked[0][-2:] == ("user@1000.service", "user@1001.service")


def test_without_units_or_without_systemd_nothing_is_asked(systemd, tmp_path):
    assert units.unread(["/etc/hosts"], systemd.run, systemd.root) == []
    assert units.unread([DROPIN], systemd.run, tmp_path / "elsewhere") == []
    units.reload(systemd.run, tmp_path / "elsewhere")
    assert systemd.asked == []


def test_a_systemd_that_refuses_is_told(systemd):
    systemd.code = 1
    with pytest.raises(HostError, match=r"Refused by policy.*run this again"):
        units.reload(systemd.run, systemd.root)
