# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boot menu becomes what is wanted, or everything is as it was; a second run changes nothing."""

from __future__ import annotations

import os
import re

import pytest
from support.host import Host, killed_at, tree

from ansible_collections.nspa.proaudio.plugins.module_utils._boot import loaders, wanted
from ansible_collections.nspa.proaudio.plugins.module_utils._boot.model import BootLoaderError
from ansible_collections.nspa.proaudio.plugins.module_utils._core import programs
from ansible_collections.nspa.proaudio.plugins.module_utils._core.change import Purpose
from ansible_collections.nspa.proaudio.plugins.module_utils._core.errors import HostError
from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import Manifest

RT, STOCK = "6.12.9-rt-amd64", "6.12.9-amd64"
ROOT = "/dev/nspa-root"
THREADS = {"parameters": ["threadirqs"]}
STOCK_KERNEL = {"packages": ["linux-image-amd64"]}


def default_line(machine):
    return machine.grub().menu().default.cmdline


def test_parameters_reach_every_normal_entry_and_are_put_back(machine):
    start = tree(machine.root / "etc"), machine.menu.read_bytes()
    change = machine.parameters("threadirqs", "preempt=full")
    line = f"root={ROOT} ro quiet threadirqs preempt=full"
    assert change.result()["next_boot"] == default_line(machine) == line
    entries = machine.grub().menu().entries
    assert {entry.cmdline.endswith("threadirqs preempt=full") for entry in entries if not entry.recovery} == {True}
    assert not any("threadirqs" in entry.cmdline for entry in entries if entry.recovery)
    back = machine.settles("parameters", None)
    assert back.result()["next_boot"] == f"root={ROOT} ro quiet"
    assert (tree(machine.root / "etc")["default/grub"], machine.menu.read_bytes()) == (
        start[0]["default/grub"],
        start[1],
    )
    assert machine.files() == {}
    assert not machine.manifest.parent.exists()


def test_an_empty_list_is_nothing_wanted(machine):
    machine.parameters("threadirqs")
    machine.parameters()
    assert machine.files() == {}


def test_the_reasons_for_a_reboot_follow_from_what_runs(machine):
    reasons = ["the kernel runs without threadirqs preempt=full"]
    assert machine.parameters("threadirqs", "preempt=full").result()["reboot_reasons"] == reasons
    again = machine.parameters("threadirqs", "preempt=full")
    assert again.result()["reboot_reasons"] == reasons, "still due, although nothing differs on disk"
    machine.runs(f"BOOT_IMAGE=/boot/vmlinuz-{STOCK} root={ROOT} ro quiet threadirqs preempt=full")
    assert machine.parameters("threadirqs", "preempt=full").result()["reboot_reasons"] == []
    back = machine.settles("parameters", None).result()
    assert back["reboot_reasons"] == ["the kernel still runs with threadirqs preempt=full"]


def test_a_quoted_value_in_the_settings_is_the_one_that_runs(machine):
    value = "file sound/usb/endpoint.c +p"
    machine.settings.write_text(f"GRUB_CMDLINE_LINUX_DEFAULT='quiet dyndbg=\"{value}\"'\n")
    machine.update_grub()
    machine.runs(f'BOOT_IMAGE=/boot/vmlinuz-{RT} root={ROOT} ro quiet "dyndbg={value}" threadirqs')
    assert machine.parameters("threadirqs").result()["reboot_reasons"] == []
    assert default_line(machine) == f'root={ROOT} ro quiet "dyndbg={value}" threadirqs'


def test_check_mode_says_what_the_run_does_and_changes_nothing(machine):
    machine.settings.write_text(
        'GRUB_DEFAULT=0\nGRUB_CMDLINE_LINUX="a=1"\nGRUB_CMDLINE_LINUX_DEFAULT="quiet -- nofb"\n'
    )
    machine.update_grub()
    machine.kernel("6.13.0-amd64")
    machine.packages.packages["linux-image-amd64"] = ["6.13.0-amd64"]
    steps = [
        ("parameters", {"parameters": ["threadirqs", "preempt=full"]}),
        ("parameters", {"parameters": ["preempt=full"]}),
        ("default", {"packages": ["linux-image-rt-amd64"]}),
        ("default", STOCK_KERNEL),  # its entry is not there before the menu is made anew
        ("default", {"packages": ["linux-image-rt-amd64"]}),
        ("parameters", None),
        ("default", None),
    ]
    for concern, options in steps:
        before = tree(machine.root)
        predicted = machine.compare(concern, options, Purpose.PREDICT)
        assert predicted.changed
        assert tree(machine.root) == before
        done = machine.settles(concern, options)
        assert predicted.result() == done.result()
        shown = [item for item in predicted.diff() if "GRUB_DEFAULT" not in item["after"]]
        assert shown == [item for item in done.diff() if "GRUB_DEFAULT" not in item["after"]]


