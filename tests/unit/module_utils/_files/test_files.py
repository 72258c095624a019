# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""host_files puts a role's files in place all at once, and gives the host back as it was."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import stat
import subprocess
import sys
from errno import EIO, ENOSPC, EROFS
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.attributes import ACL, CAPABILITY, DEFAULT_ACL, acl
from support.faults import failing_at
from support.host import Host, killed_at, tree

from ansible_collections.nspa.proaudio.plugins.module_utils._core import want
from ansible_collections.nspa.proaudio.plugins.module_utils._core.change import Purpose
from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import Manifest
from ansible_collections.nspa.proaudio.plugins.module_utils._files import files
from ansible_collections.nspa.proaudio.plugins.module_utils._files.files import HostFileError, Wanted
from ansible_collections.nspa.proaudio.plugins.module_utils._files.write import staged

ME = {"owner": str(os.getuid()), "group": str(os.getgid())}
LONG_AGO = 1_000_000_000_123_456_789
ROOT = os.geteuid() == 0


def put(path: Path, content: str, mode: int = 0o644) -> Path:
    """A file that was there long before us."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    path.chmod(mode)
    os.utime(path, ns=(LONG_AGO, LONG_AGO))
    return path


class Place:
    """A host's /etc, and the module at work on it within this process."""

    def __init__(self, folder: Path) -> None:
        self.etc = folder / "host" / "etc"
        self.etc.mkdir(parents=True)
        self.state = folder / "state" / "nspa-proaudio"
        self.path = str(self.state / "manifest.json")

    def wanted(self, contents: Dict[str, str], **options: object) -> List[Wanted]:
        return [Wanted(str(self.etc / name), text.encode(), **ME, **options) for name, text in contents.items()]

    def present(self, role: str, contents: Dict[str, str], **options: object) -> List[dict]:
        with Manifest.change(self.path) as manifest:
            differences = files.compare(manifest, role, self.wanted(contents, **options))
            return files.apply(manifest, differences) if differences.changed else []

    def absent(self, role: str) -> List[dict]:
        return self.present(role, {})

    def differs(self, role: str, contents: Dict[str, str]) -> bool:
        return files.compare(Manifest.load(self.path), role, self.wanted(contents)).changed

    def kept(self) -> List[str]:
        return [path.read_text() for path in self.state.glob("kept/**/*") if path.is_file()]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


# -- in place, and back


def test_files_come_with_their_directories_and_go_with_them(place: Place) -> None:
    start = tree(place.etc)
    place.present("a", {"x.conf": "x\n", "deep/er/y.conf": "y\n"})
    assert (place.etc / "deep/er/y.conf").read_text() == "y\n"
    assert stat.S_IMODE((place.etc / "deep/er").stat().st_mode) == 0o755
    assert not place.differs("a", {"x.conf": "x\n", "deep/er/y.conf": "y\n"})
    place.absent("a")
    assert tree(place.etc) == start
    assert not place.state.exists()


def test_what_stood_there_comes_back_with_all_its_attributes(place: Place) -> None:
    original = put(place.etc / "x.conf", "before\r\n\0binary", mode=0o4751)
    os.setxattr(original, "user.note", b"by hand")
    os.utime(original, ns=(LONG_AGO, LONG_AGO))
    (place.etc / "y.conf").symlink_to("../nowhere")
    os.utime(place.etc / "y.conf", ns=(LONG_AGO, LONG_AGO), follow_symlinks=False)
    start = tree(place.etc)
    place.present("a", {"x.conf": "ours\n", "y.conf": "ours\n"}, replace=True)
    assert (place.etc / "y.conf").read_text() == "ours\n"
    assert not (place.etc / "y.conf").is_symlink()
    place.present("a", {"x.conf": "ours, again\n", "y.conf": "ours\n"}, replace=True)
    place.absent("a")
    assert tree(place.etc) == start


@pytest.mark.skipif(not ROOT, reason="needs root, to give files away")
def test_owner_and_group_are_set_and_come_back(place: Place) -> None:
    original = put(place.etc / "x.conf", "before\n")
    os.chown(original, 12345, 54321)
    os.utime(original, ns=(LONG_AGO, LONG_AGO))
    start = tree(place.etc)
    with Manifest.change(place.path) as manifest:
        wanted = [Wanted(str(original), b"ours\n", 0o640, "nobody", "daemon", replace=True)]
        files.apply(manifest, files.compare(manifest, "a", wanted))
    assert (original.owner(), original.group()) == ("nobody", "daemon")
    assert not files.compare(Manifest.load(place.path), "a", wanted).changed
    place.absent("a")
    assert tree(place.etc) == start


