# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host is asked follows from the settings."""

from __future__ import annotations

import pytest

from ansible_collections.nspa.proaudio.plugins.action import preflight
from ansible_collections.nspa.proaudio.plugins.plugin_utils import _settings


def question(**settings):
    return preflight._question({**_settings.effective({}, lambda value: value), **settings})


@pytest.mark.parametrize(
    ("settings", "kernels", "absent"),
    [
        ({}, [], []),
        ({"linux_nspa_distro_packages": ["linux-image-rt-amd64"]}, ["linux-image-rt-amd64"], []),
        ({"linux_nspa_source": "packages"}, None, []),
        ({"linux_nspa_source": "existing"}, None, ["linux_nspa"]),
        ({"linux_nspa_state": "absent"}, None, ["linux_nspa"]),
        ({"wine_env_state": "absent"}, [], ["wine_env"]),
    ],
)
def test_which_kernels_must_be_had_and_which_roles_want_nothing(settings, kernels, absent):
    asked = question(**settings)
    assert (asked["kernels"], asked["absent"]) == (kernels, absent)


def test_what_an_absent_role_would_install_need_not_be_had():
    assert question()["packages"] != []
    assert question(wine_nspa_state="absent")["packages"] == []
    assert question(rt_limits_state="absent", rt_limits_users=["ada"])["users"] == []
