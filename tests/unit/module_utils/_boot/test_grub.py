# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""GRUB's menu, as its real grub-mkconfig makes it, is read as GRUB would run it."""

from __future__ import annotations

import os
import re
import shutil
import stat

import pytest

from ansible_collections.nspa.proaudio.plugins.module_utils._boot.model import BootLoaderError

RT, STOCK = "6.12.9-rt-amd64", "6.12.9-amd64"
ROOT, UUID = "/dev/nspa-root", "3f0c7c3a-5d0e-4c8e-9a54-0d9f2f1b7a11"
ADVANCED = f"gnulinux-advanced-{UUID}"
STOCK_ID = f"{ADVANCED}>gnulinux-{STOCK}-advanced-{UUID}"


def accept(_menu):
    """Whatever it is."""


def test_entries_carry_kernel_command_line_and_recovery(machine):
    entries = [entry for entry in machine.grub().menu().entries if "init-" not in entry.id]
    assert [entry.kernel for entry in entries] == [RT, RT, RT, STOCK, STOCK]
    assert [entry.recovery for entry in entries] == [False, False, True, False, True]
    assert [entry.follows for entry in entries] == [True, False, False, False, False]
    assert entries[0].cmdline == f"root={ROOT} ro quiet"
    assert (entries[3].id, entries[3].origin) == (STOCK_ID, "/etc/grub.d/10_linux")
    assert all(entry.ours for entry in entries)


def test_a_kernel_is_chosen_by_its_own_entry_not_by_the_one_that_follows_the_newest(machine):
    menu = machine.grub().menu()
    assert menu.entry_of(RT).id == f"{ADVANCED}>gnulinux-{RT}-advanced-{UUID}"
    assert menu.entry_of("5.10.0-1-amd64") is None
    machine.settings.write_text(f"{machine.settings.read_text()}GRUB_DISABLE_SUBMENU=y\n")
    machine.update_grub()
    assert machine.grub().menu().entry_of(STOCK).id == f"gnulinux-{STOCK}-advanced-{UUID}"


# Every form that GRUB's manual has for GRUB_DEFAULT.
@pytest.mark.parametrize(
    ("default", "kernel"),
    [
        ("0", RT),
        ("1", RT),  # a submenu opens at its first entry
        (STOCK_ID, STOCK),
        (f"1>gnulinux-{STOCK}-advanced-{UUID}", STOCK),
        (f"1>Debian GNU/Linux, with Linux {STOCK}", STOCK),
        (f"Advanced options for Debian GNU/Linux>Debian GNU/Linux, with Linux {STOCK}", STOCK),
        (f"{ADVANCED}>Debian GNU/Linux, with Linux {STOCK}", STOCK),
        (f"Debian GNU/Linux, with Linux {STOCK}", RT),  # of old; what 10_linux does about it has no effect
        ("Debian GNU/Linux", RT),
        ("gone-since", RT),
        ("", RT),
    ],
)
def test_the_default_is_what_grub_would_boot(machine, tmp_path, emulated, default, kernel):
    machine.settings.write_text(f"{machine.settings.read_text()}GRUB_DEFAULT='{default}'\n")
    machine.update_grub()
    assert machine.grub().default().kernel == kernel
    assert machine.grub().menu().default.kernel == kernel
    if shutil.which("grub-emu"):
        text = re.sub(r"(?m)^\s*(terminal_output|insmod|search) .*|timeout=[1-9].*", "", machine.menu.read_text())
        text = re.sub(r"(?m)^(\s*)linux\t\S*vmlinuz-(\S+).*", r'\1echo "SAID \2 DIAS"; halt', text)
        assert emulated(tmp_path, text) == [kernel]


def test_what_was_saved_or_asked_for_once_boots_next(machine):
    machine.settings.write_text(f"{machine.settings.read_text()}GRUB_DEFAULT=saved\n")
    machine.update_grub()
    block = "# GRUB Environment Block\n"
    machine.environment.write_text(f"{block}saved_entry={STOCK_ID}\n{'#' * 900}")
    assert machine.grub().default().kernel == STOCK
    machine.environment.write_text(f"{block}saved_entry={STOCK_ID}\nnext_entry=0\n{'#' * 900}")
    menu = machine.grub().menu()
    assert (menu.next.kernel, menu.default.kernel) == (RT, STOCK)
    machine.environment.write_text(f"{block}saved_entry=\n{'#' * 900}")
    assert machine.grub().default().kernel == RT


def test_the_default_of_a_custom_file_counts(machine):
    (machine.root / "boot/grub/custom.cfg").write_text(f"set default='{STOCK_ID}'\n")
    assert machine.grub().default().kernel == STOCK


