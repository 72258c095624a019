# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was wanted of a host is kept until it is not wanted any more."""

from __future__ import annotations

import pytest

from ansible_collections.nspa.proaudio.plugins.module_utils._core import want
from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import Manifest

LIMITS = {"role": "rt_limits", "state": "present", "files": [{"path": "/etc/x", "mode": "0644"}]}


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "state" / "nspa-proaudio" / "manifest.json")


def record(path, arguments, concern="host_files"):
    with Manifest.change(path) as manifest:
        want.record(manifest, concern, arguments)
        manifest.save()


def test_what_was_wanted_comes_back_word_for_word(path):
    record(path, LIMITS)
    assert want.recorded(Manifest.load(path)) == [(want.digest("host_files", LIMITS), "host_files", LIMITS)]


def test_only_another_want_differs(path):
    assert want.differs(Manifest.load(path), "host_files", LIMITS)
    record(path, LIMITS)
    manifest = Manifest.load(path)
    assert not want.differs(manifest, "host_files", dict(LIMITS))
    assert want.differs(manifest, "host_files", dict(LIMITS, files=[]))
    assert want.differs(manifest, "host_files", dict(LIMITS, role="wine_env"))
    assert want.differs(manifest, "packages", LIMITS)


def test_the_last_want_replaces_the_one_before(path):
    record(path, LIMITS)
    record(path, dict(LIMITS, files=[]))
    assert [arguments["files"] for _digest, _concern, arguments in want.recorded(Manifest.load(path))] == [[]]


def test_wanting_nothing_leaves_nothing(path, tmp_path):
    nothing = dict(LIMITS, state="absent")
    assert not want.differs(Manifest.load(path), "host_files", nothing)
    record(path, LIMITS)
    assert want.differs(Manifest.load(path), "host_files", nothing)
    record(path, nothing)
    assert list((tmp_path / "state").iterdir()) == []


def test_wanting_nothing_is_the_same_whatever_was_wanted_before():
    nothing = dict(LIMITS, state="absent")
    assert want.digest("host_files", nothing) == want.digest("host_files", {"role": "rt_limits", "state": "absent"})
    assert want.digest("host_files", nothing) != want.digest("host_files", dict(nothing, role="wine_env"))
    assert want.digest("host_files", nothing) != want.digest("packages", nothing)
