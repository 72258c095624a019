# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A package manager is one file and one line, and nothing else knows it."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pytest

from ansible_collections.nspa.proaudio.plugins.module_utils._packages import manager, packages
from ansible_collections.nspa.proaudio.plugins.module_utils._packages.model import PackageError

ROOM = Path(manager.__file__).parent
PREFIX = "ansible_collections.nspa.proaudio.plugins.module_utils._packages"
#: What is no package manager.
OURS = ("manager", "model", "owners", "packages", "room")
QUESTIONS = [name for name, value in vars(manager.PackageManager).items() if inspect.isfunction(value)]


def test_every_file_beside_ours_is_a_package_manager_in_the_registry() -> None:
    files = {path.stem for path in ROOM.glob("*.py")} - set(OURS)
    assert {make.__module__.rsplit(".", 1)[1] for make in manager.MANAGERS} == files


@pytest.mark.parametrize("make", manager.MANAGERS)
def test_each_answers_every_question_as_it_is_asked(make: type) -> None:
    assert len([name for name in QUESTIONS if not name.startswith("_")]) > 15
    for name in QUESTIONS:
        if not name.startswith("_"):
            asked = inspect.signature(getattr(manager.PackageManager, name))
            assert inspect.signature(getattr(make, name)).parameters == asked.parameters, name
    answer = make()
    for name in ("name", "repair", "suffix"):
        assert getattr(answer, name)
    assert answer.root == Path("/")


@pytest.mark.parametrize("name", ("model", "owners", "packages", "room"))
def test_nothing_else_names_one(name: str) -> None:
    source = inspect.getsource(importlib.import_module(f"{PREFIX}.{name}"))
    assert not re.findall(r"(?i)\bapt\b|apt-|dpkg|\.deb\b|debian|pacman|archlinux", source)


def test_without_one_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    for attempt in (manager.find, lambda: packages.missing(["x"]), lambda: packages.unreachable(["x"])):
        with pytest.raises(PackageError, match=r"no package manager that this collection knows \(apt\)"):
            attempt()
