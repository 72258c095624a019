# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the settings' check takes is what the machine gets: read back by the programs that read it there.

The roles' own templates are rendered by host_files itself, for many hosts in one play; then each reader is asked.
"""

from __future__ import annotations

import json
import os
import random
import string
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest
import yaml
from support import CHECKOUT, readers

from ansible_collections.nspa.proaudio.plugins.module_utils._boot import cmdline
from ansible_collections.nspa.proaudio.plugins.module_utils._boot.grub import Grub
from ansible_collections.nspa.proaudio.plugins.module_utils._files import devices
from ansible_collections.nspa.proaudio.plugins.module_utils._wine import environment
from ansible_collections.nspa.proaudio.plugins.plugin_utils import _setting_rules, _settings

PLAYBOOK = str(Path(sys.executable).parent / "ansible-playbook")
pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="needs root, for a private /var/lib, /etc/group and /proc/sys"
)

Render = Callable[[str, List[Dict[str, Any]]], List[Path]]


def checked(**variables: Any) -> Dict[str, Any]:
    return _settings.checked(variables, lambda value: value)


def accepted(**variables: Any) -> bool:
    try:
        checked(**variables)
    except _settings.SettingsError:
        return False
    return True


@pytest.fixture
def render(tmp_path: Path) -> Render:
    """Let host_files write a role's files, one host for each set of settings, each into a folder of its own."""

    def work(role: str, hosts: List[Dict[str, Any]]) -> List[Path]:
        folder = CHECKOUT / "roles" / role
        variables = yaml.safe_load((folder / "vars/main.yml").read_text(encoding="utf-8"))
        owner = f"{role}_{{{{ inventory_hostname }}}}"
        target = f"{tmp_path}/{{{{ inventory_hostname }}}}"
        templates = [
            dict(item, src=str(folder / "templates" / item["src"]), dest=f"{target}/{item['src']}")
            for item in variables[f"__{role}_templates"]
        ]
        inventory = {f"host{number}": _untouched({**checked(), **given}) for number, given in enumerate(hosts)}
        (tmp_path / "inventory.json").write_text(json.dumps({"all": {"hosts": inventory}}))
        play = {
            "hosts": "all",
            "gather_facts": False,
            "vars_files": [str(folder / "vars/main.yml")],
            # Each with a role of its own: all of them share this machine, and a role's files are one set.
            "tasks": [{"name": "Write", "nspa.proaudio.host_files": {"role": owner, "templates": templates}}],
        }
        (tmp_path / "play.yml").write_text(json.dumps([play]))
        (tmp_path / "state").mkdir()
        done = subprocess.run(
            [
                *("unshare", "--mount", "--propagation", "private", "sh", "-c"),
                *('mount --bind "$0" /var/lib && exec "$@"', str(tmp_path / "state"), PLAYBOOK),
                *("-i", str(tmp_path / "inventory.json"), "-c", "local", str(tmp_path / "play.yml")),
                *("-e", f"ansible_python_interpreter={sys.executable}"),
            ],
            env={
                **os.environ,
                "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / "collections"),
                "ANSIBLE_PIPELINING": "1",
                "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_FORKS": "2",
            },
            cwd=tmp_path,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.count("changed=1") == len(hosts), done.stdout + done.stderr
        return [tmp_path / name for name in inventory]

    return work


def _untouched(value: Any) -> Any:
    """A value as an inventory has it, so that no text in it is taken for a template."""
    if isinstance(value, dict):
        return {key: _untouched(item) for key, item in value.items()}
    if isinstance(value, str) and ("{{" in value or "{%" in value):
        return f"{{% raw %}}{value}{{% endraw %}}"
    return value


# -- wine_env: the shells, systemd, PAM


def _values() -> List[str]:
    """Every printable letter of ASCII and some others, in each place; what people set; and things at random."""
    letters = [
        *map(chr, range(32, 127)),
        "\x00",
        "\n",
        "\t",
        "\x7f",
        "ä",
        "€",
        "漢",
        "\U0001f3b9",
        "\u0301",
        "\xa0",
        "\u202e",
    ]
    found = [text.format(letter) for letter in letters for text in ("{0}", "a{0}", "{0}a", "a{0}b", "{0}{0}", " {0} ")]
    found += [
        "",
        "-all",
        "+seh,-ntoskrnl",
        "~/.wine",
        "~root",
        "%h/%u %%",
        "{{ 7 * 7 }}",
        "{% x %}",
        "export A=1",
        "a  b",
    ]
    found += ["/srv/wine prefix/nspa", "n,b;*.dll", "$(id)", "`id`", "${HOME}", "!!", "!id", "null", "a=b=c", "x" * 512]
    chance = random.Random(7)
    for _number in range(300):
        found.append("".join(chance.choices(string.printable + "äß漢", k=chance.randint(1, 60))))
    return found


def _names() -> List[str]:
    chance = random.Random(11)
    found = [
        "A",
        "_A",
        "a",
        "A_1",
        "a" * 64,
        "__GL_THREADED_OPTIMIZATIONS",
        "mesa_glthread",
        "WINEPREFIX",
        "TZ",
    ]
    letters = string.ascii_letters + string.digits + "_"
    return found + ["".join(chance.choices(letters, k=chance.randint(1, 20))) for _number in range(100)]


def _batches(values: Dict[str, Any]) -> Iterator[Dict[str, Any]]:
    items = list(values.items())
    for start in range(0, len(items), environment.MOST):
        yield dict(items[start : start + environment.MOST])


def test_every_reader_of_the_environment_gets_the_same_text(render: Render) -> None:
    values = [value for value in _values() if accepted(wine_env_extra={"V": value})]
    variables = {f"V{number}": value for number, value in enumerate(values)}
    variables.update({name: f"it is {name}" for name in _names() if accepted(wine_env_extra={name: "1"})})
    variables.update({"NUMBER": 128, "NEGATIVE": -1, "LC_ALL": "C.UTF-8"})
    assert len(variables) > 500
    batches = [batch for batch in _batches(variables) if checked(wine_env_extra=batch)]
    for batch, folder in zip(batches, render("wine_env", [{"wine_env_extra": batch} for batch in batches])):
        wanted = environment.environment("5.x", 78, "RR", batch)
        found = {shell: readers.profile(shell, folder / "profile.sh.j2") for shell in _installed_shells()}
        found["systemd"] = readers.environment_d(folder / "environment.d.conf.j2")
        found["PAM"] = readers.pam_environment(folder / "environment.j2")
        for reader, variables in found.items():
            differing = {
                name: (variables.get(name), value) for name, value in wanted.items() if variables.get(name) != value
            }
            assert differing == {}, reader


def _installed_shells() -> List[str]:
    return [shell for shell, command in readers.SHELLS.items() if readers.there(command[0])]


def test_zsh_is_among_the_readers() -> None:
    """Else the test above has proven less than it says."""
    readers.needs("zsh", "zsh")


@pytest.mark.parametrize(
    ("shell", "list_them"),
    [
        ("zsh", "zmodload zsh/zle zsh/complist zsh/sched zsh/datetime; print -l ${(k)parameters}"),
        ("bash", "compgen -v"),
        ("dash", "set | sed 's/=.*//'"),
    ],
)
def test_no_name_that_a_shell_keeps_for_itself_is_taken(shell: str, list_them: str) -> None:
    readers.needs(shell, shell)
    names = readers.run(*readers.SHELLS[shell], "-c", list_them, env={}).stdout.split()
    assert "PATH" in names or shell == "dash"
    assert [name for name in names if accepted(wine_env_extra={name: "1"})] == []


def test_variables_do_not_go_round_the_priority_plan() -> None:
    for name in environment.environment("5.x", 78, "RR", {}):
        assert accepted(wine_env_extra={name: "99"}) == (name not in ("WINE_RT_PRIO", "WINE_RT_POLICY"))


# -- rt_limits: PAM, systemd

PLAN = {"rt_limits_server_rtprio": 88, "rt_limits_client_rtprio": 83, "wine_env_rt_prio": 78}
LIMITS: List[Dict[str, Any]] = [
    {},
    {
        "rt_limits_rtprio": 88,
        "rt_limits_memlock": _setting_rules.MEMLOCK_LEAST,
        "rt_limits_nice": 0,
        "rt_limits_nofile": _setting_rules.NOFILE_LEAST,
    },
    {"rt_limits_rtprio": 98, "rt_limits_memlock": str(_setting_rules.MEMLOCK_MOST), "rt_limits_nice": -1},
    {"rt_limits_rtprio": "90", "rt_limits_memlock": "8388608", "rt_limits_nice": "-11", "rt_limits_nofile": "4096"},
    {"rt_limits_group": "Grüße", "rt_limits_nofile": _setting_rules.NOFILE_MOST},
    {"rt_limits_group": "a%b*c"},
    {"rt_limits_group": 'a"b$c'},
    {"rt_limits_group": "DOM\\musicians@example.org"},
    {"rt_limits_group": "1000"},
    {"rt_limits_group": "g" * 200},
]


def test_pam_and_systemd_read_the_limits_that_were_asked_for(render: Render) -> None:
    folders = render("rt_limits", [given for given in LIMITS if checked(**given, **PLAN)])
    for given, folder in zip(LIMITS, folders):
        values = checked(**given, **PLAN)
        memlock = values["rt_limits_memlock"]
        locked = readers.INFINITE if memlock == "unlimited" else int(memlock) * 1024
        wanted = {
            "RTPRIO": (values["rt_limits_rtprio"],) * 2,
            "MEMLOCK": (locked, locked),
            "NICE": (20 - values["rt_limits_nice"],) * 2,  # getrlimit(2)
        }
        hard = values["rt_limits_nofile"]
        manager = readers.manager_limits(folder / "user.conf.j2")
        unit = readers.unit_limits(folder / "user-manager.conf.j2")
        for found in (manager, unit):
            assert {**wanted, "NOFILE": (1024, hard)} == {name: found[name] for name in (*wanted, "NOFILE")}, given
        pam = readers.pam_limits(folder / "limits.conf.j2", values["rt_limits_group"])
        assert {name: pam[name] for name in wanted} == wanted, given
        assert pam["NOFILE"][1] == hard, given
        nodes = devices.rules((folder / "udev.rules.j2").read_bytes())
        assert {node.group for node in nodes if node.name != "ntsync"} == {values["rt_limits_group"]}


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("rt_limits_nofile", _setting_rules.NOFILE_LEAST, _setting_rules.NOFILE_MOST),
        ("rt_limits_memlock", _setting_rules.MEMLOCK_LEAST, _setting_rules.MEMLOCK_MOST),
        ("rt_limits_nice", -20, 0),
        ("sched_tuning_swappiness", 0, 200),
        ("sched_tuning_rr_timeslice_ms", 1, 1000),
        ("sched_tuning_inotify_watches", 8192, 2**31 - 1),
        ("sched_tuning_timer_frequency", 64, 8192),
        ("sched_tuning_hda_power_save", 0, 3600),
    ],
)
def test_the_ends_of_a_range_are_taken_and_what_is_beyond_is_not(name: str, least: int, most: int) -> None:
    taken = [accepted(**{name: value}) for value in (least - 1, least, most, most + 1)]
    assert taken == [False, True, True, False]
    assert not accepted(**{name: True})
    assert not accepted(**{name: f" {least}"})


