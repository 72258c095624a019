# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The priorities of interrupt threads on the running machine.

The manifest has one entry: ``set``, the priorities that are ours. Put back means the kernel's own priority for every
thread that has one of these: threads come and go, so there is none to be remembered.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional

from ansible_collections.nspa.proaudio.plugins.module_utils._core.change import Concern, Purpose
from ansible_collections.nspa.proaudio.plugins.module_utils._core.errors import HostError
from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import Manifest
from ansible_collections.nspa.proaudio.plugins.module_utils._host import container, interrupts
from ansible_collections.nspa.proaudio.plugins.module_utils._host.interrupts import Priorities, Thread

KIND = "irq_priorities"
KEY = "plan"

OPTIONS: Dict[str, Any] = {name: {"type": "int"} for name in Priorities._fields}


@dataclass
class Kernel:
    """The interrupts of a machine."""

    root: Path = Path("/")
    threads: Callable[[Path], List[Thread]] = interrupts.threads
    give: Callable[[Thread, int], None] = interrupts.give


class Step(NamedTuple):
    """One thread, and the priority that it shall have."""

    thread: Thread
    priority: int

    def __str__(self) -> str:
        return f"IRQ {self.thread.number} {self.thread.name}"


@dataclass
class PrioritiesChange:
    """What differs between the threads and the plan; `back`: the role gives them up."""

    role: str
    kernel: Kernel
    plan: Optional[Priorities]
    steps: List[Step] = field(default_factory=list)
    back: bool = False
    left_alone: List[str] = field(default_factory=list)
    warnings: List[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        """Whether a thread differs, or the manifest says that they are ours and they are not wanted."""
        return bool(self.steps or self.back)

    def apply(self, manifest: Manifest) -> None:
        """Note which priorities are ours, and give them."""
        if self.plan is not None and self.steps:
            entry = manifest.record(KIND, KEY, self.role, before=None)
            entry["set"] = sorted({*entry.get("set", []), *self.plan})
            manifest.save()
        for step in self.steps:
            try:
                self.kernel.give(step.thread, step.priority)
            except ProcessLookupError:
                continue  # its driver has gone meanwhile
            except OSError as error:
                raise HostError(
                    f"{step} cannot have the priority {step.priority}: {error.strerror}. Run this as root on the "
                    "machine itself, or see what limits root there (CAP_SYS_NICE)."
                ) from error
        if self.back:
            manifest.forget(KIND, KEY)
            manifest.save()

    def result(self) -> Dict[str, Any]:
        """What the module returns."""
        priorities = {str(step): step.priority for step in self.steps}
        return {"priorities": priorities, "left_alone": self.left_alone}

    def diff(self) -> List[Dict[str, str]]:
        """The priorities before and after."""
        before = "".join(f"{step} = {step.thread.priority}\n" for step in self.steps)
        after = "".join(f"{step} = {step.priority}\n" for step in self.steps)
        header = "interrupt threads"
        return [{"before": before, "after": after, "before_header": header, "after_header": header}]


def compare(
    manifest: Manifest,
    role: str,
    wanted: Optional[Mapping[str, Any]],
    purpose: Purpose,
    kernel: Optional[Kernel] = None,
) -> PrioritiesChange:
    """Compare the threads with the plan.

    :param wanted: ``sound``, ``usb`` and ``other``, priorities from 1 to 98.
    :raises HostError: when a priority is none.
    """
    del purpose
    kernel = kernel or Kernel()
    plan = None if wanted is None else Priorities(**{name: wanted[name] for name in Priorities._fields})
    change = PrioritiesChange(role, kernel, plan)
    for name, priority in plan._asdict().items() if plan else ():
        if not 1 <= priority <= 98:
            raise HostError(f"{name} is {priority}: wanted 1 to 98; 99 is kept for the kernel's own threads")
    entry = manifest.owned(KIND, role).get(KEY)
    change.back = plan is None and entry is not None
    if container.kind(kernel.root):
        if plan:
            change.left_alone.append("a container shares its host's interrupts: their order is set there")
        return change
    threads = kernel.threads(kernel.root)
    if plan:
        change.steps = [Step(thread, plan.wanted(thread)) for thread in plan.differing(threads)]
        if not threads:
            change.left_alone.append(f"the running kernel ({os.uname().release}) has no interrupt in a thread")
    elif entry is not None:
        ours = [thread for thread in threads if thread.priority in entry["set"]]
        change.steps = [Step(thread, interrupts.USUAL) for thread in ours if thread.priority != interrupts.USUAL]
    return change


CONCERN = Concern("irq_priorities", OPTIONS, compare, needed=list(Priorities._fields))
