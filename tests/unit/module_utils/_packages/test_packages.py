# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages come, and exactly what came with them goes; with the real apt and dpkg."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from support.debian import Debian, files, sha256

from ansible_collections.nspa.proaudio.plugins.module_utils._packages import apt, packages
from ansible_collections.nspa.proaudio.plugins.module_utils._packages.model import Package

KERNEL = {"linux-image-rt": "1.0", "linux-image-6.1-rt": "1.0", "linux-base": "1.0", "kmod": "3.0"}


# -- there and back


def test_what_comes_is_predicted_and_what_came_goes(debian: Debian) -> None:
    start, all_files = debian.state(), debian.everything()
    predicted = debian.run(check=True, names=["linux-image-rt"])
    assert debian.everything() == all_files
    assert not debian.host.manifest.exists()
    done = debian.run(names=["linux-image-rt"])
    assert done.result == predicted.result
    assert done.result["installed"] == KERNEL
    assert debian.automatic() - start["automatic"] == set(KERNEL) - {"linux-image-rt"}
    assert debian.stands(names=["linux-image-rt"])

    middle = debian.everything()
    predicted = debian.run(check=True, state="absent")
    assert debian.everything() == middle
    done = debian.run(state="absent")
    assert done.result == predicted.result
    assert done.result["removed"] == sorted(KERNEL)
    assert done.result["before"] == KERNEL
    assert debian.state() == start
    assert not debian.host.manifest.parent.exists()
    assert debian.stands(state="absent")


def test_what_is_there_in_part_is_predicted_as_it_comes(debian: Debian) -> None:
    """As libwine without wine64: the rest comes, and what was there stays."""
    debian.apt("install", "kmod", "linux-base")
    start = debian.state()
    predicted = debian.run(check=True, names=["linux-image-rt", "library"], install_recommends=True)
    done = debian.run(names=["linux-image-rt", "library"], install_recommends=True)
    assert done.result == predicted.result
    assert set(done.result["installed"]) == {"linux-image-rt", "linux-image-6.1-rt", "firmware"}
    debian.run(state="absent")
    assert debian.state() == start


def test_a_second_run_asks_dpkg_only_and_a_second_absent_asks_nobody(debian: Debian) -> None:
    debian.run(names=["linux-image-rt"])
    debian.sources.write_text("deb http://127.0.0.1:9/ gone main\n")
    assert debian.stands(names=["linux-image-rt"])
    assert {line.split()[0] for line in debian.called()} == {"dpkg", "dpkg-query", "apt-config"}
    debian.run(state="absent")
    assert debian.stands(state="absent")
    assert debian.called() == []


def test_recommended_packages_come_only_when_asked_for(debian: Debian) -> None:
    start = debian.state()
    debian.run(names=["linux-image-rt"], install_recommends=True)
    assert "firmware" in debian.installed()
    debian.run(state="absent")
    assert debian.state() == start


def test_a_dependency_that_is_asked_for_is_not_autoremoved_and_becomes_one_again(debian: Debian) -> None:
    start = debian.state()
    assert "library" in start["automatic"]
    done = debian.run(names=["library"])
    assert (done.changed, done.result["installed"]) == (True, {})
    assert "library" not in debian.automatic()
    assert debian.stands(names=["library"])
    debian.run(state="absent")
    assert debian.state() == start


def test_what_came_is_safe_from_autoremove(debian: Debian) -> None:
    debian.run(names=["linux-image-rt"])
    debian.apt("autoremove", "--purge")
    assert set(KERNEL) <= set(debian.installed())


def test_settings_go_with_their_package(debian: Debian) -> None:
    debian.publish("daemon", files={"etc/daemon.conf": "default"}, conffiles="/etc/daemon.conf")
    start = debian.state()
    debian.run(names=["daemon"])
    (debian.root / "etc/daemon.conf").write_text("edited")
    debian.run(state="absent")
    assert debian.state() == start


