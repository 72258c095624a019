# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A block of lines in somebody else's file comes and goes; the other lines are nobody's but theirs."""

from __future__ import annotations

import os
import stat
from collections import Counter
from pathlib import Path
from typing import List, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.attributes import ACL, CAPABILITY, acl
from support.host import killed_at, tree

from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import Manifest
from ansible_collections.nspa.proaudio.plugins.module_utils._files import block, files
from ansible_collections.nspa.proaudio.plugins.module_utils._files.files import FilesChange, HostFileError, Wanted

BEGIN, END = "# BEGIN nspa.proaudio wine_env\n", "# END nspa.proaudio wine_env\n"
BLOCK = f"{BEGIN}A=1\n{END}"
LONG_AGO = 1_000_000_000_123_456_789
ROOT = os.geteuid() == 0


class Environment:
    """A host's /etc/environment, and a role that has some lines in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledger = str(folder / "state/nspa/manifest.json")
        self.path = folder / "etc/environment"
        self.path.parent.mkdir(parents=True)

    def wanted(self, content: Optional[str]) -> List[Wanted]:
        return [] if content is None else [Wanted(str(self.path), content.encode(), block=True)]

    def set(self, content: Optional[str]) -> FilesChange:
        """Let the block hold these lines; None: no block."""
        with Manifest.change(self.ledger) as manifest:
            change = files.compare(manifest, "wine_env", self.wanted(content))
            if change.changed:
                change.apply(manifest)
        assert not files.compare(Manifest.load(self.ledger), "wine_env", self.wanted(content)).changed
        return change

    def text(self) -> str:
        return self.path.read_bytes().decode()

    def write(self, text: str) -> None:
        self.path.write_bytes(text.encode())

    def kept(self) -> List[str]:
        folder = Path(self.ledger).parent / "kept"
        return [path.read_bytes().decode() for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def run(tmp_path: Path) -> Environment:
    return Environment(tmp_path)


# -- comes and goes


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("before", ["", "LANG=C\n", "LANG=C", "LANG=C\nEDITOR=vim", None])
def test_the_file_comes_back_byte_for_byte(run: Environment, before: Optional[str], end: str) -> None:
    """Also one with the ends of Windows, as in case 21 from the field."""
    if before is not None:
        before = before.replace("\n", end)
        run.write(before)
        run.path.chmod(0o640)
        os.utime(run.path, ns=(1, 1))
    start = tree(run.path.parent)
    assert run.set("A=1\n").changed
    lines = "" if not before else before if before.endswith("\n") else before + (end if "\n" in before else "\n")
    ours = BLOCK.replace("\n", end) if "\n" in (before or "") else BLOCK
    assert run.text() == lines + ours
    assert not run.set("A=1\n").changed
    run.set("A=2\nB=2")
    assert run.text() == lines + ours.replace("A=1", f"A=2{end if end in ours else chr(10)}B=2")
    assert run.set(None).changed
    assert tree(run.path.parent) == start
    assert not Path(run.ledger).parent.exists()


def test_lines_that_others_add_meanwhile_stay(run: Environment) -> None:
    run.write("LANG=C\n")
    run.set("A=1\n")
    run.write("EDITOR=vi\n" + run.text() + "PAGER=less\n")
    run.set("A=2\n")
    assert run.text() == "EDITOR=vi\nLANG=C\nPAGER=less\n" + BLOCK.replace("A=1", "A=2")
    run.set(None)
    assert run.text() == "EDITOR=vi\nLANG=C\nPAGER=less\n"
    assert run.kept() == []


def test_lines_that_others_add_above_are_no_difference(run: Environment) -> None:
    run.write("LANG=C\n")
    run.set("A=1\n")
    run.write("EDITOR=vi\n" + run.text())
    assert not run.set("A=1\n").changed


def test_the_lines_of_two_roles_keep_apart(run: Environment) -> None:
    other = BLOCK.replace("wine_env", "other").replace("A=1", "Z=1")
    run.write(f"LANG=C\n{other}")
    run.set("A=1\n")
    run.write(run.text().replace(END, ""))
    run.set(None)
    assert run.text() == f"LANG=C\n{other}"


@pytest.mark.parametrize("lines", ["LANG=de\n", ""])
def test_a_block_that_somebody_took_out_is_not_missed(run: Environment, lines: str) -> None:
    run.write("LANG=C\n")
    run.set("A=1\n")
    run.write(lines)
    run.set(None)
    assert run.text() == lines


def test_a_file_that_somebody_removed_stays_removed(run: Environment) -> None:
    run.write("LANG=C\n")
    run.set("A=1\n")
    run.path.unlink()
    run.set(None)
    assert not run.path.exists()
    assert not Path(run.ledger).parent.exists()


# -- edited


@pytest.mark.parametrize("then", ["A=1\n", "A=2\n", None])
@pytest.mark.parametrize("edit", [("A=1\n", "A=5\n"), ("A=1\n", "A=1\nMINE=1\n"), ("A=1\n", "")])
def test_an_edit_between_our_marks_is_kept_and_said(run: Environment, then: Optional[str], edit: tuple) -> None:
    run.write("LANG=C\n")
    run.set("A=1\n")
    run.write(run.text().replace(*edit))
    edited = run.text()
    before = files.compare(Manifest.load(run.ledger), "wine_env", run.wanted(then))
    assert [f"{run.path}." in text and "/nspa/kept." in text for text in before.warnings] == [True]
    change = run.set(then)
    assert run.kept() == [edited]
    assert change.warnings == [
        f"Somebody had changed what this collection wrote to {run.path}. "
        f"The file as they left it is kept in {change.result()['kept_edits'][0]['copy']}."
    ]
    assert run.text() == "LANG=C\n" + (BLOCK.replace("A=1\n", then) if then else "")


@pytest.mark.parametrize("lost", [BEGIN, END])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("then", ["A=1\nB=1\n", "A=2\n", None])
def test_without_one_of_our_marks_only_our_lines_go(run: Environment, lost: str, end: str, then: Optional[str]) -> None:
    run.write(f"LANG=C{end}")
    run.set("A=1\nB=1\n")
    run.write(f"A=1{end}" + run.text().replace(lost.replace("\n", end), "") + f"B=1{end}THEIRS=1{end}")
    run.set(then)
    ours = "" if then is None else (BEGIN + then + END).replace("\n", end)
    assert run.text() == f"A=1{end}LANG=C{end}B=1{end}THEIRS=1{end}{ours}"
    assert run.kept() == []


def test_without_both_marks_the_lines_are_theirs(run: Environment) -> None:
    run.set("A=1\n")
    run.write("A=1\n")
    run.set(None)
    assert run.text() == "A=1\n"


@pytest.mark.parametrize("then", ["A=1\nB=1\n", "A=2\n", None])
@pytest.mark.parametrize(("lost", "there", "side"), [(BEGIN, END, "above"), (END, BEGIN, "below")])
def test_where_our_lines_cannot_be_told_from_theirs_nothing_is_changed(
    run: Environment, lost: str, there: str, side: str, then: Optional[str]
) -> None:
    run.write("LANG=C\n")
    run.set("A=1\nB=1\n")
    run.write(run.text().replace(lost, "").replace("A=1\nB=1\n", "B=5\nA=1\n") + "THEIRS=1\n")
    start = tree(run.folder)
    words = f"stands the line '{there.strip()}', and '{lost.strip()}' is missing: which of the lines {side} it"
    with pytest.raises(HostFileError, match=f"{words}.*Nothing was changed. Put the missing line back"):
        run.set(then)
    assert tree(run.folder) == start
    run.write(run.text().replace(there, ""))
    run.set(then)
    assert run.text().startswith("LANG=C\nB=5\nA=1\nTHEIRS=1\n")


def test_a_block_from_an_earlier_life_is_taken_over_and_kept(run: Environment) -> None:
    """As after the record was given up, and the directory moved away."""
    run.write("LANG=C\n" + BLOCK.replace("A=1", "A=0") + "EDITOR=vi\n")
    run.set("A=1\n")
    assert run.text() == "LANG=C\nEDITOR=vi\n" + BLOCK
    assert run.kept() == ["LANG=C\n" + BLOCK.replace("A=1", "A=0") + "EDITOR=vi\n"]
    run.set(None)
    assert run.text() == "LANG=C\nEDITOR=vi\n"


def test_a_block_that_was_copied_goes_as_a_whole(run: Environment) -> None:
    run.set("A=1\n")
    run.write(BLOCK + "LANG=C\n" + BLOCK + BLOCK)
    run.set("A=2\n")
    assert run.text() == "LANG=C\n" + BLOCK.replace("A=1", "A=2")


@pytest.mark.parametrize("then", ["A=1\n", "A=2\n", None])
def test_an_editor_that_changes_the_ends_of_lines_edits_nothing(run: Environment, then: Optional[str]) -> None:
    run.write("LANG=C\nEDITOR=vi\n")
    run.set("A=1\n")
    run.write(run.text().replace("\n", "\r\n").rstrip())
    run.set(then)
    ours = BLOCK.replace("A=1\n", then) if then else ""
    assert run.text() == ("LANG=C\nEDITOR=vi\n" + ours).replace("\n", "\r\n")
    assert run.kept() == []


# -- what else the file has


def test_attributes_stay_as_they_are(run: Environment) -> None:
    """Case 21 from the field: an ACL was dropped, and the group could write while the block stood."""
    run.write("LANG=C\n")
    run.path.chmod(0o644)
    os.setxattr(run.path, "user.note", b"by hand")
    os.setxattr(run.path, ACL, acl(daemon=6))
    if ROOT:
        os.chown(run.path, 12345, 54321)
        os.setxattr(run.path, "security.capability", CAPABILITY)
    os.utime(run.path, ns=(LONG_AGO, LONG_AGO))
    start = tree(run.path.parent)

    def attributes() -> tuple:
        seen = tree(run.path.parent)["environment"]
        return (*seen[:4], seen[6])

    ours = attributes()
    assert stat.S_IMODE(run.path.stat().st_mode) == 0o664
    for content in ("A=1\n", "A=2\n"):
        run.set(content)
        assert attributes() == ours
        assert run.path.stat().st_mtime_ns > LONG_AGO
    run.set(None)
    assert tree(run.path.parent) == start


def test_attributes_that_somebody_sets_meanwhile_stay(run: Environment) -> None:
    run.write("LANG=C\n")
    run.set("A=1\n")
    run.path.chmod(0o600)
    os.setxattr(run.path, "user.note", b"by hand")
    assert not run.set("A=1\n").changed
    run.set(None)
    assert run.text() == "LANG=C\n"
    assert stat.S_IMODE(run.path.stat().st_mode) == 0o600
    assert os.getxattr(run.path, "user.note") == b"by hand"


def test_a_symlink_is_refused(run: Environment) -> None:
    run.path.symlink_to("elsewhere")
    with pytest.raises(HostFileError, match="symlink"):
        run.set("A=1\n")


def test_what_became_a_symlink_is_only_left_when_it_is_free_of_ours(run: Environment) -> None:
    run.write("LANG=C\n")
    run.set("A=1\n")
    run.path.rename(run.path.parent / "moved")
    run.path.symlink_to("moved")
    with pytest.raises(HostFileError, match=r"is a symlink now.*remove the block"):
        run.set(None)
    (run.path.parent / "moved").write_text("LANG=C\n")
    run.set(None)
    assert os.readlink(run.path) == "moved"
    assert not Path(run.ledger).parent.exists()


def test_a_whole_file_does_not_become_a_block_unasked(run: Environment) -> None:
    run.set("A=1\n")
    whole = [Wanted(str(run.path), b"A=1\n")]
    with pytest.raises(HostFileError, match=r"written as a block of lines .*state: absent"):
        files.compare(Manifest.load(run.ledger), "wine_env", whole)


# -- killed


@pytest.mark.parametrize("then", ["A=1\n", "A=2\n", None])
@pytest.mark.parametrize(("done", "doing"), [(None, "A=1\n"), ("A=1\n", "A=2\n"), ("A=2\n", None)])
def test_killed_at_any_step_nothing_of_theirs_is_lost(
    memory: Path, done: Optional[str], doing: Optional[str], then: Optional[str]
) -> None:
    for step in range(1, 500):
        (memory / str(step)).mkdir()
        run = Environment(memory / str(step))
        run.write("LANG=C\n")
        run.path.chmod(0o664)
        os.setxattr(run.path, ACL, acl(daemon=4))
        start = tree(run.path.parent)
        run.set(done)
        killed = killed_at(step, lambda run=run: run.set(doing))
        # Somebody else comes before us, and breaks the block.
        run.write(run.text().replace(END, "") + "THEIRS=1\n")
        run.set(then)
        assert run.text() == "LANG=C\nTHEIRS=1\n" + (BLOCK.replace("A=1\n", then) if then else "")
        run.write(run.text().replace("THEIRS=1\n", ""))
        run.set(None)
        assert {**tree(run.path.parent)["environment"][6]} == start["environment"][6]
        assert run.text() == "LANG=C\n"
        assert sorted(tree(run.path.parent)) == ["environment"]
        assert not Path(run.ledger).parent.exists()
        if not killed:
            assert step > 15
            return
    raise AssertionError("never came to its end")


# -- any file


LINES = st.sampled_from(["LANG=C", "", "A=1", "B=2", BEGIN.strip(), END.strip(), "# END nspa.proaudio", "x" * 5])
TEXTS = st.builds(
    lambda lines, ends, last: "".join(f"{line}{end}" for line, end in zip(lines, ends)) + last,
    st.lists(LINES, max_size=8),
    st.lists(st.sampled_from(["\n", "\n", "\r\n"]), min_size=8, max_size=8),
    st.sampled_from(["", "no end"]),
)


@given(before=TEXTS, blocks=st.lists(st.lists(st.sampled_from(["A=1", "B=2"]), max_size=3), min_size=1, max_size=3))
def test_from_any_file_a_block_comes_and_goes_without_a_trace(before: str, blocks: List[List[str]]) -> None:
    content, written = before.encode(), [block.text("r", "\n".join(lines).encode()) for lines in blocks]
    for index, ours in enumerate(written):
        others = block.take_out("/x", content, "r", written[:index])
        assert others == (before.encode(), False) or others.lines[: len(before)] == before.encode()
        content = block.put_in(others.lines, ours)
    last = block.take_out("/x", content, "r", written)
    assert not last.edited
    assert last.lines in (before.encode(), block.put_in(before.encode(), b""))


@given(content=TEXTS, body=st.lists(st.sampled_from(["A=1", "B=2"]), max_size=3))
def test_from_any_broken_file_only_our_own_lines_go(content: str, body: List[str]) -> None:
    ours = block.text("wine_env", "\n".join(body).encode())
    try:
        others = block.take_out("/x", content.encode(), "wine_env", [ours])
    except HostFileError:
        return
    gone = Counter(content.encode().splitlines()) - Counter(others.lines.splitlines())
    blocks = gone[BEGIN.strip().encode()] + gone[END.strip().encode()]
    assert others.edited or sum(gone.values()) <= blocks * (len(body) + 1)
    assert not block.has_mark(others.lines, "wine_env")