def test_judging_starts_no_program_and_changes_nothing(machine, monkeypatch):
    machine.parameters("threadirqs")
    machine.choose("linux-image-amd64")
    before = tree(machine.root)

    def refuse(*command, **_options):
        raise AssertionError(command)

    monkeypatch.setattr(programs, "run", refuse)
    for concern, options, changed in (
        ("parameters", THREADS, False),
        ("parameters", {"parameters": ["preempt=full"]}, True),
        ("parameters", None, True),
        ("default", STOCK_KERNEL, False),
        ("default", {"packages": ["linux-image-rt-amd64"]}, True),
        ("default", {"packages": ["not-installed"]}, True),
        ("default", None, True),
    ):
        assert machine.compare(concern, options, Purpose.JUDGE).changed is changed, (concern, options)
    assert tree(machine.root) == before


def test_the_times_of_files_decide_nothing(machine):
    machine.parameters("threadirqs")
    os.utime(machine.settings, (1893456000, 1893456000))  # 2030
    os.utime(next(machine.drop_ins.iterdir()), (1893456000, 1893456000))
    machine.parameters("threadirqs")
    assert not machine.compare("parameters", THREADS).changed


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("90-hoster.cfg", 'GRUB_CMDLINE_LINUX_DEFAULT="console=tty0 console=ttyS0,115200"\n'),
        ("zz.cfg", "unset GRUB_CMDLINE_LINUX_DEFAULT\n"),
        ("80-a.cfg", 'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT preempt=none"\n'),
        ("80-a.cfg", 'GRUB_CMDLINE_LINUX="-- $GRUB_CMDLINE_LINUX"\n'),
    ],
)
def test_a_later_file_that_takes_a_parameter_is_named_and_everything_is_as_it_was(machine, name, text):
    (machine.drop_ins / name).write_text(text)
    machine.update_grub()
    before = tree(machine.root)
    options = {"parameters": ["preempt=full"]}
    for run, ending in (
        (lambda: machine.compare("parameters", options, Purpose.PREDICT), "Nothing was changed"),
        (lambda: machine.run("parameters", options), "What was tried was put back"),
        (lambda: machine.run("parameters", options), "What was tried was put back"),
    ):
        message = rf"^preempt=full does not reach the boot menu: \S*/grub\.d/{re.escape(name)}.*{ending}"
        with pytest.raises(BootLoaderError, match=message):
            run()
        assert not machine.manifest.parent.exists()
        after = tree(machine.root)
        for folder in ("etc/default/grub.d", "var/lib"):
            before[folder] = after[folder]
        assert after == before


def test_a_file_that_comes_later_is_named_and_ours_stays(machine):
    machine.parameters("threadirqs")
    (machine.drop_ins / "90-hoster.cfg").write_text('GRUB_CMDLINE_LINUX_DEFAULT="nomodeset"\n')
    assert not machine.compare("parameters", THREADS).changed, "the menu still has it"
    machine.update_grub()
    files = machine.files()
    with pytest.raises(BootLoaderError, match=r"90-hoster\.cfg"):
        machine.run("parameters", THREADS)
    assert machine.files() == files
    (machine.drop_ins / "90-hoster.cfg").unlink()
    machine.parameters("threadirqs")


