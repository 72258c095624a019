# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What our rules and lists of modules say is brought about at once, and what they take is given back."""

from __future__ import annotations

import functools
import grp
import os
import re
import stat
import subprocess

import pytest

from ansible_collections.nspa.proaudio.plugins.module_utils._core.errors import HostError
from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import Manifest
from ansible_collections.nspa.proaudio.plugins.module_utils._files import devices, files
from ansible_collections.nspa.proaudio.plugins.module_utils._files.devices import Devices, Node

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes devices, which needs root")

RULES = "/etc/udev/rules.d/90-nspa-proaudio.rules"
MODULES = "/etc/modules-load.d/nspa-proaudio.conf"
AUDIO = grp.getgrnam("audio").gr_gid
TEXT = b'# KERNEL=="hpet", MODE="0666"\nKERNEL=="cpu_dma_latency", GROUP="audio", MODE="0660"\n'
RELEASE = "6.12.9-rt"


class Udev:
    """A machine with a device, and a stand-in for udev that does what the last rules it read say."""

    def __init__(self, root):
        self.root, self.ran, self.fails, self.obeys = root, [], "", True
        self.contents = {RULES: TEXT}
        (root / "run/udev").mkdir(parents=True)
        (root / "run/udev/control").touch()
        (root / "dev").mkdir()
        self.device = self.make("cpu_dma_latency")

    def make(self, name):
        os.mknod(self.root / "dev" / name, stat.S_IFCHR | 0o600, os.makedev(1, 3))
        (self.root / "dev" / name).chmod(0o600)
        return self.root / "dev" / name

    def run(self, *command, timeout=None):
        assert timeout is not None
        self.ran.append(command)
        if command[0] == "modprobe":
            (self.root / "sys/module" / command[-1]).mkdir(parents=True)
        if command[1] == "trigger" and self.obeys:
            for node in devices.rules(self.contents.get(RULES, b"")):
                for path in map(self.root.joinpath, command[4:]):
                    if path.name == node.name:
                        os.chown(path, 0, AUDIO)
                        path.chmod(node.mode)
        return subprocess.CompletedProcess(command, int(command[0] == self.fails), "", "no such luck\n")

    @property
    def devices(self):
        return Devices(self.root, self.run, RELEASE)

    def seen(self, device=None):
        status = (device or self.device).stat()
        return stat.S_IMODE(status.st_mode), status.st_gid


@pytest.fixture
def udev(tmp_path):
    return Udev(tmp_path)


@pytest.mark.parametrize(
    ("line", "nodes"),
    [
        ('KERNEL=="hpet", GROUP="real time", MODE="0660"', [Node("hpet", "real time", 0o660)]),
        ('KERNEL=="ntsync", MODE="0666"', [Node("ntsync", None, 0o666)]),
        ('KERNEL=="hpet", GROUP="100%% \\"a\\" $$b\\c"', [Node("hpet", '100% "a" $b\\c', None)]),
        ('KERNEL!="hpet", MODE="0660"', []),
        ('SUBSYSTEM=="sound", MODE="0660"', []),
        ('KERNEL=="hpet", TAG+="systemd"', []),
        ('# KERNEL=="hpet", MODE="0660"', []),
    ],
)
def test_rules_are_read_as_udev_reads_them(line, nodes):
    assert devices.rules(line.encode()) == nodes


def test_a_list_of_modules_has_comments():
    assert devices.modules(b"# a\n\n; b\n ntsync \nsnd-seq\n") == ["ntsync", "snd-seq"]


def test_a_device_that_is_not_as_the_rules_say_is_due(udev):
    assert udev.devices.due(udev.contents) == [str(udev.device)]
    for group, mode, due in ((AUDIO, 0o660, False), (0, 0o660, True), (AUDIO, 0o600, True)):
        os.chown(udev.device, 0, group)
        udev.device.chmod(mode)
        assert bool(udev.devices.due(udev.contents)) == due
    assert udev.devices.due({"/etc/hosts": TEXT}) == []


def test_udev_is_told_and_does_it(udev):
    udev.devices.bring_about([RULES], udev.contents)
    assert udev.ran == [
        ("udevadm", "control", "--reload"),
        ("udevadm", "trigger", "--action=change", "--settle", str(udev.device)),
    ]
    assert udev.seen() == (0o660, AUDIO)
    assert udev.devices.due(udev.contents) == []


def test_a_later_rule_that_wins_is_said(udev):
    udev.obeys = False
    with pytest.raises(HostError, match=r"a later rule says so.*grep -rs cpu_dma_latency /etc/udev"):
        udev.devices.bring_about([RULES], udev.contents)


def test_a_udev_that_refuses_is_said(udev):
    udev.fails = "udevadm"
    with pytest.raises(HostError, match=r"'udevadm control --reload' failed: no such luck\. Mend"):
        udev.devices.bring_about([RULES], udev.contents)


