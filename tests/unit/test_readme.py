# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The README's verdict has the checks that there are."""

from __future__ import annotations

import re

from support import CHECKOUT

from ansible_collections.nspa.proaudio.plugins.module_utils._verdict import model, registry


def test_the_sample_has_every_check_in_its_order():
    text = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    statuses = "|".join(model.STATUSES)
    rows = re.findall(rf"^  (?:{statuses}) +(\S.*?)(?:  .*)?$", text, re.MULTILINE)
    assert rows == [check.title for check in registry.CHECKS]