def test_an_entry_written_by_no_script_of_grub_mkconfig_goes_by_no_settings(machine):
    entry = f"menuentry 'Mine' {{ linux /boot/vmlinuz-{STOCK} root={ROOT} ro }}\n"
    (machine.root / "boot/grub/custom.cfg").write_text(entry)
    found = machine.grub().menu().entries[-1]
    assert (found.kernel, found.ours, found.origin) == (STOCK, False, "/boot/grub/custom.cfg")


def test_a_memory_test_is_no_entry_of_this_system(machine):
    machine.script("20_memtest86+", "menuentry 'Memory test' {\n\tlinux /boot/memtest86+x64.bin console=ttyS0\n}")
    machine.update_grub()
    menu = machine.grub().menu()
    assert menu.entries[-1].kernel == ""
    assert menu.entries[-1] not in menu.normal


@pytest.mark.parametrize("root", ["UUID=11111111-2222-3333-4444-555555555555", ROOT])
def test_another_system_with_the_same_release_is_not_this_one(machine, root):
    machine.program("os-prober", "#!/bin/sh\necho '/dev/sdz:Debian GNU/Linux 12 (bookworm):Debian:linux'\n")
    machine.program(
        "linux-boot-prober",
        "#!/bin/sh\necho '/dev/sdz:/dev/sdz:Debian GNU/Linux:"
        f"/boot/vmlinuz-{STOCK}:/boot/initrd.img-{STOCK}:root={root} ro quiet'\n",
    )
    machine.settings.write_text(f"{machine.settings.read_text()}GRUB_DISABLE_OS_PROBER=false\n")
    machine.update_grub()
    menu = machine.grub().menu()
    others = [entry for entry in menu.entries if entry.origin == "/etc/grub.d/30_os-prober"]
    assert {entry.kernel for entry in others} == {STOCK}
    assert not any(entry.ours for entry in others)
    assert menu.entry_of(STOCK).id == STOCK_ID


def test_an_entry_with_another_root_is_not_this_systems(machine):
    other = f"menuentry x {{ linux /boot/vmlinuz-{STOCK} root=/dev/sdz ro }}\n### END /etc/grub.d/11_linux ###"
    text = machine.menu.read_text().replace("40_custom", "11_linux")
    machine.menu.write_text(text.replace("### END /etc/grub.d/11_linux ###", other))
    (machine.root / "etc/grub.d/11_linux").write_text("GRUB_CMDLINE_LINUX_DEFAULT")
    entry = machine.grub().menu().entries[-1]
    assert (entry.title, entry.kernel, entry.ours) == ("x", STOCK, False)


def test_the_kernel_behind_debians_link_is_known(machine):
    (machine.root / "vmlinuz").symlink_to(f"boot/vmlinuz-{STOCK}")
    machine.script("40_custom", f"menuentry 'Mine' {{\n\tlinux /vmlinuz root={ROOT} ro\n}}")
    machine.update_grub()
    assert machine.grub().menu().entries[-1].kernel == STOCK


def test_a_menu_that_names_a_kernel_which_is_gone_has_to_be_made_anew(machine):
    assert machine.grub().menu().trouble == ""
    (machine.root / f"boot/vmlinuz-{RT}").unlink()
    assert RT in machine.grub().menu().trouble
    assert machine.grub().make(accept).trouble == ""
    assert machine.grub().default().kernel == STOCK


@pytest.mark.parametrize("length", [0, 700, 2500, -200])
def test_a_menu_that_was_cut_off_has_to_be_made_anew(machine, length):
    whole = machine.menu.read_text()
    machine.menu.write_text(whole[:length] if length != 2500 else whole[: whole.index("submenu") + 300])
    assert machine.grub().menu().trouble
    machine.grub().make(accept)
    assert machine.menu.read_text() == whole


def test_a_new_menu_goes_into_place_in_one_step_with_the_old_ones_mode(machine):
    machine.menu.chmod(0o640)
    before = machine.menu.stat().st_ino
    seen = []
    machine.grub().make(lambda menu: seen.append((machine.menu.stat().st_ino, len(menu.entries))))
    assert seen == [(before, len(machine.grub().menu().entries))]
    assert stat.S_IMODE(machine.menu.stat().st_mode) == 0o640
    assert machine.menu.stat().st_ino != before
    assert sorted(path.name for path in machine.menu.parent.iterdir()) == ["grub.cfg"]


def test_what_a_killed_run_left_is_not_taken_for_a_new_menu(machine):
    left = machine.menu.with_name("grub.cfg.nspa-proaudio")
    left.write_text(machine.menu.read_text())
    machine.program("grub-mkconfig", "#!/bin/sh\nexit 0\n")
    with pytest.raises(BootLoaderError, match="it made nothing"):
        machine.grub().make(accept)
    assert [path.name for path in machine.menu.parent.iterdir()] == ["grub.cfg"]


