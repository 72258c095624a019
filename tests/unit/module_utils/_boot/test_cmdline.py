# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel command lines are read as the kernel reads them, and what another language would read is refused."""

from __future__ import annotations

import shutil
import string
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nspa.proaudio.plugins.module_utils._boot import cmdline


@pytest.mark.parametrize(
    ("wanted", "line", "missing"),
    [
        (["threadirqs"], "ro quiet threadirqs", []),
        (["threadirqs"], "ro quiet threadirq", ["threadirqs"]),
        (["preempt=full"], "preempt=full preempt=none", ["preempt=full"]),  # the last one counts
        (["preempt=none", "preempt=full"], "preempt=none preempt=full", []),
        (["preempt=none", "preempt=full"], "preempt=full preempt=none", ["preempt=none", "preempt=full"]),
        (["nohz_full=1-3"], "nohz-full=1-3", []),  # the kernel takes - and _ in names for the same
        (["a=x-y"], "a=x_y", ["a=x-y"]),  # and not in values
        (["threadirqs"], "threadirqs=1", ["threadirqs"]),
        (["console=ttyS0"], "console=ttyS0 console=tty0", []),  # each console counts
        (["console=tty0", "console=ttyS0"], "console=ttyS0 console=tty0", ["console=tty0", "console=ttyS0"]),
        (["a=1"], 'dyndbg="file a=1 +p"', ["a=1"]),  # quoted spaces belong to the parameter
        (["threadirqs", "preempt=full"], "quiet -- nofb threadirqs preempt=full", ["threadirqs", "preempt=full"]),
        (["threadirqs"], 'quiet "--" threadirqs', ["threadirqs"]),
        (["threadirqs"], "quiet --- __ threadirqs", []),  # only "--" itself ends the kernel's part
        (["hugepagesz=2M", "hugepages=512", "hugepagesz=1G", "hugepages=4"],
         "ro hugepagesz=2M hugepages=512 hugepagesz=1G hugepages=4", []),
        (["hugepagesz=2M", "hugepages=512", "hugepagesz=1G", "hugepages=4"],
         "hugepagesz=1G hugepages=512 hugepagesz=2M hugepages=4",
         ["hugepagesz=2M", "hugepages=512", "hugepagesz=1G", "hugepages=4"]),
        (["pci=noaer", "pci=nommconf"], "pci=noaer pci=nommconf", []),
        (["pci=noaer", "pci=nommconf"], "pci=nommconf", ["pci=noaer", "pci=nommconf"]),
    ],
)  # fmt: skip
def test_missing_parameters(wanted, line, missing):
    assert cmdline.missing(wanted, line) == missing


@pytest.mark.parametrize(
    "same",
    ['dyndbg="file a.c +p"', '"dyndbg=file a.c +p"', 'dyndbg="file a.c +p'],  # as next_arg() takes them
)
def test_a_quoted_value_is_one_parameter_wherever_its_quotes_stand(same):
    assert cmdline.parameters(f"quiet {same}") == [("quiet", None), ("dyndbg", "file a.c +p")]


@given(st.lists(st.text(alphabet="ab=1 \"'-", max_size=8), max_size=4))
def test_splitting_never_fails_and_keeps_every_plain_word(words):
    line = " ".join(words)
    found = cmdline.split(line)
    assert all(found)
    if '"' not in line:
        plain = line.split(" ")
        kept = plain[: plain.index("--")] if "--" in plain else plain
        assert found == [word for word in kept if word]


REFUSED = "".join(sorted(set(string.printable) - set(string.ascii_letters + string.digits + "_.-,:/+@%^=")))


@pytest.mark.parametrize(
    "parameter",
    ["quiet; reboot", "foo=1;halt", "a=$(id)", "a=`id`", "threadirqs\n", "a='b'", "a=b\\", "--", "", "a b", "ä=1"]
    + [f"a={letter}" for letter in REFUSED],
)
def test_what_a_shell_or_grub_would_read_is_refused(parameter):
    assert "wanted one kernel parameter" in cmdline.problem(parameter)


def test_what_the_loader_sets_itself_is_refused():
    assert "boot loader" in cmdline.problem("root=/dev/sda1")


def test_a_near_miss_of_a_known_parameter_is_refused():
    assert "did you mean 'threadirqs'" in cmdline.problem("threadirq")
    assert cmdline.problem("nohz-full=1-3") is None
    assert cmdline.problem("snd_usb_audio.implicit_fb=1") is None


def test_a_known_parameter_with_two_values_is_refused_and_others_may_be_repeated():
    assert "preempt=full and preempt=none are both wanted" in cmdline.contradiction(["preempt=full", "preempt=none"])
    assert cmdline.contradiction(["threadirqs", "threadirqs"]) is None
    assert cmdline.contradiction(["hugepagesz=2M", "hugepagesz=1G", "pci=a", "pci=b"]) is None


ALLOWED = st.text(alphabet=string.printable, min_size=1, max_size=12).filter(lambda text: not cmdline.problem(text))


@given(st.lists(st.one_of(ALLOWED, st.from_regex(cmdline._PARAMETER, fullmatch=True)), min_size=1, max_size=3))
def test_what_is_allowed_means_itself_to_a_shell_and_to_grub(words):
    words = [word for word in words if not cmdline.problem(word)]
    line = " ".join(words)
    said = subprocess.run(
        ["sh", "-c", f'a="quiet {line}"; set -- $a; printf "%s\\n" "$@"'], capture_output=True, text=True, check=True
    )
    assert said.stdout.split("\n")[:-1] == ["quiet", *words]
    if shutil.which("grub-script-check"):
        script = f"menuentry a {{\n\tlinux /vmlinuz quiet {line}\n}}\n"
        subprocess.run(["grub-script-check"], input=script, text=True, check=True)
