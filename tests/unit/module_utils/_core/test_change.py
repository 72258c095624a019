# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every state module does the same way."""

from __future__ import annotations

import pytest
from support.host import Host

from ansible_collections.nspa.proaudio.plugins.module_utils._host.concerns import CONCERNS


@pytest.mark.parametrize("left", ["lock", "manifest.json.new", "contents/0"])
@pytest.mark.parametrize("module", [concern.name for concern in CONCERNS])
def test_what_a_killed_run_left_of_its_records_goes_with_any_module(tmp_path, module, left):
    """Killed before its first save, or after its last: nothing is owned, and the folder is there."""
    host = Host(tmp_path)
    host.manifest.parent.mkdir(parents=True, mode=0o700)
    (host.manifest.parent / left).parent.mkdir(exist_ok=True)
    (host.manifest.parent / left).touch()
    options = {"group": "a-group"} if module == "group_members" else {}
    assert host.run(module, check=True, role="a_role", state="absent", **options).code == 0
    assert (host.manifest.parent / left).exists()
    assert host.run(module, role="a_role", state="absent", **options).code == 0
    assert not host.manifest.parent.exists()
