# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest keeps what stood on a host before, whatever happens."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import stat
import tempfile
import threading
import time
from errno import EIO, ENOSPC, EROFS
from pathlib import Path
from typing import Callable, Dict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.faults import failing_at
from support.host import killed_at, tree

from ansible_collections.nspa.proaudio.plugins.module_utils._core import shapes, want
from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import Manifest, ManifestError


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "lib" / "nspa-proaudio" / "manifest.json")


def value(number: str) -> Dict[str, str]:
    return {"/proc/sys/vm/swappiness": number}


def record(path: str, key: str = "vm.swappiness", owner: str = "sched_tuning", before: str = "60") -> None:
    with Manifest.change(path) as manifest:
        manifest.record("tunables", key, owner, value(before))
        manifest.save()


def replaced(manifest: Manifest, path: str, content: bytes) -> str:
    """Record a file that is about to be replaced; returns the checksum of its content."""
    kept = manifest.keep(content)
    before = {"type": "file", "sha256": kept["blob"], "mode": "0644", "uid": 0, "gid": 0, "mtime_ns": 1}
    manifest.record("files", path, "a", before, content=kept, written=["ours"])
    return kept["blob"]


def test_only_root_can_read_it(path: str) -> None:
    record(path)
    with Manifest.change(path) as manifest:
        replaced(manifest, "/etc/x", b"secret")
        manifest.keep_edit("/etc/deep/y", b"secret, too")
        manifest.save()
    modes = {item: stat.S_IMODE(item.stat().st_mode) for item in [Path(path).parent, *Path(path).parent.rglob("*")]}
    assert set(modes.values()) == {0o700, 0o600}
    assert all(mode == (0o700 if item.is_dir() else 0o600) for item, mode in modes.items())


def test_what_stood_there_first_is_kept(path: str) -> None:
    record(path, before="60")
    record(path, before="10")
    assert Manifest.load(path).owned("tunables", "sched_tuning") == {
        "vm.swappiness": {"owner": "sched_tuning", "before": value("60")}
    }


def test_a_second_owner_is_refused_by_both_names(path: str) -> None:
    record(path)
    with pytest.raises(ManifestError, match=r"wanted by wine_env and belongs to sched_tuning"):
        record(path, owner="wine_env")
    assert Manifest.load(path).get("tunables", "vm.swappiness")["owner"] == "sched_tuning"


def test_it_goes_with_the_last_entry(path: str) -> None:
    record(path)
    with Manifest.change(path) as manifest:
        replaced(manifest, "/etc/x", b"one")
        manifest.save()
        manifest.forget("files", "/etc/x")
        manifest.save()
        assert not (Path(path).parent / "contents").exists()
        manifest.forget("tunables", "vm.swappiness")
        manifest.save()
    assert list(Path(path).parent.parent.iterdir()) == []


def test_a_content_lives_as_long_as_an_entry_needs_it(path: str) -> None:
    with Manifest.change(path) as manifest:
        for key in ("/etc/x", "/etc/y"):
            replaced(manifest, key, b"same")
        other = replaced(manifest, "/etc/z", b"other")
        manifest.save()
        manifest.forget("files", "/etc/x")
        manifest.forget("files", "/etc/z")
        manifest.save()
    manifest = Manifest.load(path)
    assert manifest.blob(manifest.get("files", "/etc/y")["content"]["blob"]) == b"same"
    with pytest.raises(ManifestError, match="cannot be read"):
        manifest.blob(other)


def test_edits_are_kept_when_all_else_is_gone(path: str) -> None:
    with Manifest.change(path) as manifest:
        copies = {manifest.keep_edit("/etc/a/x.conf", text) for text in (b"one", b"two", b"three")}
        manifest.save()
    assert {Path(copy).read_bytes() for copy in copies} == {b"one", b"two", b"three"}
    assert all(copy.endswith("/etc/a/x.conf") for copy in copies)
    assert Manifest.load(path).litter() == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"version": 1}',
        '{"version": 1, "owned": {"files": []}}',
        '{"version": 1, "owned": {"files": {"/etc/x": {"owner": "a"}}}}',
        '{"version": 1, "owned": {"files": {"/etc/x": {"before": null}}}}',
        '{"version": 0, "owned": {}}',
        '{"version": true, "owned": {}}',
        '{"version": "1", "owned": {}}',
        "\udcff",
    ],
)
def test_a_damaged_one_is_an_error_and_stays_as_it_is(path: str, text: str) -> None:
    Path(path).parent.mkdir(parents=True)
    Path(path).write_bytes(text.encode("utf-8", "surrogateescape"))
    for attempt in (lambda: Manifest.load(path), lambda: record(path)):
        with pytest.raises(ManifestError, match=r"cannot be used.*move the directory .*nspa-proaudio away"):
            attempt()
    assert Path(path).read_bytes() == text.encode("utf-8", "surrogateescape")


