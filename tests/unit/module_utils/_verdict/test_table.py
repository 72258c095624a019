# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table shows every row in the width that it is given, with what to do."""

from __future__ import annotations

import pytest

from ansible_collections.nspa.proaudio.plugins.module_utils._verdict import model, table
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.model import Answer, Check

HOST = {"machine": "studio1", "name": "Debian GNU/Linux 13 (trixie)", "kernel": "6.12.9-rt-amd64"}
LONG = "Wine could use fsync: futex_waitv supported; half of the wakes within 95 µs, the slowest 449 µs"


def report(*statuses, title="Kernel", evidence="6.12.9-amd64 runs", remedy="Reboot this machine."):
    check = Check("x", title, lambda machine, settings: None)
    return model.report([(check, Answer(status, evidence, "", remedy)) for status in statuses], HOST)


def test_the_table_gives_the_remedy_of_what_is_not_right():
    text = table.table(report("pass", "pending"))
    assert text.count("-> Reboot this machine.") == 1
    assert "Verdict: pending (1 pass, 1 pending)." in text
    assert text.endswith(table.MEANING["pending"])


def test_the_table_says_what_would_make_a_vacuous_row_mean_something():
    assert "-> Reboot this machine." in table.table(report("vacuous"))


def test_what_helps_several_rows_is_said_once():
    text = table.table(report("fail", "fail", "pass", "pending"))
    assert text.count("-> Reboot this machine.") == 2
    assert text.count("-> as above") == 1


def test_a_row_starts_with_status_title_and_evidence():
    assert "  pass     Kernel  6.12.9-amd64 runs" in table.table(report("pass")).splitlines()


@pytest.mark.parametrize("width", [50, 60, 80, 100, 160])
@pytest.mark.parametrize("title", ["Kernel", "Real-time priority of sessions"])
def test_no_line_is_wider_than_asked(width, title):
    remedy = "Find what forbids it: grep -rsE 'RestrictRealtime|NoNewPrivileges|SystemCallFilter' /etc/systemd"
    for statuses in (("fail", "blocked", "pending", "vacuous", "pass"), ("vacuous",)):
        text = table.table(report(*statuses, title=title, evidence=LONG, remedy=remedy), width)
        assert max(map(len, text.splitlines())) <= width


def test_where_there_is_no_room_beside_the_title_evidence_stands_below_it():
    title = "Real-time priority of sessions"
    row = f"  pass     {title}"
    indent = len(row) + 2
    beside = table.table(report("pass", title=title, evidence=LONG), indent + 30).splitlines()
    assert f"{row}  Wine could use fsync:" in beside
    below = table.table(report("pass", title=title, evidence=LONG), indent + 29).splitlines()
    assert row in below
    assert "    Wine could use fsync: futex_waitv supported; half of the wakes" in below


def test_a_wider_table_has_fewer_lines():
    counts = [len(table.table(report("pass", evidence=LONG), width).splitlines()) for width in (40, 60, 100, 160)]
    assert counts == sorted(set(counts), reverse=True)


def test_names_and_commands_are_not_broken_at_their_hyphens():
    text = table.table(
        report("fail", evidence="x " * 30 + "6.12.117+deb13-rt-amd64", remedy="y " * 33 + "grep -rsi a"), 80
    )
    assert "6.12.117+deb13-rt-amd64" in text
    assert "-rsi" in text


def test_every_status_has_a_meaning():
    assert tuple(table.MEANING) == model.STATUSES


def test_a_report_that_a_host_made_up_writes_nothing_to_the_terminal():
    shown = report("fail")
    shown["checks"][0]["evidence"] = "\x1b[2J\npass  Kernel"
    text = table.table(shown)
    assert "\x1b" not in text
    assert not any(line.startswith("pass") for line in text.splitlines())
