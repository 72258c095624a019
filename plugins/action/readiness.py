# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gather the settings, ask the host, print the verdict."""

from __future__ import annotations

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.nspa.proaudio.plugins.module_utils._verdict import model, table
from ansible_collections.nspa.proaudio.plugins.plugin_utils import _play, _settings

_CHECK_MODE = "Check mode: nothing was changed, so this is the machine as it stands before the change.\n\n"


class ActionModule(ActionBase):
    """Run the module ``readiness`` with the host's settings, and print its verdict as a table."""

    _requires_connection = True

    def run(self, tmp=None, task_vars=None):
        """Run the action: ``task_vars`` are the host's variables."""
        variables = task_vars or {}
        result = super().run(tmp, variables)
        known = _play.host(variables)
        # What a role of this play was given on its entry, no other place knows.
        given = known["settings"] if known and _play.same_play(self._task, known) else {}
        settings = {name: value for values in given.values() for name, value in values.items()}
        try:
            settings = _settings.checked(variables, self._templar.template, settings)
        except _settings.SettingsError as error:
            result.update(failed=True, problems=error.problems, msg=str(error))
            return result
        if self._given(known, settings):
            result.update(self._hand_on(known["report"]))
        else:
            arguments = dict(self._task.args, settings=settings)
            result.update(
                self._execute_module(module_name="nspa.proaudio.readiness", module_args=arguments, task_vars=variables)
            )
        report = result.get("ansible_facts", {}).get("readiness_report")
        if report:
            heading = _CHECK_MODE if self._task.check_mode else ""
            Display().display("\n" + heading + table.table(report) + "\n")
        return result

    def _given(self, known, settings):
        """Whether the host gave its verdict on these settings when preflight asked, and that still holds."""
        return bool(
            known and known["report"] and known["asked"]["settings"] == settings and _play.holds(self._task, known)
        )

    def _hand_on(self, report):
        """The result that the module would give."""
        result = {"changed": False, "ansible_facts": {"readiness_report": report}}
        enforced = boolean(self._task.args.get("enforce", False)) and not self._task.check_mode
        refusal = model.refusal(report) if enforced else ""
        return dict(result, failed=True, msg=refusal) if refusal else result
