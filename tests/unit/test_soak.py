# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A slice of the long run (`make soak`), and whether the harness sees what it is there to see."""

from __future__ import annotations

import json
import os
import random
import tempfile
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping, Optional

import pytest
from soak import machine as soak_machine
from soak.machine import Machine
from soak.rounds import LEFTOVER, LOSS, STUCK, WRONG, Rounds
from soak.run import Plan, soak
from soak.scenes import QUICK
from soak.tracer import Aim, Run, Traced

SECONDS = 30
"""No round is started after this time; the last ones, and the machines, take some more."""
LINES = "for n in 1 2 3 4; do /bin/echo $n >> {file} || echo $n failed; done; echo end"


@pytest.fixture(scope="module", autouse=True)
def able() -> None:
    reason = soak_machine.unavailable()
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="soak-", dir=soak_machine.PLACE) as name:
        yield Path(name)


# -- the tracer


def trace(script: str, folders: Optional[list] = None, aim: Optional[Aim] = None) -> Traced:
    return Run(["/bin/sh", "-c", script], os.environ, folders or [], aim).over()


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_kill_meets_the_call_that_was_aimed_at_before_it_is_done(tmp_path: Path, number: int) -> None:
    file = tmp_path / "file"
    done = trace(LINES.format(file=file), [str(tmp_path)], Aim("echo", number, "all"))
    assert done.hit == f"echo: write {file}"
    assert (done.code, done.stdout) == (137, "")
    assert file.read_text() == "".join(f"{line}\n" for line in range(1, number))


def test_a_kill_alone_leaves_the_others_at_work(tmp_path: Path) -> None:
    file = tmp_path / "file"
    done = trace(LINES.format(file=file), [str(tmp_path)], Aim("echo", 2, "alone"))
    assert (done.code, done.stdout) == (0, "2 failed\nend\n")
    assert file.read_text() == "1\n3\n4\n"


@pytest.mark.parametrize(("lasting", "written"), [(False, "1\n3\n4\n"), (True, "1\n")])
def test_a_fault_is_met_once_or_from_there_on(tmp_path: Path, lasting: bool, written: str) -> None:
    file = tmp_path / "file"
    done = trace(LINES.format(file=file), [str(tmp_path)], Aim("echo", 2, "ENOSPC", lasting))
    assert "No space left on device" in done.stderr
    assert file.read_text() == written


def test_only_the_machines_own_files_are_met(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    script = LINES.format(file=tmp_path / "elsewhere") + f"; cd {tmp_path}/here; /bin/echo 1 > relative"
    done = trace(script, [str(tmp_path / "here")], Aim("echo", 1, "EIO"))
    assert done.hit == f"echo: write {tmp_path}/here/relative"
    assert done.calls["all"] == {"dash": 1, "echo": 1}


# -- what the rounds see


class Careless(Machine):
    """A machine on which something happens after each run of a module."""

    harm: Callable[[Mapping[str, Any], Traced], Optional[Traced]] = staticmethod(lambda _arguments, _done: None)

    def start(self, module: str, arguments: Mapping[str, Any], aim: Optional[Aim] = None) -> Any:
        run = super().start(module, arguments, aim)
        done = run.over()
        return Over(self.harm(arguments, done) or done)


class Over:
    def __init__(self, done: Traced) -> None:
        self._done = done

    def ended(self) -> None:
        pass

    def over(self) -> Traced:
        return self._done


@pytest.fixture(scope="module")
def careless(folder: Path) -> Iterator[Careless]:
    machine = Careless(folder)
    yield machine
    machine.close()


@pytest.fixture(scope="module")
def learned(careless: Careless) -> Rounds:
    rounds = Rounds(careless, ["kernel_tunables"])
    rounds.learn(rounds.scenes[0])
    return rounds


@pytest.fixture
def rounds(learned: Rounds, careless: Careless) -> Iterator[Rounds]:
    yield learned
    # As it was, whatever the test did.
    careless.harm = lambda _arguments, _done: None
    for step in learned.scenes[0].states["absent"]:
        careless.start(step.module, step.arguments)
    (careless.folder / "proc/sys/vm/swappiness").write_text("60\n")
    assert careless.look() == learned.start


def is_absent(arguments: Mapping[str, Any]) -> bool:
    return arguments.get("state") == "absent"


def test_a_leftover_is_seen(rounds: Rounds, careless: Careless) -> None:
    left = careless.root / "etc/.nspa-proaudio-left.new"
    careless.harm = lambda arguments, _done: left.touch() if is_absent(arguments) else None
    problem = rounds.kill(random.Random(1)).problem
    left.unlink()
    assert problem is not None and problem.kind == LEFTOVER and "nspa-proaudio-left" in problem.text


def test_a_loss_is_seen_and_a_time_is_one(rounds: Rounds, careless: Careless) -> None:
    theirs = careless.root / "etc/environment"
    time = theirs.stat().st_mtime_ns
    careless.harm = lambda arguments, _done: os.utime(theirs, ns=(time, time + 1)) if is_absent(arguments) else None
    problem = rounds.kill(random.Random(1)).problem
    os.utime(theirs, ns=(time, time))
    assert problem is not None and problem.kind == LOSS and "etc/environment" in problem.text


def test_a_run_that_does_not_converge_is_seen(rounds: Rounds, careless: Careless) -> None:
    value = careless.folder / "proc/sys/vm/swappiness"
    careless.harm = lambda arguments, _done: None if is_absent(arguments) else value.write_text("7\n") and None
    problem = rounds.crowd(random.Random(1)).problem
    assert problem is not None and problem.kind == STUCK and "swappiness" in problem.text


@pytest.mark.parametrize(
    "said",
    [
        {"stdout": "", "stderr": "Traceback (most recent call last):"},
        {"stdout": "", "stderr": "out of luck"},
        {"stdout": json.dumps({"failed": True, "msg": "[Errno 28]"}), "stderr": ""},
    ],
)
def test_what_is_no_sentence_is_seen(rounds: Rounds, careless: Careless, said: Mapping[str, str]) -> None:
    careless.harm = lambda arguments, done: Traced(1, **said, calls=done.calls, hit="a call") if done.hit else None
    problem = rounds.fault(random.Random(1)).problem
    assert problem is not None and problem.kind == WRONG


# -- the slice


def test_nothing_is_lost_or_left_whatever_is_killed_fails_or_runs_at_once() -> None:
    told: list = []
    seed = random.SystemRandom().randrange(1_000_000)
    plan = Plan(60, 40, 10, seed, [*QUICK, "packages"], soak_machine.PLACE, seconds=SECONDS, jobs=2)
    report = soak(plan, told.append)
    assert not report.problems, "\n".join(told)
    assert report.done, "no round came to its end"
