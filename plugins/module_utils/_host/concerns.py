# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry of everything that a host can be told, and whether all that it was told still stands."""

from __future__ import annotations

from typing import Any, Dict, Iterable, Iterator, Mapping, Tuple

from ansible_collections.nspa.proaudio.plugins.module_utils._boot import wanted
from ansible_collections.nspa.proaudio.plugins.module_utils._core import want
from ansible_collections.nspa.proaudio.plugins.module_utils._core.change import Concern, Purpose
from ansible_collections.nspa.proaudio.plugins.module_utils._core.errors import HostError
from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import Manifest
from ansible_collections.nspa.proaudio.plugins.module_utils._files import files
from ansible_collections.nspa.proaudio.plugins.module_utils._host import capabilities, groups, irq_priorities, tunables
from ansible_collections.nspa.proaudio.plugins.module_utils._packages import packages

CONCERNS: Tuple[Concern, ...] = (
    packages.CONCERN,
    wanted.BOOT_DEFAULT,
    wanted.KERNEL_CMDLINE,
    groups.CONCERN,
    files.CONCERN,
    tunables.CONCERN,
    irq_priorities.CONCERN,
    capabilities.CONCERN,
)


def standing(manifest: Manifest, absent: Iterable[str] = ()) -> Dict[str, Dict[str, Any]]:
    """What is as it was wanted last: for each such want, by its digest, the ``result`` and ``warnings`` of its module.

    absent: roles of which nothing is wanted; the digests of that are among those returned where nothing is left.
    A want that cannot be judged is left out: its module will say why. What a run that was killed left of its records,
    or of what it had wanted, is for the modules to clear away, too.
    """
    found: Dict[str, Dict[str, Any]] = {}
    if manifest.litter():
        return found
    for digest, concern, arguments in _questions(manifest, absent):
        try:
            change = concern.compare(manifest, arguments["role"], concern.wanted(arguments), Purpose.JUDGE)
        except HostError:
            continue
        if not change.changed and not want.differs(manifest, concern.name, arguments):
            found[digest] = {"result": change.result(), "warnings": change.warnings}
    return found


def all_stand(manifest: Manifest, standing: Mapping[str, Any]) -> bool:
    """Whether something was wanted, and all of it is among what `standing` found."""
    wanted = [digest for digest, _name, _arguments in want.recorded(manifest)]
    return bool(wanted) and all(digest in standing for digest in wanted)


def _questions(manifest: Manifest, absent: Iterable[str]) -> Iterator[Tuple[str, Concern, Dict[str, Any]]]:
    by_name = {concern.name: concern for concern in CONCERNS}
    for digest, name, arguments in want.recorded(manifest):
        concern = by_name.get(name)
        # Another release may have recorded other options.
        if concern is not None and set(arguments) == set(concern.argument_spec()):
            yield digest, concern, arguments
    for role in absent:
        for concern in CONCERNS:
            nothing = {"role": role, "state": "absent"}
            yield want.digest(concern.name, nothing), concern, nothing
