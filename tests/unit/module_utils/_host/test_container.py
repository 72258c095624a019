# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container is told by what its manager leaves in it."""

from __future__ import annotations

import pytest

from ansible_collections.nspa.proaudio.plugins.module_utils._host import container


@pytest.mark.parametrize(
    ("path", "content", "kind"),
    [
        ("run/systemd/container", "systemd-nspawn\n", "systemd-nspawn"),
        ("run/systemd/container", "", "container"),
        ("run/host/container-manager", "podman", "podman"),
        ("proc/1/environ", "HOME=/root\0container=lxc\0", "lxc"),
        (".dockerenv", "", "docker"),
        ("run/.containerenv", "", "podman"),
        ("proc/vz/veinfo", "", "openvz"),
        ("proc/sys/kernel/osrelease", "5.15.167.4-microsoft-standard-WSL2\n", "wsl"),
    ],
)
def test_each_kind_is_named(tmp_path, path, content, kind):
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text(content)
    assert container.kind(tmp_path) == kind


def test_a_machine_of_its_own_is_none(tmp_path):
    (tmp_path / "proc/1").mkdir(parents=True)
    (tmp_path / "proc/1/environ").write_text("HOME=/\0mycontainer=lxc\0TERM=linux\0")
    for folder in ("proc/vz", "proc/bc"):  # a host of OpenVZ
        (tmp_path / folder).mkdir()
    assert container.kind(tmp_path) == ""