def test_a_damaged_content_is_an_error(path: str) -> None:
    with Manifest.change(path) as manifest:
        sha256 = replaced(manifest, "/etc/x", b"one")
        manifest.save()
    (Path(path).parent / "contents" / sha256).write_bytes(b"two")
    with pytest.raises(ManifestError, match="is damaged"):
        Manifest.load(path).blob(sha256)


def test_reading_writes_nothing(path: str, tmp_path: Path) -> None:
    assert Manifest.load(path).entries("files") == {}
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RuntimeError):
        Manifest.load(path).record("files", "/etc/x", "a", None)


def test_a_second_change_waits_for_the_first(path: str) -> None:
    order = []

    def second() -> None:
        with Manifest.change(path) as manifest:
            order.append(("second", sorted(manifest.entries("tunables"))))

    with Manifest.change(path) as manifest:
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.3)
        order.append(("first", []))
        manifest.record("tunables", "a", "x", value("1"))
        manifest.save()
    thread.join()
    assert order == [("first", []), ("second", ["a"])]


def test_a_change_that_takes_too_long_is_named(path: str) -> None:
    busy = pytest.raises(ManifestError, match=r"Another run of nspa\.proaudio")
    with Manifest.change(path), busy, Manifest.change(path, timeout=0.2):
        pass


def test_killed_at_any_step_it_is_the_old_one_or_the_new_one(memory: Path) -> None:
    """Record, store a content, save; and then forget it all."""
    path = str(memory / "lib" / "nspa-proaudio" / "manifest.json")

    def add() -> None:
        with Manifest.change(path) as manifest:
            replaced(manifest, "/etc/x", b"one")
            manifest.save()

    def drop() -> None:
        with Manifest.change(path) as manifest:
            manifest.forget("files", "/etc/x")
            manifest.save()

    steps = 0
    for step in range(1, 1000):
        killed = killed_at(step, add)
        entries = Manifest.load(path).entries("files")
        if entries:
            assert Manifest.load(path).blob(entries["/etc/x"]["content"]["blob"]) == b"one"
        if not killed:
            assert entries
            steps = step
            break
        drop()
        assert not Path(path).parent.exists()
    assert steps > 10

    for step in range(1, 1000):
        add()
        killed = killed_at(step, drop)
        entries = Manifest.load(path).entries("files")
        if entries:
            assert Manifest.load(path).blob(entries["/etc/x"]["content"]["blob"]) == b"one"
        if not entries and Path(path).parent.exists():
            assert Manifest.load(path).litter()
        drop()
        assert not Path(path).parent.exists()
        if not killed:
            return
    raise AssertionError("never came to its end")


@pytest.mark.parametrize(("code", "lasting"), [(EIO, False), (ENOSPC, True), (EROFS, True)])
def test_whatever_the_disk_refuses_is_named_and_nothing_is_lost(memory: Path, code: int, lasting: bool) -> None:
    path = str(memory / "lib" / "nspa-proaudio" / "manifest.json")

    def change() -> None:
        Manifest.load(path).litter()
        with Manifest.change(path) as manifest:
            replaced(manifest, "/etc/y", b"two")
            manifest.keep_edit("/etc/z", b"an edit")
            manifest.forget("files", "/etc/x")
            manifest.save()

    for step in range(1, 500):
        with Manifest.change(path) as manifest:
            replaced(manifest, "/etc/x", b"one")
            manifest.save()
        fault = failing_at(step, code, memory, change, lasting)
        if fault.message:
            assert os.strerror(code) in fault.message
            assert str(memory) in fault.message
        manifest = Manifest.load(path)
        for entry in manifest.entries("files").values():
            manifest.blob(entry["content"]["blob"])
        change()
        with Manifest.change(path) as manifest:
            manifest.forget("files", "/etc/y")
            manifest.save()
        assert [item.read_bytes() for item in Path(path).parent.rglob("*") if item.is_file()] == [b"an edit"]
        shutil.rmtree(memory / "lib")
        if not fault.hit:
            assert step > 10
            return
    raise AssertionError("never came to its end")


