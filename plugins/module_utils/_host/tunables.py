# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Live kernel tunables: sysctls under /proc/sys, and the CPU frequency governor."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional

from ansible_collections.nspa.proaudio.plugins.module_utils._boot.grub import container
from ansible_collections.nspa.proaudio.plugins.module_utils._core.errors import HostError
from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import Manifest

_KIND, _OWNER = "tunables", "sched_tuning"


class TunableError(HostError):
    """A value cannot be had on this machine; the message says what to do."""


@dataclass
class Tunable:
    """One live value: the files that hold it, and what is wanted."""

    name: str
    paths: List[Path]
    wanted: str

    def current(self) -> Dict[str, str]:
        """Return the value in each file, by path."""
        return {str(path): path.read_text(encoding="ascii").strip() for path in self.paths}

    def write(self, path: str, value: str) -> None:
        """Set the value in one file; the kernel may refuse it."""
        try:
            Path(path).write_text(value + "\n", encoding="ascii")
        except OSError as error:
            raise TunableError(f"{self.name} cannot be set to {value}: {path}: {error.strerror}") from error


@dataclass
class Plan:
    """What differs; ``apply`` brings it about."""

    differences: List[Tunable] = field(default_factory=list)
    values: Dict[str, str] = field(default_factory=dict)
    before: Dict[str, str] = field(default_factory=dict)
    left_alone: List[str] = field(default_factory=list)
    restore: bool = False
    manifest: Optional[str] = None

    @property
    def changed(self) -> bool:
        """Whether the machine differs from what is wanted."""
        return bool(self.differences) or self.restore

    def apply(self) -> None:
        """Write what differs, after noting in the manifest what stood there."""
        with Manifest.change(self.manifest) as manifest:
            if not self.restore:
                for item in self.differences:
                    manifest.record(_KIND, item.name, _OWNER, before=item.current())
                manifest.save()
                for item in self.differences:
                    for path in item.paths:
                        item.write(str(path), item.wanted)
                return
            for name, entry in manifest.owned(_KIND, _OWNER).items():
                for path, value in entry["before"].items():
                    if Path(path).exists():
                        Tunable(name, [Path(path)], value).write(path, value)
                manifest.forget(_KIND, name)
                manifest.save()

    def result(self) -> Dict[str, Any]:
        """Return what the module reports."""
        lines = [{name: values.get(name, "") for name in sorted(self.values)} for values in (self.before, self.values)]
        texts = ["".join(f"{name} = {value}\n" for name, value in part.items()) for part in lines]
        return {
            "changed": self.changed,
            "values": self.values,
            "left_alone": self.left_alone,
            "diff": {
                "before": texts[0],
                "after": texts[1],
                "before_header": "running kernel",
                "after_header": "running kernel",
            },
        }


def compare(
    sysctls: Mapping[str, Any], governor: str, state: str, root: Path = Path("/"), manifest: Optional[str] = None
) -> Plan:
    """Compare the live values with what is wanted; changes nothing.

    :param sysctls: wanted values by sysctl name; None leaves one alone.
    :param governor: wanted frequency governor of every CPU; empty leaves it alone.
    :param state: ``present``, or ``absent`` for the values from before.
    :raises TunableError: when the running kernel lacks a sysctl, or a CPU the governor.
    """
    plan = Plan(manifest=manifest)
    if state == "absent":
        owned = Manifest.load(manifest).owned(_KIND, _OWNER)
        for name, entry in owned.items():
            path, value = next(iter(entry["before"].items()))
            plan.before[name] = Path(path).read_text(encoding="ascii").strip() if Path(path).exists() else ""
            plan.values[name] = value
        plan.restore = bool(owned)
        return plan
    wanted = _sysctls(sysctls, root, plan) + _governor(governor, root, plan)
    for item in wanted:
        current = item.current()
        # "4096 87380" and "4096\t87380" are the same to the kernel.
        different = [value for value in current.values() if value.split() != item.wanted.split()]
        plan.before[item.name] = " ".join(sorted(set(current.values())))
        plan.values[item.name] = item.wanted
        if different:
            plan.differences.append(item)
    return plan


def _sysctls(sysctls: Mapping[str, Any], root: Path, plan: Plan) -> List[Tunable]:
    wanted = {name: str(value) for name, value in sysctls.items() if value not in (None, "")}
    if wanted and container(root):
        plan.left_alone.append("a container shares its host's kernel: its sysctls are set there")
        return []
    found = []
    for name, value in wanted.items():
        path = root / "proc/sys" / name.replace(".", "/")
        if not path.is_file():
            raise TunableError(
                f"{name} is wanted to be {value}, but the running kernel ({os.uname().release}) has no such tunable; "
                "set it to null to leave it out"
            )
        found.append(Tunable(name, [path], value))
    return found


def _governor(governor: str, root: Path, plan: Plan) -> List[Tunable]:
    if not governor:
        return []
    policies = sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_governor"))
    if container(root):
        plan.left_alone.append("a container shares its host's CPUs: the governor is set there")
        return []
    if not policies:
        plan.left_alone.append("no CPU frequency scaling here: the governor is left to the hypervisor or the firmware")
        return []
    for path in policies:
        offered = path.with_name("scaling_available_governors")
        names = offered.read_text(encoding="ascii").split() if offered.is_file() else [governor]
        if governor not in names:
            raise TunableError(
                f"the governor '{governor}' is not offered by {path.parent.parent.name}; "
                f"choose one of {', '.join(names)}"
            )
    return [Tunable("governor", policies, governor)]
