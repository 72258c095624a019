# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's side of every state module: a host that has said in this play that all stands is not asked again."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase

from ansible_collections.nspa.proaudio.plugins.module_utils._core import want
from ansible_collections.nspa.proaudio.plugins.module_utils._core.change import Concern
from ansible_collections.nspa.proaudio.plugins.plugin_utils import _play


class StateAction(ActionBase):
    """Answers from what preflight heard of the host, or runs the module."""

    concern: Concern
    _requires_connection = True

    def run(self, tmp=None, task_vars=None):
        """Run the action: ``task_vars`` are the host's variables."""
        variables = task_vars or {}
        result = super().run(tmp, variables)
        arguments = self.arguments(variables)
        known = _play.host(variables)
        answered = self._answered(arguments, known)
        if answered is not None:
            result.update(answered)
        else:
            name = f"{_play.COLLECTION}.{self.concern.name}"
            result.update(self._execute_module(module_name=name, module_args=arguments, task_vars=variables))
        facts = self._facts(result, known, variables)
        if facts:
            result["ansible_facts"] = facts
        return result

    def foresee(self, variables: Mapping[str, Any]) -> Optional[Dict[str, Any]]:
        """The result that `run` would give without a call; None if it would make one."""
        return self._answered(self.arguments(variables), _play.host(variables))

    def arguments(self, variables: Mapping[str, Any]) -> Dict[str, Any]:
        """The arguments for the module."""
        del variables
        return dict(self._task.args)

    def _answered(self, arguments, known):
        """The result by what the host said of exactly this want; None if it has to be asked."""
        if not known or not known["standing"]:
            return None
        validated = ArgumentSpecValidator(self.concern.argument_spec()).validate(arguments)
        if validated.error_messages:
            return None  # the module says what is wrong with them
        found = known["standing"].get(want.digest(self.concern.name, validated.validated_parameters))
        if found is None or not _play.holds(self._task, known):
            return None
        return {**found["result"], "changed": False, "warnings": found["warnings"]}

    def _facts(self, result, known, variables):
        facts = {}
        if known and known["standing"] and (result.get("changed") or result.get("failed")):
            # What changed here may be what something else stood on.
            facts["nspa_host"] = _play.forget(known)
        if "reboot_reasons" in result:
            earlier = (variables.get("ansible_facts") or {}).get("nspa_reboot_reasons") or {}
            facts["nspa_reboot_reasons"] = {**earlier, self._task.args["role"]: result["reboot_reasons"]}
        return facts
