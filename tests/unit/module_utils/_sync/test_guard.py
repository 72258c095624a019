# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard: whatever a job does, its caller comes back in time, knows what happened, and has nothing left over."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from ansible_collections.nspa.proaudio.plugins.module_utils._sync import guard as guard


def _good(trail: guard.Trail) -> None:
    trail.step("one")
    trail.facts["answer"] = 42


def _silent(trail: guard.Trail) -> None:
    trail.facts["seen"] = True
    trail.step("sleeping")
    time.sleep(60)


def _deaf(trail: guard.Trail) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)
    trail.step("ignoring signals")
    time.sleep(60)


def _crashing(trail: guard.Trail) -> None:
    trail.step("crashing")
    os.kill(os.getpid(), signal.SIGSEGV)


def _raising(trail: guard.Trail) -> None:
    trail.step("raising")
    raise ValueError("no good")


def _leaving(trail: guard.Trail) -> None:
    trail.step("leaving")
    os._exit(3)


def _talkative(trail: guard.Trail) -> None:
    trail.facts["text"] = "x" * 1000000
    for number in range(5):
        time.sleep(0.1)
        trail.step(f"step {number}")


ENDS = {
    "good": (_good, guard.DONE, "one", ""),
    "silent": (_silent, guard.STUCK, "sleeping", "SIGKILL"),
    "deaf": (_deaf, guard.STUCK, "ignoring signals", "SIGKILL"),
    "crashing": (_crashing, guard.KILLED, "crashing", "SIGSEGV"),
    "raising": (_raising, guard.FAILED, "raising", "ValueError: no good"),
    "leaving": (_leaving, guard.KILLED, "leaving", "exit 3"),
    "talkative": (_talkative, guard.DONE, "step 4", ""),
}


def _children() -> set[str]:
    return set(Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split())


def _descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize(("job", "end", "step", "detail"), ENDS.values(), ids=ENDS.keys())
def test_each_end_of_a_job_is_told(job: guard.Job, end: str, step: str, detail: str) -> None:
    children, descriptors = _children(), _descriptors()
    start = time.monotonic()
    outcome = guard.run({"job": job}, deadline=1)["job"]
    assert time.monotonic() - start < 4
    assert (outcome["end"], outcome["step"], outcome["detail"]) == (end, step, detail)
    assert _children() == children
    assert len(_descriptors()) == len(descriptors)


def test_facts_seen_before_a_hang_are_kept() -> None:
    assert guard.run({"job": _silent}, deadline=0.2)["job"]["facts"] == {"seen": True}


def test_the_jobs_after_a_bad_one_are_done() -> None:
    jobs = {"a": _good, "b": _crashing, "c": _silent, "d": _raising, "e": _good}
    outcomes = guard.run(jobs, deadline=0.2)
    assert {name: outcome["end"] for name, outcome in outcomes.items()} == {
        "a": guard.DONE,
        "b": guard.KILLED,
        "c": guard.STUCK,
        "d": guard.FAILED,
        "e": guard.DONE,
    }


def test_a_child_keeps_no_file_of_its_parent() -> None:
    def look(trail: guard.Trail) -> None:
        trail.facts["targets"] = sorted(os.readlink(path) for path in Path("/proc/self/fd").iterdir() if path.exists())

    reader, writer = os.pipe()
    try:
        targets = guard.run({"look": look}, deadline=1)["look"]["facts"]["targets"]
    finally:
        os.close(reader)
        os.close(writer)
    strange = [target for target in targets if target != "/dev/null" and not target.startswith(("pipe:", "/proc/"))]
    assert strange == []
    assert len([target for target in targets if target.startswith("pipe:")]) == 1  # its own, to report


def test_the_child_dies_with_its_parent(tmp_path: Path) -> None:
    note = tmp_path / "pid"

    def job(trail: guard.Trail) -> None:
        note.write_text(str(os.getpid()))
        trail.step("sleeping")
        time.sleep(60)

    parent = os.fork()
    if parent == 0:
        guard.run({"job": job}, deadline=60)
        os._exit(0)
    for _attempt in range(200):
        if note.exists() and note.read_text():
            break
        time.sleep(0.01)
    child = int(note.read_text())
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    for _attempt in range(200):
        state = Path(f"/proc/{child}/stat")
        if not state.exists() or state.read_text().split(")")[1].split()[0] == "Z":
            return
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    pytest.fail("the child outlived its parent")


def test_it_works_in_a_thread_beside_others() -> None:
    outcomes: list[str] = []

    def run() -> None:
        outcomes.append(guard.run({"job": _good}, deadline=2)["job"]["end"])

    threads = [threading.Thread(target=run) for _number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [guard.DONE] * 4


def test_it_works_where_somebody_else_collects_the_children() -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        outcomes = guard.run({"good": _good, "silent": _silent, "after": _good}, deadline=0.2)
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert [outcome["end"] for outcome in outcomes.values()] == [guard.DONE, guard.STUCK, guard.DONE]


def test_an_interruption_by_the_user_leaves_no_child() -> None:
    children = _children()
    main = threading.main_thread().ident
    assert main is not None
    # A shell that starts the tests in the background has them ignore the signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        timer = threading.Timer(0.2, signal.pthread_kill, (main, signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            guard.run({"job": _silent}, deadline=30)
        timer.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert _children() == children


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux'")
def test_names_of_signals() -> None:
    assert guard.signal_name(31) == "SIGSYS"
    assert guard.signal_name(4711) == "signal 4711"
