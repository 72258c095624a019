# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which kernels packages brought, and that the last one stays; wherever a distribution keeps them."""

from __future__ import annotations

import os

import pytest
from support.debian import Debian, files

from ansible_collections.nspa.proaudio.plugins.module_utils._packages.apt import Apt


def test_the_last_kernel_is_never_purged(debian: Debian) -> None:
    debian.run(names=["linux-image-rt"])
    (debian.root / "boot/vmlinuz-6.1-generic").unlink()
    start = debian.state()
    for check in (True, False):
        refused = debian.run(check=check, state="absent")
        assert "/boot/vmlinuz-6.1-rt is the only kernel on this machine" in refused.message
        assert debian.state() == start
    (debian.root / "boot/vmlinuz-6.1-generic").write_text("back again")
    assert "linux-image-6.1-rt" in debian.run(state="absent").result["removed"]


def test_the_running_kernel_goes_when_another_one_can_boot(debian: Debian) -> None:
    start = debian.state()
    release = os.uname().release
    running = debian.build(
        f"linux-image-{release}",
        files={f"boot/vmlinuz-{release}": "running"},
        # What Debian's linux-base does: it asks, unless nobody can answer.
        scripts={"prerm": 'test "$DEBIAN_FRONTEND" = noninteractive'},
    )
    debian.run(files=files(running))
    assert debian.run(check=True, state="absent").result["running_kernel_removed"] is True
    assert debian.run(state="absent").result["running_kernel_removed"] is True
    assert debian.state() == start
    debian.run(names=["linux-image-rt"])
    assert debian.run(state="absent").result["running_kernel_removed"] is False


def test_the_running_kernel_stays_when_another_one_is_wanted_until_that_runs(debian: Debian) -> None:
    release = os.uname().release
    debian.publish("linux-image-mine", Depends=f"linux-image-{release}")
    debian.publish(f"linux-image-{release}", files={f"boot/vmlinuz-{release}": "running"})
    debian.apt("update")
    debian.run(names=["linux-image-mine"])
    change = debian.run(names=["linux-image-rt"])
    assert change.result["removed"] == []
    assert "its kernel runs" in change.result["kept"]["linux-image-mine"]
    assert not debian.run(names=["linux-image-rt"]).changed
    # Another kernel runs: what dpkg knows of this one's package is that of a kernel that does not.
    contents = debian.root / f"var/lib/dpkg/info/linux-image-{release}.list"
    contents.write_text(contents.read_text().replace(f"vmlinuz-{release}", "vmlinuz-0-other"))
    (debian.root / f"boot/vmlinuz-{release}").rename(debian.root / "boot/vmlinuz-0-other")
    after = debian.run(names=["linux-image-rt"])
    assert sorted(after.result["removed"]) == [f"linux-image-{release}", "linux-image-mine"]
    assert not debian.run(names=["linux-image-rt"]).changed


# -- where they lie

NEW = "7.3-rt-amd64"


def publish_new(debian: Debian) -> None:
    """As Debian packages kernels from 7.2 on: the image in a package of its own, /boot filled by a script."""
    module = f"usr/lib/modules/{NEW}/vmlinuz"
    debian.publish("linux-image-rt-amd64", "7.3", Depends=f"linux-image-{NEW}", Recommends="linux-image-6.1-rt")
    debian.publish(
        f"linux-image-{NEW}",
        "7.3",
        Depends=f"linux-binary-{NEW}",
        scripts={
            "postinst": f'cp "$DPKG_ROOT/{module}" "$DPKG_ROOT/boot/vmlinuz-{NEW}"',
            "postrm": f'rm -f "$DPKG_ROOT/boot/vmlinuz-{NEW}"',
        },
    )
    debian.publish(f"linux-binary-{NEW}", "7.3", files={module: "new kernel"})
    debian.publish("linux-headers-rt", "7.3", Depends=f"linux-image-{NEW}")
    debian.apt("update")


@pytest.fixture
def new(here: Debian) -> Debian:
    """A host with such a kernel, and with others."""
    publish_new(here)
    here.publish("linux-image-99-other", files={"boot/vmlinuz-99-other": "the newest of all"})
    here.apt("update")
    here.apt("install", "linux-image-rt", "linux-image-99-other", "linux-image-rt-amd64", "linux-headers-rt")
    return here


OLD = {"6.1-rt": "/boot/vmlinuz-6.1-rt"}
MODULE = {NEW: f"/usr/lib/modules/{NEW}/vmlinuz"}