@pytest.mark.skipif(not ROOT, reason="needs root, to give capabilities")
def test_capabilities_and_an_acl_come_back(place: Place) -> None:
    """Writing a file and giving it away both take its capabilities (capabilities(7))."""
    original = put(place.etc / "x", "before\n", 0o755)
    os.chown(original, 12345, 54321)
    os.setxattr(original, ACL, acl(daemon=6))
    os.setxattr(original, "security.capability", CAPABILITY)
    os.utime(original, ns=(LONG_AGO, LONG_AGO))
    start = tree(place.etc)
    place.present("a", {"x": "ours\n"}, replace=True)
    assert os.listxattr(original) == []
    place.absent("a")
    assert tree(place.etc) == start


def test_a_directory_hands_down_no_acl_to_what_is_put_into_it(place: Place) -> None:
    original = put(place.etc / "x", "before\n", 0o640)
    start = tree(place.etc)
    os.setxattr(place.etc, DEFAULT_ACL, acl(daemon=6))
    place.present("a", {"x": "ours\n", "y": "ours\n"}, mode=0o660, replace=True)
    assert [os.listxattr(place.etc / name) for name in ("x", "y")] == [[], []]
    assert stat.S_IMODE(original.stat().st_mode) == 0o660
    place.absent("a")
    assert tree(place.etc) == start


def test_a_role_does_not_stumble_over_a_directory_that_another_made_and_somebody_removed(place: Place) -> None:
    place.present("a", {"shared/a.conf": "a\n"})
    (place.etc / "shared/a.conf").unlink()
    (place.etc / "shared").rmdir()
    place.present("b", {"shared/b.conf": "b\n"})
    place.absent("a")
    place.absent("b")
    assert tree(place.etc) == {}
    assert not place.state.exists()


def test_what_does_not_fit_when_files_are_put_back_changes_nothing(place: Place) -> None:
    put(place.etc / "a.conf", "before\n")
    put(place.etc / "b.conf", "b" * 30000)
    place.present("a", {"a.conf": "ours\n", "b.conf": "ours\n", "c.conf": "ours\n"}, replace=True)
    start = tree(place.etc)
    with limited(20000), pytest.raises(HostFileError, match=r"b\.conf cannot be written: File too large.*Nothing was"):
        place.absent("a")
    assert tree(place.etc) == start


@contextlib.contextmanager
def limited(size: int) -> Iterator[None]:
    """Every write beyond a size fails, as on a full disk."""
    earlier, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, earlier[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, earlier)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_file_that_leaves_the_list_is_given_back(place: Place) -> None:
    put(place.etc / "x.conf", "before\n")
    start = tree(place.etc)
    place.present("a", {"x.conf": "ours\n", "deep/y.conf": "y\n"}, replace=True)
    place.present("a", {"z.conf": "z\n"})
    assert sorted(tree(place.etc)) == ["x.conf", "z.conf"]
    assert (place.etc / "x.conf").read_text() == "before\n"
    place.absent("a")
    assert tree(place.etc) == start


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
def test_the_umask_of_the_login_does_not_matter(place: Place, umask: int) -> None:
    if umask == 0o777 and not ROOT:
        pytest.skip("needs root, to work in a directory without permissions")
    earlier = os.umask(umask)
    try:
        place.present("a", {"deep/er/x.conf": "x\n"}, mode=0o640)
    finally:
        os.umask(earlier)
    assert [stat.S_IMODE((place.etc / name).stat().st_mode) for name in ("deep", "deep/er", "deep/er/x.conf")] == [
        0o755,
        0o755,
        0o640,
    ]


def test_mode_alone_is_a_difference(place: Place) -> None:
    place.present("a", {"x.conf": "x\n"})
    (place.etc / "x.conf").chmod(0o600)
    changes = files.compare(Manifest.load(place.path), "a", place.wanted({"x.conf": "x\n"})).changes
    assert [change.action for change in changes] == ["attributes"]
    place.present("a", {"x.conf": "x\n"})
    assert stat.S_IMODE((place.etc / "x.conf").stat().st_mode) == 0o644


def test_a_reader_sees_the_old_file_or_the_new_one(place: Place) -> None:
    place.present("a", {"x.conf": "old\n"})
    with (place.etc / "x.conf").open() as reader:
        place.present("a", {"x.conf": "new\n"})
        assert reader.read() == "old\n"


# -- who else is there


def test_two_roles_keep_apart(place: Place) -> None:
    start = tree(place.etc)
    place.present("a", {"shared/a.conf": "a\n"})
    place.present("b", {"shared/b.conf": "b\n"})
    with pytest.raises(HostFileError, match=r"a\.conf is wanted by b and belongs to a"):
        place.present("b", {"shared/a.conf": "b\n"})
    place.absent("a")
    assert sorted(tree(place.etc)) == ["shared", "shared/b.conf"]
    place.absent("b")
    assert tree(place.etc) == start


