# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A new kernel gets one boot; whatever becomes of it, the kernel that is known to work is the default until then."""

from __future__ import annotations

import pytest
from support.host import killed_at, tree

from ansible_collections.nspa.proaudio.plugins.module_utils._boot import trial, wanted
from ansible_collections.nspa.proaudio.plugins.module_utils._boot.model import BootLoaderError
from ansible_collections.nspa.proaudio.plugins.module_utils._command.trial import conclude
from ansible_collections.nspa.proaudio.plugins.module_utils._core import want
from ansible_collections.nspa.proaudio.plugins.module_utils._core.change import Purpose
from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import Manifest

RT, STOCK = "6.12.9-rt-amd64", "6.12.9-amd64"
ROOT = "/dev/nspa-root"
ON_TRIAL = {"packages": ["linux-image-rt-amd64"], "trial": "auto"}
EXTRA = {"69-nspa-trial.cfg"}


@pytest.fixture
def host(machine):
    boots(machine, STOCK, "first")
    return machine


def boots(machine, release, boot):
    """The machine comes up with a kernel; GRUB has forgotten what it was told to boot once."""
    if machine.environment.exists():
        machine.grub().once(None)
    (machine.root / "proc/sys/kernel/random").mkdir(exist_ok=True)
    (machine.root / "proc/sys/kernel/random/boot_id").write_text(f"{boot}\n")
    machine.runs(f"BOOT_IMAGE=/boot/vmlinuz-{release} root={ROOT} ro quiet {trial.PARAMETER}", release)


def recorded(machine):
    return trial.recorded(Manifest.load(str(machine.manifest)))


def ends(machine, state):
    """What the unit on the machine does, after which a run finds nothing to do."""

    def compare(manifest, role, options, purpose):
        return wanted.compare_default(manifest, role, options, purpose, machine.root, lambda: machine.packages)

    path = str(machine.manifest)
    with Manifest.change(path) as manifest:
        want.record(manifest, "boot_default", {"role": "a_role", "state": "present", "retry": True, **ON_TRIAL})
        manifest.save()
    conclude(trial.ended(recorded(machine), state, "seen"), path, compare)
    with Manifest.change(path) as manifest:
        want.record(manifest, "boot_default", {"role": "a_role", "state": "absent"})
        manifest.save()
    assert not machine.compare("default", ON_TRIAL).changed
    return machine.compare("default", ON_TRIAL)


def menu(machine):
    found = machine.grub().menu()
    return found.next.kernel, found.default.kernel


def watchdog(machine):
    return (machine.root / trial.WATCHDOG_FILE).exists()


def test_a_new_kernel_boots_once_and_the_one_that_runs_stays_the_default(host):
    done = host.settles("default", ON_TRIAL)
    assert menu(host) == (RT, STOCK)
    assert recorded(host).state == trial.ARMED
    assert done.result()["reboot_reasons"] == [f"{STOCK} runs, and {RT} boots next, once"]
    assert done.result()["trial"]["told"] == recorded(host).told()
    assert set(host.files()) >= EXTRA
    assert watchdog(host)
    lines = {entry.kernel: entry.cmdline for entry in host.grub().menu().normal}
    assert all(trial.PARAMETER in line.split() for line in lines.values())


def test_grub_itself_boots_it_once(host, emulated):
    """The menu as GRUB's own interpreter sees it, and what 00_header makes it forget."""
    host.settles("default", ON_TRIAL)
    text = host.menu.read_text()
    assert "save_env next_entry" in text
    assert host.environment.stat().st_size == 1024
    assert b"next_entry=gnulinux" in host.environment.read_bytes()


def test_a_kernel_that_shows_that_it_works_becomes_the_default(host):
    host.settles("default", ON_TRIAL)
    boots(host, RT, "second")
    during = host.settles("default", ON_TRIAL)
    assert during.result()["reboot_reasons"] == []
    assert menu(host) == (STOCK, STOCK), "not before it was looked at"
    ends(host, trial.CONFIRMED)
    assert menu(host) == (RT, RT)
    assert not EXTRA & set(host.files())
    assert not watchdog(host)
    boots(host, RT, "third")
    assert host.settles("default", ON_TRIAL).result()["reboot_reasons"] == []


