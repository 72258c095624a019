# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""nspa-check, the command on the host: ask this machine without Ansible.

It is put together from these files by plugin_utils/_single_file.py. A new subcommand is one more entry in COMMANDS.
Exit status: 0, what was asked for holds; 1, it does not; 2, the command was not understood.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import textwrap
from typing import Any, Callable, Dict, List, NamedTuple, Optional

from ansible_collections.nspa.proaudio.plugins.module_utils._boot import loaders, trial
from ansible_collections.nspa.proaudio.plugins.module_utils._core.errors import HostError
from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import Manifest
from ansible_collections.nspa.proaudio.plugins.module_utils._sync import probe

_WIDTH = 100  # columns of a table


class Command(NamedTuple):
    """A subcommand: its line in the help, what it takes, and what it does; `run` returns the exit status."""

    summary: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def main(arguments: Optional[List[str]] = None) -> int:
    """Run the command line; returns the exit status. Usage errors and --help end the process, as argparse does."""
    parser = argparse.ArgumentParser(prog="nspa-check", description="Ask this machine what it offers to pro audio.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        command.add_arguments(commands.add_parser(name, help=command.summary, description=command.summary))
    options = parser.parse_args(arguments)
    try:
        return COMMANDS[options.command].run(options)
    except BrokenPipeError:  # whoever reads has read enough
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        return 130


def _sync_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print everything that was found, for programs")
    parser.add_argument(
        "--require",
        action="append",
        default=[],
        choices=["any", *probe.INTERFACES],
        metavar="INTERFACE",
        help="fail unless this works; may be given again. One of: any, " + ", ".join(probe.INTERFACES),
    )
    parser.add_argument(
        "--samples",
        type=_samples,
        default=probe.DEFAULT_SAMPLES,
        metavar="N",
        help=f"how many wakes to time for each interface, 0 to {probe.MOST_SAMPLES} (default: %(default)s)",
    )


def _samples(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = -1
    if not 0 <= number <= probe.MOST_SAMPLES:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to {probe.MOST_SAMPLES}")
    return number


def _sync(options: argparse.Namespace) -> int:
    result = probe.probe(samples=options.samples)
    lacking = probe.missing(result, options.require)
    sys.stdout.write((json.dumps(result, indent=2) if options.json else sync_table(result)) + "\n")
    for sentence in lacking:
        sys.stderr.write(sentence + "\n")
    return 1 if lacking else 0


def sync_table(result: Dict[str, Any]) -> str:
    """The result of the probe, to read."""
    kernel, measured = result["kernel"], result["measured_with"]
    realtime = "real-time (PREEMPT_RT)" if kernel["realtime"] else "not real-time"
    lines = [f"Kernel {kernel['release']} ({kernel['machine']}), {realtime}", ""]
    lines.append(f"  {'interface':<22}  {'status':<9}  {'32-bit':<9}  wake p50 / max")
    for name, found in result["interfaces"].items():
        latency = found["wake_latency_us"] or {}
        timing = f"{latency['p50']:g} / {latency['max']:g} us" if latency.get("samples") else "-"
        lines.append(f"  {name:<22}  {found['status']:<9}  {found['compat32']['status']:<9}  {timing}")
        evidence = [found["evidence"]]
        if found["compat32"]["evidence"] != found["evidence"] and found["compat32"]["status"] != found["status"]:
            evidence.append("32-bit: " + found["compat32"]["evidence"])
        for sentence in evidence:
            lines += _wrapped(sentence, " " * 6, " " * 6)
    lines += ["", "What a Wine would use here:"]
    for name, choice in result["wine_series"].items():
        through = f" ({choice['through']})" if choice["through"] not in (None, choice["chooses"]) else ""
        lines.append(
            f"  {_SERIES_TITLES[name]:<22}  {choice['chooses']}{through}{'' if choice['works'] else ', BROKEN'}"
        )
    lines += [f"  {'best':<22}  {result['wine_sync']}", ""]
    for sentence in result["hazards"]:
        lines += [*_wrapped(sentence, "! ", "  "), ""]
    priority = f" priority {measured['priority']}" if measured["priority"] else ""
    lines.append(
        f"{measured['samples']} wakes each, {measured['policy']}{priority}, "
        f"from CPU {measured['waker_cpu']} to CPU {measured['waiter_cpu']}."
    )
    return "\n".join(lines)


def _wrapped(sentence: str, first: str, others: str) -> List[str]:
    return textwrap.wrap(sentence, _WIDTH, initial_indent=first, subsequent_indent=others, break_on_hyphens=False)


def _no_arguments(parser: argparse.ArgumentParser) -> None:
    """The command takes none."""


def _boot(options: argparse.Namespace) -> int:
    """Say which kernels run and boot, and how the last trial ended; a kernel that failed its trial is status 1."""
    try:
        known = trial.recorded(Manifest.load())
        loader = loaders.detect()
        manager = loaders.manager(loader)
        menu = manager.menu() if manager else None
    except HostError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    lines = [("running", os.uname().release)]
    if menu is None:
        lines.append(("next boot", f"unknown: {loader.reason}"))
    else:
        lines.append(("next boot", (menu.next and menu.next.kernel) or "no Linux"))
        lines.append(("default", (menu.default and menu.default.kernel) or "no Linux"))
    lines.append(("trial", known.told() if known else "no kernel was tried on this machine"))
    for name, text in lines:
        sys.stdout.write(f"{name:<11}{text}\n")
    for line in known.log if known else ():
        sys.stdout.write(f"{'':<11}| {line}\n")
    return 1 if known and known.state == trial.FAILED else 0


_SERIES_TITLES = {
    "5.x": "Wine-NSPA 5.x",
    "8.x": "Wine-NSPA 8.x",
    "11.x": "Wine-NSPA 11.x",
    "stock": "Wine 10.16 and later",
    "proton": "Proton",
}

COMMANDS = {
    "boot": Command("Which kernel runs, which boots next, and how the last one on trial did.", _no_arguments, _boot),
    "sync": Command("Which ways to wait on several things at once work on this kernel.", _sync_arguments, _sync),
}
