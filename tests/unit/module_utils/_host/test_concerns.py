# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands is answered without its module; so it has to stand with all that the module would do."""

from __future__ import annotations

import pytest

from ansible_collections.nspa.proaudio.plugins.module_utils._core import want
from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import Manifest
from ansible_collections.nspa.proaudio.plugins.module_utils._host import concerns

FILES = {"role": "a_role", "state": "present", "files": [], "templates": []}
NOTHING = want.digest("host_files", {"role": "a_role", "state": "absent"})


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "nspa-proaudio" / "manifest.json")


def test_where_nothing_was_wanted_nothing_stands_and_no_module_is_needed(path):
    answers = concerns.standing(Manifest.load(path), ["a_role"])
    assert set(answers) == {
        want.digest(concern.name, {"role": "a_role", "state": "absent"}) for concern in concerns.CONCERNS
    }


def test_a_want_that_a_killed_run_left_is_no_nothing(path):
    """Everything was put back, and the run was killed before it forgot what had been wanted."""
    with Manifest.change(path) as manifest:
        want.record(manifest, "host_files", FILES)
        manifest.save()
    answers = concerns.standing(Manifest.load(path), ["a_role"])
    assert NOTHING not in answers
    assert want.digest("host_files", FILES) in answers


def test_while_records_of_a_killed_run_lie_about_no_nothing_stands(path, tmp_path):
    (tmp_path / "nspa-proaudio").mkdir(mode=0o700)
    (tmp_path / "nspa-proaudio/lock").touch()
    assert concerns.standing(Manifest.load(path), ["a_role"]) == {}