def test_a_directory_with_somebody_elses_file_stays(place: Place) -> None:
    place.present("a", {"deep/er/x.conf": "x\n"})
    (place.etc / "deep/mine.conf").write_text("mine\n")
    place.absent("a")
    assert sorted(tree(place.etc)) == ["deep", "deep/mine.conf"]
    assert not place.state.exists()


def test_what_somebody_else_wrote_is_not_replaced_unasked(place: Place) -> None:
    put(place.etc / "x.conf", "mine\n")
    (place.etc / "y.conf").symlink_to("x.conf")
    start = tree(place.etc.parent.parent)
    for name in ("x.conf", "y.conf"):
        with pytest.raises(HostFileError, match=rf"{name} is there already.* move it away") as refused:
            place.present("a", {"new.conf": "new\n", name: "ours\n"})
        assert "replace" not in str(refused.value)
    assert tree(place.etc.parent.parent) == {**start, "state": tree(place.etc.parent.parent)["state"]}


def test_the_same_file_by_chance_stays_with_its_owner(place: Place) -> None:
    put(place.etc / "x.conf", "same\n")
    start = tree(place.etc)
    assert not place.differs("a", {"x.conf": "same\n"})
    place.present("a", {"x.conf": "same\n"})
    place.absent("a")
    assert tree(place.etc) == start


@pytest.mark.parametrize("change", ["edit", "symlink"])
@pytest.mark.parametrize("before", [None, "before\n"])
@pytest.mark.parametrize("end", ["present", "update", "absent", "dropped"])
def test_an_edit_of_our_file_is_kept(place: Place, end: str, before: Optional[str], change: str) -> None:
    if before:
        put(place.etc / "x.conf", before)
    start = tree(place.etc)
    place.present("a", {"x.conf": "ours\n"}, replace=True)
    if change == "edit":
        (place.etc / "x.conf").write_text("edited by hand\n")
    else:
        (place.etc / "x.conf").unlink()
        (place.etc / "x.conf").symlink_to("edited by hand\n")
    lists = {
        "present": {"x.conf": "ours\n"},
        "update": {"x.conf": "ours, too\n"},
        "absent": {},
        "dropped": {"y.conf": "y\n"},
    }
    kept = place.present("a", lists[end], replace=True)
    assert [item["path"] for item in kept] == [str(place.etc / "x.conf")]
    assert "edited by hand\n" in Path(kept[0]["copy"]).read_text()
    if end in ("present", "update"):
        assert (place.etc / "x.conf").read_text() == lists[end]["x.conf"]
    place.absent("a")
    assert tree(place.etc) == start
    assert len(place.kept()) == 1


def test_a_file_that_somebody_deleted_comes_back_as_wanted_and_as_it_was(place: Place) -> None:
    put(place.etc / "x.conf", "before\n")
    start = tree(place.etc)
    place.present("a", {"x.conf": "ours\n"}, replace=True)
    (place.etc / "x.conf").unlink()
    place.present("a", {"x.conf": "ours\n"})
    assert (place.etc / "x.conf").read_text() == "ours\n"
    (place.etc / "x.conf").unlink()
    place.absent("a")
    assert tree(place.etc) == start


def test_a_directory_that_somebody_deleted_is_no_obstacle(place: Place) -> None:
    place.present("a", {"deep/x.conf": "x\n"})
    (place.etc / "deep/x.conf").unlink()
    (place.etc / "deep").rmdir()
    place.absent("a")
    assert tree(place.etc) == {}
    assert not place.state.exists()


# -- refusals, each before anything is changed


def _directory(path: Path) -> None:
    path.mkdir()


def _fifo(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize(("make", "word"), [(_directory, "a directory"), (_fifo, "a named pipe")])
def test_what_is_no_file_is_refused(place: Place, make: Callable[[Path], None], word: str) -> None:
    make(place.etc / "x.conf")
    start = tree_names(place)
    with pytest.raises(HostFileError, match=word):
        place.present("a", {"new.conf": "new\n", "x.conf": "ours\n"}, replace=True)
    assert tree_names(place) == start


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: os.symlink("/etc/shadow", path)])
def test_what_is_swapped_under_our_eyes_is_not_read(tmp_path: Path, make: Callable[[str], None]) -> None:
    path = str(tmp_path / "x")
    Path(path).write_text("x\n")
    child = os.fork()
    if child == 0:
        signal.alarm(20)

        def swap(event: str, arguments: tuple) -> None:
            if event == "open" and arguments[0] == path:
                os.unlink(path)
                make(path)

        sys.addaudithook(swap)
        try:
            files.look(path)
        except HostFileError:
            os._exit(0)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0


