# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check every setting on the controller, then look at the host, once in a play."""

from __future__ import annotations

import hashlib

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase

from ansible_collections.nspa.proaudio.plugins.plugin_utils import _ahead, _play, _settings, _single_file


class ActionModule(ActionBase):
    """Refuse bad settings before the host is touched, and let the module look at the host if it has not yet."""

    _requires_connection = True

    def run(self, tmp=None, task_vars=None):
        """Run the action: ``task_vars`` are the host's variables."""
        variables = task_vars or {}
        result = super().run(tmp, variables)
        known = _play.host(variables)
        if known and not _play.same_play(self._task, known):
            known = None
        given = known["settings"] if known else {}
        try:
            values = _settings.checked(variables, self._templar.template, _others(given, _play.role(self._task)))
        except _settings.SettingsError as error:
            result.update(failed=True, problems=error.problems, msg=str(error))
            return result
        question = _question(values)
        verdict = values if boolean(self._task.args.get("with_verdict", False)) else None
        if known and known["asked"]["question"] == question and _play.holds(self._task, known):
            result["changed"] = False
        else:
            result.update(self._ask(dict(question, settings=verdict), variables))
            known = result.get("ansible_facts", {}).get("nspa_host")
            if result.get("failed") or not known:
                return result
            known["asked"] = {**_play.mark(self._task), "question": question, "settings": verdict}
            known["done"] = self._done(result, known, variables)
        role = _play.role(self._task)
        if role:
            given = {**given, role: {name: values[name] for name in _settings.SPECS[role]}}
        result["ansible_facts"] = {"nspa_host": dict(known, settings=given)}
        return result

    def _ask(self, question, variables):
        """The host's answer, through the program that is installed there, if it is the one of these very files."""
        program = _single_file.answer().encode("utf-8")
        arguments = {"sha256": hashlib.sha256(program).hexdigest(), "question": question}
        answer = self._execute_module(module_name="nspa.proaudio.answer", module_args=arguments, task_vars=variables)
        if answer.get("answered") is False:
            return self._execute_module(
                module_name="nspa.proaudio.preflight", module_args=question, task_vars=variables
            )
        return answer

    def _done(self, result, known, variables):
        """Whether our roles have nothing left to do in this play, a reboot included.

        Then nobody else tells what they would have warned of.
        """
        answers = _ahead.answers(self, known, variables) if known["standing"] else None
        if answers is None or any(answer.get("reboot_reasons") for answer in answers):
            return False
        told = [warning for answer in answers for warning in answer.get("warnings", ())]
        result["warnings"] = [*result.get("warnings", ()), *told]
        return True


def _others(given, role):
    """The settings of the play's earlier roles, as they were given to them."""
    return {name: value for other, values in given.items() if other != role for name, value in values.items()}


def _question(values):
    """What the host is asked, for these settings."""
    present = {role for role in _settings.ROLES if values[f"{role}_state"] == "present"}
    source = values["linux_nspa_source"]
    ours = present - ({"linux_nspa"} if source == "existing" else set())
    return {
        "users": values["rt_limits_users"] if "rt_limits" in present else [],
        "packages": values["wine_nspa_packages"] if "wine_nspa" in present else [],
        "kernels": values["linux_nspa_distro_packages"] if "linux_nspa" in ours and source == "distro" else None,
        "absent": [role for role in _settings.ROLES if role not in ours],
    }
