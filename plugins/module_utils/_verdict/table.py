# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict: checks with their evidence, the worst of them, and a table to read."""

from __future__ import annotations

import textwrap
from dataclasses import asdict, dataclass
from typing import Any, Dict, List, Mapping

#: Statuses from the best to the worst. ``vacuous`` is not green: nothing was there to be checked.
STATUSES = ("pass", "vacuous", "pending", "blocked", "fail")

#: What the verdict means, in one sentence.
MEANING = {
    "pass": "This machine is ready, and every check has seen it.",
    "vacuous": "Nothing is wrong; what is marked vacuous does not exist on this machine and was not proven.",
    "pending": "Everything is set up; do what the arrows say, and it becomes true.",
    "blocked": "Something forbids to look; do what the arrows say, and ask again.",
    "fail": "This machine is not ready; do what the arrows say.",
}

#: Version of the report's form, docs/verdict.schema.json.
SCHEMA = 1


@dataclass
class Check:
    """One question put to the machine, and its answer."""

    id: str
    title: str
    status: str  #: one of STATUSES
    evidence: str  #: what was seen
    wanted: str
    remedy: str = ""  #: what to do, one sentence; empty when nothing is to be done


def report(checks: List[Check], host: Mapping[str, Any]) -> Dict[str, Any]:
    """Put checks together into the report that ``readiness`` returns.

    :param host: ``name`` (the distribution), ``kernel`` (its release), ``machine`` (the host's name).
    """
    counts = {status: sum(1 for check in checks if check.status == status) for status in STATUSES}
    present = [status for status in STATUSES if counts[status]]
    return {
        "schema": SCHEMA,
        "host": dict(host),
        "verdict": present[-1] if present else "vacuous",
        "counts": counts,
        "checks": [asdict(check) for check in checks],
    }


def table(verdict: Mapping[str, Any], width: int = 100) -> str:
    """Draw a report as text, *width* characters wide."""
    host = verdict["host"]
    rows = verdict["checks"]
    title_width = max([len(row["title"]) for row in rows] + [0])
    indent = 2 + 7 + 2 + title_width + 2
    lines = [f"{host['machine']}: {host['name']}, kernel {host['kernel']}", ""]
    for row in rows:
        first, *others = textwrap.wrap(row["evidence"], max(width - indent, 30), break_on_hyphens=False) or [""]
        lines.append(f"  {row['status']:<7}  {row['title']:<{title_width}}  {first}")
        lines += [" " * indent + other for other in others]
        if row["remedy"] and row["status"] not in ("pass", "vacuous"):
            advice = textwrap.wrap(f"-> {row['remedy']}", max(width - indent, 30), subsequent_indent="   ")
            lines += [" " * indent + line for line in advice]
    counted = ", ".join(f"{number} {status}" for status, number in verdict["counts"].items() if number)
    lines += ["", f"Verdict: {verdict['verdict']} ({counted}).", MEANING[verdict["verdict"]]]
    return "\n".join(lines)
