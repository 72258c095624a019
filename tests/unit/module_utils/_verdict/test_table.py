# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict is the worst status, and says what to do."""

from __future__ import annotations

import json

import jsonschema
import pytest
from support import CHECKOUT

from ansible_collections.nspa.proaudio.plugins.module_utils._host import sessions
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict import table

HOST = {"machine": "studio1", "name": "Debian GNU/Linux 13 (trixie)", "kernel": "6.12.9-rt-amd64"}


def check(status):
    return table.Check("x", "Kernel", status, "6.12.9-amd64 runs", "6.12.9-rt-amd64", "Reboot this machine.")


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
    assert table.report([check(status) for status in statuses], HOST)["verdict"] == verdict


def test_the_table_gives_the_remedy_of_what_is_not_yet_right():
    text = table.table(table.report([check("pass"), check("pending")], HOST))
    assert text.count("-> Reboot this machine.") == 1
    assert "Verdict: pending (1 pass, 1 pending)." in text
    assert max(map(len, text.splitlines())) <= 100


def test_a_report_fits_its_schema():
    schema = json.loads((CHECKOUT / "docs/verdict.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(table.report([check(status) for status in table.STATUSES], HOST), schema)


def test_every_status_has_a_meaning():
    assert set(table.MEANING) == set(table.STATUSES)


def test_limits_are_read_as_the_kernel_prints_them():
    text = (
        "Limit                     Soft Limit           Hard Limit           Units     \n"
        "Max locked memory         8388608              unlimited            bytes     \n"
        "Max realtime priority     0                    95                   \n"
        "Max realtime timeout      unlimited            unlimited            us        \n"
    )
    found = sessions.parse_limits(text)
    assert found[sessions.MEMLOCK] == ("8388608", "unlimited")
    assert found[sessions.RTPRIO] == ("0", "95")


def test_the_environment_is_read_as_env_and_systemctl_print_it():
    found = sessions.parse_environment("A=1\nWINEDEBUG=-all\nB=$'two words'\n  not a variable\n")
    assert found == {"A": "1", "WINEDEBUG": "-all", "B": "two words"}
