# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Follow the trial of a kernel, over the reboots that belong to it."""

from __future__ import annotations

import time

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

#: Seconds between two questions.
STEP = 5


class ActionModule(ActionBase):
    """Ask the machine until the trial has ended; while it reboots it does not answer, which is no failure."""

    _requires_connection = True

    def run(self, tmp=None, task_vars=None):
        """Run the action: ``task_vars`` are the host's variables."""
        variables = task_vars or {}
        result = super().run(tmp, variables)
        begin = time.monotonic()
        until = begin + float(self._task.args.get("timeout", 900))
        while True:
            answer = self._ask(variables)
            ended = answer is not None and (answer.get("failed") or not _goes_on(answer.get("trial")))
            if ended or time.monotonic() >= until:
                break
            doing = f"{answer['trial']['release']} is being looked at" if answer else "the machine reboots"
            Display().display(f"  {variables['inventory_hostname']}: {doing} ({time.monotonic() - begin:.0f} s)")
            time.sleep(STEP)
        if answer is None:
            result.update(
                failed=True,
                msg="The machine has not answered since its kernel is on trial. Switch it off and on again: it boots "
                "its earlier kernel then. Run the playbook again after that.",
            )
            return result
        result.update(answer)
        return result

    def _ask(self, variables):
        """The module's answer; None while the machine does not answer."""
        try:
            return self._execute_module(module_name="nspa.proaudio.kernel_trial", task_vars=variables)
        except AnsibleConnectionFailure:
            self._connection.reset()
            return None


def _goes_on(known):
    """Whether the kernel has its one boot now."""
    return bool(known) and known["running"] and known["state"] in ("arming", "armed")