def test_without_udev_devices_are_somebody_elses(udev):
    (udev.root / "run/udev/control").unlink()
    assert udev.devices.due(udev.contents) == []
    assert udev.devices.give_back(udev.contents) == []
    udev.devices.bring_about([RULES], udev.contents)
    assert udev.ran == [] and udev.seen() == (0o600, 0)


@pytest.mark.parametrize(("uevent", "mode"), [(None, 0o600), ("MAJOR=1\nDEVNAME=null\nDEVMODE=0666\n", 0o666)])
def test_a_device_gets_back_what_the_kernel_created_it_with(udev, uevent, mode):
    udev.devices.bring_about([RULES], udev.contents)
    if uevent:
        (udev.root / "sys/dev/char/1:3").mkdir(parents=True)
        (udev.root / "sys/dev/char/1:3/uevent").write_text(uevent)
    assert udev.devices.give_back(udev.contents) == [str(udev.device)]
    assert udev.seen() == (mode, 0)


def test_what_is_no_device_is_left_alone(udev):
    (udev.root / "dev/hpet").write_text("somebody's file")
    assert udev.devices.due({RULES: b'KERNEL=="hpet", MODE="0660"'}) == []


@pytest.mark.parametrize(
    ("dep", "loaded", "due"),
    [
        ("kernel/drivers/misc/ntsync.ko:\n", False, ["ntsync"]),
        ("kernel/drivers/misc/ntsync.ko.xz: kernel/a.ko.xz\n", False, ["ntsync"]),
        ("kernel/drivers/misc/ntsync.ko:\n", True, []),
        ("kernel/drivers/misc/other.ko: kernel/drivers/misc/ntsync.ko\n", False, []),
        ("", False, []),
    ],
)
def test_a_module_is_loaded_where_this_kernel_has_it(udev, dep, loaded, due):
    (udev.root / "lib/modules" / RELEASE).mkdir(parents=True)
    (udev.root / "lib/modules" / RELEASE / "modules.dep").write_text(dep)
    if loaded:
        (udev.root / "sys/module/ntsync").mkdir(parents=True)
    contents = {MODULES: b"ntsync\n"}
    assert udev.devices.due(contents) == due
    udev.devices.bring_about([MODULES], contents)
    assert udev.ran == [("modprobe", "--", name) for name in due]
    assert udev.devices.due(contents) == []


def test_a_container_loads_no_module(udev):
    (udev.root / "lib/modules" / RELEASE).mkdir(parents=True)
    (udev.root / "lib/modules" / RELEASE / "modules.dep").write_text("ntsync.ko:\n")
    (udev.root / "run/systemd").mkdir()
    (udev.root / "run/systemd/container").write_text("systemd-nspawn")
    assert udev.devices.due({MODULES: b"ntsync\n"}) == []


# -- with the files


@pytest.fixture
def host(udev, monkeypatch):
    """A role with one file of rules, in a folder of the test."""
    path = str(udev.root / "90.rules")
    monkeypatch.setattr(devices, "_RULES", re.compile(re.escape(path)))
    monkeypatch.setattr(devices, "Devices", functools.partial(Devices, udev.root, udev.run, RELEASE))
    state = str(udev.root / "state/manifest.json")

    class Host:
        def compare(self, *contents):
            return files.compare(Manifest.load(state), "rt_limits", [files.Wanted(path, text) for text in contents])

        def apply(self, *contents):
            udev.contents = dict(zip([RULES], contents))
            with Manifest.change(state) as manifest:
                change = files.compare(manifest, "rt_limits", [files.Wanted(path, text) for text in contents])
                change.apply(manifest)
            return change

    return Host()


def test_a_file_of_rules_takes_effect_at_once_and_is_put_back(host, udev):
    host.apply(TEXT)
    assert udev.seen() == (0o660, AUDIO)
    assert not host.compare(TEXT).changed
    host.apply()
    assert udev.seen() == (0o600, 0)
    assert ("udevadm", "control", "--reload") in udev.ran[2:]
    assert udev.ran[-1][-1] == str(udev.device)  # others may have a rule for it
    assert not host.compare().changed


def test_a_run_that_ended_before_udev_was_told_is_finished(host, udev):
    host.apply(TEXT)
    udev.device.chmod(0o600)
    change = host.compare(TEXT)
    assert change.changed and change.due == [str(udev.device)]
    host.apply(TEXT)
    assert udev.seen() == (0o660, AUDIO)


def test_a_device_that_the_next_rules_do_not_name_is_given_back(host, udev):
    host.apply(TEXT)
    udev.make("hpet")
    host.apply(TEXT.replace(b"cpu_dma_latency", b"hpet"))
    assert udev.seen() == (0o600, 0)
    assert udev.seen(udev.root / "dev/hpet") == (0o660, AUDIO)