def test_killed_while_an_edit_is_kept_no_empty_folder_stays(memory: Path) -> None:
    path = str(memory / "lib" / "nspa-proaudio" / "manifest.json")

    def keep() -> None:
        with Manifest.change(path) as manifest:
            manifest.keep_edit("/etc/deep/x", b"an edit")

    for step in range(1, 500):
        record(path)
        killed = killed_at(step, keep)
        copies = [item for item in (Path(path).parent / "kept").rglob("*") if item.is_file()]
        kept = [(item.name, item.read_bytes()) for item in copies]
        assert kept in ([], [("x", b"an edit")])
        with Manifest.change(path) as manifest:
            manifest.forget("tunables", "vm.swappiness")
            manifest.save()
        assert Path(path).parent.exists() == bool(kept)
        shutil.rmtree(memory / "lib")
        if not killed:
            assert kept
            return
    raise AssertionError("never came to its end")


def test_its_own_lock_is_no_litter(path: str) -> None:
    with Manifest.change(path) as manifest:
        assert manifest.litter() == []
    Path(path).parent.mkdir(mode=0o700)
    (Path(path).parent / "lock").touch()
    assert Manifest.load(path).litter() == [f"{Path(path).parent}/lock", str(Path(path).parent)]
    with Manifest.change(path):
        pass
    assert Manifest.load(path).litter() == []


# -- who else is there