def test_a_kernel_that_says_of_itself_that_it_fails_is_left_for_good(host):
    host.settles("default", ON_TRIAL)
    boots(host, RT, "second")
    done = ends(host, trial.FAILED)
    assert menu(host) == (STOCK, STOCK)
    assert done.result()["reboot_reasons"] == [f"{RT} runs, and {STOCK} boots next"]
    assert not EXTRA & set(host.files())
    boots(host, STOCK, "third")
    assert host.settles("default", ON_TRIAL).result()["reboot_reasons"] == []
    assert menu(host) == (STOCK, STOCK), "it is not tried again by itself"


@pytest.mark.parametrize("retry", [False, True])
def test_a_kernel_that_failed_stays_given_up_while_it_runs_whoever_wants_it_again(host, retry):
    host.settles("default", ON_TRIAL)
    boots(host, RT, "second")
    ends(host, trial.FAILED)
    host.settles("default", {**ON_TRIAL, "retry": retry})
    assert menu(host) == (STOCK, STOCK)


def test_the_machine_that_came_back_does_not_try_again_by_itself(host):
    """Also where the run that armed it was told to try it again."""
    host.settles("default", ON_TRIAL)
    boots(host, STOCK, "second")
    ends(host, trial.FAILED)
    assert menu(host) == (STOCK, STOCK)


def test_a_machine_that_came_back_is_noted_also_without_its_unit(host):
    host.settles("default", ON_TRIAL)
    boots(host, STOCK, "second")
    host.settles("default", ON_TRIAL)
    assert recorded(host).state == trial.FAILED
    assert f"came back with {STOCK}" in recorded(host).why
    assert menu(host) == (STOCK, STOCK)
    assert not EXTRA & set(host.files())


@pytest.mark.parametrize("how", ["another image", "retry"])
def test_a_kernel_that_failed_is_tried_again_when_it_was_mended_or_somebody_says_so(host, how):
    host.settles("default", ON_TRIAL)
    boots(host, STOCK, "second")
    host.settles("default", ON_TRIAL)
    if how == "retry":
        host.run("default", {**ON_TRIAL, "retry": True})
    else:
        (host.root / f"boot/vmlinuz-{RT}").write_text("mended")
        host.settles("default", ON_TRIAL)
    assert menu(host) == (RT, STOCK)
    assert recorded(host).state == trial.ARMED


def test_the_kernel_that_runs_needs_no_trial(host):
    done = host.settles("default", {"packages": ["linux-image-amd64"], "trial": "always"})
    assert done.result()["trial"] is None
    assert recorded(host) is None
    assert menu(host) == (STOCK, STOCK)


def test_never_makes_it_the_default_at_once(host):
    host.settles("default", {**ON_TRIAL, "trial": "never"})
    assert menu(host) == (RT, RT)
    assert recorded(host) is None


PLACES = {
    "a volume group": ("abstraction", "lvm", "/boot/grub is on lvm, where GRUB cannot write"),
    "btrfs": ("fs", "btrfs", "/boot/grub is on btrfs, where GRUB cannot write"),
}


def lies(machine, target, answer):
    path = machine.root / "programs/grub-probe"
    first, rest = path.read_text().split('case "$*" in\n', 1)
    path.write_text(f'{first}case "$*" in\n--target={target}\\ *boot/grub) echo {answer} ;;\n{rest}')


@pytest.mark.parametrize("place", PLACES)
def test_where_grub_cannot_forget_there_is_no_trial(host, place):
    target, answer, words = PLACES[place]
    lies(host, target, answer)
    before = tree(host.root)
    with pytest.raises(BootLoaderError, match=words):
        host.run("default", {**ON_TRIAL, "trial": "always"})
    assert tree(host.root / "boot") == {
        name[len("boot/") :]: seen for name, seen in before.items() if name.startswith("boot/")
    }
    done = host.run("default", ON_TRIAL)
    assert not host.compare("default", ON_TRIAL).changed
    assert [words in warning and "without a trial" in warning for warning in done.warnings] == [True]
    assert menu(host) == (RT, RT)


