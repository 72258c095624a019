# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as a table to read."""

from __future__ import annotations

import textwrap
from typing import Any, List, Mapping

from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.text import plain

MEANING = {
    "pass": "This machine is ready, and every check has seen it.",
    "vacuous": "Nothing is wrong; what is marked vacuous does not exist on this machine and was not proven.",
    "pending": "Everything is set up; do what the arrows say, and it becomes true.",
    "blocked": "Something forbids to look; do what the arrows say, and ask again.",
    "fail": "This machine is not ready; do what the arrows say.",
}
"""What the verdict means, in one sentence."""

_STATUS = 7
"""Characters of the longest status."""
_NARROW = 30
"""Characters below which evidence beside the titles cannot be read; it goes below them."""


def table(report: Mapping[str, Any], width: int = 100) -> str:
    """The report as text, at most `width` characters wide (50 or more)."""
    host, rows = report["host"], report["checks"]
    title_width = max([len(row["title"]) for row in rows] + [0])
    indent = 2 + _STATUS + 2 + title_width + 2
    beside = width - indent >= _NARROW
    lines = [*_wrap(f"{host['machine']}: {host['name']}, kernel {host['kernel']}", width), ""]
    above = ""
    for row in rows:
        heading = f"  {row['status']:<{_STATUS}}  {row['title']:<{title_width}}  "
        text = _text(row, above, width - (indent if beside else 4))
        above = "" if row["status"] == "pass" else row["remedy"]
        if beside:
            lines += [heading + text[0], *(" " * indent + line for line in text[1:])]
        else:
            lines += [heading.rstrip(), *(" " * 4 + line for line in text)]
    counted = ", ".join(f"{number} {status}" for status, number in report["counts"].items() if number)
    lines += ["", *_wrap(f"Verdict: {report['verdict']} ({counted}).", width)]
    return "\n".join(lines + _wrap(MEANING[report["verdict"]], width))


def _text(row: Mapping[str, str], above: str, width: int) -> List[str]:
    """Evidence, and behind an arrow what to do about it; one cause often shows in several rows, so it is said once."""
    lines = _wrap(row["evidence"], width) or [""]
    if row["remedy"] and row["status"] != "pass":
        lines += _wrap(f"-> {'as above' if row['remedy'] == above else row['remedy']}", width, "   ")
    return lines


def _wrap(text: str, width: int, indent: str = "") -> List[str]:
    # Not at hyphens: names of kernels and the options of commands stay whole.
    return textwrap.wrap(plain(text), width, subsequent_indent=indent, break_on_hyphens=False)