def test_systemd_drops_a_hard_limit_of_files_that_is_lower_than_ours_would_be(tmp_path: Path) -> None:
    """Why 1024 is the least."""
    (tmp_path / "user.conf").write_text("[Manager]\nDefaultLimitNOFILE=1024:1023\n")
    with pytest.raises(AssertionError, match="Soft resource limit chosen higher than hard limit"):
        readers.manager_limits(tmp_path / "user.conf")


# -- sched_tuning: systemd-sysctl, systemd-tmpfiles


def test_systemd_sets_the_tunables_that_were_asked_for(render: Render) -> None:
    cases = [
        {"sched_tuning_swappiness": 0, "sched_tuning_rr_timeslice_ms": 1, "sched_tuning_governor": "performance"},
        {"sched_tuning_swappiness": 200, "sched_tuning_rr_timeslice_ms": 1000, "sched_tuning_governor": "a_b-c9"},
        {"sched_tuning_swappiness": "60", "sched_tuning_rr_timeslice_ms": "50", "sched_tuning_governor": "schedutil"},
        {"sched_tuning_swappiness": None, "sched_tuning_rr_timeslice_ms": None, "sched_tuning_governor": ""},
    ]
    paths = ("vm/swappiness", "kernel/sched_rr_timeslice_ms")
    cpu = "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"
    for given, folder in zip(cases, render("sched_tuning", [given for given in cases if checked(**given)])):
        wanted = ["" if value is None else str(value) for value in list(given.values())[:2]]
        assert list(readers.sysctls(folder / "sysctl.conf.j2", *paths).values()) == wanted
        assert readers.tmpfiles(folder / "tmpfiles.conf.j2", cpu) == given["sched_tuning_governor"]


