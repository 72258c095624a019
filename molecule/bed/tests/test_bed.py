# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks each machine of the scenario what it is, and holds it to what molecule.yml asked for."""

from __future__ import annotations

import os

import pytest
import testinfra.utils.ansible_runner
import yaml

with open(os.environ["MOLECULE_FILE"]) as handle:
    PLATFORMS = {platform["name"]: platform for platform in yaml.safe_load(handle)["platforms"]}

testinfra_hosts = testinfra.utils.ansible_runner.AnsibleRunner(os.environ["MOLECULE_INVENTORY_FILE"]).get_hosts("all")


@pytest.fixture
def platform(host):
    """What molecule.yml says about the host, with NSPA_BED_KIND applied."""
    wanted = dict(PLATFORMS[host.backend.host])
    wanted["kind"] = os.environ.get("NSPA_BED_KIND") or wanted.get("kind", "vm")
    return wanted


def test_kind(host, platform):
    """A container is one, and a virtual machine has a processor of its own."""
    found = host.run("systemd-detect-virt").stdout.strip()
    assert found == "systemd-nspawn" if platform["kind"] == "container" else found in ("qemu", "kvm")


def test_suite(host, platform):
    """The suite is the one asked for."""
    assert f"VERSION_CODENAME={platform.get('suite', 'trixie')}" in host.file("/etc/os-release").content_string


def test_boots_whole(host):
    """systemd is the first process, and nothing failed on the way."""
    assert host.file("/proc/1/comm").content_string.strip() == "systemd"
    assert host.run("systemctl is-system-running --wait").stdout.strip() == "running"


def test_bare(host):
    """None of the packages is there that would hide what the collection itself must bring."""
    for name in ("python3-apt", "acl", "rtkit", "wine"):
        assert not host.package(name).is_installed


def test_login(host):
    """The login is the one asked for, has a service manager of its own, and can become root."""
    assert host.run("id -un").stdout.strip() == "studio"
    assert host.run("systemctl --user is-system-running --wait").stdout.strip() == "running"
    assert host.run("sudo -n id -u").stdout.strip() == "0"


def test_kernel_and_loader(host, platform):
    """A virtual machine runs the kernel that was asked for, started by the loader that was asked for."""
    if platform["kind"] == "container":
        pytest.skip("a container has the host's kernel, and no boot loader")
    release = host.run("uname -r").stdout.strip()
    assert release.startswith("6.1.") and release.endswith("-amd64") and "cloud" not in release
    status = host.run("sudo -n bootctl status --no-pager").stdout
    assert "Product: systemd-boot" in status
    assert host.run("findmnt -n -o FSTYPE /sys/firmware/efi/efivars").stdout.strip() == "efivarfs"


def test_firmware_remembers(host, platform):
    """The firmware's variables can be written, as a trial boot must."""
    if platform["kind"] == "container":
        pytest.skip("a container has no firmware")
    assert host.run("sudo -n bootctl set-oneshot auto-reboot-to-firmware-setup").rc == 0
    variables = host.check_output("ls /sys/firmware/efi/efivars")
    assert "LoaderEntryOneShot-" in variables
    assert host.run("sudo -n bootctl set-oneshot ''").rc == 0


def test_watchdog(host, platform):
    """There is a watchdog where one was asked for."""
    if platform["kind"] == "container":
        pytest.skip("a container has no devices of its own")
    assert host.run("sudo -n modprobe i6300esb").rc == 0
    assert host.file("/dev/watchdog").exists is platform.get("watchdog", False)
