# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel command line: splitting it, comparing it, and refusing what would break it."""

from __future__ import annotations

import difflib
import re
from typing import List, Optional

#: Parameters that pro-audio guides set; the typo guard compares with these
#: (kernel.org, admin-guide/kernel-parameters.txt).
KNOWN = (
    "threadirqs",
    "preempt",
    "nohz_full",
    "rcu_nocbs",
    "rcu_nocb_poll",
    "isolcpus",
    "irqaffinity",
    "skew_tick",
    "tsc",
    "mitigations",
    "nosmt",
    "nosoftlockup",
    "nowatchdog",
    "processor.max_cstate",
    "intel_idle.max_cstate",
    "cpufreq.default_governor",
    "pcie_aspm",
    "usbcore.autosuspend",
    "snd_hda_intel.power_save",
    "transparent_hugepage",
    "rt_group_sched",
    "panic",
    "quiet",
)

# Letters that a kernel parameter may have and that mean nothing to a shell: boot loader configuration is shell.
_PARAMETER = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.\-]*(=[A-Za-z0-9_.,:;/+@%^\-]*)?$")


def split(line: str) -> List[str]:
    """Split a kernel command line into parameters.

    Spaces inside double quotes belong to the parameter, as in the kernel's next_arg() (lib/cmdline.c).
    """
    return re.findall(r'(?:"[^"]*"|[^\s"])+', line)


def missing(wanted: List[str], line: str) -> List[str]:
    """Return the parameters of *wanted* that are not in effect on the command line *line*.

    The last value of a parameter counts, so ``preempt=full preempt=none`` lacks ``preempt=full``.
    ``console=`` may be given several times and each counts.
    """
    present = split(line)
    last = {item.partition("=")[0].replace("-", "_"): item.replace("-", "_") for item in present}
    lacking = []
    for item in wanted:
        name = item.partition("=")[0].replace("-", "_")
        if name == "console":
            if item not in present:
                lacking.append(item)
        elif last.get(name) != item.replace("-", "_"):
            lacking.append(item)
    return lacking


def problem(parameter: str) -> Optional[str]:
    """Say what is wrong with one parameter, or None.

    Refuses what a shell would read (boot loader configuration is shell) and near misses of known names:
    a machine that was told ``threadirq`` boots without a word and without threaded interrupts.
    """
    if not _PARAMETER.match(parameter):
        return "wanted one kernel parameter such as threadirqs or preempt=full, without spaces or quotes"
    name = parameter.partition("=")[0]
    if name in KNOWN:
        return None
    near = difflib.get_close_matches(name, KNOWN, n=1, cutoff=0.88)
    if near:
        return f"the kernel has no parameter '{name}' and would ignore it in silence; did you mean '{near[0]}'?"
    return None
