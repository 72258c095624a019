# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller side of irq_priorities."""

from __future__ import annotations

from ansible_collections.nspa.proaudio.plugins.module_utils._host import irq_priorities
from ansible_collections.nspa.proaudio.plugins.plugin_utils._state_action import StateAction


class ActionModule(StateAction):
    """Runs the module, unless the host has said in this play that all of it stands."""

    concern = irq_priorities.CONCERN
