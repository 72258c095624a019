# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A wineserver is really started as a user, asked, and ended with all that it left; a Wine reads what it names."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from ansible_collections.nspa.proaudio.plugins.module_utils._core.errors import HostError
from ansible_collections.nspa.proaudio.plugins.module_utils._host import processes
from ansible_collections.nspa.proaudio.plugins.module_utils._wine import server
from ansible_collections.nspa.proaudio.plugins.module_utils._wine.server import WineserverError

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="starts a program as another user, which needs root")
NOBODY = pwd.getpwnam("nobody")
RIGHTS = ["setpriv", f"--reuid={NOBODY.pw_uid}", f"--regid={NOBODY.pw_gid}", "--init-groups"]
ELF = b"\x7fELF\2\1\1\0"


@pytest.fixture
def public():
    """A folder that every user can enter; pytest closes its own at each start, of other runs too."""
    with tempfile.TemporaryDirectory(prefix="nspa-test-", dir="/var/tmp") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(server, "SETTLE", 0.2)


@pytest.fixture
def shared(public, monkeypatch):
    """A folder of our own that is as /tmp, so that nobody else's things are in it."""
    folder = public / "tmp"
    folder.mkdir()
    folder.chmod(0o1777)
    monkeypatch.setattr(server, "SHARED", str(folder))
    return folder


# -- which programs are wineservers


def test_only_real_wineservers_are_found(tmp_path):
    program = tmp_path / "wineserver64"
    program.write_bytes(ELF)
    (tmp_path / "wine64-preloader").write_bytes(ELF)
    (tmp_path / "wineserver").write_text("#!/bin/sh\n")
    (tmp_path / "wineserver-short").write_bytes(b"\x7fE")
    (tmp_path / "wineserver32").symlink_to(program)
    (tmp_path / "wineserver-folder").mkdir()
    os.mkfifo(tmp_path / "wineserver-pipe")
    assert server.find(str(tmp_path / "wine*")) == [str(program)]
    assert server.find(str(program)) == [str(program)]
    assert server.find(str(tmp_path / "nothing*")) == []


# -- what a started one holds


@pytest.fixture
def sleeper(public):
    """A program that takes a wineserver's arguments and stays: it sleeps until somebody ends it."""
    source = public / "sleeper.c"
    source.write_text("#include <unistd.h>\nint main(void) { if (!fork()) pause(); pause(); return 0; }\n")
    path = public / "wineserver64"
    if subprocess.run(["cc", "-o", str(path), str(source)], check=False, capture_output=True).returncode:
        pytest.skip("no C compiler")
    path.chmod(0o755)
    return path


@as_root
@pytest.mark.parametrize(
    ("capability", "holds"),
    [
        ("", False),
        ("cap_sys_nice+ep", True),
        ("cap_sys_boot,cap_sys_time+ep", False),
        ("cap_sys_nice+p", False),
    ],
)
def test_a_server_holds_what_its_file_gives_and_nothing_is_left(sleeper, shared, capability, holds):
    if capability:
        subprocess.run(["setcap", capability, str(sleeper)], check=True)
    assert server.holds_cap_sys_nice(str(sleeper), "nobody") is holds
    assert os.listdir(shared) == []
    # On a busy machine the kernel takes a moment to remove a process that was killed.
    until = time.monotonic() + 10
    while [one.pid for one in processes.everything() if running(one, sleeper)]:
        assert time.monotonic() < until
        time.sleep(0.05)


def running(process, program):
    try:
        return process.runs(str(program))
    except OSError:
        return False


@as_root
def test_the_prefix_is_the_users_wherever_the_callers_tmpdir_is(tmp_path, monkeypatch):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    monkeypatch.setenv("TMPDIR", str(closed))
    monkeypatch.setattr("tempfile.tempdir", None)
    with server._prefix(NOBODY, RIGHTS) as prefix:
        subprocess.run([*RIGHTS, "touch", f"{prefix}/system.reg"], check=True)
        assert os.stat(prefix).st_mode & 0o077 == 0
    assert not os.path.exists(prefix)


