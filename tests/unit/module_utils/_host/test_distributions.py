# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of distributions: who gets which row, and which names are names."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Dict, Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.nspa.proaudio.plugins.module_utils._host import distributions
from ansible_collections.nspa.proaudio.plugins.module_utils._host.distributions import DEBIAN

BOOKWORM = {"ID": "debian", "VERSION_ID": "12"}


@pytest.mark.parametrize(
    ("release", "row", "tested"),
    [
        (BOOKWORM, "debian", True),
        ({"ID": "debian", "VERSION_ID": "13"}, "debian", True),
        ({"ID": "debian", "VERSION_ID": "11"}, "debian", False),
        ({"ID": "debian"}, "debian", False),
        ({"ID": "devuan", "ID_LIKE": "debian", "VERSION_ID": "12"}, "debian", False),
        ({"ID": "linuxmint", "ID_LIKE": "ubuntu debian", "VERSION_ID": "22"}, "debian", False),
        ({"ID": "debianoid", "VERSION_ID": "12"}, None, False),
        ({"ID": "fedora", "VERSION_ID": "41"}, None, False),
        ({}, None, False),
    ],
)
def test_a_derivative_gets_the_row_of_what_it_comes_from_and_is_not_called_tested(
    release: Dict[str, str], row: Optional[str], tested: bool
) -> None:
    found = distributions.identify(release)
    assert (found.id if found else None) == row
    assert bool(found and found.tested(release)) is tested


def test_the_row_of_its_own_id_comes_before_that_of_a_relative() -> None:
    assert distributions.identify({"ID": "debian", "ID_LIKE": "arch"}) is DEBIAN


def test_every_row_stands_under_its_id() -> None:
    assert all(name == row.id for name, row in distributions.TABLE.items())


def test_the_real_time_kernel_is_the_machines_own() -> None:
    assert DEBIAN.kernels("x86_64") == ["linux-image-rt-amd64"]
    assert DEBIAN.kernels("aarch64") == ["linux-image-rt-arm64"]
    assert DEBIAN.kernels("riscv64") == []
    assert DEBIAN.kernels() == DEBIAN.kernels(os.uname().machine)


def test_the_package_of_the_user_manager_is_known() -> None:
    assert DEBIAN.packages[distributions.USER_MANAGER] == "libpam-systemd"


# -- os-release


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text, encoding="utf-8")


def test_os_release_is_read_with_and_without_quotes(tmp_path: Path) -> None:
    write(
        tmp_path, "etc/os-release", '# a\nID=debian\n\nVERSION_ID="12"\nNAME=\'A \\b\'\nPRETTY_NAME="A \\"b\\" \\$c"\n'
    )
    expected = {"ID": "debian", "VERSION_ID": "12", "NAME": "A \\b", "PRETTY_NAME": 'A "b" $c'}
    assert distributions.os_release(tmp_path) == expected


@pytest.mark.skipif(not shutil.which("sh"), reason="needs a shell")
@given(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters="\\\"'`$"), max_size=20))
@settings(max_examples=30)
def test_os_release_is_read_as_a_shell_reads_it(tmp_path_factory: pytest.TempPathFactory, value: str) -> None:
    root = tmp_path_factory.mktemp("root")
    write(root, "etc/os-release", f'NAME="{value} x"\n')
    command = ["sh", "-c", '. "$1"; printf %s "$NAME"', "sh", str(root / "etc/os-release")]
    said = subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout
    assert distributions.os_release(root) == {"NAME": said}


def test_the_file_in_etc_comes_first_and_a_missing_one_is_empty(tmp_path: Path) -> None:
    assert distributions.os_release(tmp_path) == {}
    write(tmp_path, "usr/lib/os-release", "ID=debian\n")
    assert distributions.os_release(tmp_path) == {"ID": "debian"}
    write(tmp_path, "etc/os-release", "ID=devuan\n")
    assert distributions.os_release(tmp_path) == {"ID": "devuan"}


def test_a_file_that_is_no_text_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_bytes(b"ID=deb\xffian\nNAME\n=x\nA='\n")
    assert distributions.identify(distributions.os_release(tmp_path)) is None


# -- names


def test_an_unknown_distribution_has_a_rule_for_names_too(tmp_path: Path) -> None:
    write(tmp_path, "etc/os-release", "ID=unheard-of\n")
    assert distributions.names(tmp_path).problem("-x")
    assert not distributions.names(tmp_path).problem("ada")


@pytest.mark.parametrize("name", ["ada", "Ada", "ada.lovelace", "ada@example.org", "_ada", "machine$", "1000", "ä"])
def test_accounts_that_somebody_made_are_accepted_by_their_names(name: str) -> None:
    assert DEBIAN.names.problem(name) == ""


@pytest.mark.parametrize(
    "name", ["", "-a", "+a", "~a", "a/b", "../a", "a b", "a\tb", "a:b", "a,b", "a\n", "a\0", "\x1ba"]
)
def test_what_no_account_can_be_called_is_refused(name: str) -> None:
    assert "is no name of a user or group" in DEBIAN.names.problem(name)
    assert DEBIAN.names.problem_of_new(name) == DEBIAN.names.problem(name)


@pytest.mark.parametrize("name", ["a" * 33, "1000", ".", "..", "a.b", "a#b", "ä", "a$b"])
def test_what_may_exist_and_is_not_made(name: str) -> None:
    assert DEBIAN.names.problem(name) == ""
    assert "no group" in DEBIAN.names.problem_of_new(name)


@pytest.mark.parametrize("name", ["a" * 32, "realtime", "_x", "pipe-wire", "a$"])
def test_what_is_made(name: str) -> None:
    assert DEBIAN.names.problem_of_new(name) == ""


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("groupadd"), reason="needs root and groupadd (passwd)")
@settings(max_examples=60)
@given(
    st.one_of(
        st.from_regex(DEBIAN.names.created, fullmatch=True),
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40),
        st.text("ab-_A1 .:,/+~$\n", min_size=1, max_size=35),
    )
)
def test_groupadd_makes_every_group_whose_name_is_accepted(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    if DEBIAN.names.problem_of_new(name):
        return
    prefix = tmp_path_factory.mktemp("prefix")
    for file in ("passwd", "group", "gshadow"):
        write(prefix, f"etc/{file}", "")
    command = ["groupadd", "--prefix", str(prefix), "--system", "--", name]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    assert (prefix / "etc/group").read_text(encoding="utf-8").split(":")[0] == name


@given(st.text(max_size=40))
def test_what_may_be_made_may_exist(name: str) -> None:
    if not DEBIAN.names.problem_of_new(name):
        assert not DEBIAN.names.problem(name)
        assert len(name) <= 32