def test_a_later_file_that_chooses_another_default_is_named(machine):
    (machine.drop_ins / "90-hoster.cfg").write_text("GRUB_DEFAULT=0\n")
    for purpose in (Purpose.PREDICT, Purpose.APPLY):
        with pytest.raises(BootLoaderError, match=rf"^{STOCK} does not reach the boot menu: \S*90-hoster\.cfg"):
            if purpose is Purpose.PREDICT:
                machine.compare("default", STOCK_KERNEL, purpose)
            else:
                machine.run("default", STOCK_KERNEL)
    assert list(machine.files()) == ["90-hoster.cfg"]


def test_a_default_that_the_menus_own_script_chooses_is_named(machine):
    machine.script("45_mine", "set default=0")
    machine.update_grub()
    with pytest.raises(BootLoaderError, match=rf"^{STOCK} does not reach the boot menu: /etc/grub\.d/45_mine chooses"):
        machine.run("default", STOCK_KERNEL)
    assert machine.files() == {}


def test_an_own_entry_that_goes_by_no_settings_is_named_if_it_is_the_default(machine):
    machine.script("40_custom", f"menuentry 'Mine' --id mine {{\n\tlinux /boot/vmlinuz-{STOCK} root={ROOT} ro\n}}")
    machine.update_grub()
    machine.parameters("threadirqs")
    machine.settings.write_text("GRUB_DEFAULT=mine\n")
    machine.update_grub()
    with pytest.raises(BootLoaderError, match=r"its entry 'Mine' comes from /etc/grub\.d/40_custom"):
        machine.run("parameters", THREADS)


def test_another_system_as_the_default_needs_none_of_our_parameters(machine):
    machine.script("30_other", "menuentry 'Windows' --id windows {\n\tchainloader +1\n}")
    machine.settings.write_text('GRUB_DEFAULT=windows\nGRUB_CMDLINE_LINUX_DEFAULT="quiet"\n')
    machine.update_grub()
    result = machine.parameters("threadirqs").result()
    assert result["next_boot"] == ""


def test_a_memory_test_and_other_systems_do_not_matter(machine):
    machine.script("20_memtest86+", "menuentry 'Memory test' {\n\tlinux16 /boot/memtest86+.bin\n}")
    machine.script("42_other", f"menuentry 'Other' {{\n\tlinux /boot/vmlinuz-{STOCK} root=UUID=1111 ro\n}}")
    machine.update_grub()
    machine.parameters("threadirqs")
    machine.choose("linux-image-amd64")
    assert machine.grub().menu().default.origin == "/etc/grub.d/10_linux"


def test_parameters_stand_in_front_of_what_goes_to_init(machine):
    for setting, line in (
        ("quiet -- nofb", "quiet threadirqs -- nofb"),
        ("-- nofb", "threadirqs -- nofb"),
        ("quiet --", "quiet threadirqs --"),
        ("quiet --x", "quiet --x threadirqs"),
    ):
        machine.settings.write_text(f'GRUB_CMDLINE_LINUX_DEFAULT="{setting}"\n')
        machine.settles("parameters", None)
        machine.parameters("threadirqs")
        assert default_line(machine) == f"root={ROOT} ro {line}"


def test_what_hides_all_that_follows_is_named(machine):
    machine.settings.write_text('GRUB_CMDLINE_LINUX="-- nofb"\nGRUB_CMDLINE_LINUX_DEFAULT="quiet"\n')
    with pytest.raises(BootLoaderError, match=r'etc/default/grub puts a "--" on the kernel command line'):
        machine.run("parameters", THREADS)
    machine.settings.write_text("GRUB_CMDLINE_LINUX_DEFAULT='quiet dyndbg=\\\"'\n")
    with pytest.raises(BootLoaderError, match="a quote there that is not closed"):
        machine.run("parameters", THREADS)


def test_repeated_parameters_settle(machine):
    repeated = ["hugepagesz=2M", "hugepages=512", "hugepagesz=1G", "hugepages=4", "console=tty0", "console=ttyS0"]
    machine.parameters(*repeated)
    assert default_line(machine) == f"root={ROOT} ro quiet {' '.join(repeated)}"
    with pytest.raises(BootLoaderError, match=r"preempt=full and preempt=none are both wanted.*Nothing was changed"):
        machine.compare("parameters", {"parameters": ["preempt=full", "preempt=none"]})