def test_settings_that_somebody_changed_survive_a_newer_package(debian: Debian) -> None:
    versions = [
        debian.build("daemon", version, files={"etc/daemon.conf": version}, conffiles="/etc/daemon.conf")
        for version in ("1.0", "2.0")
    ]
    debian.run(files=files(versions[0]))
    (debian.root / "etc/daemon.conf").write_text("edited")
    assert debian.run(files=files(versions[1])).result["upgraded"] == {"daemon": "2.0"}
    assert (debian.root / "etc/daemon.conf").read_text() == "edited"


def test_packages_that_nobody_needs_are_left_to_their_owner(debian: Debian) -> None:
    debian.mark("auto", "tool")
    (debian.root / "etc/apt/apt.conf.d/99-tidy").write_text('APT::Get::AutomaticRemove "true";\n')
    start = debian.state()
    debian.run(names=["kmod"])
    assert set(debian.installed()) == {"tool", "library", "kmod"}
    debian.run(state="absent")
    assert debian.state() == start


def test_settings_that_were_left_of_a_package_stay(debian: Debian) -> None:
    debian.publish("daemon", files={"etc/daemon.conf": "default"}, conffiles="/etc/daemon.conf")
    debian.apt("update")
    debian.apt("install", "daemon")
    (debian.root / "etc/daemon.conf").write_text("edited")
    debian.apt("remove", "daemon")
    start = debian.state()
    assert start["packages"]["daemon"] == "1.0 rc"
    debian.run(names=["daemon"])
    assert debian.installed()["daemon"] == "1.0 ii"
    debian.run(state="absent")
    assert debian.state() == start


# -- who else is there


def test_what_others_need_by_now_stays(debian: Debian) -> None:
    debian.run(names=["linux-image-rt"])
    debian.apt("install", "player")
    done = debian.run(state="absent")
    assert done.result["kept"] == {"kmod": "other packages need it"}
    assert set(debian.installed()) == {"tool", "library", "player", "kmod"}
    assert not debian.host.manifest.parent.exists()


def test_what_somebody_asked_for_by_name_stays(debian: Debian) -> None:
    debian.run(names=["linux-image-rt"])
    debian.mark("manual", "kmod")
    done = debian.run(state="absent")
    assert done.result["kept"] == {"kmod": "somebody asked for it by name since"}
    assert set(debian.installed()) == {"tool", "library", "kmod"}


def test_a_dependency_that_was_there_before_stays_also_when_nobody_needs_it(debian: Debian) -> None:
    debian.apt("install", "kmod")
    debian.mark("auto", "kmod")
    start = debian.state()
    debian.run(names=["player"])
    debian.run(state="absent")
    assert debian.state() == start


def test_what_somebody_removed_is_no_obstacle(debian: Debian) -> None:
    start = debian.state()
    debian.run(names=["linux-image-rt"])
    debian.apt("purge", "linux-image-rt")
    assert debian.run(check=True, names=["linux-image-rt"]).changed
    debian.run(state="absent")
    assert debian.state() == start


def test_a_later_kernel_of_our_metapackage_goes_too(debian: Debian) -> None:
    start = debian.state()
    debian.run(names=["linux-image-rt"])
    debian.publish("linux-image-6.2-rt", files={"boot/vmlinuz-6.2-rt": "kernel"}, Depends="signing-key")
    debian.publish("signing-key")
    debian.publish("linux-image-rt", "2.0", Depends="linux-image-6.2-rt")
    debian.apt("update")
    debian.apt("dist-upgrade")
    assert "linux-image-6.2-rt" in debian.installed()
    assert debian.stands(names=["linux-image-rt"])
    debian.run(state="absent")
    assert debian.state() == start


def test_what_was_upgraded_stays_and_is_named(debian: Debian) -> None:
    debian.publish("library", "2.0")
    debian.publish("plug-in", Depends="library (>= 2.0)")
    done = debian.run(names=["plug-in"])
    assert (done.result["installed"], done.result["upgraded"]) == ({"plug-in": "1.0"}, {"library": "2.0"})
    assert done.result["before"] == {"library": "1.0"}
    done = debian.run(state="absent")
    assert done.result["kept"] == {"library": "it was there before, in version 1.0"}
    assert debian.installed() == {"library": "2.0 ii", "tool": "1.0 ii"}
    assert not debian.host.manifest.parent.exists()


