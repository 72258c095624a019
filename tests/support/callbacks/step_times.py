# Copyright: (c) 2026, nspa.proaudio contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say how long each longer step took."""

from __future__ import annotations

DOCUMENTATION = r"""
name: step_times
type: aggregate
short_description: Say how long each longer step took
version_added: "1.0.0"
author: nspa.proaudio contributors (@nine7nine)
description:
  - Prints how long a step took, if that was more than a few seconds, and the whole run's time at the end.
requirements:
  - Enabled with C(callbacks_enabled=step_times).
"""

import time

from ansible.plugins.callback import CallbackBase

#: Seconds from which on a step's time is worth a line.
WORTH_A_LINE = 3


class CallbackModule(CallbackBase):
    """Print times between the lines of the default output."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "step_times"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self):
        """Start the clock."""
        super().__init__()
        self._start = time.monotonic()
        self._step = self._start

    def v2_playbook_on_task_start(self, task, is_conditional):
        """A step begins."""
        self._step = time.monotonic()

    def v2_playbook_on_handler_task_start(self, task):
        """A handler begins."""
        self._step = time.monotonic()

    def _answered(self, result, **kwargs):
        """One host has done the step."""
        now = time.monotonic()
        if now - self._step >= WORTH_A_LINE:
            self._display.display(f"  ({_span(now - self._step)}; {_span(now - self._start)} since the start)")

    v2_runner_on_ok = v2_runner_on_failed = v2_runner_on_unreachable = _answered

    def v2_playbook_on_stats(self, stats):
        """The run ends."""
        self._display.display(f"The whole run took {_span(time.monotonic() - self._start)}.")


def _span(seconds):
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
