# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From observations to a verdict: nothing that is wrong is called supported, and nothing makes it fail."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nspa.proaudio.plugins.module_utils._sync import futex, judge, probe, wine
from ansible_collections.nspa.proaudio.plugins.module_utils._sync import guard as guard

STATUSES = {"supported", "degraded", "broken", "absent", "blocked", "vacuous"}
DEVICES = ("ntsync", "nspa_ntsync", "winesync")
ANSWERS = st.sampled_from(["0", "1", "EINVAL", "ENOSYS", "EPERM", "EACCES", "EFAULT", "EAGAIN", "EINTR", "ENOTTY", ""])
TIMEOUTS = ("relative", "absolute-monotonic", "absolute-realtime")


def host(files: dict[str, str] | None = None, release: str = "6.1.0-40-amd64", filtered: bool = False) -> Any:
    return judge.Host(release, filtered, 3.0, lambda path: (files or {}).get(path, ""))


def good(name: str) -> dict[str, Any]:
    """What a job notes of an interface that works, in the order in which it does."""
    facts: dict[str, Any] = {}
    if name in DEVICES:
        facts.update(node="mode 0666, uid 0, gid 0", ordinary_user=True, open="0")
    facts.update(number=1, answer="0" if name in DEVICES else "EINVAL")
    if name in DEVICES:
        facts["wrong"] = []
    else:
        facts.update(mismatch=["EAGAIN", "EAGAIN"], too_many="EINVAL")
    wake = {"what": "3 things", "scope": "private", "wake": "1", "early": False}
    facts["wakes"] = [dict(wake, index=index, got=str(index)) for index in range(3)]
    facts["timeouts"] = ["relative"] if name == "futex_wait_multiple" else ["absolute-monotonic"]
    return facts


def outcome(facts: dict[str, Any], end: str = guard.DONE, step: str = "a step", detail: str = "") -> dict[str, Any]:
    return {"facts": facts, "end": end, "step": step, "detail": detail}


def judged(name: str, seen: dict[str, Any] | None, where: Any = None) -> dict[str, Any]:
    function = judge.judge_device if name in DEVICES else judge.judge
    return function(name, seen, where or host())


@pytest.mark.parametrize("name", probe.INTERFACES)
def test_what_works_is_supported(name: str) -> None:
    verdict = judged(name, outcome(good(name)))
    assert (verdict["status"], verdict["wake_index_ok"]) == ("supported", True)


@given(
    name=st.sampled_from(probe.INTERFACES),
    kept=st.integers(0, 9),
    end=st.sampled_from([guard.STUCK, guard.KILLED, guard.FAILED, guard.REFUSED]),
    step=st.text(max_size=20),
    detail=st.sampled_from(["", "SIGSYS", "SIGSEGV", "exit 3", "OSError: no"]),
)
def test_a_job_that_did_not_end_is_never_supported(name: str, kept: int, end: str, step: str, detail: str) -> None:
    facts = dict(list(good(name).items())[:kept])
    verdict = judged(name, outcome(facts, end, step, detail))
    assert verdict["status"] in {"broken", "blocked"}
    assert verdict["evidence"]
    assert verdict["wake_index_ok"] is not True or "timeouts" in facts


@given(name=st.sampled_from(probe.INTERFACES), data=st.data())
def test_one_wrong_observation_is_enough(name: str, data: st.DataObject) -> None:
    facts = copy.deepcopy(good(name))
    keys = [key for key in ("answer", "mismatch", "wakes", "wrong", "open") if key in facts]
    key = data.draw(st.sampled_from(keys))
    if key == "wrong":
        facts["wrong"] = ["a mutex: EINVAL, 0 is right"]
    elif key == "mismatch":
        place = data.draw(st.integers(0, 1))
        facts["mismatch"][place] = data.draw(ANSWERS.filter(lambda answer: answer != "EAGAIN"))
    elif key == "wakes":
        wake = facts["wakes"][data.draw(st.integers(0, 2))]
        field, value = data.draw(
            st.one_of(
                st.tuples(st.just("got"), ANSWERS.filter(lambda answer: answer != str(wake["index"]))),
                st.tuples(st.just("wake"), ANSWERS.filter(lambda answer: answer != "1")),
                st.tuples(st.just("early"), st.just(True)),
            )
        )
        wake[field] = value
    else:
        facts[key] = data.draw(ANSWERS.filter(lambda answer: answer != facts[key]))
    verdict = judged(name, outcome(facts))
    assert verdict["status"] in {"broken", "absent", "blocked"}
    assert verdict["evidence"]
    if key in ("wakes", "wrong"):
        assert verdict["wake_index_ok"] is False


@given(
    name=st.sampled_from(probe.INTERFACES),
    timeouts=st.lists(st.sampled_from(TIMEOUTS), max_size=2, unique=True),
)
def test_other_timeouts_are_a_defect(name: str, timeouts: list[str]) -> None:
    facts = dict(good(name), timeouts=timeouts)
    wanted = good(name)["timeouts"][0]
    assert judged(name, outcome(facts))["status"] == ("supported" if wanted in timeouts else "degraded")


@pytest.mark.parametrize(
    ("timeouts", "too_many", "variant"),
    [("relative", "EINVAL", "op31"), ("relative", "EAGAIN", "v521"), ("absolute-realtime", "EINVAL", "v55")],
)
def test_variants_are_told_by_behaviour(timeouts: str, too_many: str, variant: str) -> None:
    facts = dict(good("futex_wait_multiple"), timeouts=[timeouts], too_many=too_many)
    assert judged("futex_wait_multiple", outcome(facts))["variant"] == variant


