# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""GRUB's scripts say to us what they say to GRUB: its own interpreter (grub-emu, grub-script-check) is asked too."""

from __future__ import annotations

import shutil
import subprocess
from typing import List, Optional

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.nspa.proaudio.plugins.module_utils._boot import grub, grub_script

with_grub = pytest.mark.skipif(not shutil.which("grub-emu"), reason="grub-emu (testbed/packages.txt) is not installed")


MENU = """
set default="%s"
menuentry 'Debian GNU/Linux' --id simple { echo "SAID 0 DIAS"; halt }
submenu 'Advanced options for Debian' --id advanced {
    menuentry 'Linux 6.12-rt' --id linux-rt { echo "SAID 1>0 DIAS"; halt }
    submenu 'Older > ones' --id older {
        menuentry 'Linux 5.10' { echo "SAID 1>1>0 DIAS"; halt }
        menuentry 'Linux 4.19' --id 2nd { echo "SAID 1>1>1 DIAS"; halt }
    }
    menuentry 'Linux 6.1' --id linux-61 { echo "SAID 1>2 DIAS"; halt }
}
menuentry '7 years' --id seven { echo "SAID 2 DIAS"; halt }
menuentry 'A>B' { echo "SAID 3 DIAS"; halt }
"""
DEFAULTS = [
    *("", "0", "1", "2", "3", "4", "9", "0x1", "01", "-1", " 2", "7 years", "seven", "gone since", "saved"),
    *("1>0", "1>1", "1>2", "1>9", "1>", ">", "1>1>1", "1>1>2nd", "1>Linux 6.1", "1>linux-61", "1>Linux 6.12-rt"),
    *("advanced", "advanced>2", "advanced>linux-61", "Advanced options for Debian>Linux 6.1", "advanced>gone"),
    *("advanced>Older >> ones>Linux 4.19", "advanced>older>1", "advanced>older>2nd", "advanced>older", "A>>B", "A>B"),
    *("1>Older > ones", "simple>0", "Linux 6.1", "linux-61", "0>1", "1 > 2", "1>>2", "advanced>>2", "1x>2"),
]


def chosen(default: str) -> Optional[str]:
    nodes = grub_script.run(MENU % default, {}, lambda _path: None).menu

    def place(among: List[grub_script.Node], wanted: grub_script.Node) -> Optional[str]:
        for number, node in enumerate(among):
            inner = place(node.submenu, wanted) if node.submenu is not None else None
            if node is wanted or inner is not None:
                return str(number) if inner is None else f"{number}>{inner}"
        return None

    found = grub._choose(nodes, default)
    return place(nodes, found) if found else None


@with_grub
@pytest.mark.parametrize("default", DEFAULTS)
def test_grub_itself_boots_the_entry_that_we_say_it_would(tmp_path, emulated, default):
    assert [chosen(default)] == emulated(tmp_path, MENU % default)


@with_grub
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(["0", "1", "2", ">", ">>", "advanced", "older", "2nd", "A", "B", " ", "x"]), max_size=6)
)
def test_grub_itself_agrees_on_defaults_that_nobody_thought_of(tmp_path, emulated, pieces):
    default = "".join(pieces)
    assert [chosen(default)] == emulated(tmp_path, MENU % default)


SCRIPT = r"""
set name=world
set empty=
other="two words"
if [ "$name" = world -a -n "$other" ]; then set seen=yes; else set seen=no; fi
if [ x$empty = x ]; then set bare=$empty; fi
function many { set count=$#; set second="$2"; return 0; set count=never; }
many a 'b c' d
for item in one two; do set last=${item}; done
if false; then set branch=1; elif [ 3 -gt 2 ]; then set branch=2; else set branch=3; fi
if ! false; then set negated=yes; fi
if ! true; then set negated=no; fi
set joined="a"'b'\c"${name}"
set escaped="\$name \"q\" \x"  # a comment
set splitted=$other
"""
SHOWN = (
    "name",
    "other",
    "seen",
    "count",
    "second",
    "last",
    "branch",
    "negated",
    "joined",
    "escaped",
    "splitted",
    "none",
)