def tree_names(place: Place) -> List[str]:
    return sorted(str(path) for path in place.etc.rglob("*"))


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ({"file/x.conf": "x"}, "not a directory"),
        ({"dangling/x.conf": "x"}, "not a directory"),
        ({"x": "x", "x/y": "y"}, "wanted as a file and, for .*x/y, as a directory"),
        ({"a/../x.conf": "x"}, "not an absolute path"),
        ({"x.conf/": "x"}, "not an absolute path"),
        ({"a//x.conf": "x"}, "not an absolute path"),
    ],
)
def test_impossible_paths_are_refused(place: Place, contents: Dict[str, str], message: str) -> None:
    put(place.etc / "file", "mine\n")
    (place.etc / "dangling").symlink_to("nowhere")
    start = tree(place.etc)
    wanted = [Wanted(f"{place.etc}/{name}", text.encode(), **ME) for name, text in contents.items()]
    with pytest.raises(HostFileError, match=message):
        files.compare(Manifest.load(place.path), "a", wanted)
    assert tree(place.etc) == start


def test_a_path_twice_and_a_relative_one_are_refused(place: Place) -> None:
    for wanted in (place.wanted({"x": "1"}) + place.wanted({"x": "2"}), [Wanted("etc/x", b"", **ME)]):
        with pytest.raises(HostFileError):
            files.compare(Manifest.load(place.path), "a", wanted)


def test_who_does_not_exist_is_refused_and_predicted(place: Place) -> None:
    for option in ("owner", "group"):
        wanted = [Wanted(str(place.etc / "x"), b"x", **{**ME, option: "nobody-of-this-name"})]
        with pytest.raises(HostFileError, match=f"{option} 'nobody-of-this-name' does not exist"):
            files.compare(Manifest.load(place.path), "a", wanted)
        differences = files.compare(Manifest.load(place.path), "a", wanted, predict=True)
        assert differences.result()["changes"][0]["after"][option] == "nobody-of-this-name"


# -- killed, and out of space


BEFORE_OF_CRASH = {"x.conf": "before\n"}
FIRST = {"x.conf": "ours\n", "l.conf": "ours\n", "deep/er/y.conf": "y\n"}
SECOND = {"x.conf": "ours, too\n", "deep/er/y.conf": "y\n", "deep/z.conf": "z\n"}


@pytest.mark.parametrize("then", ["absent", "first", "second", "nothing to do"])
@pytest.mark.parametrize(("done", "doing"), [({}, FIRST), (FIRST, SECOND), (FIRST, {}), (SECOND, FIRST)])
def test_killed_at_any_step_both_ways_are_still_open(
    memory: Path, done: Dict[str, str], doing: Dict[str, str], then: str
) -> None:
    after = {"absent": {}, "first": FIRST, "second": SECOND, "nothing to do": done}[then]
    for step in range(1, 2000):
        (memory / str(step)).mkdir()
        place = Place(memory / str(step))
        put(place.etc / "x.conf", "before\n")
        (place.etc / "l.conf").symlink_to("x.conf")
        os.utime(place.etc / "l.conf", ns=(LONG_AGO, LONG_AGO), follow_symlinks=False)
        start = tree(place.etc)
        place.present("a", done, replace=True)
        killed = killed_at(step, lambda place=place: place.present("a", doing, replace=True))
        place.present("a", after, replace=True)
        wanted = {str(Path(name)): text for name, text in after.items()}
        found = {name: (place.etc / name).read_text() for name in wanted}
        assert found == wanted
        assert not [name for name in tree(place.etc) if ".nspa-proaudio" in name]
        assert not place.differs("a", after)
        assert Manifest.load(place.path).litter() == []
        place.absent("a")
        assert tree(place.etc) == start, f"killed at step {step}"
        assert not place.state.exists(), f"killed at step {step}"
        if not killed:
            assert step > 20
            return
    raise AssertionError("never came to its end")


@pytest.mark.parametrize("doing", [{"x.conf": "ours, too\n"}, {}])
def test_killed_at_any_step_no_edit_is_lost(memory: Path, doing: Dict[str, str]) -> None:
    for step in range(1, 2000):
        (memory / str(step)).mkdir()
        place = Place(memory / str(step))
        place.present("a", {"x.conf": "ours\n"})
        (place.etc / "x.conf").write_text("edited by hand\n")
        killed = killed_at(step, lambda place=place: place.present("a", doing))
        assert set(place.kept()) <= {"edited by hand\n"}
        place.absent("a")
        assert place.kept() == ["edited by hand\n"]
        if not killed:
            return
    raise AssertionError("never came to its end")


