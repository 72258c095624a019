# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Only the archives that are needed have to answer; and a mere judgement asks none."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any, Dict

import pytest
from support.debian import Debian, files

from ansible_collections.nspa.proaudio.plugins.module_utils._core.change import Purpose
from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import Manifest
from ansible_collections.nspa.proaudio.plugins.module_utils._packages import packages, room

DEAD = "http://127.0.0.1:9/plugins"


@pytest.fixture
def dead(here: Debian) -> Debian:
    """Somebody's archive is gone for good; that of the distribution answers."""
    (here.root / "etc/apt/sources.list.d/plugins.list").write_text(f"deb [trusted=yes] {DEAD} stable main\n")
    return here


def test_an_archive_that_is_not_needed_need_not_answer(dead: Debian) -> None:
    start = dead.everything()
    assert packages.unreachable(["kmod", "linux-image-rt", "tool"]) == []
    assert packages.unreachable([]) == []
    assert dead.everything() == start


def test_so_where_the_package_lists_were_never_fetched(dead: Debian) -> None:
    shutil.rmtree(dead.root / "var/lib/apt/lists")
    (dead.root / "var/lib/apt/lists/partial").mkdir(parents=True)
    start = dead.everything()
    assert packages.unreachable(["linux-image-rt"]) == []
    assert [address for address, _reason in packages.unreachable(["nobody-knows"])] == [f"{DEAD}/dists/stable/"]
    assert dead.everything() == start


def test_what_is_installed_needs_no_archive(dead: Debian) -> None:
    dead.sources.write_text("")
    assert packages.unreachable(["tool", "library=1.0"]) == []
    assert packages.unreachable(["tool", "kmod"]) != []


def by_http(debian: Debian, server: str) -> None:
    """The archive's packages come from a web server from now on."""
    for path in debian.repository.iterdir():
        shutil.copy(path, debian.folder / "built" / path.name)
    debian.sources.write_text(f"deb [trusted=yes] {server} ./\n")
    debian.apt("update")


def test_the_archive_that_has_what_is_needed_has_to_answer(here: Debian, server: str, stop_server: Any) -> None:
    """Also where only a dependency comes from there."""
    here.publish("plug-in", Depends="kmod")
    shutil.copy(here.repository / "plug-in_1.0_all.deb", here.folder / "plug-in_1.0_all.deb")
    by_http(here, server)
    own = here.folder / "own"
    own.mkdir()
    here.repository = own
    (own / "Packages").touch()
    here.publish("effect", Depends="kmod")
    here.publish("sound")
    with here.sources.open("a") as sources:
        sources.write(f"deb [trusted=yes] copy:{own} ./\n")
    here.apt("update")
    assert packages.unreachable(["effect"]) == []
    stop_server()
    assert [address for address, _reason in packages.unreachable(["effect"])] == [f"{server}/./"]
    assert packages.unreachable(["sound"]) == []
    # One of two archives with the same package is enough.
    here.publish("kmod", "3.0")
    here.apt("update", "-o", "Acquire::Retries=0")
    assert packages.unreachable(["effect"]) == []


def test_trouble_with_an_archive_that_nothing_needs_is_a_warning(dead: Debian) -> None:
    done = dead.run(names=["kmod"], lists_max_age=0)
    assert (done.code, done.result["installed"]) == (0, {"kmod": "3.0"})
    assert "Not all package lists could be brought up to date. An archive cannot be reached." in str(
        done.result["warnings"]
    )
    assert "127.0.0.1:9" in str(done.result["warnings"])
    assert "warnings" not in dead.run(names=["kmod"], lists_max_age=0).result


def test_trouble_with_the_archive_that_is_needed_is_an_error_that_names_it(
    here: Debian, server: str, stop_server: Any
) -> None:
    by_http(here, server)
    start = here.state()
    stop_server()
    refused = here.run(names=["kmod"], lists_max_age=0)
    assert refused.code != 0
    assert "An archive cannot be reached." in refused.message
    assert server.replace("http://", "") in refused.message or server.split(":")[1][2:] in refused.message
    assert here.state() == start


# -- judging


def judge(debian: Debian, **wanted: Any) -> bool:
    """Whether something differs, with nothing fetched, simulated or started but what reads dpkg's own records."""
    options: Dict[str, Any] = {"names": [], "files": [], "install_recommends": False, "lists_max_age": 0, **wanted}
    debian.commands.write_text("")
    start = debian.everything()
    change = packages.compare(Manifest.load(str(debian.host.manifest)), "linux_nspa", options, Purpose.JUDGE)
    assert debian.everything() == start
    assert {line.split()[0] for line in debian.called()} <= {"dpkg", "dpkg-query", "apt-config"}
    return change.changed


def test_judging_reads_what_is_there_and_nothing_else(
    dead: Debian, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: Any) -> None:
        raise AssertionError("a package file was looked into")

    monkeypatch.setattr(room, "archive", fail)
    built = dead.build("plug-in")
    fetched = [{"src": f"{server}/{built.name}", "sha256": files(built)[0]["sha256"]}]
    assert judge(dead, files=fetched)
    assert judge(dead, files=files(built), names=["kmod"])
    assert dead.run(files=fetched, names=["kmod"]).code == 0
    dead.requests.clear()  # type: ignore[attr-defined]
    assert not judge(dead, files=fetched, names=["kmod"])
    assert not judge(dead, files=files(built), names=["kmod"])
    assert judge(dead, files=fetched, names=["kmod", "firmware"])
    assert judge(dead, files=fetched)
    assert judge(dead, names=["kmod", "player"])
    assert dead.requests == []  # type: ignore[attr-defined]
    dead.apt("purge", "kmod")
    assert judge(dead, files=fetched, names=["kmod"])


def test_judging_is_quick(dead: Debian) -> None:
    dead.run(names=["kmod"])
    begin = time.monotonic()
    assert not judge(dead, names=["kmod"])
    assert time.monotonic() - begin < 5


def test_a_folder_for_package_files_is_made_only_when_there_are_any(dead: Debian) -> None:
    before = set(Path("/var/tmp").glob(f"{room.PREFIX}*"))
    assert judge(dead, names=["kmod"])
    assert set(Path("/var/tmp").glob(f"{room.PREFIX}*")) == before
