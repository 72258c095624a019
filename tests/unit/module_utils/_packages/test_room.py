# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is checked is what is installed, whoever owns the file."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable, Iterator, List

import pytest
from support.debian import Debian, files, sha256

from ansible_collections.nspa.proaudio.plugins.module_utils._packages import room
from ansible_collections.nspa.proaudio.plugins.module_utils._packages.model import Archive, PackageError

NOBODY = 65534


@pytest.fixture
def shared(debian: Debian) -> Path:
    """An ordinary user's folder with a good package; beside it one that would run as root."""
    folder = debian.folder / "shared"
    folder.mkdir()
    good = debian.build("plug-in")
    shutil.copy(good, folder / "plug-in.deb")
    shutil.copy(good, folder / "good")
    evil = debian.build("plug-in", scripts={"postinst": f"touch {debian.folder}/owned"})
    shutil.copy(evil, folder / "evil")
    for path in (folder, *folder.iterdir()):
        os.chown(path, NOBODY, NOBODY)
    return folder


@pytest.mark.parametrize("moment", ["dpkg-deb", "apt-get -s", "apt-get -y", "dpkg-query"])
def test_a_file_that_is_swapped_at_any_moment_is_not_what_is_installed(
    debian: Debian, shared: Path, moment: str
) -> None:
    """The owner puts another file in its place, just before one of the programs that would read it."""
    command, _space, option = moment.partition(" ")
    spy = debian.folder / "spies" / command
    wanted = files(shared / "plug-in.deb")
    swap = f"cp {shared}/evil {shared}/new; mv {shared}/new {shared}/plug-in.deb"
    spy.write_text(f'#!/bin/sh\ncase " $* " in *" {option}"*) {swap};; esac\nexec /usr/bin/{command} "$@"\n')
    done = debian.run(files=wanted)
    assert sha256(shared / "plug-in.deb") == sha256(shared / "evil"), "nothing was swapped"
    assert not (debian.folder / "owned").exists()
    if moment == "dpkg-query":
        # Before we ever looked.
        assert f"has the SHA-256 {sha256(shared / 'evil')}" in done.message
    else:
        assert done.result["installed"] == {"plug-in": "1.0"}
        assert debian.stands(files=wanted)


def test_a_file_that_is_swapped_all_the_time_is_the_right_one_or_refused(debian: Debian, shared: Path) -> None:
    wanted = files(shared / "plug-in.deb")
    swap = 'while :; do for one in good evil; do cp "$1/$one" "$1/new" && mv "$1/new" "$1/plug-in.deb"; done; done'
    swapper = subprocess.Popen(["sh", "-c", swap, "swap", str(shared)], user=NOBODY, group=NOBODY)
    try:
        answers = []
        for _time in range(5):
            done = debian.run(files=wanted)
            answers.append(done.code)
            assert done.code == 0 or "has the SHA-256" in done.message or "changed its size" in done.message
            debian.run(state="absent")
    finally:
        swapper.kill()
        swapper.wait()
    assert not (debian.folder / "owned").exists()


# -- what is no file, or does not hold still


class Files:
    """A package manager that takes every file."""

    suffix = ".package"

    def read_file(self, path: str, sha256: str) -> Archive:
        return Archive(path, "name", "1", sha256)

    def busy(self) -> bool:
        return False


@pytest.fixture
def take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Archive]]:
    """Takes a file into a room under the test's folder."""
    parent = tmp_path / "rooms"
    parent.mkdir()
    monkeypatch.setattr(room, "PARENT", parent)
    room._place.cache_clear()
    yield lambda path, digest="0" * 64: room.archive(str(path), digest, Files())  # type: ignore[arg-type]
    room._place.cache_clear()