def test_what_does_not_fit_on_the_disk_changes_nothing(place: Place) -> None:
    put(place.etc / "x.conf", "before\n")
    place.present("a", {"old.conf": "old\n"})
    start, record = tree(place.etc), Manifest.load(place.path).entries("files")
    # The manifest fits.
    with limited(20000), pytest.raises(HostFileError, match=r"x\.conf cannot be written: File too large"):
        place.present("a", {"deep/new.conf": "new\n", "x.conf": "x" * 30000, "old.conf": "newer\n"}, replace=True)
    assert tree(place.etc) == start
    assert Manifest.load(place.path).entries("files") == record
    place.absent("a")
    assert not place.state.exists()


@pytest.mark.skipif(not ROOT, reason="needs root, to make a file immutable")
def test_an_immutable_file_is_named_and_the_rest_can_go_on(place: Place) -> None:
    original = put(place.etc / "x.conf", "before\n")
    start = tree(place.etc)
    if subprocess.run(["chattr", "+i", str(original)], check=False, capture_output=True).returncode:
        pytest.skip("this file system has no immutable files")
    try:
        with pytest.raises(
            HostFileError, match=r"x\.conf cannot be written: Operation not permitted.*immutable"
        ) as named:
            place.present("a", {"deep/a.conf": "a\n", "x.conf": "ours\n", "y.conf": "y\n"}, replace=True)
        assert f"In place already: {place.etc}/deep/a.conf." in str(named.value)
        assert sorted(tree(place.etc)) == ["deep", "deep/a.conf", "x.conf"]
        with pytest.raises(HostFileError, match=r"immutable.* Nothing was changed\."):
            place.present("a", {"deep/a.conf": "a\n", "x.conf": "ours\n", "y.conf": "y\n"}, replace=True)
        place.absent("a")
        assert tree(place.etc) == start
        assert not place.state.exists()
    finally:
        subprocess.run(["chattr", "-i", str(original)], check=True)
    place.present("a", {"x.conf": "ours\n", "y.conf": "y\n"}, replace=True)
    assert (place.etc / "x.conf").read_text() == "ours\n"
    subprocess.run(["chattr", "+i", str(original)], check=True)
    try:
        with pytest.raises(HostFileError, match=r"x\.conf cannot be written: Operation not permitted"):
            place.absent("a")
        assert not [name for name in tree(place.etc) if ".nspa-proaudio" in name]
    finally:
        subprocess.run(["chattr", "-i", str(original)], check=True)
    place.absent("a")
    assert tree(place.etc) == start


def test_what_an_interrupted_run_left_is_a_difference_by_itself(place: Place) -> None:
    place.present("a", {"x.conf": "ours\n"})
    (place.state / "contents").mkdir()
    (place.state / "contents/half").write_text("half")
    assert place.differs("a", {"x.conf": "ours\n"})
    place.present("a", {"x.conf": "ours\n"})
    assert not place.differs("a", {"x.conf": "ours\n"})
    assert not (place.state / "contents").exists()


