# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""nspa-check: one file that runs on its own, and says with its exit status what it found."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.nspa.proaudio.plugins.lookup.nspa_check_script import LookupModule
from ansible_collections.nspa.proaudio.plugins.module_utils._command import nspa_check
from ansible_collections.nspa.proaudio.plugins.module_utils._sync import probe
from ansible_collections.nspa.proaudio.plugins.plugin_utils import _single_file

SOURCES = Path(probe.__file__).parent.parent


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bin") / "nspa-check"
    path.write_text(_single_file.compose())
    path.chmod(0o755)
    return path


def check(script: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """As on a host that has nothing but Python: another directory, no site packages, an empty environment."""
    command = [sys.executable, "-I", "-S", str(script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd="/", env={}, timeout=60, check=False)


def test_it_finds_what_the_module_finds(script: Path) -> None:
    done = check(script, "sync", "--json", "--samples", "5")
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    here = probe.probe(samples=5)
    statuses = {name: found["status"] for name, found in here["interfaces"].items()}
    assert {name: found["status"] for name, found in result["interfaces"].items()} == statuses
    assert set(result) == set(here)
    assert result["kernel"]["release"] == os.uname().release


def test_the_table_names_everything(script: Path) -> None:
    done = check(script, "sync", "--samples", "5")
    assert (done.returncode, done.stderr) == (0, "")
    for name in (*probe.INTERFACES, os.uname().release, "Wine-NSPA 11.x", "best"):
        assert name in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) <= 100


def test_the_exit_status_answers_what_was_required(script: Path) -> None:
    for name, found in probe.probe(samples=0)["interfaces"].items():
        done = check(script, "sync", "--samples", "0", "--require", name)
        assert done.returncode == (0 if found["status"] == "supported" else 1), name
        assert done.stderr == "" or done.stderr.startswith(f"Wanted: {name}. Found on kernel ")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("nothing",),
        ("sync", "--require"),
        ("sync", "--require", "ntsnyc"),
        ("sync", "--samples", "many"),
        ("sync", "--samples", "-1"),
        ("sync", "--samples", "100001"),
        ("sync", "extra"),
    ],
)
def test_what_is_not_understood_is_a_usage_error(script: Path, arguments: tuple[str, ...]) -> None:
    done = check(script, *arguments)
    assert done.returncode == 2
    assert "usage: nspa-check" in done.stderr
    assert "Traceback" not in done.stderr


def test_it_helps(script: Path) -> None:
    assert "sync" in check(script, "--help").stdout
    assert "futex_waitv" in check(script, "sync", "--help").stdout


def test_a_reader_that_goes_away_is_no_error(script: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, str(script), "sync", "--samples", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout and process.stderr
    process.stdout.close()
    assert b"Traceback" not in process.stderr.read()
    process.wait()


def test_every_part_stands_in_it_word_for_word() -> None:
    text = _single_file.compose()
    parts = re.findall(r'^_part\("([\w.]+)", r', text, re.MULTILINE)
    assert {"_command.nspa_check", "_sync.probe", "_sync.abi"} <= set(parts)
    for name in parts:
        assert SOURCES.joinpath(*name.split(".")).with_suffix(".py").read_text() in text
    assert text.count("_part(") == len(parts) + 1
    assert "import ansible\n" not in text
    assert "from ansible.module_utils" not in text


def test_a_source_that_cannot_be_quoted_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("text = '''no'''\n")
    with pytest.raises(ValueError, match=r"bad cannot be part"):
        _single_file.compose("bad", "bad", tmp_path)


def test_the_lookup_gives_the_same_text() -> None:
    assert LookupModule().run([]) == [_single_file.compose()]


def test_it_can_be_made_without_ansible(tmp_path: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-I", "-S", _single_file.__file__], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert made.stdout == _single_file.compose()


@given(
    arguments=st.lists(st.one_of(st.sampled_from(["sync", "--json", "--require", "--samples", "any", "7"]), st.text()))
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_command_line_makes_it_stumble(
    monkeypatch: pytest.MonkeyPatch, canned: dict[str, Any], arguments: list[str]
) -> None:
    monkeypatch.setattr(probe, "probe", lambda samples: canned)
    try:
        status = nspa_check.main(arguments)
    except SystemExit as exit_:
        status = int(exit_.code or 0)
    assert status in (0, 1, 2)


@pytest.fixture(scope="module")
def canned() -> dict[str, Any]:
    return probe.probe(samples=0)