def test_the_copy_is_private_and_stays_when_the_file_changes(take: Callable[..., Archive], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("good")
    digest = sha256(tmp_path / "file")
    copy = Path(take(tmp_path / "file", digest).path)
    (tmp_path / "file").write_text("evil")
    assert copy.read_text() == "good"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert stat.S_IMODE(copy.parent.stat().st_mode) == 0o700
    assert take(tmp_path / "file", digest.upper()).path == str(copy)
    assert copy.name.endswith(".package")


def test_a_link_to_a_file_is_followed(take: Callable[..., Archive], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("good")
    (tmp_path / "latest").symlink_to("file")
    copy = Path(take(tmp_path / "latest", sha256(tmp_path / "file")).path)
    assert copy.is_file()
    assert not copy.is_symlink()


def special(folder: Path) -> List[Any]:
    os.mkfifo(folder / "fifo")
    (folder / "link").symlink_to("fifo")
    (folder / "loop").symlink_to("loop")
    (folder / "zero").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "socket"))
    return [
        (folder / "fifo", "is a FIFO, and a package file is wanted"),
        (folder / "link", "is a FIFO, and a package file is wanted"),
        (folder / "zero", "is a device, and a package file is wanted"),
        ("/dev/null", "is a device, and a package file is wanted"),
        (folder / "socket", "is a socket, and a package file is wanted"),
        (folder, "is a folder, and a package file is wanted"),
        (folder / "loop", "cannot be read: Too many levels of symbolic links"),
        (folder / "nothing", "cannot be read: No such file or directory. It has to be a file on this machine"),
        ("/no\0thing", "cannot be read: embedded null byte"),
        ("/proc/self/mem", "cannot be copied to .*: Input/output error"),
    ]


def test_what_is_no_file_is_named_and_never_opened(take: Callable[..., Archive], tmp_path: Path) -> None:
    for path, words in special(tmp_path):
        with pytest.raises(PackageError, match=words):
            take(path)


def test_a_file_that_grows_for_ever_comes_to_an_end(
    take: Callable[..., Archive], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "BLOCK", 512)  # so that it is read for long enough to grow meanwhile
    growing = tmp_path / "growing"
    growing.write_bytes(b"x" * (1 << 20))
    stop = threading.Event()

    def grow() -> None:
        with growing.open("ab") as stream:
            while not stop.is_set() and stream.tell() < 1 << 30:
                stream.write(b"x" * (1 << 20))
                stream.flush()

    grower = threading.Thread(target=grow)
    grower.start()
    try:
        begin = time.monotonic()
        with pytest.raises(PackageError, match="changed its size while it was read; nothing was installed"):
            take(growing)
        assert time.monotonic() - begin < 30
    finally:
        stop.set()
        grower.join()


def test_a_file_that_no_package_can_be_is_not_copied(take: Callable[..., Archive], tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as stream:
        stream.truncate(room.LARGEST + (1 << 20))
    with pytest.raises(PackageError, match=r"has 4097 MiB\. A package has 4096 MiB at most, and .* MiB left"):
        take(tmp_path / "huge")


# -- the room itself


def test_a_room_goes_with_its_process_and_a_killed_ones_with_the_next(
    take: Callable[..., Archive], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("good")
    digest = sha256(tmp_path / "file")
    parent = tmp_path / "rooms"
    code = f"""
import sys, time
sys.path[:] = {sys.path!r}
from pathlib import Path
from ansible_collections.nspa.proaudio.plugins.module_utils._packages import room
class Files:
    suffix = ""
    busy = lambda self: False
    read_file = lambda self, path, sha256: path
room.PARENT = Path({str(parent)!r})
print(room.archive({str(tmp_path / "file")!r}, {digest!r}, Files()), flush=True)
if sys.argv[1] == "stay":
    time.sleep(60)
"""
    subprocess.run([sys.executable, "-c", code, "end"], check=True, capture_output=True)
    assert not list(parent.iterdir())

    others = parent / f"{room.PREFIX}other"
    others.mkdir()
    os.chown(others, NOBODY, NOBODY)
    (tmp_path / "precious").mkdir()
    (parent / f"{room.PREFIX}link").symlink_to(tmp_path / "precious")
    with subprocess.Popen([sys.executable, "-c", code, "stay"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        theirs = Path(process.stdout.readline().strip())
        ours = Path(take(tmp_path / "file", digest).path)
        assert theirs.exists(), "a living process keeps its room"
        process.send_signal(signal.SIGKILL)
    take(tmp_path / "file", digest)
    assert not theirs.parent.exists()
    assert ours.exists()
    assert others.exists()
    assert (tmp_path / "precious").exists()


def test_nothing_stays_in_the_real_place(debian: Debian) -> None:
    before = set(room.PARENT.glob("nspa-proaudio-*"))
    built = debian.build("plug-in")
    debian.run(check=True, files=files(built))
    debian.run(files=files(built))
    with contextlib.suppress(KeyError):
        assert "SHA-256" in debian.run(files=[{"src": str(built), "sha256": "0" * 64}]).message
    assert set(room.PARENT.glob("nspa-proaudio-*")) <= before