def test_everything_is_on_the_disk_before_and_after_it_gets_its_name(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = []
    fsync, rename = os.fsync, os.rename

    def synced(descriptor: int) -> None:
        order.append(("fsync", os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    def renamed(source: object, target: object, **options: object) -> None:
        order.append(("rename", str(target)))
        rename(source, target, **options)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "rename", renamed)
    path = str(place.etc / "deep/x.conf")
    place.present("a", {"deep/x.conf": "ours\n"})
    recorded = order.index(("rename", place.path))
    content = order.index(("fsync", str(staged(path))))
    placed = order.index(("rename", path))
    assert order[recorded + 1] == ("fsync", str(place.state))
    assert recorded < content < placed
    assert {("fsync", str(place.etc / "deep")), ("fsync", str(place.etc))} <= set(order[placed:])


@pytest.mark.parametrize(("code", "lasting"), [(EIO, False), (ENOSPC, True), (EROFS, True)])
@pytest.mark.parametrize(("done", "doing"), [({}, FIRST), (FIRST, SECOND), (FIRST, {})])
def test_whatever_the_disk_refuses_is_named_and_nothing_is_lost(
    memory: Path, done: Dict[str, str], doing: Dict[str, str], code: int, lasting: bool
) -> None:
    for step in range(1, 2000):
        (memory / str(step)).mkdir()
        place = Place(memory / str(step))
        put(place.etc / "x.conf", "before\n")
        (place.etc / "l.conf").symlink_to("x.conf")
        os.utime(place.etc / "l.conf", ns=(LONG_AGO, LONG_AGO), follow_symlinks=False)
        start = tree(place.etc)
        place.present("a", done, replace=True)
        middle = tree(place.etc)
        fault = failing_at(step, code, memory, lambda place=place: place.present("a", doing, replace=True), lasting)
        if fault.message:
            assert os.strerror(code) in fault.message
            assert str(memory) in fault.message
        elif not lasting:
            # Where the fault met something that is nice to have, all was done nevertheless.
            assert {name: (place.etc / name).read_text() for name in doing} == doing
        if "Nothing was changed" in fault.message and not lasting:
            assert tree(place.etc) == middle
        place.present("a", doing, replace=True)
        assert {name: (place.etc / name).read_text() for name in doing} == doing
        assert not [name for name in tree(place.etc) if ".nspa-proaudio" in name]
        assert not place.differs("a", doing)
        place.absent("a")
        assert tree(place.etc) == start, f"step {step}: {fault.message}"
        assert not place.state.exists(), f"step {step}: {fault.message}"
        if not fault.hit:
            assert step > 20
            return
    raise AssertionError("never came to its end")


# -- any history


NAMES = ("x.conf", "deep/y.conf", "deep/er/z.conf")
ROLES = ("a", "b")
TEXTS = st.sampled_from(["one\n", "two\n", "three\n"])
STEPS = st.one_of(
    st.tuples(
        st.just("present"),
        st.sampled_from(ROLES),
        st.dictionaries(st.sampled_from(NAMES), TEXTS),
    ),
    st.tuples(st.just("absent"), st.sampled_from(ROLES), st.none()),
    st.tuples(st.just("edit"), st.sampled_from(NAMES), st.sampled_from(["edit 1\n", "edit 2\n"])),
    st.tuples(st.just("delete"), st.sampled_from(NAMES), st.none()),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    start=st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["file", "link"])),
    steps=st.lists(STEPS, max_size=8),
)
def test_after_any_history_the_host_is_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, start: Dict[str, str], steps: list
) -> None:
    place = Place(tmp_path_factory.mktemp("history"))
    for name, kind in start.items():
        put(place.etc / name, f"before {name}\n")
        if kind == "link":
            (place.etc / name).unlink()
            (place.etc / name).symlink_to(f"target of {name}")
            os.utime(place.etc / name, ns=(LONG_AGO, LONG_AGO), follow_symlinks=False)
    before = tree(place.etc)
    owner: Dict[str, str] = {}
    edits = []
    for step, subject, detail in steps:
        if step in ("present", "absent"):
            contents = detail or {}
            foreign = [name for name in contents if owner.get(name, subject) != subject]
            if foreign:
                with pytest.raises(HostFileError, match="wanted by"):
                    place.present(subject, contents, replace=True)
                continue
            place.present(subject, contents, replace=True)
            assert not place.differs(subject, contents)
            assert {name: (place.etc / name).read_text() for name in contents} == contents
            owner = {name: role for name, role in owner.items() if role != subject}
            owner.update(dict.fromkeys(contents, subject))
        elif subject in owner:
            # What people do to their own edit is their own business.
            path = place.etc / subject
            if path.exists() and path.read_text() in edits:
                edits.remove(path.read_text())
            path.unlink(missing_ok=True)
            if step == "edit":
                path.write_text(detail)
                edits.append(detail)
    for role in ROLES:
        place.absent(role)
    assert tree(place.etc) == before
    assert set(edits) <= set(place.kept())
    if not place.kept():
        assert not place.state.exists()


# -- the module as a process, in the Python of a managed host


@pytest.fixture
def host(tmp_path: Path) -> Host:
    (tmp_path / "etc").mkdir()
    return Host(tmp_path)


def entry(path: Path, content: str, **options: object) -> dict:
    return {"path": str(path), "content": content, **ME, **options}