def test_without_a_way_back_there_is_no_trial(host):
    boots(host, "6.1.0-of-somebody", "second")
    with pytest.raises(BootLoaderError, match="has no entry in the boot menu, so that there is no way back"):
        host.run("default", {**ON_TRIAL, "trial": "always"})


def test_check_mode_says_what_would_boot_and_writes_nothing(host):
    before = tree(host.root)
    predicted = host.compare("default", ON_TRIAL, Purpose.PREDICT)
    assert predicted.changed
    assert predicted.result()["next_boot"] == RT
    assert tree(host.root) == before


def test_before_the_kernel_is_installed_the_one_that_runs_is_held(host):
    """GRUB boots the newest kernel, so its installation would make it the default at once."""
    host.packages.packages["linux-image-rt-amd64"] = []
    host.run("default", ON_TRIAL)
    assert menu(host) == (STOCK, STOCK)
    host.packages.packages["linux-image-rt-amd64"] = [RT]
    host.kernel("6.13.0-rt-amd64")
    host.update_grub()
    assert menu(host) == (STOCK, STOCK)
    host.settles("default", ON_TRIAL)
    assert menu(host) == (RT, STOCK)


def test_killed_at_any_moment_the_default_is_the_kernel_that_runs_and_the_next_run_arms_it(host):
    step, killed = 1, True
    while killed:
        host.run("default", {**ON_TRIAL, "packages": ["not-installed-yet"]})
        step += 9
        killed = killed_at(step, lambda: host.run("default", ON_TRIAL))
        assert menu(host) in ((STOCK, STOCK), (RT, STOCK)), step
        host.settles("default", ON_TRIAL)
        assert menu(host) == (RT, STOCK)
        assert recorded(host).state == trial.ARMED
        host.settles("default", None)
        assert host.files() == {}
    assert step > 100


@pytest.mark.parametrize("when", ["armed", "running", "failed", "confirmed"])
def test_wanting_nothing_any_more_ends_it_at_any_stage(host, when):
    host.settles("default", ON_TRIAL)
    if when in ("running", "confirmed"):
        boots(host, RT, "second")
    if when == "confirmed":
        ends(host, trial.CONFIRMED)
    if when == "failed":
        boots(host, STOCK, "second")
        host.settles("default", ON_TRIAL)
    host.settles("default", None)
    assert host.files() == {}
    assert not watchdog(host)
    assert not host.manifest.parent.exists()
    assert b"next_entry=" not in host.environment.read_bytes()


@pytest.mark.parametrize("when", ["armed", "failed"])
def test_wanting_the_kernel_that_runs_again_forgets_the_other_ones_trial(host, when):
    host.settles("default", ON_TRIAL)
    if when == "failed":
        boots(host, STOCK, "second")
        host.settles("default", ON_TRIAL)
    host.settles("default", {"packages": ["linux-image-amd64"], "trial": "auto"})
    assert menu(host) == (STOCK, STOCK)
    assert recorded(host) is None
    assert not EXTRA & set(host.files())


def test_the_trials_own_parameter_is_nobodys_reason_for_a_reboot(host):
    host.settles("default", ON_TRIAL)
    boots(host, RT, "second")
    ends(host, trial.CONFIRMED)
    assert host.settles("parameters", {"parameters": ["quiet"]}).result()["reboot_reasons"] == []


def test_a_loader_that_does_not_do_as_it_is_told_is_no_trial(host):
    """Somebody's script chooses its own default, whatever was asked for once."""
    host.script("42_mine", 'set default="Advanced options for Debian GNU/Linux"')
    host.update_grub()
    before = host.menu.read_bytes()
    with pytest.raises(BootLoaderError):
        host.run("default", ON_TRIAL)
    assert b"next_entry=" not in (host.environment.read_bytes() if host.environment.exists() else b"")
    assert host.menu.read_bytes() == before
