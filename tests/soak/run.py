# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many rounds on some machines side by side, and what came of them in figures."""

from __future__ import annotations

import collections
import contextlib
import random
import shutil
import tempfile
import threading
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Counter, Dict, Iterator, List, Optional, Sequence, Tuple

from soak.machine import Machine
from soak.rounds import LEFTOVER, LOSS, STUCK, WRONG, Outcome, Problem, Rounds

KILL, FAULT, CROWD = "kill", "fault", "crowd"
ATTEMPTS = 8
"""Tries for one disturbance: a call that an earlier run made may not be made in this one."""
_PLURALS = {LOSS: "losses", STUCK: "non-convergences", LEFTOVER: "leftovers", WRONG: "wrong answers"}


@dataclass
class Plan:
    """What is to be done; see the options of the command."""

    kills: int
    faults: int
    crowds: int
    seed: int
    scenes: Sequence[str]
    folder: Path
    seconds: float = 0
    jobs: int = 1
    round: Optional[int] = None
    keep: bool = False
    verbose: bool = False

    def end(self) -> None:
        """Let no further round begin; those at work come to their end, and their machines go."""
        self.seconds = 1e-9

    def rounds(self) -> List[Tuple[int, str]]:
        """Number and kind of each round, in an order that the seed decides."""
        kinds = [KILL] * self.kills + [FAULT] * self.faults + [CROWD] * self.crowds
        random.Random(self.seed).shuffle(kinds)
        found = list(enumerate(kinds))
        return found if self.round is None else [found[self.round]]


@dataclass
class Report:
    """The figures."""

    seed: int
    seconds: float = 0
    done: Counter[str] = field(default_factory=collections.Counter)
    programs: Counter[str] = field(default_factory=collections.Counter)
    problems: List[Problem] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not self.problems

    def add(self, other: Report) -> None:
        self.seconds += other.seconds
        self.done += other.done
        self.programs += other.programs
        self.problems += other.problems

    def text(self) -> str:
        kinds = collections.Counter(problem.kind for problem in self.problems)
        killed = ", ".join(f"{name} {count}" for name, count in self.programs.most_common(12))
        done = ", ".join(f"{name}s {count}" for name, count in sorted(self.done.items()))
        found = ", ".join(f"{plural} {kinds[kind]}" for kind, plural in _PLURALS.items())
        return f"{done} in {self.seconds:.0f} s (seed {self.seed})\ndisturbed: {killed}\n{found}"


def soak(plan: Plan, tell: Callable[[str], None]) -> Report:
    """Do all rounds; what is found is told at once."""
    report, begin, lock = Report(plan.seed), time.monotonic(), threading.Lock()
    left = collections.deque(plan.rounds())

    def work() -> None:
        with contextlib.ExitStack() as stack:
            rounds: Optional[Rounds] = None
            while not plan.seconds or time.monotonic() - begin < plan.seconds:
                with lock:
                    if not left:
                        return
                    number, kind = left.popleft()
                if rounds is None:
                    stack.close()
                    rounds = Rounds(stack.enter_context(_machine(plan)), plan.scenes)
                outcome = _round(rounds, kind, f"{plan.seed}/{number}")
                with lock:
                    _note(report, plan, number, kind, outcome, rounds, tell)
                if outcome.problem:
                    rounds = None

    threads = [threading.Thread(target=work) for _ in range(plan.jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report.seconds = time.monotonic() - begin
    return report


def _round(rounds: Rounds, kind: str, seed: str) -> Outcome:
    chance = random.Random(seed)
    kinds: Dict[str, Callable[[random.Random], Outcome]] = {
        KILL: rounds.kill,
        FAULT: rounds.fault,
        CROWD: rounds.crowd,
    }
    try:
        for _attempt in range(ATTEMPTS):
            outcome = kinds[kind](chance)
            if outcome.program or outcome.problem:
                return outcome
        return outcome
    except Exception:
        return Outcome("the harness itself", "", Problem(WRONG, traceback.format_exc()))


def _note(
    report: Report,
    plan: Plan,
    number: int,
    kind: str,
    outcome: Outcome,
    rounds: Rounds,
    tell: Callable[[str], None],
) -> None:
    if outcome.program:
        report.done[kind] += 1
        if kind != CROWD:
            report.programs[outcome.program] += 1
    if plan.verbose:
        tell(f"round {number}, {kind}: {outcome.story}")
    if outcome.problem:
        report.problems.append(outcome.problem)
        kept = f"; the machine is in {rounds.machine.folder}" if plan.keep else ""
        tell(
            f"round {number} ({kind}), a {outcome.problem.kind}: {outcome.problem.text}\n"
            f"  {outcome.story}\n  repeat: --seed {plan.seed} --round {number} --kills {plan.kills} "
            f"--faults {plan.faults} --crowds {plan.crowds} --scenes {' '.join(plan.scenes)}{kept}"
        )


@contextlib.contextmanager
def _machine(plan: Plan) -> Iterator[Machine]:
    folder = Path(tempfile.mkdtemp(prefix="soak-", dir=plan.folder))
    machine = Machine(folder)
    try:
        yield machine
    finally:
        machine.close()
        if not plan.keep:
            shutil.rmtree(folder)