def test_the_module_predicts_what_it_then_does(host: Host, tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    put(etc / "x.conf", "before\n", 0o600)
    start = tree(tmp_path)
    files = [entry(etc / "x.conf", "ours\n", replace=True), entry(etc / "deep/y.conf", "y\n", mode="0750")]
    predicted = host.run("host_files", check=True, role="a", files=files)
    assert tree(tmp_path) == start
    done = host.run("host_files", role="a", files=files)
    assert predicted.result == done.result
    assert done.result["changed_files"] == [str(etc / "x.conf"), str(etc / "deep/y.conf")]
    assert [change["action"] for change in done.result["changes"]] == ["updated", "created"]
    assert done.result["changes"][0]["before"]["mode"] == "0600"
    assert [(item["before"], item["after"]) for item in done.result["diff"]][::2] == [
        ("before\n", "ours\n"),
        ("", "y\n"),
    ]
    assert done.result["diff"][1]["before"].startswith("mode: 0600\n")
    again = host.run("host_files", role="a", files=files)
    assert (again.changed, again.result["diff"]) == (False, [])

    middle = tree(tmp_path)
    predicted = host.run("host_files", check=True, role="a", state="absent")
    assert tree(tmp_path) == middle
    done = host.run("host_files", role="a", state="absent")
    assert predicted.result == done.result
    assert [change["action"] for change in done.result["changes"]] == ["removed", "put back"]
    assert tree(tmp_path) == {**start, "state": tree(tmp_path)["state"]}
    assert not host.run("host_files", role="a", state="absent").changed


def test_a_validator_decides_before_anything_goes_into_place(host: Host, tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    start = tree(tmp_path)
    good = entry(etc / "good.sh", "echo good\n", validate="sh -n %s")
    bad = entry(etc / "bad.sh", "if\n", validate="sh -n %s")
    for check in (True, False):
        refused = host.run("host_files", check=check, role="a", files=[good, bad])
        assert refused.code != 0
        assert f"{etc}/bad.sh was refused by its validator 'sh' (exit code 2). Nothing was changed." in refused.message
        assert "Syntax error" in refused.message
        assert {name for name in tree(tmp_path) if not name.startswith("state")} == set(start)
    assert host.run("host_files", role="a", files=[good]).changed


def test_a_validator_sees_the_true_file_name_and_mode(host: Host, tmp_path: Path) -> None:
    script = put(
        tmp_path / "check.sh", '#!/bin/sh\ntest "${1##*/}" = y.service && test "$(stat -c %a "$1")" = 600\n', 0o755
    )
    file = entry(tmp_path / "etc/y.service", "y\n", mode="0600", validate=f"{script} %s")
    assert host.run("host_files", role="a", files=[file]).code == 0


def test_a_validator_that_is_not_installed_yet(host: Host, tmp_path: Path) -> None:
    file = entry(tmp_path / "etc/x", "x\n", validate="no-such-checker %s")
    predicted = host.run("host_files", check=True, role="a", files=[file])
    assert predicted.changed
    assert "no-such-checker is not on this machine" in str(predicted.result["warnings"])
    refused = host.run("host_files", role="a", files=[file])
    assert "no-such-checker is not on this machine. Nothing was changed." in refused.message
    assert not (tmp_path / "etc/x").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": 420}, 'mode 420 is not a string of octal digits such as "0644"'),
        ({"mode": "u=rw"}, "mode 'u=rw' is not a string of octal digits"),
        ({"mode": "0888"}, "mode '0888' is not a string of octal digits"),
        ({"validate": "visudo -c"}, "validate 'visudo -c' lacks %s"),
        ({"mode": "0644\n"}, "is not a string of octal digits"),
        ({"validate": "sh -c 'x %s"}, "validate 'sh -c 'x %s' is not a command line"),
        ({"validate": "sh \0 %s"}, "was not checked by its validator"),
        ({"colour": "red"}, "colour"),
        ({"path": "/etc/\0"}, "'/etc/\\x00' is not an absolute path"),
        ({"path": "//etc/x"}, "is not an absolute path"),
        ({"path": ""}, "is not an absolute path"),
        ({"path": f"/{'x' * 300}"}, "File name too long"),
        ({"path": "/etc/\ud800"}, "is not an absolute path"),
        ({"content": "\ud800"}, "cannot be written as UTF-8"),
        ({"owner": "4294967295"}, "owner '4294967295' does not exist"),
        ({"group": "9" * 5000}, "does not exist"),
        ({"owner": "\u00b2"}, "does not exist"),
        ({"owner": "\0"}, "does not exist"),
        ({"owner": "-1"}, "owner '-1' does not exist"),
    ],
)
def test_bad_options_are_named(host: Host, tmp_path: Path, options: dict, message: str) -> None:
    refused = host.run("host_files", role="a", files=[{**entry(tmp_path / "etc/x", "x\n"), **options}])
    assert refused.code != 0
    assert message in refused.message
    assert not (tmp_path / "etc/x").exists()


@pytest.mark.parametrize("role", ["", "a\nb", "\0"])
def test_a_set_has_a_name(host: Host, role: str) -> None:
    assert "is no name for a set of files" in host.run("host_files", role=role, state="absent").message


def test_templates_are_not_for_the_host(host: Host) -> None:
    refused = host.run("host_files", role="a", templates=[{"src": "x.j2", "dest": "/etc/x"}])
    assert "templates are rendered by the action plugin" in refused.message
    assert not host.run("host_files", role="a", templates=[{"src": "x.j2", "dest": "/etc/x"}], state="absent").changed


