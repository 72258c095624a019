# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""GRUB's menu and kernel command lines are read as GRUB and the kernel read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nspa.proaudio.plugins.module_utils import _bootloader, _cmdline

UUID = "3f0c7c3a"
# The shape of what Debian 13's grub-mkconfig writes: a simple entry, and a submenu with two kernels.
MENU = f"""
set default="{{default}}"
if [ "${{{{next_entry}}}}" ] ; then
   set default="${{{{next_entry}}}}"
fi
function load_video {{{{
  insmod all_video
}}}}
menuentry 'Debian GNU/Linux' --class debian --class os $menuentry_id_option 'gnulinux-simple-{UUID}' {{{{
	linux	/boot/vmlinuz-6.12.9-rt-amd64 root=UUID={UUID} ro quiet threadirqs
	initrd	/boot/initrd.img-6.12.9-rt-amd64
}}}}
submenu 'Advanced options for Debian GNU/Linux' $menuentry_id_option 'gnulinux-advanced-{UUID}' {{{{
	menuentry 'Debian, with Linux 6.12.9-rt-amd64' --class debian $menuentry_id_option 'gnulinux-6.12.9-rt-amd64-advanced-{UUID}' {{{{
		if [ x$grub_platform = xxen ]; then insmod xzio; fi
		linux	/boot/vmlinuz-6.12.9-rt-amd64 root=UUID={UUID} ro quiet threadirqs
	}}}}
	menuentry 'Debian, with Linux 6.12.9-rt-amd64 (recovery mode)' $menuentry_id_option 'gnulinux-6.12.9-rt-amd64-recovery-{UUID}' {{{{
		linux	/boot/vmlinuz-6.12.9-rt-amd64 root=UUID={UUID} ro single
	}}}}
	menuentry 'Debian, with Linux 6.12.9-amd64' $menuentry_id_option 'gnulinux-6.12.9-amd64-advanced-{UUID}' {{{{
		linux	/boot/vmlinuz-6.12.9-amd64 root=UUID={UUID} ro quiet
	}}}}
}}}}
"""  # noqa: E501
STOCK = f"gnulinux-advanced-{UUID}>gnulinux-6.12.9-amd64-advanced-{UUID}"


@pytest.fixture
def grub(tmp_path):
    def make(default="0", environment=""):
        folder = tmp_path / "boot/grub"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "grub.cfg").write_text(MENU.format(default=default))
        (folder / "grubenv").write_text("# GRUB Environment Block\n" + environment + "#" * 50)
        return _bootloader.Grub(tmp_path)

    return make


def test_entries_carry_kernel_command_line_and_recovery(grub):
    entries = grub().entries
    assert [entry.kernel for entry in entries] == ["6.12.9-rt-amd64"] * 3 + ["6.12.9-amd64"]
    assert [entry.recovery for entry in entries] == [False, False, True, False]
    assert entries[0].cmdline == f"root=UUID={UUID} ro quiet threadirqs"
    assert (entries[3].id, entries[3].index) == (STOCK, "1>2")


@pytest.mark.parametrize(
    ("default", "environment", "kernel"),
    [
        ("0", "", "6.12.9-rt-amd64"),
        ("1>2", "", "6.12.9-amd64"),
        (STOCK, "", "6.12.9-amd64"),
        ("1", "", "6.12.9-rt-amd64"),  # a submenu opens at its first entry
        ("${saved_entry}", f"saved_entry={STOCK}\n", "6.12.9-amd64"),
        ("${saved_entry}", "", "6.12.9-rt-amd64"),
        ("0", f"next_entry={STOCK}\n", "6.12.9-amd64"),  # once
        ("gone-since", "", "6.12.9-rt-amd64"),  # GRUB falls back to the first
    ],
)
def test_the_default_is_what_grub_would_boot(grub, default, environment, kernel):
    assert grub(default, environment).default().kernel == kernel


def test_a_kernel_is_chosen_by_its_own_entry_not_by_the_one_that_follows_the_newest(grub):
    assert grub().entry_of("6.12.9-rt-amd64").id.endswith(f">gnulinux-6.12.9-rt-amd64-advanced-{UUID}")
    assert grub().entry_of("5.10.0-1-amd64") is None


def test_a_container_has_no_boot_loader_of_its_own(tmp_path):
    (tmp_path / "run/systemd").mkdir(parents=True)
    (tmp_path / "run/systemd/container").write_text("systemd-nspawn\n")
    loader = _bootloader.detect(tmp_path)
    assert (loader.name, loader.managed) == ("none", False)
    assert "systemd-nspawn" in loader.reason


def test_systemd_boot_is_recognised_even_where_grub_lies_about(tmp_path, grub):
    grub()
    variable = tmp_path / _bootloader.LOADER_INFO
    variable.parent.mkdir(parents=True)
    variable.write_bytes(b"\x06\0\0\0" + "systemd-boot 257.8\0".encode("utf-16-le"))
    assert _bootloader.detect(tmp_path).name == "systemd-boot"


@pytest.mark.parametrize(
    ("wanted", "line", "missing"),
    [
        (["threadirqs"], "ro quiet threadirqs", []),
        (["threadirqs"], "ro quiet threadirq", ["threadirqs"]),
        (["preempt=full"], "preempt=full preempt=none", ["preempt=full"]),  # the last one counts
        (["nohz_full=1-3"], "nohz-full=1-3", []),  # the kernel takes - and _ for the same
        (["console=ttyS0"], "console=ttyS0 console=tty0", []),  # each console counts
        (["a=1"], 'dyndbg="file a=1 +p"', ["a=1"]),  # quoted spaces belong to the parameter
    ],
)
def test_missing_parameters(wanted, line, missing):
    assert _cmdline.missing(wanted, line) == missing


@given(st.lists(st.text(alphabet="ab=1 \"'", max_size=8), max_size=4))
def test_splitting_never_fails_and_keeps_every_unquoted_word(words):
    assert all(part for part in _cmdline.split(" ".join(words)))
