# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module as a process of its own: what enforcing means, and that no file of ours takes part in the verdict."""

from __future__ import annotations

import json

import jsonschema
import pytest
from support import CHECKOUT
from support.host import Host

from ansible_collections.nspa.proaudio.plugins.plugin_utils import _settings

ROLES = ("linux_nspa", "boot_params", "rt_limits", "sched_tuning", "wine_nspa", "wine_env")


def settings(*present, **more):
    states = {f"{role}_state": "present" if role in present else "absent" for role in ROLES}
    return {**_settings.effective({}, lambda value: value), **states, **more}


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    return Host(tmp_path_factory.mktemp("host"))


@pytest.fixture(scope="module")
def wanting():
    """Settings that fail on every machine: nobody is there to make music."""
    return settings("rt_limits", rt_limits_users=[], rt_limits_group="no-such-group-here")


def test_enforcing_fails_the_task_and_names_what_is_not_ready(host, wanting):
    answer = host.run("readiness", settings=wanting, enforce=True)
    assert answer.code == 1
    assert "Real-time priority of sessions" in answer.message
    report = answer.result["ansible_facts"]["readiness_report"]
    assert report["verdict"] == "fail"
    jsonschema.validate(report, json.loads((CHECKOUT / "docs/verdict.schema.json").read_text(encoding="utf-8")))


@pytest.mark.parametrize("how", [{"enforce": False}, {"enforce": True, "check": True}], ids=["not asked", "check mode"])
def test_without_enforcing_a_failed_check_is_reported_alone(host, wanting, how):
    answer = host.run("readiness", settings=wanting, **how)
    assert (answer.code, answer.changed) == (0, False)
    assert answer.result["ansible_facts"]["readiness_report"]["verdict"] == "fail"


def test_a_damaged_manifest_does_not_keep_the_verdict_back(host):
    host.manifest.parent.mkdir(parents=True)
    host.manifest.write_text("{")
    answer = host.run("readiness", settings=settings("linux_nspa", linux_nspa_source="packages"))
    assert answer.code == 0
    assert [row["id"] for row in answer.result["ansible_facts"]["readiness_report"]["checks"]] == [
        "kernel",
        "trial",
        "preempt_rt",
        "futex_wait_multiple",
    ]