@pytest.mark.parametrize("block", [False, True])
def test_a_kept_edit_is_shown_as_a_warning(host: Host, tmp_path: Path, block: bool) -> None:
    path = tmp_path / "etc/x"
    host.run("host_files", role="a", files=[entry(path, "ours\n", block=block)])
    path.write_text(path.read_text().replace("ours", "edited"))
    edited = path.read_text()
    predicted = host.run("host_files", check=True, role="a", state="absent")
    kept = host.manifest.parent / "kept"
    assert f"The file as they left it will be kept in {kept}." in str(predicted.result["warnings"])
    assert not kept.exists()
    done = host.run("host_files", role="a", state="absent")
    copy = done.result["kept_edits"][0]["copy"]
    assert done.result["kept_edits"] == [{"path": str(path), "copy": copy}]
    assert f"wrote to {path}. The file as they left it is kept in {copy}." in str(done.result["warnings"])
    assert Path(copy).read_text() == edited
    assert not path.exists()


def test_what_was_wanted_is_noted_and_the_note_goes_too(host: Host, tmp_path: Path) -> None:
    wanted = [entry(tmp_path / "etc/x", "x\n")]
    host.run("host_files", role="a", files=wanted)
    (_digest, concern, arguments), *others = want.recorded(Manifest.load(str(host.manifest)))
    assert (concern, others) == ("host_files", [])
    change = files.CONCERN.compare(
        Manifest.load(str(host.manifest)), "a", files.CONCERN.wanted(arguments), Purpose.JUDGE
    )
    assert not change.changed
    assert not host.run("host_files", role="a", files=wanted).changed
    # The same file by chance: nothing is owned, and yet it was wanted.
    host.run("host_files", role="b", files=[entry(put(tmp_path / "etc/y", "y\n"), "y\n")])
    assert not host.run("host_files", role="b", files=[entry(tmp_path / "etc/y", "y\n")]).changed
    host.run("host_files", role="a", state="absent")
    assert len(want.recorded(Manifest.load(str(host.manifest)))) == 1
    host.run("host_files", role="b", state="absent")
    assert not host.manifest.parent.exists()


def test_to_judge_starts_no_validator(host: Host, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    script = put(tmp_path / "check.sh", f"#!/bin/sh\ntouch {ran}\n", 0o755)
    file = entry(tmp_path / "etc/x", "x\n", validate=f"{script} %s", mode="0644", replace=False, block=False)
    change = {}
    for purpose in Purpose:
        manifest = Manifest.load(str(host.manifest))
        change[purpose] = files.CONCERN.compare(manifest, "a", {"files": [file], "templates": []}, purpose)
        assert change[purpose].changed
        assert ran.exists() == (purpose is Purpose.PREDICT)
        ran.unlink(missing_ok=True)
    with Manifest.change(str(host.manifest)) as manifest:
        change[Purpose.APPLY].apply(manifest)
    assert ran.exists()


def test_the_login_decides_nothing_about_a_validators_copy(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "mine").mkdir()
    host = Host(tmp_path, {"TMPDIR": str(tmp_path / "mine")})
    text = '#!/bin/sh\ncase "$1" in /tmp/nspa-proaudio-*|{records}/*) ;; *) exit 1 ;; esac\n'
    script = put(tmp_path / "check.sh", text.format(records=host.manifest.parent), 0o755)
    for check in (True, False):
        file = entry(tmp_path / "etc/x", "x\n", validate=f"{script} %s")
        done = host.run("host_files", check=check, role="a", files=[file])
        assert done.code == 0, done.message


def test_a_run_that_is_killed_in_a_validator_leaves_nothing(host: Host, tmp_path: Path) -> None:
    script = put(tmp_path / "check.sh", f"#!/bin/sh\necho $1 > {tmp_path}/seen\nkill -9 $PPID\n", 0o755)
    with pytest.raises(IndexError):
        host.run("host_files", role="a", files=[entry(tmp_path / "etc/x", "x\n", validate=f"{script} %s")])
    copy = Path((tmp_path / "seen").read_text().strip())
    assert host.run("host_files", role="a", state="absent").code == 0
    assert not copy.exists()
    assert not copy.parent.exists()
    assert not host.manifest.parent.exists()


def test_two_runs_at_once_do_not_lose_entries(host: Host, tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def run(number: int) -> bool:
        file = entry(tmp_path / f"etc/shared/{number}.conf", "x\n")
        return host.run("host_files", role=f"role{number}", files=[file]).changed

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(run, range(8)))
    assert len(Manifest.load(str(host.manifest)).entries("files")) == 8
    for number in range(8):
        host.run("host_files", role=f"role{number}", state="absent")
    assert tree(tmp_path / "etc") == {}
    assert not host.manifest.parent.exists()
