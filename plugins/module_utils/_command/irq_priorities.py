# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Give the threads of interrupts their places in the priority plan: started for each sound card that appears.

It is put together from these files by plugin_utils/_single_file.py. Exit status: 0, all have them; 1, the kernel
refused one; 2, the command was not understood.
"""

from __future__ import annotations

import argparse
import sys
from typing import List, Optional

from ansible_collections.nspa.proaudio.plugins.module_utils._host import interrupts


def main(arguments: Optional[List[str]] = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="irq-priorities", description="Order the threads of interrupts by a plan.")
    for name, text in (
        ("sound", "of sound cards"),
        ("usb", "of USB controllers"),
        ("other", "of others, at most"),
    ):
        parser.add_argument(name, type=int, choices=range(1, 99), metavar=name.upper(), help=f"priority {text}")
    options = parser.parse_args(arguments)
    plan = interrupts.Priorities(options.sound, options.usb, options.other)
    status = 0
    for thread in plan.differing(interrupts.threads()):
        priority = plan.wanted(thread)
        try:
            interrupts.give(thread, priority)
        except ProcessLookupError:
            continue  # its driver has gone meanwhile
        except OSError as error:
            sys.stderr.write(f"IRQ {thread.number} {thread.name}: {error.strerror}\n")
            status = 1
            continue
        sys.stdout.write(f"IRQ {thread.number} {thread.name}: {thread.priority} -> {priority}\n")
    return status
