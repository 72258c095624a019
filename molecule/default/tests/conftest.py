# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the life cycle share: the machine's state, compared with its start."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

SNAPSHOT = (Path(__file__).parent.parent / "snapshot.sh").read_text(encoding="utf-8")
PARTS = ("files", "packages", "manual", "groups", "tunables", "devices", "kernel", "cmdline", "capabilities")


@pytest.fixture(params=PARTS)
def part_now_and_at_start(host, request):
    """One part of the machine's state, now and at the start, as lists of lines."""
    now = "/var/tmp/now"
    if request.param == PARTS[0]:
        taken = host.run(f"cat > /var/tmp/snapshot.sh <<'END'\n{SNAPSHOT}\nEND\nsh /var/tmp/snapshot.sh {now}")
        assert taken.rc == 0, taken.stderr
    lists = (host.file(f"{folder}/{request.param}") for folder in (now, "/var/tmp/start"))
    both = tuple(file.content_string.splitlines() for file in lists)
    if request.param == "files":
        for lines in both:
            assert any(re.match("[0-9a-f]{64} ", line) for line in lines), "no contents were recorded"
    elif request.param not in ("capabilities", "devices"):  # a bare Debian may have none, nor a container
        assert all(both), f"the {request.param} were not recorded"
    return both
