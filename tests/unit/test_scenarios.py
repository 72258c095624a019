# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Molecule skips, with a warning at most, what it cannot find; so everything that a scenario names must be there."""

from __future__ import annotations

import pytest
import yaml
from support import CHECKOUT

SCENARIOS = sorted((CHECKOUT / "molecule").glob("*/molecule.yml"))


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.parent.name)
def test_every_step_has_its_files(path):
    settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    playbooks = settings["provisioner"]["playbooks"]
    for step in settings.get("scenario", {}).get("test_sequence", []):
        name, _space, argument = step.partition(" ")
        if name == "verify" and settings["verifier"]["name"] == "testinfra":
            assert list((path.parent / (argument or "tests")).rglob("test_*.py")), step
        elif name == "side_effect":
            assert (path.parent / argument).is_file(), step
            assert (path.parent / playbooks["side_effect"]).is_file(), "molecule skips side effects without a default"
        elif name in ("create", "destroy", "prepare", "converge"):
            assert (path.parent / playbooks.get(name, f"{name}.yml")).is_file(), step