def test_a_parameter_that_somebody_else_sets_too_stays_theirs(machine):
    machine.settings.write_text('GRUB_CMDLINE_LINUX_DEFAULT="quiet threadirqs"\n')
    machine.update_grub()
    machine.parameters("threadirqs")
    predicted = machine.compare("parameters", None, Purpose.PREDICT)
    assert predicted.result()["next_boot"] == f"root={ROOT} ro quiet threadirqs"
    assert machine.settles("parameters", None).result() == predicted.result()


def test_a_word_that_is_no_parameter_is_refused(machine):
    for word in ("quiet; reboot", "foo=1;halt"):
        with pytest.raises(BootLoaderError, match=rf"'{word}'.*Nothing was changed"):
            machine.compare("parameters", {"parameters": [word]})


def test_settings_that_the_shell_cannot_read_are_told_before_anything_is_changed(machine):
    (machine.drop_ins / "50-broken.cfg").write_text('GRUB_DEFAULT="\n')
    with pytest.raises(BootLoaderError, match=r"50-broken\.cfg cannot be read by sh"):
        machine.compare("parameters", THREADS, Purpose.PREDICT)
    with pytest.raises(BootLoaderError, match="GRUB's menu is as it was"):
        machine.run("parameters", THREADS)
    assert list(machine.files()) == ["50-broken.cfg"]
    assert not machine.manifest.parent.exists()


def test_what_grub_refuses_is_put_back(machine):
    machine.parameters("threadirqs")
    before, menu = machine.files(), machine.menu.read_bytes()
    machine.script("40_custom", "menuentry 'x' {")
    for options in ({"parameters": ["preempt=full"]}, None):
        with pytest.raises(BootLoaderError, match="GRUB's menu is as it was"):
            machine.run("parameters", options)
        assert (machine.files(), machine.menu.read_bytes()) == (before, menu)
    (machine.root / "etc/grub.d/40_custom").unlink()
    machine.parameters("threadirqs")
    machine.settles("parameters", None)
    assert machine.files() == {}


# -- the default


def test_a_kernel_becomes_the_default_by_its_name_and_is_given_up_again(machine):
    change = machine.choose("linux-image-amd64")
    entry = machine.grub().menu().entry_of(STOCK)
    assert f"GRUB_DEFAULT='{entry.id}'\n" in "".join(machine.files().values())
    assert machine.grub().default() == entry
    assert change.result()["next_boot"] == STOCK
    assert change.result()["reboot_reasons"] == []
    assert change.diff()[-1]["before"] == f"{RT}\n"
    back = machine.settles("default", None)
    assert back.result()["next_boot"] == RT
    assert back.result()["reboot_reasons"] == [f"{STOCK} runs, and {RT} boots next"]
    assert machine.files() == {}


def test_what_was_asked_for_once_is_no_difference(machine):
    machine.choose("linux-image-amd64")
    machine.environment.write_text("# GRUB Environment Block\nnext_entry=0\n")
    change = machine.choose("linux-image-amd64")
    assert not change.changed
    assert change.result()["next_boot"] == RT, "which is true all the same"


def test_an_installed_kernel_without_an_entry_gets_one(machine):
    machine.kernel("7.3.0-rt-amd64")
    machine.packages.packages["linux-image-rt-amd64"].append("7.3.0-rt-amd64")
    predicted = machine.compare("default", {"packages": ["linux-image-rt-amd64"]}, Purpose.PREDICT)
    assert predicted.result()["next_boot"] == "7.3.0-rt-amd64"
    machine.choose("linux-image-rt-amd64")
    assert machine.grub().menu().default.kernel == "7.3.0-rt-amd64"


def test_a_kernel_that_gets_no_entry_is_told_and_everything_is_as_it_was(machine):
    (machine.root / "usr/lib/modules/7.3.0-rt").mkdir(parents=True)
    (machine.root / "usr/lib/modules/7.3.0-rt/vmlinuz").touch()
    machine.packages.kernels = lambda names, depends: {"7.3.0-rt": "/usr/lib/modules/7.3.0-rt/vmlinuz"}
    with pytest.raises(BootLoaderError, match=r"7\.3\.0-rt is installed.*reinstall its package.*run update-grub"):
        machine.run("default", {"packages": ["linux-image-rt"]})
    assert machine.files() == {}
    assert not machine.manifest.parent.exists()


