# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that is installed on a host answers as preflight does, and nothing else that lies there is run."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

import pytest
from support.host import Host

from ansible_collections.nspa.proaudio.plugins.lookup.nspa_answer_script import LookupModule
from ansible_collections.nspa.proaudio.plugins.plugin_utils import _single_file

QUESTION = {"settings": None, "users": [], "packages": [], "kernels": None, "absent": []}


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    return Host(tmp_path_factory.mktemp("host"))


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "answer"
    path.write_text(_single_file.answer(), encoding="utf-8")
    return path


def ask(host, program, question, text=None):
    wanted = hashlib.sha256((text or _single_file.answer()).encode("utf-8")).hexdigest()
    return host.run("answer", path=str(program), sha256=wanted, question=question)


def said(answer):
    return {name: value for name, value in answer.result.items() if name not in ("answered", "invocation")}


@pytest.mark.parametrize("users", [[], ["nobody-of-this-name"]])
def test_it_answers_as_preflight_does(host, program, users):
    """Whatever this machine is; where no roles could run, that is the answer of both."""
    question = {**QUESTION, "users": users}
    answer, other = ask(host, program, question), host.run("preflight", **question)
    assert answer.result["answered"] is True
    assert (answer.code, said(answer)) == (other.code, said(other))
    assert any("nobody-of-this-name" in problem for problem in answer.result.get("problems", ())) == bool(users)


def test_a_program_that_differs_by_a_line_is_not_run(host, program, tmp_path):
    trace = tmp_path / "it-was-run"
    with program.open("a", encoding="utf-8") as handle:
        handle.write(f"open({str(trace)!r}, 'w').close()\n")
    answer = ask(host, program, QUESTION)
    assert (answer.code, answer.result["answered"]) == (0, False)
    assert not trace.exists()
    # It would have been run, had it been the one that was meant.
    ask(host, program, QUESTION, program.read_text(encoding="utf-8"))
    assert trace.exists()


@pytest.mark.parametrize("what", ["nothing", "a folder"])
def test_where_there_is_no_program_nothing_is_answered(host, tmp_path, what):
    place = tmp_path / "answer"
    if what == "a folder":
        place.mkdir()
    answer = ask(host, place, QUESTION)
    assert (answer.code, answer.result["answered"], answer.changed) == (0, False, False)


def test_the_lookup_gives_the_text_that_is_compared():
    assert LookupModule().run([]) == [_single_file.answer()]


def test_it_runs_on_its_own(program):
    command = [sys.executable, "-I", "-S", str(program)]
    question = json.dumps({"users": ["nobody-of-this-name"]})
    done = subprocess.run(command, input=question, capture_output=True, text=True, cwd="/", env={}, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert "nobody-of-this-name" in json.loads(done.stdout)["msg"]
