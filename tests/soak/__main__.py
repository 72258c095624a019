# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The long run: `python tests/soak --kills 300 --faults 150`, as root. Ends with 1 if anything was found."""

from __future__ import annotations

import argparse
import random
import signal
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(CHECKOUT / "tests"), str(CHECKOUT / "collections")]

from soak import machine  # noqa: E402
from soak.run import Plan, soak  # noqa: E402
from soak.scenes import SCENES  # noqa: E402


def tell(text: str) -> None:
    """At once, also into a file: a long run may be looked at, or be ended."""
    print(text, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--kills", type=int, default=300, metavar="N", help="processes that are killed (%(default)s)")
    parser.add_argument("--faults", type=int, default=150, metavar="N", help="calls that fail (%(default)s)")
    parser.add_argument("--crowds", type=int, default=40, metavar="N", help="runs at the same time (%(default)s)")
    parser.add_argument("--playbooks", type=int, default=0, metavar="N", help="killed runs of site.yml (%(default)s)")
    parser.add_argument("--seconds", type=float, default=0, help="start no round after this time (0: no end)")
    parser.add_argument("--seed", type=int, default=None, help="repeat the rounds of an earlier run")
    parser.add_argument("--round", type=int, default=None, metavar="N", help="only this one of them")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="machines side by side (%(default)s)")
    parser.add_argument("--scenes", nargs="+", choices=sorted(SCENES), default=list(SCENES), help="only these")
    parser.add_argument("--folder", type=Path, default=machine.PLACE, help="where machines are made (%(default)s)")
    parser.add_argument("--keep", action="store_true", help="keep the machines on which something was found")
    parser.add_argument("--verbose", action="store_true", help="tell each round")
    options = parser.parse_args()
    reason = machine.unavailable()
    if reason:
        print(f"soak: nothing can be disturbed on this machine: {reason}", file=sys.stderr)
        return 2
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1_000_000)
    plan = Plan(**{name: value for name, value in vars(options).items() if name != "playbooks"})
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_arguments: plan.end())
    report = soak(plan, tell)
    if options.playbooks:
        from soak import playbooks

        report.add(playbooks.soak(options.playbooks, options.seed, tell))
    print(report.text())
    return 0 if report.good else 1


if __name__ == "__main__":
    sys.exit(main())
