# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The answer on a kernel tunable: what the running kernel has, and what the next boot will give it.

Kernels and machines differ in what they can be told. What this one has not is ``vacuous``, and said.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Optional, Union

from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.machine import Machine
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.model import AGAIN, Answer


def left_alone(by_setting: bool) -> Answer:
    """The answer where the value is not this machine's, or not wanted."""
    return Answer("vacuous", "left to the kernel" if by_setting else "a container runs on its host's settings", "")


def sysctl(machine: Machine, name: str, value: Optional[int]) -> Answer:
    """The answer on a sysctl that must have one value; None: it is left to the kernel."""
    if value is None or machine.container:
        return left_alone(value is None)
    seen = machine.read(f"/proc/sys/{name.replace('.', '/')}")
    if seen is None:
        return Answer("vacuous", f"the kernel {machine.release} has no {name}", str(value))
    return judge(machine, name, value, seen == str(value), Answer("pass", seen, str(value)))


def attribute(machine: Machine, pattern: str, value: Union[int, str, None], lacking: str) -> Answer:
    """The answer on an attribute below /sys, everywhere where there is one.

    `value`: None and an empty text leave it to the kernel; `lacking`: what to say where there is none.
    """
    if value in (None, "") or machine.container:
        return left_alone(value in (None, ""))
    found = {path: machine.read(path) for path in machine.files(pattern)}
    if not found:
        return Answer("vacuous", lacking, str(value))
    words = {path: _chosen(text) for path, text in found.items() if text is not None}
    evidence = f"{', '.join(sorted(set(words.values()))) or 'nothing to be read'} in {len(words)} of {len(found)}"
    if any(word != str(value) for word in words.values()):
        return Answer("fail", evidence, str(value), AGAIN)
    if len(words) < len(found):
        return Answer("blocked", evidence, str(value), "Run this as root on the machine itself.")
    return Answer("pass", ", ".join(sorted(set(words.values()))), str(value))


def _chosen(text: str) -> str:
    """Of a row of words the one in brackets, which is in force."""
    found = re.search(r"\[(\S+)\]", text)
    return found.group(1) if found else text.strip()


def judge(machine: Machine, name: str, value: int, live: bool, seen: Answer) -> Answer:
    """`seen` where the value stands now (`live`) and after a boot; else the same evidence, and what stands in the way.

    systemd-sysctl sets it at boot from many files, of which one wins (sysctl.d(5)): it is named when it is not ours.
    """
    coming = machine.set_at_boot(name)
    if coming is not None and coming[0] != str(value):
        evidence = f"{seen.evidence}; {coming[1]} sets it to {coming[0]} at the next boot"
        remedy = f"Take {name} out of {coming[1]}, or set it to {value} there, and run the playbook nspa.proaudio.site."
        return replace(seen, status="fail", evidence=evidence, remedy=remedy)
    if not live:
        return replace(seen, status="fail", remedy=AGAIN)
    if coming is None:
        evidence = f"{seen.evidence}; no file sets it at the next boot"
        return replace(seen, status="fail", evidence=evidence, remedy=AGAIN)
    return seen
