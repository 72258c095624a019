# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The priority plan: a strict order, and both offenders are named."""

from __future__ import annotations

from itertools import combinations
from typing import Any, Dict, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nspa.proaudio.plugins.module_utils._host import priority_plan

SERVER, CLIENT, WINE = "rt_limits_server_rtprio", "rt_limits_client_rtprio", "wine_env_rt_prio"
LIMIT = "rt_limits_rtprio"
SOUND, USB, OTHERS = (f"sched_tuning_irq_{kind}_rtprio" for kind in ("sound", "usb", "other"))
DEFAULTS = {SERVER: 88, CLIENT: 83, WINE: 78, LIMIT: 95}
WHOLE = {**DEFAULTS, SOUND: 95, USB: 90, OTHERS: 50}

priorities = st.integers(1, 98)


def problems(**changed: Any) -> List[str]:
    return priority_plan.problems({**DEFAULTS, **changed})


def test_the_documented_plan_is_in_order() -> None:
    assert problems() == []


@given(st.lists(priorities, min_size=4, max_size=4))
def test_a_plan_passes_if_and_only_if_its_order_is_strict(values: List[int]) -> None:
    server, client, wine, limit = values
    plan = {SERVER: server, CLIENT: client, WINE: wine, LIMIT: limit}
    right = limit >= server > client > wine > 50
    assert (priority_plan.problems(plan) == []) is right


@given(st.sets(st.integers(51, 98), min_size=4, max_size=4))
def test_any_plan_in_order_passes(values: set) -> None:
    wine, client, server, limit = sorted(values)
    assert priority_plan.problems({SERVER: server, CLIENT: client, WINE: wine, LIMIT: limit}) == []
    assert priority_plan.problems({SERVER: server, CLIENT: client, WINE: wine, LIMIT: server}) == []


@given(st.lists(priorities, min_size=7, max_size=7))
def test_with_the_interrupts_it_passes_if_and_only_if_its_order_is_strict(values: List[int]) -> None:
    sound, usb, server, client, wine, other, limit = values
    plan = dict(zip((SOUND, USB, SERVER, CLIENT, WINE, OTHERS, LIMIT), values))
    assert (priority_plan.problems(plan) == []) is (sound > usb > server > client > wine > other and limit >= server)


def test_interrupts_are_no_sessions_and_may_stand_above_its_limit() -> None:
    assert priority_plan.problems({**WHOLE, LIMIT: 88}) == []


@pytest.mark.parametrize(("other", "words"), [(78, OTHERS), (90, OTHERS)])
def test_other_interrupts_that_would_hold_wine_up_are_named(other: int, words: str) -> None:
    assert f"lower {words}" in priority_plan.problems({**WHOLE, OTHERS: other})[0]


NEIGHBOURS = [(SOUND, USB), (USB, SERVER), (SERVER, CLIENT), (CLIENT, WINE)]


@given(upper=st.integers(51, 98), lower=st.integers(51, 98), pair=st.sampled_from(NEIGHBOURS))
def test_both_offenders_are_named_with_their_values(upper: int, lower: int, pair: tuple) -> None:
    plan = {pair[0]: upper, pair[1]: lower}
    found = priority_plan.problems(plan)
    if upper > lower:
        assert found == []
    else:
        assert len(found) == 1
        assert f"{pair[0]} is {upper}" in found[0]
        assert f"{pair[1]} is {lower}" in found[0]
        assert f"raise {pair[0]} or lower {pair[1]}" in found[0]


@given(value=st.integers(51, 98), limit=priorities, name=st.sampled_from([SERVER, CLIENT, WINE]))
def test_nothing_stands_above_the_limit_of_its_session(value: int, limit: int, name: str) -> None:
    found = priority_plan.problems({name: value, LIMIT: limit})
    if value <= limit:
        assert found == []
    else:
        assert len(found) == 1
        assert all(text in found[0] for text in (f"{name} is {value}", f"{LIMIT}, which is {limit}"))


@given(value=priorities)
def test_the_last_of_the_plan_stands_above_the_interrupts(value: int) -> None:
    found = priority_plan.problems({WINE: value})
    assert (found == []) is (value > 50)
    assert not found or f"{WINE} is {value} (Wine's ceiling), but the kernel's interrupt threads run at 50" in found[0]


@given(dropped=st.sampled_from([names for size in range(5) for names in combinations(DEFAULTS, size)]))
def test_a_part_of_a_plan_in_order_is_in_order(dropped: tuple) -> None:
    plan: Dict[str, int] = {name: value for name, value in DEFAULTS.items() if name not in dropped}
    assert priority_plan.problems(plan) == []


def test_two_that_stand_apart_are_compared_where_the_one_between_is_not_known() -> None:
    found = priority_plan.problems({SERVER: 78, WINE: 78})
    assert len(found) == 1
    assert all(name in found[0] for name in (SERVER, WINE))


@pytest.mark.parametrize("name", DEFAULTS)
@pytest.mark.parametrize("value", [0, -1, 99, 100, 150])
def test_a_priority_that_no_program_may_have_is_named(name: str, value: int) -> None:
    found = problems(**{name: value})
    assert f"{name} is {value}: wanted 1 to 98" in found[0]
    assert "99 is kept for the kernel's own threads" in found[0]


@pytest.mark.parametrize("name", DEFAULTS)
@pytest.mark.parametrize("value", [True, "80", 80.0, [80], {}])
def test_what_is_no_number_is_named(name: str, value: Any) -> None:
    assert f"{name} is {value!r}: wanted a whole number from 1 to 98" in problems(**{name: value})[0]


@given(
    st.dictionaries(st.sampled_from([*DEFAULTS, "other"]), st.one_of(st.none(), st.integers(), st.text(), st.floats()))
)
def test_no_plan_is_a_traceback(plan: Dict[str, Any]) -> None:
    assert all(isinstance(sentence, str) for sentence in priority_plan.problems(plan))