def test_two_roles_that_want_the_same_package(debian: Debian) -> None:
    start = debian.state()
    debian.run(role="a", names=["kmod"])
    done = debian.run(role="b", names=["kmod"])
    assert (done.changed, done.result["installed"]) == (True, {})
    assert debian.stands(role="b", names=["kmod"])
    debian.run(role="a", state="absent")
    assert "kmod" in debian.installed()
    assert debian.stands(role="b", names=["kmod"])
    debian.run(role="b", state="absent")
    assert debian.state() == start
    assert not debian.host.manifest.parent.exists()


def test_a_package_of_one_role_that_another_depends_on(debian: Debian) -> None:
    start = debian.state()
    debian.run(role="a", names=["kmod"])
    debian.run(role="b", names=["player"])
    done = debian.run(role="a", state="absent")
    assert done.result["removed"] == []
    debian.run(role="b", state="absent")
    assert debian.state() == start
    assert not debian.host.manifest.parent.exists()


def test_a_dependency_of_ours_that_we_ask_for_later_is_still_ours(debian: Debian) -> None:
    start = debian.state()
    debian.run(names=["player"])
    debian.run(names=["player", "kmod"])
    assert debian.stands(names=["player", "kmod"])
    debian.run(state="absent")
    assert debian.state() == start


@pytest.mark.parametrize("first", ["a", "b"])
def test_a_dependency_of_one_role_that_another_asks_for(debian: Debian, first: str) -> None:
    start = debian.state()
    debian.run(role="a", names=["player"])
    debian.run(role="b", names=["kmod"])
    assert debian.stands(role="a", names=["player"])
    assert debian.stands(role="b", names=["kmod"])
    debian.run(role=first, state="absent")
    assert "kmod" in debian.installed()
    debian.run(role="ab".replace(first, ""), state="absent")
    assert debian.state() == start
    assert not debian.host.manifest.parent.exists()


def test_a_version_that_is_asked_for_is_installed_also_over_a_later_one(debian: Debian) -> None:
    debian.publish("library", "2.0")
    done = debian.run(names=["library=2.0"])
    assert done.result["upgraded"] == {"library": "2.0"}
    assert debian.stands(names=["library=2.0", "tool:amd64", "library:amd64=2.0"])
    assert debian.run(names=["library=1.0"]).result["upgraded"] == {"library": "1.0"}
    assert "tool" in debian.installed()


def test_a_name_that_leaves_the_list_goes_with_what_came_with_it(debian: Debian) -> None:
    start = debian.state()
    debian.publish("stable", Depends="shared, only-stable", Conflicts="staging")
    debian.publish("staging", Depends="shared")
    for name in ("shared", "only-stable"):
        debian.publish(name)
    debian.run(names=["stable", "kmod"])
    predicted = debian.run(check=True, names=["staging", "kmod"])
    done = debian.run(names=["staging", "kmod"])
    assert done.code == 0, done.message
    assert predicted.result == done.result
    assert done.result["removed"] == ["only-stable", "stable"]
    assert set(debian.installed()) == {"library", "tool", "staging", "shared", "kmod"}
    debian.run(state="absent")
    assert debian.state() == start


# -- files


def test_files_are_installed_together_and_told_apart_by_their_builds(debian: Debian) -> None:
    start = debian.state()
    image = debian.build("linux-image-nspa", files={"boot/vmlinuz-nspa": "one"}, Depends="linux-headers-nspa")
    headers = debian.build("linux-headers-nspa", Depends="kmod")
    predicted = debian.run(check=True, files=files(image, headers))
    done = debian.run(files=files(image, headers))
    assert predicted.result == done.result
    assert done.result["names"] == ["linux-image-nspa", "linux-headers-nspa"]
    assert done.result["installed"] == {"linux-image-nspa": "1.0", "linux-headers-nspa": "1.0", "kmod": "3.0"}
    assert not {"linux-image-nspa", "linux-headers-nspa"} & debian.automatic()
    assert debian.stands(files=files(image, headers))

    other = debian.build("linux-image-nspa", files={"boot/vmlinuz-nspa": "two"}, Depends="linux-headers-nspa")
    assert debian.run(files=files(other, headers)).changed
    assert (debian.root / "boot/vmlinuz-nspa").read_text() == "two"
    assert debian.stands(files=files(other, headers))

    older = debian.build("linux-image-nspa", "0.9", files={"boot/vmlinuz-nspa": "old"})
    done = debian.run(files=files(older, headers))
    assert done.result["upgraded"] == {"linux-image-nspa": "0.9"}
    assert (debian.root / "boot/vmlinuz-nspa").read_text() == "old"

    # The file need not be there any more, once it is installed.
    wanted = files(older, headers)
    older.unlink()
    assert debian.stands(files=wanted)
    debian.run(state="absent")
    assert debian.state() == start