@pytest.mark.parametrize("text", ["", "menuentry 'x' {\n"])
def test_a_new_menu_that_is_no_good_does_not_go_into_place(machine, text):
    before = machine.menu.read_bytes()
    machine.program("grub-mkconfig", f"#!/bin/sh\ncat > \"$2\" <<'END'\n{text}END\n")
    with pytest.raises(BootLoaderError, match=r"was made anew and is no good.*It is as it was"):
        machine.grub().make(accept)
    assert machine.menu.read_bytes() == before


def test_the_entry_that_follows_the_newest_is_foreseen_to_get_the_next(machine):
    (machine.root / f"boot/vmlinuz-{RT}").unlink()
    foreseen = machine.grub().foresee(machine.grub().default_file, None)
    assert foreseen.entries == machine.grub().make(accept).entries


def test_a_menu_that_is_a_link_stays_one(machine):
    elsewhere = machine.root / "boot/menu.cfg"
    machine.menu.rename(elsewhere)
    machine.menu.symlink_to(elsewhere)
    machine.kernel("6.13.0-amd64")
    machine.grub().make(accept)
    assert machine.menu.is_symlink()
    assert "6.13.0-amd64" in elsewhere.read_text()


def test_a_new_menu_that_is_not_accepted_leaves_no_trace(machine):
    def refuse(_menu):
        raise BootLoaderError("no")

    before = machine.menu.read_bytes()
    machine.kernel("6.13.0-amd64")
    with pytest.raises(BootLoaderError, match=r"^no$"):
        machine.grub().make(refuse)
    assert machine.menu.read_bytes() == before
    assert [path.name for path in machine.menu.parent.iterdir()] == ["grub.cfg"]


def test_what_grub_mkconfig_refuses_is_told_and_leaves_no_trace(machine):
    before = machine.menu.read_bytes()
    machine.script("40_custom", "menuentry 'x' {")
    with pytest.raises(BootLoaderError, match=r"(?s)GRUB's menu is as it was: .*[Ss]yntax error"):
        machine.grub().make(accept)
    assert machine.menu.read_bytes() == before
    assert [path.name for path in machine.menu.parent.iterdir()] == ["grub.cfg"]


@pytest.mark.parametrize(
    ("file", "text", "language"),
    [
        ("default/locale", '#  File generated by update-locale\nLANG="de_DE.UTF-8"\n', "de_DE.UTF-8"),
        ("locale.conf", "LANG=fr_FR.UTF-8\n", "fr_FR.UTF-8"),
        ("default/keyboard", "", "none"),
    ],
)
def test_the_menu_keeps_the_machines_language_whoever_calls(machine, monkeypatch, file, text, language):
    monkeypatch.setenv("LANG", "ja_JP.UTF-8")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("GRUB_DISTRIBUTOR", "Somebody's")
    (machine.root / "etc" / file).write_text(text)
    path = machine.root / "etc/grub.d/40_custom"
    path.write_text('#!/bin/sh\necho "# ${LANG-none} ${LC_ALL-unset}"\n')
    machine.grub().make(accept)
    assert f"\n# {language} unset\n" in machine.menu.read_text()


def test_the_settings_are_read_as_grub_mkconfig_reads_them(machine):
    (machine.drop_ins / "50-a.cfg").write_text('GRUB_CMDLINE_LINUX="a=1"\necho noise\n')
    (machine.drop_ins / "90-b.cfg").write_text('GRUB_CMDLINE_LINUX_DEFAULT="b"\nGRUB_DEFAULT=saved\n')
    (machine.drop_ins / "90-c.cfg.bak").write_text("exit 1\n")
    steps = machine.grub().steps(str(machine.drop_ins / "70-ours.cfg"), b"GRUB_CMDLINE_LINUX_DEFAULT=\"ours 'x y'\"\n")
    assert [(os.path.basename(step.file), step.cmdline, step.default) for step in steps] == [
        ("grub", "quiet", "0"),
        ("50-a.cfg", "a=1 quiet", "0"),
        ("70-ours.cfg", 'a=1 ours "x y"', "0"),
        ("90-b.cfg", "a=1 b", "saved"),
    ]


@pytest.mark.parametrize("text", ["exit 0\n", "false\n", "if\n", "nonexistent-command\n"])
def test_settings_that_the_shell_does_not_get_through_are_named(machine, text):
    (machine.drop_ins / "50-a.cfg").write_text(text)
    with pytest.raises(BootLoaderError, match=r"50-a\.cfg cannot be read by sh"):
        machine.grub().steps(machine.grub().parameters_file, b"a=1\n")


def test_a_menu_that_cannot_be_read_is_told(machine):
    machine.menu.unlink()
    with pytest.raises(BootLoaderError, match=r"GRUB's menu cannot be read: .*run update-grub"):
        machine.grub().menu()
