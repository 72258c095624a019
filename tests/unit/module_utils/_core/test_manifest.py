# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest keeps what stood on a host before, whatever happens."""

from __future__ import annotations

import json
import os
import stat
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.host import killed_at

from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import Manifest, ManifestError


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "lib" / "nspa-proaudio" / "manifest.json")


def record(path: str, key: str = "vm.swappiness", owner: str = "sched_tuning", before: object = "60") -> None:
    with Manifest.change(path) as manifest:
        manifest.record("sysctl", key, owner, before)
        manifest.save()


def test_only_root_can_read_it(path: str) -> None:
    record(path)
    with Manifest.change(path) as manifest:
        manifest.record("files", "/etc/x", "rt_limits", manifest.keep(b"secret"))
        manifest.save()
    modes = {item: stat.S_IMODE(item.stat().st_mode) for item in [Path(path).parent, *Path(path).parent.rglob("*")]}
    assert set(modes.values()) == {0o700, 0o600}
    assert all(mode == (0o700 if item.is_dir() else 0o600) for item, mode in modes.items())


def test_what_stood_there_first_is_kept(path: str) -> None:
    record(path, before="60")
    record(path, before="10")
    assert Manifest.load(path).owned("sysctl", "sched_tuning") == {
        "vm.swappiness": {"owner": "sched_tuning", "before": "60"}
    }


def test_a_second_owner_is_refused_by_both_names(path: str) -> None:
    record(path)
    with pytest.raises(ManifestError, match=r"wanted by wine_env and belongs to sched_tuning"):
        record(path, owner="wine_env")
    assert Manifest.load(path).get("sysctl", "vm.swappiness")["owner"] == "sched_tuning"


def test_it_goes_with_the_last_entry(path: str) -> None:
    record(path)
    with Manifest.change(path) as manifest:
        manifest.record("files", "/etc/x", "a", manifest.keep(b"one"))
        manifest.save()
        manifest.forget("files", "/etc/x")
        manifest.save()
        assert not (Path(path).parent / "before").exists()
        manifest.forget("sysctl", "vm.swappiness")
        manifest.save()
    assert list(Path(path).parent.parent.iterdir()) == []


def test_a_content_lives_as_long_as_an_entry_needs_it(path: str) -> None:
    with Manifest.change(path) as manifest:
        for key in ("/etc/x", "/etc/y"):
            manifest.record("files", key, "a", {"deep": [{"down": manifest.keep(b"same")}]})
        other = manifest.keep(b"other")["blob"]
        manifest.record("files", "/etc/z", "a", {"blob": other})
        manifest.save()
        manifest.forget("files", "/etc/x")
        manifest.forget("files", "/etc/z")
        manifest.save()
    manifest = Manifest.load(path)
    assert manifest.blob(manifest.get("files", "/etc/y")["before"]["deep"][0]["down"]["blob"]) == b"same"
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
        '{"version": 2, "owned": {}}',
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
        sha256 = manifest.keep(b"one")["blob"]
        manifest.record("files", "/etc/x", "a", {"blob": sha256})
        manifest.save()
    (Path(path).parent / "before" / sha256).write_bytes(b"two")
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
            order.append(("second", sorted(manifest.entries("sysctl"))))

    with Manifest.change(path) as manifest:
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.3)
        order.append(("first", []))
        manifest.record("sysctl", "a", "x", None)
        manifest.save()
    thread.join()
    assert order == [("first", []), ("second", ["a"])]


def test_a_change_that_takes_too_long_is_named(path: str) -> None:
    busy = pytest.raises(ManifestError, match=r"Another run of nspa\.proaudio")
    with Manifest.change(path), busy, Manifest.change(path, timeout=0.2):
        pass


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_is_named_and_nothing_is_lost(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    record(path)
    before = Path(path).read_bytes()
    real = os.open

    def full(name: object, flags: int, mode: int = 0o777) -> int:
        return real("/dev/full", os.O_WRONLY) if flags & os.O_CREAT else real(name, flags, mode)

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(ManifestError, match="No space left on device"):
        record(path, key="other")
    monkeypatch.undo()
    assert Path(path).read_bytes() == before
    assert Manifest.load(path).litter() == []


def test_killed_at_any_step_it_is_the_old_one_or_the_new_one(memory: Path) -> None:
    """Record, store a content, save; and then forget it all."""
    path = str(memory / "lib" / "nspa-proaudio" / "manifest.json")

    def add() -> None:
        with Manifest.change(path) as manifest:
            manifest.record("files", "/etc/x", "a", manifest.keep(b"one"))
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
            assert Manifest.load(path).blob(entries["/etc/x"]["before"]["blob"]) == b"one"
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
            assert Manifest.load(path).blob(entries["/etc/x"]["before"]["blob"]) == b"one"
        if not entries and Path(path).parent.exists():
            assert Manifest.load(path).litter()
        drop()
        assert not Path(path).parent.exists()
        if not killed:
            return
    raise AssertionError("never came to its end")


names = st.text(min_size=1, max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(names.filter(lambda key: key != "blob"), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(st.dictionaries(names, st.dictionaries(names, st.tuples(names, values), min_size=1, max_size=3), max_size=3))
def test_what_is_saved_is_what_is_loaded(tmp_path_factory: pytest.TempPathFactory, kinds: dict) -> None:
    path = str(tmp_path_factory.mktemp("state") / "x" / "manifest.json")
    with Manifest.change(path) as manifest:
        for kind, entries in kinds.items():
            for key, (owner, before) in entries.items():
                manifest.record(kind, key, owner, before)
        manifest.save()
    loaded = Manifest.load(path)
    for kind, entries in kinds.items():
        wanted = {
            key: {"owner": owner, "before": json.loads(json.dumps(before))} for key, (owner, before) in entries.items()
        }
        assert loaded.entries(kind) == wanted
    assert Path(path).exists() == bool(kinds)
