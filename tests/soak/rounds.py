# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A round: a machine is brought somewhere, disturbed on its way, brought on undisturbed, and put back.

Whatever happened on the way: what was asked for last stands, asking again changes nothing, and after absent everything
is as at the start, byte for byte, with nothing of ours left.
"""

from __future__ import annotations

import concurrent.futures
import json
import random
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from soak.machine import Machine, shape
from soak.scenes import ABSENT, ONE, OTHER, SCENES, Scene, Step
from soak.tracer import ALL, FAULTS, Aim, Traced

LOSS, LEFTOVER, STUCK, WRONG = "loss", "leftover", "non-convergence", "wrong answer"
_MODULE = "python"
_GONE = "nothing"


class Problem(NamedTuple):
    """What must not be: its kind, and what was seen."""

    kind: str
    text: str


class Trouble(Exception):
    """The round ended at a problem."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.problem = Problem(kind, text)


class Outcome(NamedTuple):
    """What a round did: a sentence, which program was disturbed ("" if none was), and the problem."""

    story: str
    program: str
    problem: Optional[Problem]


class Rounds:
    """Rounds on one machine, which is what it was at the start after each of them that found no problem."""

    def __init__(self, machine: Machine, scenes: Iterable[str]) -> None:
        self.machine = machine
        self.scenes = [SCENES[name] for name in scenes]
        self.start = machine.look()
        self.differences: Dict[Tuple[str, str], Dict[str, Any]] = {}
        self._calls: Dict[Tuple[str, str, int], Dict[str, Dict[str, int]]] = {}
        self._story: List[str] = []
        self._hit = ""

    # -- what an undisturbed machine does

    def learn(self, scene: Scene) -> None:
        """See where each state brings the machine, and how many calls each step takes."""
        if (scene.name, ONE) in self.differences:
            return
        for state in (ONE, OTHER):
            self._bring(scene, state)
            self.differences[scene.name, state] = _difference(shape(self.start), shape(self.machine.look()))
            if not self.differences[scene.name, state]:
                raise Trouble(WRONG, f"{scene.name} {state} changes nothing")
        self._put_back([scene])

    # -- rounds

    def kill(self, chance: random.Random) -> Outcome:
        """Kill a module, or a program that it started, or all at once."""
        return self._round(chance, lambda: self._disturbed(chance, "alone" if chance.random() < 0.6 else "all"))

    def fault(self, chance: random.Random) -> Outcome:
        """Let a call fail, or all from there on, for want of room, or as a disk fails."""
        return self._round(chance, lambda: self._disturbed(chance, chance.choice(sorted(FAULTS))))

    def crowd(self, chance: random.Random) -> Outcome:
        """Let two or three runs go on at once."""
        return self._round(chance, lambda: self._together(chance))

    def _round(self, chance: random.Random, work: Callable[[], None]) -> Outcome:
        self._story, self._hit = [], ""
        problem = None
        try:
            work()
        except Trouble as trouble:
            problem = trouble.problem
        return Outcome("; ".join(self._story), self._hit, problem)

    def _disturbed(self, chance: random.Random, what: str) -> None:
        scene = chance.choice(self.scenes)
        self.learn(scene)
        before = chance.choice([ABSENT, ONE, OTHER])
        after = chance.choice([state for state in (ABSENT, ONE, OTHER) if state != before])
        if before != ABSENT:
            self._steps(scene, before)
        steps = scene.states[after]
        place = chance.randrange(len(steps))
        for number in range(place):
            self._step(scene, after, number)
        aim = self._aim(chance, scene, after, place, what)
        if aim is None:
            self._put_back([scene])
            return
        self._story.append(f"{scene.name} from {before} to {after}, {steps[place].module}: {aim}")
        run = self.machine.start(steps[place].module, steps[place].arguments, aim)
        at_once = aim.what == "alone" and chance.random() < 0.5
        if at_once:
            # What it started is still at work when the next run begins.
            run.ended()
            self._go_on(chance, scene, after)
            self._disturbance(steps[place], aim, run.over())
        else:
            if self._disturbance(steps[place], aim, run.over()):
                # It said that it had done it.
                for number in range(place + 1, len(steps)):
                    self._step(scene, after, number)
                self._stands({scene.name: after})
            self._go_on(chance, scene, after)
        self._put_back([scene])

    def _disturbance(self, step: Step, aim: Aim, done: Traced) -> bool:
        """Look at what came of a run that was disturbed; whether it said that all is well."""
        self._hit = aim.program if done.hit else ""
        self._story.append(f"met {done.hit}" if done.hit else "not met")
        if done.code < 128:
            self._answer(step, done, may_fail=bool(done.hit))
        elif not done.hit or not aim.kills:
            raise Trouble(WRONG, f"{step.module} was ended by a signal: {done}")
        return done.code == 0

    def _go_on(self, chance: random.Random, scene: Scene, state: str) -> None:
        """Undisturbed, to the same end or to another one."""
        end = state if chance.random() < 0.6 else chance.choice([ABSENT, ONE, OTHER])
        self._story.append(f"then {end}")
        if end != ABSENT:
            self._bring(scene, end)

    def _together(self, chance: random.Random) -> None:
        number = chance.choice([2, 2, 3])
        if chance.random() < 0.5 or len(self.scenes) < number:
            scenes = [chance.choice(self.scenes)] * number
        else:
            scenes = chance.sample(self.scenes, number)
        states = {scene.name: chance.choice([ONE, OTHER]) for scene in scenes}
        self._story.append(f"together: {', '.join(f'{scene.name} to {states[scene.name]}' for scene in scenes)}")
        for scene in scenes:
            self.learn(scene)
        self._hit = "several"
        self._at_once([(scene, states[scene.name]) for scene in scenes])
        self._stands({scene.name: states[scene.name] for scene in scenes})
        self._at_once([(scene, ABSENT) for scene in scenes])
        self._put_back(list({scene.name: scene for scene in scenes}.values()))

    def _at_once(self, wanted: Sequence[Tuple[Scene, str]]) -> None:
        with concurrent.futures.ThreadPoolExecutor(len(wanted)) as pool:
            for done in [pool.submit(self._steps, scene, state) for scene, state in wanted]:
                done.result()

    # -- undisturbed runs, and what must be true after them

    def _bring(self, scene: Scene, state: str) -> None:
        self._steps(scene, state)
        if (scene.name, state) in self.differences:
            self._stands({scene.name: state})
        self._settled(scene, state)

    def _put_back(self, scenes: Sequence[Scene]) -> None:
        for scene in scenes:
            self._steps(scene, ABSENT)
        look = self.machine.look()
        for name in sorted({*self.start, *look}):
            was, now = self.start.get(name), look.get(name)
            if was != now:
                kind = LEFTOVER if was is None else LOSS
                raise Trouble(kind, f"{name} was {_shown(was)} and is {_shown(now)}")
        for scene in scenes:
            self._settled(scene, ABSENT)

    def _stands(self, states: Dict[str, str]) -> None:
        wanted: Dict[str, Any] = {}
        for name, state in states.items():
            wanted.update(self.differences.get((name, state), {}))
        found = _difference(shape(self.start), shape(self.machine.look()))
        for name in sorted({*wanted, *found}):
            if wanted.get(name) != found.get(name):
                raise Trouble(
                    STUCK,
                    f"{name} should be {_shown(wanted.get(name, 'as before'))} "
                    f"and is {_shown(found.get(name, 'as before'))} in state {states}",
                )

    def _settled(self, scene: Scene, state: str) -> None:
        said = self.machine.interrupted()
        if said:
            raise Trouble(STUCK, f"dpkg says: {said}")
        for number, step in enumerate(scene.states[state]):
            result = self._step(scene, state, number)
            if result["changed"]:
                raise Trouble(STUCK, f"{step.module} {state} changes something again: {result}")

    def _steps(self, scene: Scene, state: str) -> None:
        for number in range(len(scene.states[state])):
            self._step(scene, state, number)

    def _step(self, scene: Scene, state: str, number: int) -> Dict[str, Any]:
        step = scene.states[state][number]
        done = self.machine.start(step.module, step.arguments).over()
        result = self._answer(step, done)
        known = self._calls.setdefault((scene.name, state, number), {})
        for key, counts in done.calls.items():
            for program, count in counts.items():
                known.setdefault(key, {})[program] = max(count, known.get(key, {}).get(program, 0))
        return result

    def _answer(self, step: Step, done: Traced, may_fail: bool = False) -> Dict[str, Any]:
        """What a module said, if it is an answer. Raises Trouble."""
        said = f"{step.module} {step.arguments.get('state', 'present')}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        if "Traceback" in done.stderr or "Traceback" in done.stdout:
            raise Trouble(WRONG, said)
        try:
            result = json.loads(done.stdout.splitlines()[-1])
        except (IndexError, ValueError):
            raise Trouble(WRONG, f"no answer, status {done.code}; {said}") from None
        if done.code != 0 and not may_fail:
            raise Trouble(STUCK, said)
        if done.code != 0 and not (result.get("failed") and len(str(result.get("msg", "")).split()) > 4):
            raise Trouble(WRONG, said)
        return dict(result)

    # -- where to disturb

    def _aim(self, chance: random.Random, scene: Scene, state: str, place: int, what: str) -> Optional[Aim]:
        """One of the calls that this step is known to make: every second time of the module's own.

        None for a step that makes no such call: it had nothing to do.
        """
        calls = self._calls[scene.name, state, place]
        key = ALL if what in ("alone", "all") else what
        programs = sorted(calls.get(key, ()))
        if not programs:
            return None
        own = [program for program in programs if program.startswith(_MODULE)]
        program = own[0] if chance.random() < 0.5 or programs == own else chance.choice(programs)
        number = chance.randint(1, calls[key][program])
        return Aim(program, number, what, lasting=what in FAULTS and chance.random() < 0.4)


def _difference(before: Dict[str, Any], after: Dict[str, Any]) -> Dict[str, Any]:
    return {
        name: after.get(name, _GONE) for name in {*before, *after} if before.get(name, _GONE) != after.get(name, _GONE)
    }


def _shown(entry: Any) -> str:
    text = repr(entry)
    return text if len(text) < 300 else f"{text[:200]}...{text[-80:]}"
