# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""After state: absent and a reboot the machine is what it was at the start."""

from __future__ import annotations


def test_the_machine_equals_its_start(part_now_and_at_start):
    now, start = part_now_and_at_start
    assert set(now) ^ set(start) == set()


def test_nothing_of_ours_is_left(host):
    assert host.run("find / -xdev -path /proc -prune -o -name '*nspa*' -print").stdout == ""
