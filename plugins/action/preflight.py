# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check every setting on the controller, then look at the host once."""

from __future__ import annotations

from ansible.plugins.action import ActionBase

from ansible_collections.nspa.proaudio.plugins.plugin_utils import _settings


class ActionModule(ActionBase):
    """Refuse bad settings before the host is touched, and hand the rest to the module."""

    _requires_connection = True

    def run(self, tmp=None, task_vars=None):
        """Run the action: ``task_vars`` are the host's variables."""
        variables = task_vars or {}
        result = super().run(tmp, variables)
        try:
            values = _settings.checked(variables, self._templar.template)
        except _settings.SettingsError as error:
            result.update(failed=True, problems=error.problems, msg=str(error))
            return result
        distro_kernel = values["linux_nspa_state"] == "present" and values["linux_nspa_source"] == "distro"
        kernels = values["linux_nspa_distro_packages"] if distro_kernel else None
        packages = values["wine_nspa_packages"] if values["wine_nspa_state"] == "present" else []
        users = values["rt_limits_users"] if values["rt_limits_state"] == "present" else []
        result.update(
            self._execute_module(
                module_name="nspa.proaudio.preflight",
                module_args={"users": users, "packages": packages, "kernels": kernels},
                task_vars=variables,
            )
        )
        return result
