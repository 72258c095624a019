# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module futex_wait_multiple: its options, its documentation, and that it never says `changed`."""

from __future__ import annotations

import io
import json
import sys
from typing import Any

import pytest
import yaml
from ansible.module_utils import basic
from ansible.module_utils.common.text.converters import to_bytes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.nspa.proaudio.plugins.module_utils._sync import probe
from ansible_collections.nspa.proaudio.plugins.modules import futex_wait_multiple

NAMES = ["any", *probe.INTERFACES]
# Ansible itself stumbles over an infinite number, before any module sees it.
TEXTS = st.text(max_size=5).filter(lambda text: "inf" not in text.lower())
DOCUMENTED = yaml.safe_load(futex_wait_multiple.DOCUMENTATION)["options"]


def run(monkeypatch: pytest.MonkeyPatch, **options: Any) -> dict[str, Any]:
    """What the module prints for Ansible."""
    arguments = to_bytes(json.dumps({"ANSIBLE_MODULE_ARGS": {"_ansible_remote_tmp": "/tmp", **options}}))
    output = io.StringIO()
    with monkeypatch.context() as patch:
        patch.setattr(basic, "_ANSIBLE_ARGS", arguments)
        patch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
        patch.setattr(sys, "stdout", output)
        with pytest.raises(SystemExit):
            futex_wait_multiple.main()
    return json.loads(output.getvalue())


def test_a_report_needs_no_option(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch, _ansible_check_mode=True)
    assert result["changed"] is False
    assert "failed" not in result
    assert set(result["interfaces"]) == set(probe.INTERFACES)
    returned = set(yaml.safe_load(futex_wait_multiple.RETURN))
    assert returned == set(result) - {"changed", "invocation"}


def test_each_entry_has_what_is_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    documented = set(yaml.safe_load(futex_wait_multiple.RETURN)["interfaces"]["contains"])
    for name, found in run(monkeypatch, samples=0)["interfaces"].items():
        drivers = {"module", "ordinary_user"} if name in ("ntsync", "nspa_ntsync", "winesync") else set()
        assert set(found) == documented - {"module", "ordinary_user"} | drivers, name


def test_what_is_required_and_missing_fails_with_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, found in probe.probe(samples=0)["interfaces"].items():
        result = run(monkeypatch, require=[name], samples=0)
        assert result.get("failed", False) == (found["status"] != "supported"), name
        if result.get("failed"):
            assert result["msg"].startswith(f"Wanted: {name}. Found on kernel ")
            assert result["interfaces"][name]["status"] == found["status"]


def test_the_documentation_and_the_code_agree() -> None:
    assert DOCUMENTED["require"]["choices"] == NAMES
    assert DOCUMENTED["samples"]["default"] == probe.DEFAULT_SAMPLES


@given(
    require=st.one_of(st.text(), st.lists(st.one_of(st.sampled_from(NAMES), st.text(), st.integers()), max_size=4)),
    samples=st.one_of(
        st.integers(-5, 5), st.integers(), st.text(max_size=5), st.floats(allow_nan=False, allow_infinity=False)
    ),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_option_makes_it_stumble(
    monkeypatch: pytest.MonkeyPatch, canned: dict[str, Any], require: Any, samples: Any
) -> None:
    monkeypatch.setattr(probe, "probe", lambda samples: canned)
    result = run(monkeypatch, require=require, samples=samples)
    assert result.get("changed", False) is False
    assert "Traceback" not in result.get("msg", "")
    names = require.split(",") if isinstance(require, str) else [str(name) for name in require]
    if not {name.strip() for name in names} <= {"", *NAMES}:
        assert result["failed"] is True


@pytest.fixture(scope="module")
def canned() -> dict[str, Any]:
    return probe.probe(samples=0)