@as_root
@pytest.mark.parametrize("folder", [f".wine-{NOBODY.pw_uid}", "wine-a1B2c3"])
def test_the_sockets_of_every_layout_are_removed(public, shared, folder):
    """A server that keeps its socket as Wine does, found by device and inode of its prefix."""
    path = public / "wineserver64"
    shutil.copy("/bin/dash", path)
    starts = public / "starts"
    starts.write_text(
        f"#!/bin/sh\nmkdir -m 700 -p {shared}/{folder}/server-$(printf %x-%x $(stat -c '%d %i' $WINEPREFIX))\n"
        f"echo > $WINEPREFIX/system.reg\nexec {path} -c 'read x < /dev/zero; while :; do sleep 1; done'\n"
    )
    starts.chmod(0o755)
    with server._prefix(NOBODY, RIGHTS) as prefix:
        child = subprocess.Popen(
            [*RIGHTS, str(starts)], env={"PATH": "/bin", "WINEPREFIX": prefix}, start_new_session=True
        )
        while not running(processes.Process(child.pid), path):
            assert child.poll() is None
        assert set(os.listdir(shared)) == {folder, os.path.basename(prefix)}
        server._end(child)
    assert os.listdir(shared) == []


@as_root
def test_a_server_that_ends_at_once_is_told_with_its_words_and_leaves_nothing(public, shared):
    path = public / "wineserver"
    path.write_text("#!/bin/sh\nprintf 'wanted \\033[2Jlibwine.so.1,\\nwhich is not here' >&2\nexit 3\n")
    path.chmod(0o755)
    with pytest.raises(WineserverError, match=r"did not start: wanted �.2Jlibwine.so.1, which is not here"):
        server.holds_cap_sys_nice(str(path), "nobody")
    assert os.listdir(shared) == []


@as_root
def test_a_server_that_says_nothing_is_told_with_its_status(public):
    path = public / "wineserver"
    path.write_text("#!/bin/sh\nexit 3\n")
    path.chmod(0o755)
    with pytest.raises(WineserverError, match="did not start: it ended with status 3"):
        server.holds_cap_sys_nice(str(path), "nobody")


@as_root
def test_a_server_that_never_becomes_one_is_ended(public, monkeypatch):
    monkeypatch.setattr(server, "START", 0.5)
    path = public / "wineserver"
    path.write_text("#!/bin/sh\nsleep 1000 & sleep 1001\n")
    path.chmod(0o755)
    with pytest.raises(WineserverError, match=r"nothing ran for 0\.5 s"):
        server.holds_cap_sys_nice(str(path), "nobody")
    assert not [one for one in processes.everything() if command(one) in (["sleep", "1000"], ["sleep", "1001"])]


def command(process):
    try:
        return process.command()
    except OSError:
        return []


@pytest.mark.parametrize(
    ("user", "words"), [("root", "holds every capability anyway"), ("no-such-user-here", "has no account")]
)
def test_root_and_nobody_at_all_prove_nothing(user, words):
    with pytest.raises(WineserverError, match=words) as caught:
        server.holds_cap_sys_nice("/bin/true", user)
    assert isinstance(caught.value, HostError)


# -- which variables are read

NAMES = {"WINEFSYNC", "WINE_RT_PRIO", "WINEDEBUG", "SYNC", "STAGING_WRITECOPY"}


def write(path, *texts):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(ELF + b"\0".join([b"", *texts, b""]))
    return str(path)


def test_a_variable_is_read_where_its_name_is_a_whole_text(tmp_path):
    path = write(
        tmp_path / "bin/wineserver",
        *[b"WINEFSYNC", b"WINEFSYNC_SPINCOUNT", b"see WINE_RT_PRIO for more", b"WINEDEBUG=", b"NOSTAGING_WRITECOPY"],
    )
    assert server.variables_read(path, NAMES) == {"WINEFSYNC", "WINEDEBUG"}
    assert server.variables_read(path, []) == set()


