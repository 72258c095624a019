# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe behind real seccomp filters, as containers and services have them: `blocked` is not `absent`."""

from __future__ import annotations

import errno
from typing import Any

import pytest
from support.seccomp_filters import I386, KILL, X86_64, Rule, errno_action, run, unavailable

from ansible_collections.nspa.proaudio.plugins.module_utils._sync import probe

_REASON = unavailable()
pytestmark = pytest.mark.skipif(bool(_REASON), reason=_REASON)

EPERM, ENOSYS = errno_action(errno.EPERM), errno_action(errno.ENOSYS)
FUTEX, WAITV, CLONE, CLONE3, FORK, MEMFD_CREATE = 202, 449, 56, 435, 57, 319


def probed(*rules: Rule) -> Any:
    return run(list(rules), lambda: probe.probe(samples=0, deadline=1.0))


@pytest.fixture(scope="module")
def native() -> Any:
    """What the probe finds here without a filter."""
    return probe.probe(samples=0)


@pytest.mark.parametrize(("action", "word"), [(EPERM, "EPERM"), (ENOSYS, "ENOSYS"), (KILL, "kills")])
def test_a_filtered_futex_waitv_is_blocked(native: Any, action: int, word: str) -> None:
    if native["interfaces"]["futex_waitv"]["status"] != "supported":
        pytest.skip("this kernel has no futex_waitv to hide")
    result = probed(Rule(X86_64, WAITV, action))
    found = result["interfaces"]["futex_waitv"]
    assert found["status"] == "blocked"
    assert word in found["evidence"]
    assert found["compat32"]["status"] == native["interfaces"]["futex_waitv"]["compat32"]["status"]
    assert result["kernel"]["seccomp_filter"] is True


def test_a_filter_that_says_eperm_fools_wine_and_is_a_hazard(native: Any) -> None:
    result = probed(Rule(X86_64, WAITV, EPERM))
    assert result["wine_series"]["8.x"] == {"chooses": "fsync", "through": "futex_waitv", "works": False}
    assert any("WINEFSYNC=0" in sentence for sentence in result["hazards"])
    assert result["wine_sync"] == "esync"


def test_a_filter_that_says_enosys_turns_wine_to_esync() -> None:
    result = probed(Rule(X86_64, WAITV, ENOSYS))
    assert result["wine_series"]["8.x"]["chooses"] == "esync"
    assert result["hazards"] == []


def test_a_filtered_opcode_is_blocked_if_the_answer_is_eperm() -> None:
    interfaces = probed(
        Rule(X86_64, FUTEX, EPERM, 1, 127, 31), Rule(X86_64, FUTEX, EPERM, 1, 127, 13)
    )["interfaces"]  # fmt: skip
    assert interfaces["futex_wait_multiple"]["status"] == "blocked"
    assert interfaces["futex_wait_multiple_13"]["status"] == "blocked"


def test_where_a_filter_may_be_what_answers_it_is_said(native: Any) -> None:
    found = probed(Rule(X86_64, FUTEX, ENOSYS, 1, 127, 31))["interfaces"]["futex_wait_multiple"]
    assert native["interfaces"]["futex_wait_multiple"]["status"] == found["status"] == "absent"
    assert "a seccomp filter is active here" in found["evidence"]


@pytest.mark.parametrize("action", [EPERM, KILL])
def test_a_filter_against_32_bit_calls_blocks_only_that_side(native: Any, action: int) -> None:
    if native["interfaces"]["futex_waitv"]["compat32"]["status"] == "vacuous":
        pytest.skip("this kernel runs no 32-bit programs")
    # 20 is getpid: the first call of the probe's 32-bit side. The 32-bit program before it may exit (1).
    found = probed(Rule(I386, 20, action))["interfaces"]["futex_waitv"]
    assert found["status"] == native["interfaces"]["futex_waitv"]["status"]
    assert found["compat32"]["status"] == "blocked"


def test_without_a_way_to_start_a_32_bit_program_its_side_is_blocked() -> None:
    found = probed(Rule(X86_64, MEMFD_CREATE, EPERM))["interfaces"]["futex_waitv"]
    assert found["compat32"]["status"] == "blocked"
    assert "32-bit program" in found["compat32"]["evidence"]


def test_without_a_way_to_start_a_process_everything_is_blocked() -> None:
    result = probed(*(Rule(X86_64, number, EPERM) for number in (CLONE, CLONE3, FORK)))
    for name, found in result["interfaces"].items():
        assert (found["status"], found["compat32"]["status"]) == ("blocked", "blocked"), name
        assert "no process could be started" in found["evidence"]
    assert result["wine_sync"] == "server"


def test_no_filter_is_not_called_one(native: Any) -> None:
    if native["kernel"]["seccomp_filter"]:
        pytest.skip("the tests run behind a filter themselves")
    assert all("seccomp" not in found["evidence"] for found in native["interfaces"].values())
