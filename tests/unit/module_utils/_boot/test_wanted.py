# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations


def test_x(machine):
    print(machine.menu.read_text())
    print(machine.lines())
    for e in machine.grub().menu().entries:
        print(e)
    c = machine.parameters("threadirqs", "preempt=full")
    print(c.result(), c.diff())
    print(machine.files(), machine.lines())
    c = machine.choose("linux-image-amd64")
    print(c.result(), c.diff())
    print(machine.files())
    c = machine.settles("parameters", None)
    c = machine.settles("default", None)
    print(c.result(), c.diff(), machine.files())
    import os

    os.system(f"find {machine.root} | grep -v grub.d")
    assert 0