@pytest.mark.parametrize(("answer", "status"), [("EFAULT", "absent"), ("ENOSYS", "absent"), ("EINTR", "broken")])
def test_opcode_13_may_belong_to_something_else(answer: str, status: str) -> None:
    verdict = judged("futex_wait_multiple_13", outcome({"number": 13, "answer": answer}))
    assert verdict["status"] == status
    assert ("FUTEX_LOCK_PI2" in verdict["evidence"]) == (answer == "EFAULT")


KALLSYMS = "/proc/kallsyms"


@pytest.mark.parametrize(
    ("where", "status"),
    [
        (host(), "absent"),
        (host(release="6.1.0", filtered=False), "absent"),
        (host({KALLSYMS: "0 T __x64_sys_futex_waitv\n"}, "5.10.0", filtered=True), "blocked"),
        (host({KALLSYMS: "0 T __x64_sys_futex\n"}, "6.1.0", filtered=True), "absent"),
        (host(release="5.16.0-1-amd64", filtered=True), "blocked"),
        (host(release="5.15.9", filtered=True), "absent"),
        (host(release="strange", filtered=True), "absent"),
    ],
)
def test_enosys_of_futex_waitv_behind_a_filter(where: Any, status: str) -> None:
    assert judged("futex_waitv", outcome({"number": 449, "answer": "ENOSYS"}), where)["status"] == status


@given(
    release=st.text(max_size=12),
    lines=st.lists(st.sampled_from(["ntsync", "ntsync2", "xntsync", "winesync"]), max_size=4),
    suffix=st.sampled_from(["", ".xz", ".zst", ".gz"]),
)
def test_the_list_of_modules_is_read_right(release: str, lines: list[str], suffix: str) -> None:
    listing = "".join(f"kernel/drivers/misc/{name}.ko{suffix}: kernel/lib/a.ko\n" for name in lines)
    where = host({f"/lib/modules/{release}/modules.dep": listing}, release)
    assert where.module("ntsync") == ("available" if "ntsync" in lines else "none")


@given(waitv=st.binary(max_size=12), wake=st.binary(max_size=12))
def test_the_numbers_of_futex2_are_read_with_care(
    tmp_path_factory: pytest.TempPathFactory, waitv: bytes, wake: bytes
) -> None:
    directory = tmp_path_factory.mktemp("futex2")
    (directory / "waitv").write_bytes(waitv)
    (directory / "wake").write_bytes(wake)

    class Here(futex.Futex2):
        pass

    Here.directory = str(directory)
    numbers = Here.read_numbers()
    assert numbers == {} or all(424 <= number < 1024 for number in numbers.values())


def test_the_numbers_of_futex2_as_its_kernels_give_them(tmp_path: Path) -> None:
    for name, number in {"wait": "441\n", "wake": "442\n", "waitv": "443\n"}.items():
        (tmp_path / name).write_text(number)

    class Here(futex.Futex2):
        directory = str(tmp_path)

    assert Here.read_numbers() == {"waitv": 443, "wake": 442}


def entry(status: str, answer: str | None, compat: str = "supported", user: bool | None = True) -> dict[str, Any]:
    return {
        "status": status,
        "answer": answer,
        "evidence": "seen",
        "ordinary_user": user,
        "compat32": {"status": compat, "evidence": "seen"},
    }


ENTRIES = st.builds(
    entry,
    st.sampled_from(sorted(STATUSES - {"vacuous"})),
    st.one_of(st.none(), ANSWERS),
    st.sampled_from(sorted(STATUSES)),
    st.sampled_from([True, False, None]),
)


@given(interfaces=st.fixed_dictionaries(dict.fromkeys(probe.INTERFACES, ENTRIES)), esync=st.booleans())
def test_a_bad_choice_of_a_wine_is_always_a_hazard(interfaces: dict[str, Any], esync: bool) -> None:
    choices = wine.series(interfaces, esync)
    hazards = wine.hazards(interfaces, choices)
    assert set(choices) == set(wine.SERIES)
    for choice in choices.values():
        assert choice["chooses"] in {"ntsync", "fsync", "esync", "server"}
        assert choice["works"] == (choice["through"] is None or interfaces[choice["through"]]["status"] == "supported")
    if not all(choice["works"] for choice in choices.values()):
        assert hazards
    best = wine.best(interfaces, esync)
    assert (best == "ntsync") == (interfaces["ntsync"]["status"] == "supported")
    if best == "fsync":
        assert "supported" in {interfaces[name]["status"] for name in ("futex_wait_multiple", "futex_waitv")}


@given(
    interfaces=st.fixed_dictionaries(dict.fromkeys(probe.INTERFACES, ENTRIES)),
    require=st.lists(st.sampled_from(["any", *probe.INTERFACES])),
)
def test_what_is_required_and_not_supported_is_named(interfaces: dict[str, Any], require: list[str]) -> None:
    result = {"interfaces": interfaces, "kernel": {"release": "6.1.0"}}
    sentences = probe.missing(result, require)
    any_works = "supported" in {found["status"] for found in interfaces.values()}
    lacking = [
        name for name in require if not (any_works if name == "any" else interfaces[name]["status"] == "supported")
    ]
    assert len(sentences) == len(lacking)
    for name, sentence in zip(lacking, sentences):
        assert sentence.startswith("Wanted: ")
        assert name == "any" or name in sentence
