#!/usr/bin/python
# Copyright: (c) 2026, nspa.proaudio contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages that a role brings to a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: packages
short_description: Install packages by name and by file, and take away exactly what came with them
version_added: "1.0.0"
author: nspa.proaudio contributors (@nine7nine)
description:
  - Installs packages of the distribution and package files, local or fetched, in one transaction.
  - Needs nothing on the host but apt and dpkg themselves; M(ansible.builtin.apt) needs python3-apt there and would
    install it, and does not know later what it brought in.
  - Everything is checked before anything is installed, which means checksums, that each file is a package for this
    machine, that the archives know each name, and that no installed package would have to go.
  - Package files are copied to a private place first; the copy is checked and installed, so that nobody can put another
    file in between.
  - Records in C(/var/lib/nspa-proaudio/manifest.json) which packages came with the transaction. O(state=absent) purges
    these and no others, with what a later upgrade of them brought along.
  - A package that came with us stays when a package that somebody else installed depends on it, or when somebody asked
    for it by name since. One that was there before, and was upgraded, stays in its newer version. RV(kept) lists both.
  - The running kernel may be purged when another one remains. The machine has to be rebooted then, which
    RV(running_kernel_removed) says. The last kernel is never purged.
  - What was interrupted (a power cut, a killed C(dpkg)) is finished by the next run; where others' packages are
    unfinished too, it says so, with what to do.
options:
  role:
    description:
      - The name of the set of packages, normally that of the role. The list given is the whole set; what this name
        brought and does not need any more is purged.
    type: str
    required: true
  state:
    description: Whether the packages are installed, or everything that O(role) brought is taken away.
    type: str
    choices: [present, absent]
    default: present
  names:
    description:
      - Packages of the distribution, as V(name), V(name:architecture), V(name=version) or V(name/release).
      - A release is the suite or codename of an archive, as V(trixie-backports). What such a package depends on comes
        from there too where no other archive can satisfy it, and nothing else does. A version that is only the latest
        of such a release is installed in the same way. A later version than the release's is as good.
    type: list
    elements: str
    default: []
  files:
    description: Package files. A build is told from another one of the same version by its checksum.
    type: list
    elements: dict
    default: []
    suboptions:
      src:
        description:
          - Absolute path of a file on the host (links are followed), or an address that starts with C(http://) or
            C(https://). Addresses are fetched with apt's own proxy settings, once; in check mode too, into a temporary
            directory.
        type: str
        required: true
      sha256:
        description: SHA-256 checksum, 64 hexadecimal digits.
        type: str
        required: true
  install_recommends:
    description: Whether packages that are only recommended are installed too.
    type: bool
    default: false
  lists_max_age:
    description:
      - Age in seconds from which apt's package lists are fetched again before something is installed. They are also
        fetched when they do not know a name. Nothing is fetched when everything is installed.
      - An archive that does not answer then is a warning, if the others have what is asked for.
    type: int
    default: 86400
attributes:
  check_mode:
    support: full
    description:
      - Says which packages would come and go, with the package lists that are on the host; a name that they do not
        know is a warning, as the lists would be fetched first.
  diff_mode:
    support: full
    description: The packages that come, change and go, with their versions.
  idempotent:
    support: full
    description: A second run changes nothing, and fetches nothing.
  platform:
    support: full
    platforms: debian
    description: Debian and its derivatives.
"""

EXAMPLES = r"""
- name: Install the real-time kernel of the distribution
  nspa.proaudio.packages:
    role: linux_nspa
    names:
      - linux-image-rt-amd64

- name: Install a kernel that was built elsewhere
  nspa.proaudio.packages:
    role: linux_nspa
    files:
      - src: https://example.org/linux-image-6.12.10-nspa_1_amd64.deb
        sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08

- name: Take away what came with it
  nspa.proaudio.packages:
    role: linux_nspa
    state: absent
"""

RETURN = r"""
names:
  description: All packages asked for, those in files by their names.
  returned: always
  type: list
  elements: str
  sample: [linux-image-rt-amd64]
installed:
  description: Versions of the packages that came, by name; an empty version if no list on the host knows it yet.
  returned: always
  type: dict
  sample: {linux-image-rt-amd64: 6.12.57-1}
upgraded:
  description: Versions of the packages that were there in another version, by name.
  returned: always
  type: dict
before:
  description: Versions that the upgraded and removed packages had, by name.
  returned: always
  type: dict
removed:
  description: Packages that went.
  returned: always
  type: list
  elements: str
kept:
  description:
    - Why packages that O(role) brought or upgraded, and that are not asked for any more, stay, by name.
    - The package of the kernel that runs is among them with O(state=present). It is the way back from another one that
      has yet to show that it works; a run with that one removes it.
  returned: always
  type: dict
  sample: {libasound2: other packages need it}
running_kernel_removed:
  description: Whether the package of the running kernel went, so that a reboot is due.
  returned: always
  type: bool
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nspa.proaudio.plugins.module_utils._core.change import carry_out
from ansible_collections.nspa.proaudio.plugins.module_utils._packages import packages


def main():
    concern = packages.CONCERN
    carry_out(AnsibleModule(argument_spec=concern.argument_spec(), supports_check_mode=True), concern)


if __name__ == "__main__":
    main()