def test_a_kernel_that_is_not_installed_is_foreseen_and_never_chosen(machine):
    options = {"packages": ["linux-image-realtime"]}
    predicted = machine.compare("default", options, Purpose.PREDICT)
    assert predicted.changed
    assert predicted.result()["next_boot"] == "the kernel of linux-image-realtime"
    with pytest.raises(BootLoaderError, match=r"linux-image-realtime shall be booted.*Nothing was changed"):
        machine.run("default", options)
    with pytest.raises(BootLoaderError, match="name the kernel package"):
        machine.compare("default", {"packages": []})


@pytest.mark.parametrize(("concern", "options"), [("parameters", THREADS), ("default", STOCK_KERNEL)])
@pytest.mark.parametrize("absent", [False, True])
def test_a_menu_that_names_a_kernel_which_is_gone_is_repaired(machine, concern, options, absent):
    if not absent:
        machine.settles(concern, options)
    (machine.root / f"boot/vmlinuz-{RT}").unlink()
    predicted = machine.compare(concern, None if absent else options, Purpose.PREDICT)
    assert predicted.changed
    done = machine.settles(concern, None if absent else options)
    assert done.result() == predicted.result()
    assert machine.grub().menu().default.kernel == STOCK
    assert RT not in machine.menu.read_text()


def test_our_default_never_names_a_kernel_that_is_gone(machine):
    machine.choose("linux-image-rt-amd64")
    (machine.root / f"boot/vmlinuz-{RT}").unlink()
    machine.kernel("6.12.10-rt-amd64")
    machine.packages.packages["linux-image-rt-amd64"].append("6.12.10-rt-amd64")
    machine.choose("linux-image-rt-amd64")
    assert RT not in "".join(machine.files().values())
    (machine.root / "boot/vmlinuz-6.12.10-rt-amd64").unlink()
    machine.settles("default", None)
    assert machine.files() == {}
    assert machine.grub().menu().default.kernel == STOCK


# -- whose it is


def test_both_concerns_may_belong_to_one_role_and_neither_tramples_the_other(machine):
    machine.parameters("threadirqs")
    machine.choose("linux-image-amd64")
    assert len(machine.files()) == 2
    machine.parameters("threadirqs")
    machine.settles("default", None)
    assert "threadirqs" in "".join(machine.files().values())
    assert "threadirqs" in default_line(machine)


def test_only_one_role_can_have_the_parameters(machine):
    machine.run("parameters", THREADS, role="first")
    with pytest.raises(HostError, match="Let only one of them manage it"):
        machine.run("parameters", THREADS, role="second")
    machine.settles("parameters", None, role="second")
    assert "(role first)" in "".join(machine.files().values())


def test_an_edit_of_our_file_is_kept_and_told(machine):
    machine.parameters("threadirqs")
    dropin = next(machine.drop_ins.iterdir())
    dropin.write_text("# mine\n")
    change = machine.parameters("threadirqs")
    assert change.warnings and str(dropin) in change.warnings[0]
    copy = change.warnings[0].split()[-1].rstrip(".")
    with open(copy) as stream:
        assert stream.read() == "# mine\n"


def test_a_menu_that_somebody_edited_is_put_right(machine):
    machine.parameters("threadirqs")
    machine.choose("linux-image-amd64")
    whole = machine.menu.read_text()
    machine.menu.write_text(whole.replace(" threadirqs", "", 1))
    machine.parameters("threadirqs")
    assert machine.menu.read_text() == whole
    machine.menu.write_text(re.sub('set default="gnu.*"', 'set default="0"', whole))
    machine.choose("linux-image-amd64")
    assert machine.menu.read_text() == whole


def test_without_a_boot_loader_to_manage_only_what_is_ours_is_put_back(machine):
    machine.parameters("threadirqs")
    variable = machine.root / loaders.LOADER_INFO
    variable.parent.mkdir(parents=True)
    variable.write_bytes(b"\x06\0\0\0" + "systemd-boot 257.8\0".encode("utf-16-le"))
    machine.runs(f"root={ROOT} ro quiet")
    menu = machine.menu.read_bytes()
    for concern, options in (("parameters", THREADS), ("default", STOCK_KERNEL)):
        change = machine.settles(concern, options)
        assert not change.changed
        result = change.result()
        assert (result["loader"]["name"], result["next_boot"], result["reboot_reasons"]) == ("systemd-boot", "", [])
    assert len(machine.files()) == 1
    machine.settles("parameters", None)
    assert (machine.files(), machine.menu.read_bytes()) == ({}, menu)


