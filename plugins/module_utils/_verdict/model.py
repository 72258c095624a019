# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a check is and what it answers, and the report that all answers make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Dict, Mapping, NamedTuple, Sequence, Tuple

from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.machine import Machine
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.text import plain

STATUSES = ("pass", "vacuous", "pending", "blocked", "fail")
"""Statuses from the best to the worst. ``vacuous`` is not green: nothing was there to be checked."""

SCHEMA = 1
"""Version of the report's form, docs/verdict.schema.json."""

REBOOT = "Reboot this machine."
AGAIN = "Run the playbook nspa.proaudio.site, and reboot if it says so."

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Answer:
    """What a check found out. A status that is not yet right comes with its remedy; without one it is no answer."""

    status: str
    """One of STATUSES."""
    evidence: str
    """What was seen."""
    wanted: str
    remedy: str = ""
    """What to do, a sentence that a musician can follow."""

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(f"a check cannot be {self.status!r}: wanted one of {', '.join(STATUSES)}")
        if self.status in ("pending", "blocked", "fail") and not self.remedy:
            raise ValueError(f"a check that is {self.status!r} needs a remedy: {self.evidence}")


class Check(NamedTuple):
    """One question of the verdict."""

    id: str
    title: str
    ask: Callable[[Machine, Settings], Answer]
    """Asks the machine, given the values of `settings`. HostError or OSError: the machine could not be asked."""
    settings: Tuple[str, ...] = ()
    """The settings that it needs; it gets no others."""
    role: str = ""
    """It applies while this role's state is present; empty: always."""
    bare: bool = False
    """It must fail on a machine that nobody has set up (molecule/default/bare.yml)."""
    broken: bool = False
    """It must fail on a machine that was broken in the ways of molecule/default/break.yml."""

    def applies(self, settings: Settings) -> bool:
        """Whether it is asked with these settings."""
        return not self.role or settings[f"{self.role}_state"] == "present"


def worst(answers: Sequence[Answer]) -> Answer:
    """One answer from several of the same question: the worst status with its remedy, and all evidence."""
    found = max(answers, key=lambda answer: STATUSES.index(answer.status))
    return Answer(found.status, "; ".join(answer.evidence for answer in answers), found.wanted, found.remedy)


def refusal(report: Mapping[str, Any]) -> str:
    """What a run that insists on a ready machine says of a report; empty if nothing failed."""
    failed = [check["title"] for check in report["checks"] if check["status"] == "fail"]
    return f"This machine is not ready: {', '.join(failed)}" if failed else ""


def report(answers: Sequence[Tuple[Check, Answer]], host: Mapping[str, str]) -> Dict[str, Any]:
    """The report that the module readiness returns.

    `host`: ``name`` (the distribution), ``kernel`` (its release), ``machine`` (the host's name).
    """
    counts = {status: sum(1 for _check, answer in answers if answer.status == status) for status in STATUSES}
    present = [status for status in STATUSES if counts[status]]
    return {
        "schema": SCHEMA,
        "host": {name: plain(text) for name, text in host.items()},
        "verdict": present[-1] if present else "vacuous",
        "counts": counts,
        "checks": [
            {
                "id": check.id,
                "title": check.title,
                "status": answer.status,
                "evidence": plain(answer.evidence),
                "wanted": plain(answer.wanted),
                "remedy": plain(answer.remedy),
            }
            for check, answer in answers
        ],
    }
