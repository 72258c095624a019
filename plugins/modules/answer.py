#!/usr/bin/python
# Copyright: (c) 2026, nspa.proaudio contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Have the host answer through the program that is installed there."""

from __future__ import annotations

DOCUMENTATION = r"""
module: answer
short_description: Ask the host through the program that the collection has installed there
version_added: "1.0.0"
author: nspa.proaudio contributors (@nine7nine)
description:
  - Does what M(nspa.proaudio.preflight) does on the host, through the program C(answer) that the role C(readiness) put
    there. Most of what a run without changes costs is to pack this collection's code, send it, and have Python read it;
    this module is small, and the program is read from the host's disk.
  - The program is run only if it is, to the byte, the one that this release of the collection would install. Otherwise
    nothing is run and RV(answered) is false.
  - The action plugin of M(nspa.proaudio.preflight) uses it. There is no need to call it yourself.
options:
  path:
    description: The program.
    type: path
    default: /usr/local/lib/nspa-proaudio/answer
  sha256:
    description: The SHA-256 of the program's text, 64 hexadecimal digits.
    type: str
    required: true
  question:
    description: What is asked, the options of M(nspa.proaudio.preflight).
    type: dict
    required: true
attributes:
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
- name: Look at the host as the program there does
  nspa.proaudio.answer:
    sha256: "{{ lookup('nspa.proaudio.nspa_answer_script') | hash('sha256') }}"
    question: {settings: null, users: [ada], packages: [], kernels: null, absent: []}
"""

RETURN = r"""
answered:
  description: Whether the program is there, and the one that was meant. If not, nothing else is returned.
  returned: always
  type: bool
ansible_facts:
  description: What the roles need to know of the host, see M(nspa.proaudio.preflight).
  returned: success
  type: dict
problems:
  description: What stands in the way, one sentence each.
  returned: failure
  type: list
  elements: str
"""

import hashlib
import importlib
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

PROGRAM = "ansible_collections.nspa.proaudio.plugins.module_utils._command.answer"


def main():
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": "/usr/local/lib/nspa-proaudio/answer"},
            "sha256": {"type": "str", "required": True},
            "question": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    try:
        text = Path(module.params["path"]).read_bytes()
    except OSError:
        text = b""
    if hashlib.sha256(text).hexdigest() != module.params["sha256"]:
        module.exit_json(changed=False, answered=False)
    # The very bytes that were looked at are run, in this process: another one would load Python once more.
    exec(compile(text, module.params["path"], "exec"), {"__name__": "answer", "__file__": module.params["path"]})
    result = importlib.import_module(PROGRAM).answer(module.params["question"])
    if result.get("failed"):
        module.fail_json(answered=True, **result)
    module.exit_json(answered=True, **result)


if __name__ == "__main__":
    main()
