# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict is the worst status, and what is not right comes with its remedy."""

from __future__ import annotations

import json

import jsonschema
import pytest
from support import CHECKOUT

from ansible_collections.nspa.proaudio.plugins.module_utils._verdict import model
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.model import Answer, Check

HOST = {"machine": "studio1", "name": "Debian GNU/Linux 13 (trixie)", "kernel": "6.12.9-rt-amd64"}
SCHEMA = json.loads((CHECKOUT / "docs/verdict.schema.json").read_text(encoding="utf-8"))


def answered(status, evidence="6.12.9-amd64 runs"):
    return Check("x", "Kernel", lambda machine, settings: None), Answer(status, evidence, "a kernel", "Reboot it.")


@pytest.mark.parametrize(
    ("statuses", "verdict"),
    [
        (["pass", "pass"], "pass"),
        (["pass", "vacuous"], "vacuous"),  # never green
        (["vacuous", "pending"], "pending"),
        (["pending", "blocked"], "blocked"),
        (["blocked", "fail", "pass"], "fail"),
        ([], "vacuous"),
    ],
)
def test_the_worst_status_is_the_verdict(statuses, verdict):
    assert model.report([answered(status) for status in statuses], HOST)["verdict"] == verdict


def test_a_report_fits_its_schema():
    report = model.report([answered(status) for status in model.STATUSES], HOST)
    jsonschema.validate(report, SCHEMA)
    assert report["counts"] == dict.fromkeys(model.STATUSES, 1)


def test_the_schema_knows_the_statuses_and_the_version():
    assert tuple(SCHEMA["$defs"]["status"]["enum"]) == model.STATUSES
    assert SCHEMA["properties"]["schema"]["const"] == model.SCHEMA


@pytest.mark.parametrize("status", ["pending", "blocked", "fail"])
def test_what_is_not_yet_right_needs_a_remedy(status):
    with pytest.raises(ValueError, match="needs a remedy"):
        Answer(status, "seen", "wanted")


def test_what_is_right_or_not_there_needs_none():
    assert [Answer(status, "seen", "wanted").remedy for status in ("pass", "vacuous")] == ["", ""]


def test_there_are_no_other_statuses():
    with pytest.raises(ValueError, match="green"):
        Answer("green", "seen", "wanted")


def test_of_several_answers_the_worst_counts_with_its_remedy_and_all_evidence():
    answers = [Answer("pass", "ada", "x"), Answer("fail", "grace", "x", "mend"), Answer("pending", "eve", "x", "wait")]
    assert model.worst(answers) == Answer("fail", "ada; grace; eve", "x", "mend")


def test_nothing_in_a_report_can_write_to_a_terminal():
    check, answer = Check("x", "Kernel", lambda machine, settings: None), Answer("fail", "\x1b[2J", "\x07", "\x1b[1m")
    report = model.report([(check, answer)], {"machine": "\x1bc", "name": "x" * 5000, "kernel": "k"})
    texts = [*report["host"].values(), *(str(value) for value in report["checks"][0].values())]
    assert all(text.isprintable() and len(text) <= 1000 for text in texts)


def test_a_check_applies_while_its_role_is_present():
    check = Check("x", "X", lambda machine, settings: None, role="wine_env")
    assert check.applies({"wine_env_state": "present"})
    assert not check.applies({"wine_env_state": "absent"})
    assert Check("x", "X", lambda machine, settings: None).applies({})