def test_an_ordinary_user_cannot_hold_the_lock(path: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to be an ordinary user")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        path = f"{folder}/lib/nspa-proaudio/manifest.json"
        os.chmod(folder, 0o755)
        record(path)
        # Whatever somebody did to the directory: what is locked is a file of root's alone.
        Path(path).parent.chmod(0o755)
        ready, done = os.pipe(), os.pipe()
        child = os.fork()
        if child == 0:
            os.setgid(65534)
            os.setuid(65534)
            held = []
            for item in (
                folder,
                f"{folder}/lib",
                f"{folder}/lib/nspa-proaudio",
                path,
                f"{folder}/lib/nspa-proaudio/lock",
            ):
                with contextlib.suppress(PermissionError):
                    held.append(os.open(item, os.O_RDONLY))
                    fcntl.flock(held[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(ready[1], str(len(held)).encode())
            os.read(done[0], 1)
            os._exit(0)
        try:
            assert os.read(ready[0], 1) == b"3"
            with Manifest.change(path, timeout=0.5) as manifest:
                assert manifest.get("tunables", "vm.swappiness")
        finally:
            os.write(done[1], b".")
            os.waitpid(child, 0)


def _symlink(directory: Path) -> None:
    (directory.parent / "elsewhere").mkdir(mode=0o700)
    directory.symlink_to("elsewhere")


def _dangling(directory: Path) -> None:
    directory.symlink_to("elsewhere")


def _file(directory: Path) -> None:
    directory.write_text("mine\n")


def _somebodys(directory: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to give a directory away")
    directory.mkdir(mode=0o700)
    os.chown(directory, 12345, 12345)


def _group_writable(directory: Path) -> None:
    directory.mkdir()
    directory.chmod(0o770)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_symlink, "is a symlink.*bind mount"),
        (_dangling, "is a symlink"),
        (_file, "is not a directory.*move it away"),
        (_somebodys, "belongs to the user with the number 12345.*chown -R root: "),
        (_group_writable, r"can be written by others than its owner \(mode 0770\).*chmod 0700 "),
    ],
)
def test_a_directory_that_is_not_roots_alone_is_refused(path: str, make: Callable[[Path], None], words: str) -> None:
    directory = Path(path).parent
    directory.parent.mkdir()
    make(directory)
    start = tree(directory.parent)
    for attempt in (lambda: Manifest.load(path), lambda: record(path)):
        with pytest.raises(ManifestError, match=f"nspa-proaudio {words}"):
            attempt()
    assert tree(directory.parent) == start


def test_changes_one_after_the_other_share_one_lock_although_it_goes_with_the_directory(path: str) -> None:
    """Some twenty processes, of which each makes the directory, and removes it when it has it for itself."""
    inside = Path(path).parent.parent.parent / "inside"

    def work() -> None:
        for _round in range(10):
            with Manifest.change(path) as manifest:
                descriptor = os.open(inside, os.O_CREAT | os.O_EXCL)
                manifest.record("tunables", "a", "x", value("1"))
                manifest.save()
                manifest.forget("tunables", "a")
                manifest.save()
                inside.unlink()
                os.close(descriptor)

    children = []
    for _number in range(4):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                work()
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    assert {os.waitpid(child, 0)[1] for child in children} == {0}
    assert not Path(path).parent.exists()


# -- its form


STATE = {"type": "file", "sha256": "a" * 64, "mode": "0644", "uid": 0, "gid": 0, "mtime_ns": 1}
GOOD = {
    "files": {
        "/etc/a": {"owner": "a", "before": None, "written": ["b" * 64]},
        "/etc/b": {
            "owner": "a",
            "before": {**STATE, "xattrs": {"user.x": "00ff"}},
            "content": {"blob": "a" * 64},
            "block": ["# BEGIN\n# END\n"],
        },
        "/etc/c": {
            "owner": "a",
            "before": {"type": "link", "target": "x", "uid": 0, "gid": 2**32 - 2, "mtime_ns": -(10**25)},
            "written": ["b" * 64],
        },
    },
    "directories": {"/etc/d": {"owner": "a", "before": None}},
    "packages": {
        "a": {"owner": "a", "before": None, "version": "1", "asked": True, "also": ["b"], "marked": False},
        "b": {
            "owner": "a",
            "before": {"version": "0", "remains": False, "auto": True},
            "version": "1",
            "sha256": "a" * 64,
            "leaving": True,
            "release": "trixie-backports",
        },
    },
    "packages_before": {"a": {"owner": "a", "before": {"blob": "a" * 64}}},
    "capabilities": {"/usr/bin/x": {"owner": "a", "before": None, "set": ["0100"]}},
    "groups": {"audio": {"owner": "a", "before": None}},
    "members": {"audio/me": {"owner": "a", "before": None}},
    "tunables": {"vm.swappiness": {"owner": "a", "before": {"/proc/sys/vm/swappiness": "60"}, "set": ["10"]}},
    "irq_priorities": {"plan": {"owner": "a", "before": None, "set": [50, 90, 95]}},
    "boot_menu": {"boot_params": {"owner": "boot_params", "before": None}},
    "trials": {
        "6.12.9-rt-amd64": {
            "owner": "linux_nspa/boot_default",
            "before": None,
            "state": "failed",
            "earlier": "6.12.9-amd64",
            "boot": "b" * 36,
            "image": "a" * 64,
            "when": 1764000000,
            "why": "it came back",
            "log": ["Kernel panic"],
        }
    },
    "wants": {"host_files/a": {"owner": "a", "before": None, "arguments": {"blob": "a" * 64}}},
}
JUNK = (None, True, -1, 2**64, 10**400, 1.5, "", "\0", "../x", [], {}, [[]], {"blob": "../../etc/passwd"}, ["x", 5])


def write(path: str, owned: object, version: object = 1) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(json.dumps({"version": version, "owned": owned}))


def refused(path: str) -> str:
    try:
        Manifest.load(path)
    except ManifestError as error:
        return str(error)
    return ""


def test_every_kind_has_an_example_here_that_is_read(path: str) -> None:
    assert set(GOOD) == set(shapes.KINDS)
    write(path, GOOD)
    for kind, entries in GOOD.items():
        assert Manifest.load(path).entries(kind) == entries


@pytest.mark.parametrize("kind", sorted(GOOD))
def test_an_entry_without_one_of_its_fields_is_named(path: str, kind: str) -> None:
    for key, entry in GOOD[kind].items():
        for name in entry:
            if name in shapes.KINDS[kind].some and kind != "files":
                continue
            less = {other: entry[other] for other in entry if other != name}
            write(path, {**GOOD, kind: {key: less}})
            assert f"the entry '{key}' of its {kind} " in refused(path)


@pytest.mark.parametrize("kind", sorted(GOOD))
def test_junk_in_any_field_is_refused_or_harmless(path: str, kind: str) -> None:
    for key, entry in GOOD[kind].items():
        for junk in JUNK:
            write(path, {kind: {key: junk}})
            assert "cannot be used" in refused(path)
            write(path, {kind: junk})
            assert "cannot be used" in refused(path) or junk == {}
            for name in entry:
                write(path, {kind: {key: {**entry, name: junk}}})
                if not refused(path):
                    same = type(junk) is type(entry[name]) or (entry[name] is None) is not (junk is None)
                    assert same, (key, name, junk)


FIELDS = [("uid", -1), ("uid", True), ("gid", 2**32 - 1), ("mtime_ns", 10**40), ("mtime_ns", 1.5), ("mode", "rw-")]


@pytest.mark.parametrize(("name", "junk"), [*FIELDS, ("mode", "07777"), ("sha256", "x"), ("xattrs", {"user.x": "0"})])
def test_a_file_that_could_not_be_put_back_is_refused(path: str, name: str, junk: object) -> None:
    entry = {**GOOD["files"]["/etc/b"], "before": {**STATE, name: junk}}
    write(path, {"files": {"/etc/b": entry}})
    assert "the entry '/etc/b' of its files" in refused(path)


def test_a_file_with_two_contents_is_refused(path: str) -> None:
    write(path, {"files": {"/etc/b": {**GOOD["files"]["/etc/b"], "content": {"blob": "b" * 64}}}})
    assert "names two different contents" in refused(path)


@pytest.mark.parametrize(
    ("kind", "key"),
    [("files", "etc/x"), ("files", "/etc/../x"), ("files", "/etc/\0"), ("members", "a"), ("groups", "")],
)
def test_a_name_that_cannot_be_is_refused(path: str, kind: str, key: str) -> None:
    write(path, {kind: {key: next(iter(GOOD[kind].values()))}})
    assert "does not have a name that it could have" in refused(path)


@pytest.mark.parametrize("depth", [100, 900, 5000, 200_000])
def test_a_deeply_nested_one_is_refused(path: str, depth: int) -> None:
    Path(path).parent.mkdir(parents=True)
    deep = "[" * depth + "]" * depth
    Path(path).write_text(f'{{"version": 1, "owned": {{"groups": {{"a": {deep}}}}}}}')
    assert "nested" in refused(path)


@pytest.mark.parametrize(("owned", "version"), [({"fonts": {}}, 1), ({}, 2), ({"files": 5, "fonts": 5}, 7)])
def test_what_a_newer_release_wrote_is_left_to_it(path: str, owned: object, version: int) -> None:
    write(path, owned, version)
    start = Path(path).read_bytes()
    with pytest.raises(ManifestError, match=r"written by a newer release .* Use that release"):
        record(path)
    assert Path(path).read_bytes() == start


def test_what_could_not_be_read_again_is_not_written(path: str) -> None:
    record(path)
    start = Path(path).read_bytes()
    with pytest.raises(ManifestError, match="lacks 'version'"), Manifest.change(path) as manifest:
        manifest.record("packages", "a", "a", None)
        manifest.save()
    with pytest.raises(RuntimeError, match="fonts"), Manifest.change(path) as manifest:
        manifest.record("fonts", "a", "a", None)
    assert Path(path).read_bytes() == start


@given(st.recursive(st.sampled_from(JUNK), lambda inner: st.dictionaries(st.sampled_from([*GOOD, "/x"]), inner)))
def test_no_manifest_at_all_is_an_accident(tmp_path_factory: pytest.TempPathFactory, owned: object) -> None:
    path = str(tmp_path_factory.mktemp("state") / "x" / "manifest.json")
    write(path, owned)
    refused(path)


# -- what was wanted


def test_what_was_wanted_is_a_manifest_by_itself_and_goes_with_its_last_want(path: str) -> None:
    arguments = {"role": "a", "state": "present", "files": []}
    with Manifest.change(path) as manifest:
        want.record(manifest, "host_files", arguments)
        manifest.save()
    manifest = Manifest.load(path)
    assert manifest.litter() == []
    assert not want.differs(manifest, "host_files", arguments)
    assert [item[1:] for item in want.recorded(manifest)] == [("host_files", arguments)]
    with Manifest.change(path) as manifest:
        want.record(manifest, "host_files", {**arguments, "state": "absent"})
        manifest.save()
    assert list(Path(path).parent.parent.iterdir()) == []