def test_a_damaged_manifest_stops_before_anything_is_changed(machine):
    machine.manifest.parent.mkdir(parents=True)
    machine.manifest.write_text("{")
    menu = machine.menu.read_bytes()
    for concern, options in (("parameters", THREADS), ("default", STOCK_KERNEL)):
        with pytest.raises(HostError, match="nothing was changed now"):
            machine.run(concern, options)
    assert (machine.files(), machine.menu.read_bytes()) == ({}, menu)


# A quick one, since it is killed at every step; it reads the settings as the real one does.
QUICK = """#!/bin/sh
for file in "{root}/etc/default/grub" "{root}/etc/default/grub.d/"*.cfg; do [ ! -e "$file" ] || . "$file"; done
line="root={device} ro $GRUB_CMDLINE_LINUX_DEFAULT"
{{
echo "### BEGIN /etc/grub.d/00_header ###"
echo "set default=\\"$GRUB_DEFAULT\\""
echo "### BEGIN /etc/grub.d/10_linux ###"
for release in {rt} {stock}; do echo "menuentry $release --id gnulinux-$release-advanced {{"
echo "linux /boot/vmlinuz-$release $line"; echo "}}"; done
}} > "$2.new"
cat "$2.new" > "$2"
rm "$2.new"
"""


@pytest.mark.parametrize(("concern", "options"), [("parameters", THREADS), ("default", STOCK_KERNEL)])
def test_a_run_that_was_killed_anywhere_is_made_good_by_the_next(machine, concern, options):
    machine.program("grub-mkconfig", QUICK.format(root=machine.root, device=ROOT, rt=RT, stock=STOCK))
    machine.update_grub()
    start = machine.menu.read_bytes()
    machine.settles(concern, options)
    done, files = machine.menu.read_bytes(), machine.files()
    machine.settles(concern, None)
    assert machine.menu.read_bytes() == start
    step = 1
    killed = True
    while killed:
        killed = killed_at(step, lambda: machine.run(concern, options))
        assert machine.menu.read_bytes() in (start, done), f"half a menu at step {step}"
        machine.settles(concern, options)
        assert (machine.menu.read_bytes(), machine.files()) == (done, files), f"step {step}"
        killed = killed_at(step, lambda: machine.run(concern, None)) or killed
        assert machine.menu.read_bytes() in (start, done), f"half a menu at step {step}"
        machine.settles(concern, None)
        assert (machine.menu.read_bytes(), machine.files()) == (start, {}), f"step {step}"
        assert [path.name for path in machine.menu.parent.iterdir()] == ["grub.cfg"]
        assert not machine.manifest.parent.exists()
        step += 3 if step > 12 else 1
    assert step > 20


def test_a_run_that_was_killed_after_all_was_written_leaves_nothing_due(machine):
    with Manifest.change(str(machine.manifest)) as manifest:
        manifest.record(wanted.KIND, "another/kernel_cmdline", "another/kernel_cmdline", None)
        manifest.save()
    for concern in ("parameters", "default"):
        assert machine.compare(concern, None, Purpose.JUDGE).changed, "whoever was interrupted"
    machine.settles("default", None)
    assert not machine.manifest.parent.exists()


@pytest.mark.parametrize(
    ("module", "options"),
    [("kernel_cmdline", THREADS), ("boot_default", STOCK_KERNEL), ("boot_default", {"packages": []})],
)
def test_the_modules_answer_with_what_they_document(tmp_path, module, options):
    run = Host(tmp_path).run(module, check=True, role="a_role", **options)
    if options.get("packages") == []:
        assert "name the kernel package" in run.message
    else:
        assert {"loader", "running", "next_boot", "reboot_reasons", "changed", "diff"} <= set(run.result)
    assert "missing required arguments: role" in Host(tmp_path).run(module, **options).message
