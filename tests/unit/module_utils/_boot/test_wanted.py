# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boot menu is changed when it differs from what is wanted, and put back when GRUB refuses."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from ansible_collections.nspa.proaudio.plugins.module_utils._boot import grub, wanted
from ansible_collections.nspa.proaudio.plugins.module_utils._core import manifest

KERNELS = ("6.12.9-rt-amd64", "6.12.9-amd64")
ENTRY = """menuentry 'Linux {kernel}' $menuentry_id_option 'linux-{kernel}' {{
	linux /boot/vmlinuz-{kernel} ro {line}
}}
"""


class Machine:
    """A machine with GRUB; its grub-mkconfig is a stand-in that reads our drop-ins."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.menu = root / "boot/grub/grub.cfg"
        self.menu.parent.mkdir(parents=True)
        self.dropins = root / "etc/default/grub.d"
        self.dropins.mkdir(parents=True)
        self.manifest = root / "var/lib/nspa-proaudio/manifest.json"
        self.running, self.refuses = "ro quiet", False
        monkeypatch.setattr(manifest, "DEFAULT_PATH", str(self.manifest))
        monkeypatch.setattr(wanted, "PARAMETERS_FILE", str(self.dropins / "70-nspa-cmdline.cfg"))
        monkeypatch.setattr(wanted, "DEFAULT_FILE", str(self.dropins / "71-nspa-default.cfg"))
        monkeypatch.setattr(wanted, "running_cmdline", lambda: self.running)
        monkeypatch.setattr(wanted, "Grub", lambda: grub.Grub(root))
        monkeypatch.setattr(grub, "detect", lambda: grub.Loader("grub", True, "a stand-in"))
        monkeypatch.setattr(grub.Grub, "regenerate", lambda grub: self.regenerate(grub))
        monkeypatch.setattr(wanted, "newest_kernel", lambda packages: KERNELS[1] if packages else "")
        self.write_menu()

    def write_menu(self) -> None:
        text = "".join(path.read_text() for path in sorted(self.dropins.glob("*.cfg")))
        added = "".join(re.findall(r'"\$GRUB_CMDLINE_LINUX_DEFAULT ([^"]*)"', text))
        default = "".join(re.findall(r"GRUB_DEFAULT='([^']*)'", text)) or "0"
        entries = "".join(ENTRY.format(kernel=kernel, line=f"quiet {added}") for kernel in KERNELS)
        self.menu.write_text(f'set default="{default}"\n{entries}')

    def regenerate(self, grub: grub.Grub) -> None:
        if self.refuses:
            raise grub.BootLoaderError("grub-mkconfig failed; GRUB's menu is as it was: a syntax error")
        self.write_menu()
        grub._read()

    def files(self) -> dict:
        return {path.name: path.read_text() for path in self.dropins.iterdir()}


@pytest.fixture
def machine(tmp_path, monkeypatch):
    return Machine(tmp_path, monkeypatch)


def test_parameters_reach_the_menu_and_are_taken_back(machine):
    plan = wanted.compare_parameters(["threadirqs", "preempt=full"])
    assert plan.changed
    assert machine.files() == {}
    assert plan.next_boot == "ro quiet threadirqs preempt=full"
    assert plan.reboot_reasons == ["the kernel runs without threadirqs preempt=full"]
    plan.apply()
    again = wanted.compare_parameters(["threadirqs", "preempt=full"])
    assert not again.changed
    assert again.reboot_reasons == plan.reboot_reasons, "still due, although nothing differs on disk"
    machine.running = "ro quiet threadirqs preempt=full"
    assert wanted.compare_parameters(["threadirqs", "preempt=full"]).reboot_reasons == []
    back = wanted.compare_parameters([])
    assert back.next_boot == "ro quiet"
    back.apply()
    assert machine.files() == {}
    assert wanted.compare_parameters([]).reboot_reasons == ["the kernel still runs with threadirqs preempt=full"]


def test_a_menu_that_an_interrupted_run_left_behind_is_made_anew(machine):
    plan = wanted.compare_parameters(["threadirqs"])
    plan.apply()
    dropin = next(machine.dropins.iterdir())
    later = machine.menu.stat().st_mtime + 5
    os.utime(dropin, (later, later))
    assert wanted.compare_parameters(["threadirqs"]).changed
    machine.write_menu()
    machine.menu.write_text(machine.menu.read_text().replace(" threadirqs", "", 1))
    os.utime(machine.menu, (later + 5, later + 5))
    assert wanted.compare_parameters(["threadirqs"]).changed, "an entry lacks the parameter"


def test_what_grub_refuses_is_put_back(machine):
    machine.refuses = True
    with pytest.raises(grub.BootLoaderError, match="a syntax error"):
        wanted.compare_parameters(["threadirqs"]).apply()
    assert machine.files() == {}
    machine.refuses = False
    wanted.compare_parameters(["threadirqs"]).apply()
    before = machine.files()
    machine.refuses = True
    with pytest.raises(grub.BootLoaderError):
        wanted.compare_parameters(["preempt=full"]).apply()
    assert machine.files() == before


def test_a_word_that_is_no_parameter_is_refused(machine):
    with pytest.raises(grub.BootLoaderError, match=r"'quiet; reboot'.*Nothing was changed"):
        wanted.compare_parameters(["quiet; reboot"])


def test_a_kernel_becomes_the_default_by_its_name_and_is_given_up_again(machine):
    plan = wanted.compare_default(["linux-image-amd64"])
    assert (plan.before, plan.next_boot) == KERNELS
    plan.apply()
    assert "GRUB_DEFAULT='linux-6.12.9-amd64'\n" in "".join(machine.files().values())
    again = wanted.compare_default(["linux-image-amd64"])
    assert (again.before, again.changed) == (KERNELS[1], False)
    assert again.reboot_reasons == [f"{os.uname().release} runs, and {KERNELS[1]} boots next"]
    back = wanted.compare_default([])
    assert back.next_boot == KERNELS[0]
    back.apply()
    assert (machine.files(), wanted.compare_default([]).before) == ({}, KERNELS[0])


def test_an_installed_kernel_without_an_entry_is_told(machine, monkeypatch):
    monkeypatch.setattr(wanted, "newest_kernel", lambda packages: "7.3.0-rt")
    with pytest.raises(grub.BootLoaderError, match=r"7\.3\.0-rt is installed.*run update-grub"):
        wanted.compare_default(["linux-image-rt"])


def test_a_damaged_manifest_stops_before_anything_is_changed(machine):
    machine.manifest.parent.mkdir(parents=True)
    machine.manifest.write_text("{")
    menu = machine.menu.read_text()
    for compare, name in ((wanted.compare_parameters, "threadirqs"), (wanted.compare_default, "linux-image-amd64")):
        with pytest.raises(manifest.ManifestError, match="nothing was changed now"):
            compare([name]).apply()
    assert (machine.files(), machine.menu.read_text()) == ({}, menu)


def test_without_a_boot_loader_to_manage_nothing_differs(monkeypatch):
    monkeypatch.setattr(grub, "detect", lambda: grub.Loader("none", False, "a container"))
    for plan in (wanted.compare_parameters(["threadirqs"]), wanted.compare_default(["linux-image-amd64"])):
        plan.apply()
        assert (plan.changed, plan.reboot_reasons) == (False, [])


@pytest.mark.parametrize(
    "releases",
    [
        ["6.12.9-rt-amd64", "6.12.10-rt-amd64"],
        ["6.12.48+deb13-rt-amd64", "6.12.117+deb13-rt-amd64"],
        ["9.1.0-rt", "10.0.0-rt"],
    ],
)
def test_releases_are_ordered_by_their_numbers(releases):
    assert max(releases, key=wanted._version_key) == releases[1]
    assert max(releases) == releases[0], "their order as plain text is another"
