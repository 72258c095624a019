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
    assert host.run(module, check=True, role="a_role", state="absent").code == 0
    assert (host.manifest.parent / left).exists()
    assert host.run(module, role="a_role", state="absent").code == 0
    assert not host.manifest.parent.exists()


@pytest.mark.parametrize("concern", [one for one in CONCERNS if one.needed], ids=lambda concern: concern.name)
def test_what_is_needed_is_asked_for_only_where_something_is_wanted(tmp_path, concern):
    answer = Host(tmp_path).run(concern.name, role="a_role")
    assert answer.code == 1
    assert all(name in answer.message for name in concern.needed)