def test_an_address_is_fetched_once_and_checked(debian: Debian, server: str) -> None:
    start = debian.state()
    built = debian.build("fetched-once")
    wanted = [{"src": f"{server}/{built.name}", "sha256": sha256(built).upper()}]
    assert debian.run(check=True, files=wanted).result["installed"] == {"fetched-once": "1.0"}
    assert debian.state() == start
    assert debian.run(files=wanted).result["installed"] == {"fetched-once": "1.0"}
    debian.requests.clear()  # type: ignore[attr-defined]
    assert debian.stands(files=wanted)
    assert debian.requests == []  # type: ignore[attr-defined]
    assert not list(Path("/var/tmp").glob("nspa-proaudio-*"))


def test_a_changed_file_behind_an_address_is_refused(debian: Debian, server: str) -> None:
    start = debian.everything()
    built = debian.build("kernel")
    wanted = [{"src": f"{server}/{built.name}", "sha256": "0" * 64}]
    refused = debian.run(files=wanted)
    assert f"{server}/{built.name} has the SHA-256 {sha256(built)}, and {'0' * 64} is wanted." in refused.message
    assert debian.everything() == start


def test_an_address_without_a_file_is_named(debian: Debian, server: str) -> None:
    refused = debian.run(files=[{"src": f"{server.replace('://', '://me:secret@')}/no.deb", "sha256": "0" * 64}])
    assert f"{server}/no.deb cannot be fetched: " in refused.message
    assert "404" in refused.message
    assert "secret" not in json.dumps(refused.result["msg"])


# -- bad input; each stops before anything is changed


def nothing_happens(debian: Debian, check: bool = False, **arguments: Any) -> str:
    """The message; every file of the host is as before."""
    start = debian.everything()
    refused = debian.run(check=check, **arguments)
    assert refused.code != 0
    assert debian.everything() == start
    assert not debian.host.manifest.exists()
    return refused.message


@pytest.mark.parametrize("check", [True, False])
def test_bad_files_are_named(debian: Debian, check: bool) -> None:
    good = debian.build("good")
    page = debian.folder / "page.deb"
    page.write_text("<html>not found</html>")
    foreign = debian.build("foreign", Architecture="riscv64")
    other = debian.build("good", "2.0")
    cases = [
        ([*files(good), {"src": str(good), "sha256": "abc"}], "sha256 is 'abc', and 64 hexadecimal digits are wanted"),
        ([*files(good), {"src": str(page), "sha256": "1" * 64}], f"{page} has the SHA-256 {sha256(page)}, and 1111"),
        ([*files(good), {"src": "/no/such.deb", "sha256": "1" * 64}], "/no/such.deb cannot be read: No such file"),
        ([*files(good), {"src": "good.deb", "sha256": "1" * 64}], "'good.deb' is neither an absolute path"),
        ([*files(good), {"src": "ftp://x/y.deb", "sha256": "1" * 64}], "'ftp://x/y.deb' is neither"),
        (
            files(good, page),
            f"{page} cannot be installed: it is not a Debian package, although its checksum is the one given",
        ),
        (files(good, foreign), "is for the architecture riscv64; this machine takes amd64, all"),
        (files(good, other), "another file in the list is also the package good"),
        ([*files(good), {"src": str(good)}], "sha256"),
    ]
    for wanted, words in cases:
        assert words in nothing_happens(debian, check=check, files=wanted)


