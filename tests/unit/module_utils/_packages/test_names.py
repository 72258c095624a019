# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a name may ask for: an architecture, a version, a release with all that it needs."""

from __future__ import annotations

from typing import List

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.debian import Debian

from ansible_collections.nspa.proaudio.plugins.module_utils._packages import packages
from ansible_collections.nspa.proaudio.plugins.module_utils._packages.apt import Apt
from ansible_collections.nspa.proaudio.plugins.module_utils._packages.model import Asked, PackageError


@pytest.fixture
def backports(debian: Debian) -> Debian:
    """A newer kernel in backports needs a newer linux-base from there; there is a newer library that nobody needs."""
    debian.apt("install", "linux-base")
    debian.publish("linux-base", "4.17", suite="trixie-backports")
    debian.publish("linux-image-rt", "7.3", suite="trixie-backports", Depends="linux-image-7.3-rt (= 7.3)")
    fields = {"Pre-Depends": "linux-base (>= 4.17~)", "Depends": "library"}
    debian.publish("linux-image-7.3-rt", "7.3", suite="trixie-backports", **fields)
    debian.publish("library", "2.0", suite="trixie-backports")
    debian.apt("update")
    return debian


@pytest.mark.parametrize("name", ["linux-image-rt/trixie-backports", "linux-image-rt=7.3", "linux-image-rt:amd64=7.3"])
def test_a_package_of_backports_comes_with_what_it_needs_from_there_and_nothing_else(
    backports: Debian, name: str
) -> None:
    start = backports.state()
    predicted = backports.run(check=True, names=[name])
    done = backports.run(names=[name])
    assert done.code == 0, done.result
    assert done.result == predicted.result
    assert done.result["names"] == ["linux-image-rt"]
    assert done.result["installed"] == {"linux-image-rt": "7.3", "linux-image-7.3-rt": "7.3"}
    assert done.result["upgraded"] == {"linux-base": "4.17"}
    assert backports.stands(names=[name])
    assert not [line for line in backports.called() if line.startswith(("apt-get", "apt-cache"))]
    done = backports.run(state="absent")
    assert done.result["kept"] == {"linux-base": "it was there before, in version 1.0"}
    assert backports.installed() == {**start["packages"], "linux-base": "4.17 ii"}
    assert not backports.host.manifest.parent.exists()


def test_without_a_release_nothing_comes_from_backports(backports: Debian) -> None:
    assert backports.run(names=["linux-image-rt"]).result["installed"]["linux-image-rt"] == "1.0"
    # Now it is asked for: what is installed is too old, and what ours brought goes with it.
    predicted = backports.run(check=True, names=["linux-image-rt/trixie-backports"])
    done = backports.run(names=["linux-image-rt/trixie-backports"])
    assert done.result == predicted.result
    assert done.result["upgraded"] == {"linux-image-rt": "7.3", "linux-base": "4.17"}
    assert backports.stands(names=["linux-image-rt/trixie-backports"])


def test_what_somebody_has_from_a_release_already_is_as_good_and_so_is_a_later_version(backports: Debian) -> None:
    backports.apt("install", "library/trixie-backports")
    backports.mark("manual", "library")
    assert backports.stands(names=["library/trixie-backports"])
    assert backports.run(names=["tool", "library/trixie-backports"]).code == 0
    backports.publish("library", "3.0")
    backports.apt("update")
    backports.apt("install", "library=3.0")
    assert backports.stands(names=["library/trixie-backports"])
    assert backports.installed()["library"] == "3.0 ii"


def test_a_release_that_has_moved_on_changes_nothing_that_came_from_it(backports: Debian) -> None:
    backports.run(names=["linux-image-rt/trixie-backports"])
    backports.publish("linux-image-rt", "7.4", suite="trixie-backports", Depends="linux-image-7.3-rt")
    backports.apt("update")
    assert backports.stands(names=["linux-image-rt/trixie-backports"])


@pytest.mark.parametrize("name", ["kmod/trixie-backports", "kmod/no-such-release", "kmod=9.9"])
def test_what_no_release_has_is_named(backports: Debian, name: str) -> None:
    start = backports.state()
    assert f"do not know {name}" in str(backports.run(check=True, names=[name]).result["warnings"])
    refused = backports.run(names=[name])
    assert f"No package archive of this machine has {name}. Nothing was changed." in refused.message
    assert backports.state() == start


# -- names


WRONG = [
    *("Tool", "tool-", "", "../tool", "tool bar", "-y", "--reinstall", "tool*", "tool\n", "tool\0", "tool=-o", "tool/"),
    *(
        "tool/-t",
        "tool/../x",
        "tool=1 -y",
        "tool=",
        "tool=1/x",
        "tool:",
        "tool:-a",
        "too\u0142",
    ),
]


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_package_name_never_gets_any_further(debian: Debian, name: str) -> None:
    start = debian.everything()
    for check in (True, False):
        refused = debian.run(check=check, names=["kmod", name])
        assert f"{name!r} is not the name of a package. Wanted: name, name:architecture" in refused.message
        assert not [line for line in debian.called() if line != "dpkg --print-architecture"]
    assert debian.everything() == start
    assert not debian.host.manifest.exists()


@given(st.text(max_size=12))
def test_a_text_is_a_name_or_refused_and_a_name_never_looks_like_an_option(text: str) -> None:
    apt = Apt()
    apt.__dict__["_architecture"] = "amd64"
    try:
        asked = apt.read(text)
    except PackageError:
        return
    assert str(asked) == text.replace(":amd64", "").replace(":all", "")
    assert not {asked.name[0], asked.version[:1], asked.release[:1]} & {"-", ".", "/"}
    assert not set(text) & set("\0\n \t*?[")


def test_names_stand_where_no_option_can_stand(debian: Debian) -> None:
    debian.run(names=["kmod"])
    called: List[str] = debian.called()
    debian.run(state="absent")
    for line in [*called, *debian.called()]:
        command, words = line.split()[0], line.split()
        if command in ("apt-get", "apt-mark", "apt-cache") and "kmod" in line:
            assert words.index("--") < min(place for place, word in enumerate(words) if word.startswith("kmod")), line


def test_a_name_is_read_as_the_package_manager_calls_it(here: Debian) -> None:
    apt = Apt()
    assert apt.read("g++") == Asked("g++")
    assert apt.read("tool:amd64=1:2.0~b+c-1") == Asked("tool", "1:2.0~b+c-1")
    assert apt.read("tool:i386") == Asked("tool:i386")
    assert apt.read("tool:all/trixie-backports") == Asked("tool", "", "trixie-backports")
    assert packages.missing(["tool:amd64", "tool=1.0", "tool=2.0", "kmod", "tool/nowhere"]) == [
        *("tool=2.0", "kmod", "tool/nowhere")
    ]