@with_grub
def test_variables_conditions_loops_and_functions_are_grubs(tmp_path, emulated):
    shown = "|".join(f"${{{name}}}" for name in SHOWN)
    outcome = grub_script.run(SCRIPT, {}, lambda _path: None)
    ours = "|".join(outcome.variables.get(name, "") for name in SHOWN)
    assert [ours] == emulated(tmp_path, f'{SCRIPT}\necho "SAID {shown} DIAS"\nhalt\n')
    assert "|two words|yes|3|b c|two|2|yes|abcworld|" in ours


@with_grub
def test_words_are_split_and_unquoted_as_grub_does_it(tmp_path, emulated):
    line = 'a \'b c\' "d e" f\\ g h\'i\'"j" dyndbg="file a.c +p" $none "$none" x${none}y #no comment'
    ours = "|".join(grub_script.words(line))
    script = f'function tell {{ set all=; for item in "$@"; do set all="$all|$item"; done; }}\ntell {line}\n'
    assert [f"|{ours}"] == emulated(tmp_path, f'{script}echo "SAID $all DIAS"\nhalt\n')


@with_grub
def test_grub_itself_takes_a_refused_semicolon_for_the_end_of_a_command(tmp_path, emulated):
    script = 'function take { set got="$*"; }\ntake quiet foo=1;set halted=yes\necho "SAID $got $halted DIAS"\nhalt\n'
    assert emulated(tmp_path, script) == ["quiet foo=1 yes"]


def test_entries_in_conditions_and_sourced_files_count_where_grub_counts_them():
    text = """
    if [ "$grub_platform" = "efi" ]; then
        fwsetup --is-supported
        if [ "$?" = 0 ]; then menuentry 'Firmware' $menuentry_id_option 'uefi-firmware' { fwsetup }; fi
    fi
    if [ -f ${config_directory}/custom.cfg ]; then source ${config_directory}/custom.cfg; fi
    """
    files = {"/boot/grub/custom.cfg": "menuentry 'Mine' { linux /vmlinuz }"}

    def titles(**variables: str) -> List[str]:
        outcome = grub_script.run(text, {"config_directory": "/boot/grub", **variables}, files.get)
        return [node.title for node in outcome.menu]

    assert titles(grub_platform="efi") == ["Firmware", "Mine"]
    assert titles(grub_platform="pc") == ["Mine"]
    files.clear()
    assert titles() == []


def test_a_submenu_sees_only_exported_variables():
    text = 'set a=1\nexport a\nset b=2\nsubmenu s { menuentry "x$a$b" { true } }'
    assert grub_script.run(text, {}, lambda _path: None).menu[0].submenu[0].title == "x1"


@pytest.mark.parametrize(
    "text",
    [
        "menuentry a {",
        "}",
        "if true; then",
        "menuentry 'a",
        'echo "a',
        "for a in b; echo c; done",
        "a | b",
        "a > b",
        "fi",
    ],
)
def test_what_grub_cannot_read_is_an_error(text):
    with pytest.raises(grub_script.ScriptError):
        grub_script.run(text, {}, lambda _path: None)
    if shutil.which("grub-script-check"):
        assert subprocess.run(["grub-script-check"], input=f"{text}\n", text=True, capture_output=True).returncode != 0


@pytest.mark.parametrize("text", ["while true; do true; done", "function f { f; }\nf", "source self"])
def test_a_script_without_an_end_is_given_up(text):
    with pytest.raises(grub_script.ScriptError, match="does not come to an end"):
        grub_script.run(text, {}, lambda _path: text)


@given(st.text(alphabet="a ={}'\"\\$;\n#if|[]><", max_size=40))
def test_whatever_a_menu_holds_there_is_an_answer_or_an_error_of_ours(text):
    try:
        grub_script.run(text, {}, lambda _path: None)
        grub_script.words(text)
    except grub_script.ScriptError:
        pass


def test_the_kernel_gets_a_word_with_spaces_in_quotes():
    assert grub_script.kernel_line(["root=/dev/sda1", "dyndbg=file a.c +p", 'a="b"']) == (
        'root=/dev/sda1 "dyndbg=file a.c +p" a=\\"b\\"'
    )
