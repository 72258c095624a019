# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A block of lines in somebody else's file comes and goes; the other lines are nobody's but theirs."""

from __future__ import annotations

import os

import pytest

from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import Manifest
from ansible_collections.nspa.proaudio.plugins.module_utils._files import files
from ansible_collections.nspa.proaudio.plugins.module_utils._files.files import HostFileError, Wanted

BLOCK = "# BEGIN nspa.proaudio wine_env\nA=1\n# END nspa.proaudio wine_env\n"


@pytest.fixture
def run(tmp_path):
    ledger = str(tmp_path / "state/nspa/manifest.json")
    (tmp_path / "state").mkdir()
    path = tmp_path / "environment"

    def go(content):
        wanted = [] if content is None else [Wanted(str(path), content.encode(), block=True)]
        with Manifest.change(ledger) as manifest:
            differences = files.compare(manifest, "wine_env", wanted)
            files.apply(manifest, differences)
        assert not files.compare(Manifest.load(ledger), "wine_env", wanted).any
        return differences.any

    go.path = path
    go.ledger = ledger
    return go


@pytest.mark.parametrize("before", ["", "LANG=C\n", "LANG=C", None])
def test_the_file_comes_back_byte_for_byte(run, before):
    if before is not None:
        run.path.write_text(before)
        run.path.chmod(0o640)
        os.utime(run.path, ns=(1, 1))
    assert run("A=1\n")
    lines = "" if not before else "LANG=C\n"
    assert run.path.read_text() == lines + BLOCK
    assert not run("A=1\n")
    assert run(None)
    if before is None:
        assert not run.path.exists()
    else:
        assert run.path.read_text() == before
        assert (run.path.stat().st_mode & 0o777, run.path.stat().st_mtime_ns) == (0o640, 1)
    assert not os.path.lexists(run.ledger)


def test_lines_that_others_add_meanwhile_stay(run):
    run.path.write_text("LANG=C\n")
    run("A=1\n")
    run.path.write_text("EDITOR=vi\n" + run.path.read_text() + "PAGER=less\n")
    run("A=2\n")
    assert run.path.read_text() == "EDITOR=vi\nLANG=C\nPAGER=less\n" + BLOCK.replace("A=1", "A=2")
    run(None)
    assert run.path.read_text() == "EDITOR=vi\nLANG=C\nPAGER=less\n"


def test_a_block_that_somebody_took_out_is_not_missed(run):
    run.path.write_text("LANG=C\n")
    run("A=1\n")
    run.path.write_text("LANG=de\n")
    run(None)
    assert run.path.read_text() == "LANG=de\n"


def test_a_symlink_is_refused(run, tmp_path):
    run.path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(HostFileError, match="symlink"):
        run("A=1\n")
