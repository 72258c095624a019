# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that has nothing to do is short."""

from __future__ import annotations

#: The budget of a run that changes nothing, in module calls on the host.
BUDGET = 3


def test_a_run_without_changes_stays_within_its_module_calls(host):
    calls = len(host.file("/var/tmp/module-calls").content_string.splitlines())
    print(f"\nmodule calls of a run that changes nothing: {calls} (at most {BUDGET})")
    assert 0 < calls <= BUDGET