@pytest.mark.parametrize("name", ["Tool", "tool-", "", "../tool", "tool bar", "-y", "tool*"])
def test_what_is_no_package_name_is_refused(debian: Debian, name: str) -> None:
    for check in (True, False):
        assert f"'{name}' is not the name of a package" in nothing_happens(debian, check=check, names=["kmod", name])


def test_an_unknown_name_is_a_warning_first_and_then_an_error(debian: Debian) -> None:
    start = debian.state()
    predicted = debian.run(check=True, names=["kmod", "lnux-image-rt"])
    assert predicted.result["installed"] == {"kmod": "3.0", "lnux-image-rt": ""}
    assert "do not know lnux-image-rt" in str(predicted.result["warnings"])
    refused = debian.run(names=["kmod", "lnux-image-rt"])
    assert (
        "No package archive of this machine has lnux-image-rt. Nothing was changed. Check the spelling"
        in refused.message
    )
    assert debian.state() == start
    assert not debian.host.manifest.exists()


def test_without_a_network_the_archive_is_named(debian: Debian) -> None:
    debian.sources.write_text("deb [trusted=yes] http://127.0.0.1:9/debian trixie main\n")
    start = debian.state()
    refused = debian.run(names=["kmod"])
    assert (
        "No package archive of this machine has kmod. Nothing was changed. An archive cannot be reached."
        in refused.message
    )
    assert "127.0.0.1:9" in refused.message
    assert debian.state() == start


def test_without_a_network_what_a_file_needs_is_named_with_the_archive(debian: Debian) -> None:
    kernel = debian.build("kernel", Depends="somewhere-else")
    debian.sources.write_text("deb [trusted=yes] http://127.0.0.1:9/debian trixie main\n")
    message = nothing_happens_but_caches(debian, check=False, files=files(kernel), lists_max_age=0)
    assert "somewhere-else" in message
    assert "An archive cannot be reached" in message


def test_no_package_file_stays_in_the_cache(debian: Debian, server: str) -> None:
    for path in debian.repository.iterdir():
        shutil.copy(path, debian.folder / "built" / path.name)
    debian.sources.write_text(f"deb [trusted=yes] {server} ./\n")
    debian.run(names=["kmod"], lists_max_age=0)
    assert any(path.endswith("kmod_3.0_all.deb") for path in debian.requests)  # type: ignore[attr-defined]
    assert not list((debian.root / "var/cache/apt/archives").glob("kmod*.deb"))


def test_lists_are_fetched_when_old_or_when_they_do_not_know(debian: Debian) -> None:
    def updates() -> int:
        return sum(" update" in line for line in debian.called())

    debian.run(names=["kmod"])
    assert updates() == 0
    debian.publish("newcomer")
    debian.run(names=["kmod", "newcomer"])
    assert updates() == 1
    debian.run(names=["kmod", "newcomer", "firmware"], lists_max_age=0)
    assert updates() == 1
    lists = debian.root / "var/lib/apt/lists"
    os.utime(lists, (time.time() - 7200,) * 2)
    debian.run(names=["kmod", "newcomer", "firmware", "linux-base"], lists_max_age=3600)
    assert updates() == 1
    assert time.time() - lists.stat().st_mtime < 60
    debian.run(names=["kmod", "newcomer", "firmware", "linux-base", "player"], lists_max_age=3600)
    assert updates() == 0


def test_an_archive_that_is_gone_does_not_matter_if_the_others_have_it(debian: Debian) -> None:
    with debian.sources.open("a") as sources:
        sources.write("deb [trusted=yes] http://127.0.0.1:9/debian trixie main\n")
    assert debian.run(names=["kmod"], lists_max_age=0).result["installed"] == {"kmod": "3.0"}


def test_a_transaction_that_would_take_something_away_is_refused(debian: Debian) -> None:
    debian.publish("rival", Conflicts="library")
    debian.apt("update")
    for check in (True, False):
        message = nothing_happens_but_caches(debian, check, names=["rival"])
        assert "rival: the package manager would have to remove library, tool, which this collection" in message


def nothing_happens_but_caches(debian: Debian, check: bool, **arguments: Any) -> str:
    """As nothing_happens, where apt itself may look at its lists first."""
    start = debian.state()
    refused = debian.run(check=check, **arguments)
    assert refused.code != 0
    assert debian.state() == start
    assert not debian.host.manifest.exists()
    return refused.message


