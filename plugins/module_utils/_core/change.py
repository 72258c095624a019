# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The protocol of every module that changes a host: compare with what is wanted, apply what differs, answer.

A concern is one thing that a host can be told, with one module for it. Its `compare` only reads; the change that it
returns knows what differs, and brings it about. Nothing is wanted (``state: absent``) when `wanted` is None.
"""

from __future__ import annotations

import enum
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Protocol, Sequence, Tuple

from ansible_collections.nspa.proaudio.plugins.module_utils._core import want
from ansible_collections.nspa.proaudio.plugins.module_utils._core.errors import HostError
from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import Manifest


class Purpose(enum.Enum):
    """Why a host is compared with what is wanted."""

    JUDGE = "judge"
    """Does anything differ? Nothing is fetched, simulated or started for it; in doubt something differs."""
    PREDICT = "predict"
    """What would `apply` do? As in check mode, where an earlier task may not have done its part yet."""
    APPLY = "apply"
    """It will be applied, or a message says what stands in the way."""


class Change(Protocol):
    """What differs between a host and what is wanted."""

    @property
    def changed(self) -> bool:
        """Whether anything differs."""

    @property
    def warnings(self) -> List[str]:
        """What the administrator should know, one sentence each; complete after `apply`."""

    def apply(self, manifest: Manifest) -> None:
        """Bring it about. The manifest comes from `Manifest.change`, and the comparison was made with it.

        Raises HostError, with the host as it was unless the message says otherwise.
        """

    def result(self) -> Dict[str, Any]:
        """What the module returns, without ``changed`` and ``diff``; after `apply`, what really happened."""

    def diff(self) -> List[Dict[str, str]]:
        """What differs, in the form of Ansible's --diff."""


class Compare(Protocol):
    """Compares a host with what a role wants of it. Reads only. Raises HostError for whatever forbids to go on."""

    def __call__(self, manifest: Manifest, role: str, wanted: Optional[Mapping[str, Any]], purpose: Purpose) -> Change:
        """`wanted`: the concern's options by name, validated; None: nothing is wanted any more."""


class Concern(NamedTuple):
    """One thing that a host can be told: the module's name, its options beside role and state, and its comparison.

    `needed`: the options that must be given where the state is present.
    """

    name: str
    options: Dict[str, Any]
    compare: Compare
    needed: Sequence[str] = ()

    def argument_spec(self) -> Dict[str, Any]:
        """The module's whole argument spec."""
        return {
            "role": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            **self.options,
        }

    def required_if(self) -> List[Tuple[str, str, List[str]]]:
        """What AnsibleModule has to insist on, beside the argument spec."""
        return [("state", "present", list(self.needed))] if self.needed else []

    def wanted(self, arguments: Mapping[str, Any]) -> Optional[Dict[str, Any]]:
        """What validated arguments want; None where the state is absent."""
        if arguments["state"] == "absent":
            return None
        return {name: arguments[name] for name in self.options}


def carry_out(module: Any, concern: Concern) -> None:
    """Compare, apply what differs unless this is check mode, note what was wanted, and answer."""
    arguments = {name: module.params[name] for name in concern.argument_spec()}
    role, wanted = arguments["role"], concern.wanted(arguments)
    try:
        manifest = Manifest.load()
        purpose = Purpose.PREDICT if module.check_mode else Purpose.APPLY
        change = concern.compare(manifest, role, wanted, purpose)
        changed = change.changed
        # Also where only a run that was killed left something of its records, or what it had wanted.
        due = changed or want.differs(manifest, concern.name, arguments) or manifest.litter()
        if due and not module.check_mode:
            with Manifest.change() as manifest:
                if changed:
                    change = concern.compare(manifest, role, wanted, purpose)
                    change.apply(manifest)
                want.record(manifest, concern.name, arguments)
                manifest.save()
    except HostError as error:
        module.fail_json(msg=str(error))
    for warning in change.warnings:
        module.warn(warning)
    result = dict(change.result(), changed=changed)
    if module._diff:
        result["diff"] = change.diff()
    module.exit_json(**result)
