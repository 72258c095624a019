# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel that was chosen runs, and boots next."""

from __future__ import annotations

import pytest

from ansible_collections.nspa.proaudio.plugins.module_utils._boot import trial
from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import DEFAULT_PATH, Manifest

RT, STOCK = "6.12.9-rt-amd64", "6.12.9-amd64"


@pytest.mark.parametrize(
    ("running", "booting", "installed", "status", "words"),
    [
        (RT, RT, RT, "pass", "runs"),
        (STOCK, RT, RT, "pending", f"{RT} boots next"),
        (STOCK, STOCK, RT, "fail", f"{STOCK} boots next"),
        (RT, STOCK, RT, "fail", f"{STOCK} boots next"),  # it will be lost
        (STOCK, STOCK, "", "fail", "linux-image-rt-amd64 is not installed"),
    ],
)
def test_the_distributions_kernel(studio, running, booting, installed, status, words):
    studio.release, studio.entry.kernel = running, booting
    studio.kernels["linux-image-rt-amd64"] = installed
    row = studio.ask()["kernel"]
    assert row["status"] == status
    assert words in row["evidence"]


@pytest.mark.parametrize(
    "name", ["linux-image-rt-amd64=6.12.9-1", "linux-image-rt-amd64:amd64", "linux-image-rt-amd64/sid"]
)
def test_a_named_version_is_that_package_and_not_the_newest_of_all(studio, name):
    studio.kernels["linux-image-amd64"] = "7.3.1-amd64"
    assert studio.ask(linux_nspa_distro_packages=[name])["kernel"]["status"] == "pass"
    studio.release = studio.entry.kernel = "7.3.1-amd64"
    row = studio.ask(linux_nspa_distro_packages=[name])["kernel"]
    assert (row["status"], row["wanted"]) == ("fail", RT)


@pytest.mark.parametrize(("running", "status"), [("5.10.9-nspa", "pass"), (STOCK, "pending")])
def test_the_kernel_of_package_files_is_what_the_boot_menu_starts(studio, running, status):
    studio.entry.kernel, studio.release = "5.10.9-nspa", running
    row = studio.ask(linux_nspa_source="packages")["kernel"]
    assert (row["status"], row["wanted"]) == (status, "5.10.9-nspa")


@pytest.mark.parametrize(
    ("running", "booting", "status"),
    [(STOCK, STOCK, "pass"), ("5.10.9-nspa", "5.10.9-nspa", "pass"), (STOCK, RT, "pending")],
)
def test_the_machines_own_kernel_is_right_where_it_is_wanted_and_boots_again(studio, running, booting, status):
    studio.release, studio.entry.kernel = running, booting
    row = studio.ask(linux_nspa_source="existing")["kernel"]
    assert (row["status"], row["wanted"]) == (status, running)


def test_a_boot_menu_without_a_default_is_told(studio):
    studio.entry = None
    row = studio.ask(linux_nspa_source="packages")["kernel"]
    assert row["status"] == "fail"
    assert "no entry" in row["evidence"]


def test_a_kernel_in_its_one_boot_is_not_judged_before_its_trial_ends(studio):
    studio.entry.kernel = STOCK
    with Manifest.change(str(studio.root / DEFAULT_PATH.lstrip("/"))) as manifest:
        trial.record(manifest, "linux_nspa/boot_default", trial.Trial(RT, trial.ARMED, STOCK, "first", "a" * 64, 1))
    row = studio.ask()["kernel"]
    assert row["status"] == "pending"
    assert f"until {RT} is confirmed" in row["evidence"]


def test_no_record_of_ours_is_believed_but_how_a_trial_ended(studio, monkeypatch):
    from ansible_collections.nspa.proaudio.plugins.module_utils._core import manifest

    def forbidden(*arguments):
        raise manifest.ManifestError("the manifest is read")

    before = studio.ask(linux_nspa_source="packages")
    monkeypatch.setattr(manifest.Manifest, "load", forbidden)
    after = studio.ask(linux_nspa_source="packages")
    assert [name for name, row in after.items() if "the manifest is read" in row["evidence"]] == ["trial"]
    assert {**after, "trial": before["trial"]} == before


def test_a_stand_in_is_called_one(studio):
    assert studio.ask()["kernel"]["evidence"] == f"{RT} runs, standing in for Linux-NSPA"
    studio.release = studio.entry.kernel = studio.kernels["linux-image-rt-amd64"] = "6.16.0-nspa"
    assert studio.ask()["kernel"]["evidence"] == "6.16.0-nspa runs"


def test_a_machine_whose_kernel_comes_from_outside_is_told_so_and_does_not_fail(studio):
    studio.loader.managed, studio.loader.reason = False, "the kernel comes from outside"
    row = studio.ask()["kernel"]
    assert row["status"] == "vacuous"
    assert "comes from outside" in row["evidence"]