def test_what_does_not_fit_is_explained(debian: Debian) -> None:
    debian.publish("demanding", Depends="library (>= 9)")
    debian.apt("update")
    for check in (True, False):
        message = nothing_happens_but_caches(debian, check, names=["demanding"])
        assert "do not fit what is installed or held on this machine" in message
    debian.mark("hold", "library")
    debian.publish("library", "9")
    debian.apt("update")
    assert "held" in nothing_happens_but_caches(debian, False, names=["demanding"])


@pytest.mark.parametrize("path", ["var/lib/dpkg/lock-frontend", "var/lib/apt/lists/lock"])
def test_a_lock_is_waited_for(debian: Debian, path: str) -> None:
    import fcntl

    with (debian.root / path).open("w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        threading.Timer(2, lambda: fcntl.lockf(lock, fcntl.LOCK_UN)).start()
        begin = time.monotonic()
        assert debian.run(names=["kmod"], lists_max_age=0).changed
        assert time.monotonic() - begin > 1.5


# -- for preflight


def test_what_is_missing(here: Debian) -> None:
    assert packages.missing(["tool", "kmod", "library=1.0", "library=2.0"]) == ["kmod", "library=2.0"]


def test_archives_that_do_not_answer(here: Debian, server: str) -> None:
    (here.folder / "built/dists/trixie").mkdir(parents=True)
    (here.folder / "built/dists/trixie/Release").write_text("Suite: trixie\n")
    with here.sources.open("a") as sources:
        sources.write(f"deb {server} trixie main\n")
        sources.write(f"deb {server} sid main contrib\n")
        sources.write("deb http://me:secret@127.0.0.1:9/debian trixie main\n")
    start = here.everything()
    found = dict(packages.unreachable(["nothing-has-it"], timeout=5))
    assert here.everything() == start
    assert set(found) == {"http://127.0.0.1:9/debian/dists/trixie/", f"{server}/dists/sid/"}
    assert "Could not connect" in found["http://127.0.0.1:9/debian/dists/trixie/"]
    assert "404" in found[f"{server}/dists/sid/"]
    assert "secret" not in str(found)


def test_a_server_that_does_not_answer_is_given_up(here: Debian) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        here.sources.write_text(f"deb http://127.0.0.1:{silent.getsockname()[1]}/ sid main\n")
        begin = time.monotonic()
        found = packages.unreachable(["kmod"], timeout=1)
        assert time.monotonic() - begin < 10
    assert len(found) == 1


# -- what apt says


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        (
            "E: dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem.",
            "'dpkg --conf",
        ),
        ("E: You don't have enough free space in /var/cache/apt/archives/.", "The disk is full"),
        ("dpkg-deb: error: failed to write: No space left on device\nE: Sub-process returned", "The disk is full"),
        ("E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 42 (apt)", "Another program"),
        ("Err:1 http://deb.debian.org sid\n  Temporary failure resolving 'deb.debian.org'", "cannot be reached"),
        ("E: The repository 'http://x sid InRelease' is not signed.", "not signed with a key"),
        ("E: Unable to locate package wine65", "No archive of this machine has it"),
        ("E: Something else", "The package manager failed. It said: Something else"),
    ],
)
def test_what_apt_says_comes_with_what_to_do(said: str, remedy: str) -> None:
    assert remedy in apt.explain(said)


def test_an_installed_package_is_read_with_all_its_relations(here: Debian) -> None:
    fields = {
        "Pre-Depends": "kmod",
        "Depends": "library (>= 1) | a, helper:any",
        "Recommends": "firmware",
        "Provides": "x (= 1), y",
    }
    here.publish("helper", Architecture="amd64", **{"Multi-Arch": "allowed"})
    here.publish("complex", **fields)
    here.apt("update")
    here.apt("install", "--no-install-recommends", "complex")
    assert apt.Apt().installed()["complex"] == Package(
        name="complex",
        version="1.0",
        configured=True,
        remains=False,
        depends=[["kmod"], ["library", "a"], ["helper"]],
        recommends=[["firmware"]],
        provides=["x", "y"],
    )
