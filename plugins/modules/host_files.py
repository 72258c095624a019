#!/usr/bin/python
# Copyright: (c) 2026, nspa.proaudio contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that a role owns on a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_files
short_description: Put a role's files in place all at once, and put back what stood there before
version_added: "1.0.0"
author: nspa.proaudio contributors (@nine7nine)
description:
  - Takes the whole list of files of a role, renders its templates on the controller, and compares and writes them in
    one call on the host.
  - All new contents are checked by their validators and written beside their destinations before the first of them goes
    into place; each goes into place in one step.
  - What stood there before is recorded in C(/var/lib/nspa-proaudio/manifest.json). A file that is no longer in the
    list, and every file with O(state=absent), is put back byte for byte, with mode, owner, times and extended
    attributes, or removed if there was none. Directories made for it are removed when they are empty.
  - Somebody's edit of what was written by this module is never lost. Before it is replaced, a copy of the file goes to
    C(/var/lib/nspa-proaudio/kept/); a warning and RV(kept_edits) say where.
  - When a file cannot be written, nothing is left of those that are not in place yet; the message says what is.
options:
  role:
    description:
      - The name of the set of files, normally that of the role. The list given is the whole set; a file that
        this name owned before and that is not in the list is put back.
      - A path can belong to one name only; a second one is refused.
    type: str
    required: true
  state:
    description:
      - With V(present), the files are as listed.
      - With V(absent), all files of O(role) are put back as they were before; O(files) and O(templates) are
        not looked at.
    type: str
    choices: [present, absent]
    default: present
  files:
    description: Files with their contents.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path on the host. Missing directories are made, with mode 0755, owned by root.
        type: path
        required: true
      content:
        description: The content, as UTF-8 text.
        type: str
        required: true
      mode:
        description: Permissions as a string of octal digits.
        type: raw
        default: "0644"
      owner:
        description: User name or number.
        type: str
        default: root
      group:
        description: Group name or number.
        type: str
        default: root
      validate:
        description:
          - Command that accepts or refuses the new content, with C(%s) for the path of a private copy that has the same
            file name. It runs without a shell, in check mode too.
        type: str
      replace:
        description:
          - Whether a file or symlink that stands there, and was not written by this module, may be replaced. By default
            it is refused, since it is somebody's own work or belongs to a package.
        type: bool
        default: false
      block:
        description:
          - Whether the content is only a block of lines, between two marking lines at the end of a file that is not
            ours, such as C(/etc/environment), which has no drop-in directory. All other lines, owner, mode, ACL and
            extended attributes stay as they are, also when the block is taken away again. In a file with the line ends
            of Windows the block has them too.
          - Where somebody removed one of the marking lines, only the lines that were written are taken out. If those
            are not there as they were written either, the module fails and says which line to put back.
        type: bool
        default: false
  templates:
    description:
      - Templates, found and rendered as M(ansible.builtin.template) does it, with the variables of the task.
        C(ansible_managed) is there even if it is not set.
    type: list
    elements: dict
    default: []
    suboptions:
      src:
        description: Template on the controller; relative paths are searched in C(templates/) of the role.
        type: str
        required: true
      dest:
        description: As O(files[].path); several paths get the same content.
        type: list
        elements: path
        required: true
      mode:
        description: As O(files[].mode).
        type: raw
        default: "0644"
      owner:
        description: As O(files[].owner).
        type: str
        default: root
      group:
        description: As O(files[].group).
        type: str
        default: root
      validate:
        description: As O(files[].validate).
        type: str
      replace:
        description: As O(files[].replace).
        type: bool
        default: false
      block:
        description: As O(files[].block).
        type: bool
        default: false
attributes:
  check_mode:
    support: full
    description: Validators run on private copies; nothing on the host is changed, nor is the manifest.
  diff_mode:
    support: full
    description: Contents, modes and owners, before and after.
  idempotent:
    support: full
    description: A second run changes nothing.
  platform:
    support: full
    platforms: linux
    description: Any Linux with Python 3.8 or later.
"""

EXAMPLES = r"""
- name: Put the limits of real-time users in place
  nspa.proaudio.host_files:
    role: rt_limits
    templates:
      - src: limits.conf.j2
        dest: /etc/security/limits.d/95-nspa-proaudio.conf
    files:
      - path: /etc/modules-load.d/nspa-proaudio.conf
        content: |
          snd-rawmidi

- name: Put the host back as it was
  nspa.proaudio.host_files:
    role: rt_limits
    state: absent
"""

RETURN = r"""
changed_files:
  description: Paths that differ, in the order of the list.
  returned: always
  type: list
  elements: str
  sample: [/etc/security/limits.d/95-nspa-proaudio.conf]
changes:
  description: What differs at each path.
  returned: always
  type: list
  elements: dict
  contains:
    path:
      description: The path.
      type: str
    action:
      description: What is done with it - C(created), C(updated), C(attributes), C(put back) or C(removed).
      type: str
      sample: created
    before:
      description: Type, SHA-256 (or target), mode, owner and group before; null if there was nothing.
      type: dict
    after:
      description: The same after; null if nothing is there any more.
      type: dict
kept_edits:
  description: Edits of others that were in the way, with the path of the copy that was kept; empty in check mode.
  returned: always
  type: list
  elements: dict
  sample: [{path: /etc/x.conf, copy: /var/lib/nspa-proaudio/kept/20260102T030405Z/etc/x.conf}]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nspa.proaudio.plugins.module_utils._core.change import carry_out
from ansible_collections.nspa.proaudio.plugins.module_utils._files import files


def main():
    carry_out(AnsibleModule(argument_spec=files.CONCERN.argument_spec(), supports_check_mode=True), files.CONCERN)


if __name__ == "__main__":
    main()
