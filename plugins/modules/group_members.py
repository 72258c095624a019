#!/usr/bin/python
# Copyright: (c) 2026, nspa.proaudio contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A group and the users in it, in one call."""

from __future__ import annotations

DOCUMENTATION = r"""
module: group_members
short_description: Make a system group and put users into it
version_added: "1.0.0"
author: nspa.proaudio contributors (@nine7nine)
description:
  - Creates a system group where it is missing and adds users to it, all in one call.
  - Records what it did, so that O(state=absent) takes out only the users that it put in and removes the group only
    if it made it and nobody else has joined since.
  - Names are checked by the distribution's rule before anything is changed. When another program is changing users or
    groups, it is waited for.
options:
  role:
    description:
      - The name of the set, normally that of the role. What is given is the whole set; a group that this name made, and
        a user whom it put into one, go again when they are not given any more.
    type: str
    required: true
  state:
    description: Whether the group and its members are there, or everything this module did for O(role) is put back.
    type: str
    choices: [present, absent]
    default: present
  group:
    description: The group's name. Required with O(state=present).
    type: str
  members:
    description:
      - Users who must be in the group. All must exist; otherwise nothing is changed.
      - A user whom this module put in and who is no longer listed is taken out again.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    support: full
    description: Says what would change and changes nothing.
  diff_mode:
    support: full
    description: Shows the group's members before and after.
  idempotent:
    support: full
    description: A second run changes nothing.
  platform:
    support: full
    platforms: linux
    description: Needs groupadd, groupdel and gpasswd (shadow).
"""

EXAMPLES = r"""
- name: Let Ada use real-time priorities
  nspa.proaudio.group_members:
    role: rt_limits
    group: realtime
    members:
      - ada
"""

RETURN = r"""
members:
  description: The group's members after this run, or as they would be in check mode; empty with O(state=absent).
  returned: always
  type: list
  elements: str
relogin:
  description: Users whose running sessions do not know of the change until they log in again.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nspa.proaudio.plugins.module_utils._core.change import carry_out
from ansible_collections.nspa.proaudio.plugins.module_utils._host import groups


def main():
    concern = groups.CONCERN
    module = AnsibleModule(
        argument_spec=concern.argument_spec(), required_if=concern.required_if(), supports_check_mode=True
    )
    carry_out(module, concern)


if __name__ == "__main__":
    main()
