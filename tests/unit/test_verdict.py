# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict is the worst status, and says what to do."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from ansible_collections.nspa.proaudio.plugins.module_utils import _sessions, _verdict

HOST = {"machine": "studio1", "name": "Debian GNU/Linux 13 (trixie)", "kernel": "6.12.9-rt-amd64"}


def check(status):
    return _verdict.Check("x", "Kernel", status, "6.12.9-amd64 runs", "6.12.9-rt-amd64", "Reboot this machine.")


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
    assert _verdict.report([check(status) for status in statuses], HOST)["verdict"] == verdict


def test_the_table_gives_the_remedy_of_what_is_not_yet_right():
    text = _verdict.table(_verdict.report([check("pass"), check("pending")], HOST))
    assert text.count("-> Reboot this machine.") == 1
    assert "Verdict: pending (1 pass, 1 pending)." in text
    assert max(map(len, text.splitlines())) <= 100


def test_a_report_fits_its_schema():
    schema = json.loads((Path(__file__).resolve().parents[2] / "docs/verdict.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(_verdict.report([check(status) for status in _verdict.STATUSES], HOST), schema)


def test_every_status_has_a_meaning():
    assert set(_verdict.MEANING) == set(_verdict.STATUSES)


def test_limits_are_read_as_the_kernel_prints_them():
    text = (
        "Limit                     Soft Limit           Hard Limit           Units     \n"
        "Max locked memory         8388608              unlimited            bytes     \n"
        "Max realtime priority     0                    95                   \n"
        "Max realtime timeout      unlimited            unlimited            us        \n"
    )
    found = _sessions.parse_limits(text)
    assert found[_sessions.MEMLOCK] == ("8388608", "unlimited")
    assert found[_sessions.RTPRIO] == ("0", "95")


def test_the_environment_is_read_as_env_and_systemctl_print_it():
    found = _sessions.parse_environment("A=1\nWINEDEBUG=-all\nB=$'two words'\n  not a variable\n")
    assert found == {"A": "1", "WINEDEBUG": "-all", "B": "two words"}
