# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check mode changed nothing at all."""

from __future__ import annotations


def test_nothing_changed(part_now_and_at_start):
    now, start = part_now_and_at_start
    assert set(now) ^ set(start) == set()


def test_no_manifest_was_written(host):
    assert not host.file("/var/lib/nspa-proaudio").exists