# -- boot_params: sh, GRUB


def test_sh_and_grub_read_the_parameters_that_were_asked_for(tmp_path: Path) -> None:
    chance = random.Random(13)
    letters = string.ascii_letters + string.digits + "_.-,:/+@%^="
    parameters = [f"a={letter}b{letter}{letter}" for letter in string.printable] + [
        "threadirqs",
        "nohz_full=1-3,5",
        "a=",
    ]
    for _number in range(300):
        parameters.append(
            "".join(chance.choices(letters if _number % 2 else string.printable, k=chance.randint(1, 30)))
        )
    parameters = [parameter for parameter in parameters if accepted(boot_params_parameters=[parameter])]
    assert len(parameters) > 120
    for number, words in enumerate(_lines(parameters)):
        checked(boot_params_parameters=words)
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "cmdline.cfg").write_bytes(Grub(folder).parameters("boot_params", words).content)
        line = readers.grub_settings(folder / "cmdline.cfg", "quiet -- splash")
        assert line.split() == ["quiet", *words, "--", "splash"]
        assert readers.grub_words(folder, line) == line.split()
        assert cmdline.missing(words, line) == []


def _lines(parameters: List[str]) -> Iterator[List[str]]:
    """As many at once as may stand on a command line."""
    words: List[str] = []
    for parameter in parameters:
        if len(" ".join([*words, parameter])) > _setting_rules.PARAMETERS_LONGEST:
            yield words
            words = []
        words.append(parameter)
    yield words
