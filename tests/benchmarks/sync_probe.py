# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the runtime probe costs, beside a bare ping, in one run on this machine.

    .venv/bin/python tests/benchmarks/sync_probe.py

Prints the median and the minimum of each, and ends with status 1 if the probe's own work exceeds its budget.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent.parent
BUDGET_MS = 50
ROUNDS = 10

# In a fresh interpreter, without cached bytecode, as Ansible runs a module: from before the import to the result.
OWN_WORK = """
import sys, time
sys.dont_write_bytecode = True
sys.path.insert(0, {path!r})
import ansible.module_utils.basic  # every Ansible module has it anyway
start = time.monotonic()
from ansible_collections.nspa.proaudio.plugins.module_utils._sync import probe
loaded = time.monotonic()
probe.probe()
print((loaded - start) * 1000, (time.monotonic() - loaded) * 1000)
"""


def ad_hoc(module: str) -> float:
    """Wall-clock ms of one ad-hoc call on localhost."""
    command = [str(Path(sys.executable).with_name("ansible")), "localhost", "-m", module]
    start = time.monotonic()
    subprocess.run(command, check=True, capture_output=True, cwd=CHECKOUT, env={**os.environ, "LC_ALL": "C.UTF-8"})
    return (time.monotonic() - start) * 1000


def own_work() -> tuple[float, float]:
    """ms to load the probe, and ms that it takes."""
    script = OWN_WORK.format(path=str(CHECKOUT / "collections"))
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    load, probe = done.stdout.split()
    return float(load), float(probe)


def show(title: str, values: list[float]) -> None:
    print(f"{title:<52} median {statistics.median(values):7.1f} ms   min {min(values):7.1f} ms")


def main() -> int:
    pings, modules, loads, probes = [], [], [], []
    for _round in range(ROUNDS):
        pings.append(ad_hoc("ansible.builtin.ping"))
        modules.append(ad_hoc("nspa.proaudio.futex_wait_multiple"))
        load, probe = own_work()
        loads.append(load)
        probes.append(probe)
    show("ansible.builtin.ping", pings)
    show("nspa.proaudio.futex_wait_multiple", modules)
    show("  of which: loading its code, not compiled before", loads)
    show("  of which: asking the kernel, default samples", probes)
    own = [load + probe for load, probe in zip(loads, probes)]
    show("  both together", own)
    within = statistics.median(own) <= BUDGET_MS
    print(f"both together may take {BUDGET_MS} ms: {'within' if within else 'EXCEEDED'}")
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main())
