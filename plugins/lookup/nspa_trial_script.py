# Copyright: (c) 2026, nspa.proaudio contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of trial, made from this collection's own module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: nspa_trial_script
short_description: The program trial as one Python file
version_added: "1.0.0"
description:
  - Returns the text of C(trial), a program that brings the trial of a kernel to its end on the host itself, with
    nothing but Python there. M(nspa.proaudio.boot_default) begins such a trial.
  - It is made from the collection's own files on the controller, so that there is no second copy of them.
options: {}
author:
  - nspa.proaudio contributors (@nine7nine)
"""

EXAMPLES = r"""
- name: Install trial
  nspa.proaudio.host_files:
    role: linux_nspa
    files:
      - path: /usr/local/lib/nspa-proaudio/trial
        content: "{{ lookup('nspa.proaudio.nspa_trial_script') }}"
        mode: "0755"
"""

RETURN = r"""
_raw:
  description: One text, the program.
  type: list
  elements: str
"""

from ansible.plugins.lookup import LookupBase

from ansible_collections.nspa.proaudio.plugins.plugin_utils import _single_file


class LookupModule(LookupBase):
    def run(self, terms, variables=None, **kwargs):
        return [_single_file.compose("_command.trial", "trial")]
