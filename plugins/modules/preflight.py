#!/usr/bin/python
# Copyright: (c) 2026, nspa.proaudio contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at the host once, and refuse early."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Check the settings and the host before anything is changed
version_added: "1.0.0"
author: nspa.proaudio contributors (@nine7nine)
description:
  - Checks every setting of this collection's roles on the controller - names, types, ranges, the priority plan,
    checksums - and reports all problems at once, before the host is touched.
  - Then looks at the host in one call - distribution, users, package archives, boot loader - refuses what
    cannot work, and returns what the roles need to know as the fact C(nspa_host).
  - In the same call the host compares itself with all that this collection wanted of it last. A role whose wishes are
    the same, and still stand, is answered from that without another call, as long as nothing else was changed in the
    play and no task of somebody else came between.
  - A role may run it again at no cost. The settings are checked each time, and the host is asked again only if it was
    asked something else, or in another play, or if another's task ran since.
options:
  with_verdict:
    description:
      - Have the host give its verdict in the same call if all that was wanted of it last still stands.
        M(nspa.proaudio.readiness) hands that on as long as nothing else was changed in the play.
    type: bool
    default: false
  settings:
    description: The roles' variables, for the verdict. The action plugin fills this in.
    type: dict
  users:
    description: Users who must exist. The action plugin fills this in from the settings.
    type: list
    elements: str
    default: []
  packages:
    description:
      - Packages that the roles will install. Where one is missing, the host's package archives must answer.
        The action plugin fills this in from the settings.
    type: list
    elements: str
    default: []
  kernels:
    description:
      - The distribution's kernel packages that were chosen; an empty list stands for its PREEMPT_RT kernel,
        null for none. The action plugin fills this in from the settings.
    type: list
    elements: str
  absent:
    description: Roles of which nothing is wanted. The action plugin fills this in from the settings.
    type: list
    elements: str
    default: []
attributes:
  action:
    support: full
    description: The settings are checked on the controller.
  check_mode:
    support: full
    description: This module never changes anything.
  diff_mode:
    support: none
    description: There is nothing to show.
  idempotent:
    support: full
    description: This module never changes anything.
  platform:
    support: full
    platforms: linux
    description: Debian 12 and 13.
  facts:
    support: full
    description: Sets C(nspa_host).
"""

EXAMPLES = r"""
- name: Check the settings and look at the host
  nspa.proaudio.preflight:
"""

RETURN = r"""
ansible_facts:
  description: What the roles need to know of the host.
  returned: success
  type: dict
  contains:
    nspa_host:
      description: The host.
      type: dict
      sample:
        distribution: debian
        version: "13"
        name: Debian GNU/Linux 13 (trixie)
        architecture: x86_64
        container: ''
        kernel: 6.12.48+deb13-rt-amd64
        loader: {name: grub, managed: true, reason: /boot/grub/grub.cfg}
        kernel_packages: [linux-image-rt-amd64]
        uids: {ada: 1000}
        standing: {}
        report: null
        done: false
        settings: {}
        asked: {}
problems:
  description: What stands in the way, one sentence each.
  returned: failure
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nspa.proaudio.plugins.module_utils._command import answer


def main():
    module = AnsibleModule(
        argument_spec={"with_verdict": {"type": "bool", "default": False}, **answer.QUESTION}, supports_check_mode=True
    )
    result = answer.answer(module.params)
    if result.get("failed"):
        module.fail_json(**result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