def test_a_name_behind_other_data_is_found(tmp_path):
    assert server.variables_read(write(tmp_path / "a/wineserver", b"\x06 WINEDEBUG"), NAMES) == {"WINEDEBUG"}
    later = write(tmp_path / "b/wineserver", b"XWINEDEBUG", b"WINEDEBUG is", b"WINEDEBUG")
    assert server.variables_read(later, NAMES) == {"WINEDEBUG"}


def test_names_in_the_texts_of_windows_are_found(tmp_path):
    text = "WINEFSYNC\0XWINEDEBUG\0WINE_RT_PRIO=\0STAGING_WRITECOPY2\0".encode("utf-16-le")
    assert server.variables_read(write(tmp_path / "wineserver", text), NAMES) == {"WINEFSYNC", "WINE_RT_PRIO"}


@pytest.mark.parametrize(
    ("program", "library"),
    [
        ("usr/lib/wine/wineserver64", "usr/lib/x86_64-linux-gnu/wine/x86_64-unix/ntdll.so"),
        ("usr/lib/wine/wineserver64", "usr/lib/x86_64-linux-gnu/wine/ntdll.so"),
        ("usr/lib/wine-development/wineserver64", "usr/lib/x86_64-linux-gnu/wine-development/x86_64-unix/ntdll.so"),
        ("opt/wine-nspa/bin/wineserver", "opt/wine-nspa/lib/wine/x86_64-unix/ntdll.so"),
        ("opt/wine-nspa/bin/wineserver", "opt/wine-nspa/lib64/wine/ntdll.dll.so"),
        ("opt/wine-nspa/bin/wineserver", "opt/wine-nspa/lib64/wine/x86_64-windows/ntdll.dll"),
        ("usr/bin/wineserver", "usr/lib/wine/x86_64-unix/ntdll.so"),
        ("usr/bin/wineserver", "usr/lib/x86_64-linux-gnu/wine/x86_64-unix/ntdll.so"),
    ],
)
def test_the_library_beside_it_counts_in_every_layout(tmp_path, program, library):
    path = write(tmp_path / program, b"WINEDEBUG")
    write(tmp_path / library, b"WINE_RT_PRIO")
    assert server.variables_read(path, NAMES) == {"WINEDEBUG", "WINE_RT_PRIO"}


def test_another_wine_is_not_beside_it(tmp_path):
    path = write(tmp_path / "opt/a/bin/wineserver", b"WINEDEBUG")
    write(tmp_path / "opt/b/lib/wine/x86_64-unix/ntdll.so", b"WINE_RT_PRIO")
    write(tmp_path / "opt/a/lib/wine/x86_64-unix/winex11.so", b"WINEFSYNC")
    assert server.variables_read(path, NAMES) == {"WINEDEBUG"}


def test_no_more_is_read_than_the_bound_and_only_files(tmp_path, monkeypatch):
    monkeypatch.setattr(server, "MOST", 64)
    path = write(tmp_path / "bin/wineserver", b"WINEDEBUG", b"x" * 64, b"WINEFSYNC")
    (tmp_path / "lib/wine").mkdir(parents=True)
    os.mkfifo(tmp_path / "lib/wine/ntdll.so")
    assert server.variables_read(path, NAMES) == {"WINEDEBUG"}
    assert server.variables_read(str(tmp_path / "nothing"), NAMES) == set()


@pytest.mark.skipif(not Path("/usr/lib/wine/wineserver64").exists(), reason="Debian's wine64 is not installed")
def test_debians_wine_reads_none_of_the_variables_of_wine_nspa():
    names = {"WINEFSYNC", "WINE_RT_PRIO", "WINE_RT_POLICY", "STAGING_WRITECOPY", "WINEDEBUG"}
    assert server.variables_read("/usr/lib/wine/wineserver64", names) == {"WINEDEBUG"}
