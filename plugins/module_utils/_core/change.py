# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules share: the way from a comparison to an answer."""

from __future__ import annotations

from typing import Any, Callable

from ansible_collections.nspa.proaudio.plugins.module_utils._core.errors import HostError


def carry_out(module: Any, compare: Callable[[], Any]) -> None:
    """Compare, apply what differs unless this is check mode, and answer.

    :param module: the AnsibleModule.
    :param compare: returns a plan with ``changed``, ``apply()`` and ``result()``; changes nothing.
    """
    try:
        plan = compare()
        if plan.changed and not module.check_mode:
            plan.apply()
    except HostError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**plan.result())
