# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment that a series of Wine-NSPA reads, as a filter."""

from __future__ import annotations

DOCUMENTATION = r"""
name: wine_environment
short_description: The environment that a series of Wine-NSPA reads
version_added: "1.0.0"
author: nspa.proaudio contributors (@nine7nine)
description: Returns the variables that a session needs for a series of Wine-NSPA.
positional: rt_prio, rt_policy, extra
options:
  _input:
    description: The series, for example V(5.x).
    type: str
    required: true
  rt_prio:
    description: Wine's ceiling in the priority plan, 1 to 98.
    type: int
    required: true
  rt_policy:
    description: The policy of Wine's less urgent real-time threads, V(RR) or V(FF).
    type: str
    required: true
  extra:
    description: Further variables; they win over those of the series.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Show what a session gets
  ansible.builtin.debug:
    msg: "{{ '5.x' | nspa.proaudio.wine_environment(78, 'RR') }}"
"""

RETURN = r"""
_value:
  description: The variables by name.
  type: dict
"""

from ansible.errors import AnsibleFilterError

from ansible_collections.nspa.proaudio.plugins.module_utils._wine import environment


def wine_environment(series, rt_prio, rt_policy, extra=None):
    """Return the variables of a session by name (a dict of strings)."""
    if series not in environment.SERIES:
        raise AnsibleFilterError(f"'{series}' is no known series of Wine-NSPA; known: {', '.join(environment.SERIES)}")
    return environment.environment(series, int(rt_prio), rt_policy, extra or {})


class FilterModule:
    """Offer the filter to Ansible."""

    def filters(self):
        """Return the filters by name."""
        return {"wine_environment": wine_environment}