@pytest.mark.parametrize("more", ["", "=1.0", ":amd64", ":amd64=1.0", "/trixie"])
def test_a_metapackage_stands_for_the_kernels_it_depends_on_and_no_others(new: Debian, more: str) -> None:
    apt = Apt()
    assert apt.kernels([f"linux-image-rt{more}"], depends=True) == OLD
    assert apt.kernels([f"linux-image-rt{more}"]) == {}
    assert apt.kernels([f"linux-image-6.1-rt{more}"]) == OLD
    assert apt.kernels([f"linux-image-rt-amd64{more}"], depends=True) == MODULE
    assert apt.kernels([f"linux-image-rt{more}", "linux-image-rt-amd64"], depends=True) == {**OLD, **MODULE}


def test_a_kernel_in_a_package_of_its_own_is_that_of_the_package_that_brings_it_into_boot(new: Debian) -> None:
    apt = Apt()
    assert apt.kernels([f"linux-image-{NEW}"]) == MODULE
    assert apt.kernels([f"linux-binary-{NEW}"]) == MODULE
    assert apt.kernels(["linux-headers-rt"]) == {}


def test_what_is_not_installed_brought_nothing(new: Debian) -> None:
    assert Apt().kernels(["no-such-package", "player"], depends=True) == {}
    assert Apt().kernels([], depends=True) == {}
    # What is left of a removed package, too.
    new.publish("linux-image-5-rc", files={"boot/vmlinuz-5": "k", "etc/five": "x"}, conffiles="/etc/five")
    new.apt("update")
    new.apt("install", "linux-image-5-rc")
    assert Apt().kernels(["linux-image-5-rc"]) == {"5": "/boot/vmlinuz-5"}
    new.apt("remove", "linux-image-5-rc")
    assert Apt().kernels(["linux-image-5-rc"]) == {}


def test_the_last_kernel_stays_where_boot_is_filled_by_a_script(debian: Debian) -> None:
    publish_new(debian)
    (debian.root / "boot/vmlinuz-6.1-generic").unlink()
    debian.run(names=["linux-image-rt-amd64"])
    start = debian.state()
    for check in (True, False):
        refused = debian.run(check=check, state="absent")
        assert f"/usr/lib/modules/{NEW}/vmlinuz is the only kernel on this machine" in refused.message
        assert debian.state() == start
    (debian.root / "boot/vmlinuz-6.1-generic").write_text("back again")
    assert f"linux-binary-{NEW}" in debian.run(state="absent").result["removed"]
    assert not (debian.root / f"boot/vmlinuz-{NEW}").exists()


def publish_arch_like(debian: Debian, name: str, release: str) -> None:
    """As Arch packages kernels: /boot has a copy under the name of the package."""
    module = f"usr/lib/modules/{release}/vmlinuz"
    scripts = {
        "postinst": f'cp "$DPKG_ROOT/{module}" "$DPKG_ROOT/boot/vmlinuz-{name}"',
        "postrm": f'rm -f "$DPKG_ROOT/boot/vmlinuz-{name}"',
    }
    debian.publish(name, release, files={module: f"kernel {release}"}, scripts=scripts)
    debian.apt("update")


def test_the_last_kernel_stays_where_boot_has_copies_by_other_names(debian: Debian) -> None:
    (debian.root / "boot/vmlinuz-6.1-generic").unlink()
    publish_arch_like(debian, "linux", "6.9-arch1")
    publish_arch_like(debian, "linux-lts", "6.6-lts")
    debian.run(names=["linux"])
    refused = debian.run(state="absent")
    assert "/usr/lib/modules/6.9-arch1/vmlinuz is the only kernel on this machine" in refused.message
    debian.apt("install", "linux-lts")
    assert debian.run(state="absent").result["removed"] == ["linux"]


def test_the_last_kernel_stays_where_boot_is_another_loaders_business(debian: Debian) -> None:
    """The loader keeps its images elsewhere, as kernel-install and unified images do: the modules' folders count."""
    (debian.root / "boot/vmlinuz-6.1-generic").unlink()
    for release in ("6.9", "6.6"):
        debian.publish(f"image-{release}", files={f"usr/lib/modules/{release}/vmlinuz": release})
    debian.apt("update")
    debian.run(names=["image-6.9"])
    assert "6.9/vmlinuz is the only kernel on this machine" in debian.run(state="absent").message
    debian.apt("install", "image-6.6")
    assert debian.run(state="absent").result["removed"] == ["image-6.9"]
