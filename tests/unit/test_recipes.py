# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""CONTRIBUTING.md says how things are added. Each recipe is carried out here, word for word, on a copy."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import CHECKOUT

TEXT = (CHECKOUT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r'^```(\w+) title="([^"]+)"\n(.*?)^```$', TEXT, re.MULTILINE | re.DOTALL)
PACKAGE = "ansible_collections.nspa.proaudio.plugins"


@pytest.fixture
def copy(tmp_path):
    """A copy of the collection in which every recipe has been followed, but for that of the package manager."""
    place = tmp_path / "ansible_collections/nspa/proaudio"
    for folder in ("plugins", "roles", "playbooks"):
        shutil.copytree(CHECKOUT / folder, place / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for language, name, text in BLOCKS:
        target = place / name
        if language != "diff":
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        elif "pacman" not in text:
            target.write_text(patched(target.read_text(), text))
    return tmp_path


def patched(source: str, change: str) -> str:
    """A source after a change in the form of a diff, whose lines must be there."""
    for part in change.split("@@\n"):
        lines = part.splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if line[0] in " -")
        after = "".join(line[1:] for line in lines if line[0] in " +")
        assert source.count(before) == 1, f"not there:\n{before}"
        source = source.replace(before, after)
    return source


def run(place: Path, program: str, *arguments: str) -> str:
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_is_a_recipe_for_each():
    titles = {name.split("/")[-1] for _language, name, _text in BLOCKS}
    assert titles >= {"huge_pages.py", "registry.py", "limine.py", "loaders.py", "main.yml", "manager.py"}


def test_a_check_is_one_file_and_one_line(copy):
    order = run(copy, f"from {PACKAGE}.module_utils._verdict import registry; print(*registry.ids())").split()
    assert order[order.index("swappiness") + 1 : order.index("governor")] == ["huge_pages"]
    asked = f"""
from {PACKAGE}.module_utils._verdict import registry
from {PACKAGE}.module_utils._verdict.machine import Machine
check = next(check for check in registry.CHECKS if check.id == "huge_pages")
print(check.ask(Machine(), {{}}).status)
"""
    assert run(copy, asked).strip() in ("pass", "fail", "vacuous")


def test_a_boot_loader_is_one_file_and_one_line(copy, tmp_path):
    (tmp_path / "host/boot").mkdir(parents=True)
    (tmp_path / "host/boot/limine.conf").write_text("/Debian\n")
    asked = f"""
import sys; from pathlib import Path
from {PACKAGE}.module_utils._boot import loaders
root = Path(sys.argv[1]); loader = loaders.detect(root)
print(loader.name, loader.managed, loaders.manager(loader, root).default().title)
"""
    assert run(copy, asked, str(tmp_path / "host")) == "Limine True Debian\n"


def test_a_role_is_known_to_the_settings(copy):
    specs = copy / "ansible_collections/nspa/proaudio/roles/usb_power/meta/argument_specs.yml"
    specs.parent.mkdir()
    specs.write_text(
        "argument_specs: {main: {options: {usb_power_state: "
        "{type: str, choices: [present, absent], default: present}}}}"
    )
    asked = f"""
from {PACKAGE}.plugin_utils import _settings
print(_settings.checked({{}}, str)["usb_power_state"], _settings.ROLES.index("usb_power"))
"""
    assert run(copy, asked) == "present 4\n"


def test_the_line_for_a_package_manager_is_there():
    change = next(text for _language, _name, text in BLOCKS if "pacman" in text)
    source = (CHECKOUT / "plugins/module_utils/_packages/manager.py").read_text(encoding="utf-8")
    assert "pacman.Pacman" in patched(source, change)
