# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad settings are refused on the controller, by name, value and remedy."""

from __future__ import annotations

import pytest
import yaml
from support import CHECKOUT

from ansible_collections.nspa.proaudio.plugins.plugin_utils import _settings

GOOD = {"src": "/srv/linux.deb", "sha256": "0" * 64}


def capability(path, text="cap_sys_nice+ep"):
    return {"wine_nspa_capabilities": [{"path": path, "capabilities": text}]}


def problems(**variables):
    return _settings.problems(variables, _settings.effective(variables, lambda value: value))


def test_the_defaults_are_fine():
    assert problems() == []


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"rt_limits_rtpri": 95}, ["rt_limits_rtpri", "95", "did you mean rt_limits_rtprio?"]),
        ({"rt_limits_rtprio": "high"}, ["rt_limits_rtprio", "high", "int"]),
        ({"linux_nspa_state": "installed"}, ["linux_nspa_state", "installed", "present, absent"]),
        ({"rt_limits_rtprio": 100}, ["rt_limits_rtprio is 100", "1 to 98", "99 is kept"]),
        ({"rt_limits_memlock": "8 GB"}, ["rt_limits_memlock is '8 GB'", "kB", "unlimited"]),
        ({"wine_env_rt_prio": 0}, ["wine_env_rt_prio is 0", "1 to 98"]),
        ({"wine_env_rt_prio": 83}, ["out of order", "rt_limits_client_rtprio is 83", "wine_env_rt_prio is 83"]),
        ({"wine_env_rt_prio": 50}, ["out of order", "wine_env_rt_prio is 50", "interrupt threads", "raise"]),
        ({"rt_limits_rtprio": 80}, ["rt_limits_server_rtprio is 88", "rt_limits_rtprio, which is 80"]),
        ({"boot_params_parameters": ["threadirq"]}, ["threadirq", "did you mean 'threadirqs'?"]),
        ({"boot_params_parameters": ["quiet; reboot"]}, ["quiet; reboot", "without spaces"]),
        ({"linux_nspa_source": "packages"}, ["linux_nspa_packages is empty", "sha256"]),
        (
            {"linux_nspa_source": "packages", "linux_nspa_packages": [{"src": "https://example.org/linux.deb"}]},
            ["https://example.org/linux.deb", "sha256", "64 hexadecimal digits"],
        ),
        (
            {"linux_nspa_source": "packages", "linux_nspa_packages": [dict(GOOD, sha512="1")]},
            ["linux_nspa_packages", "sha512"],
        ),
        ({"boot_params_parameters": ["init=/bin/sh"]}, ["'init=/bin/sh'", "lets anybody in", "boot menu"]),
        ({"boot_params_parameters": ["systemd.debug-shell"]}, ["'systemd.debug-shell'", "lets anybody in"]),
        ({"boot_params_parameters": ["single"]}, ["'single'", "something else"]),
        ({"boot_params_parameters": ["preempt=full", "preempt=none"]}, ["contradicts", "Keep one of them"]),
        ({"boot_params_parameters": ["a=" + "b" * 1023]}, ["1025 characters", "no more than 1024", "leave some out"]),
        ({"rt_limits_group": "a#b"}, ["rt_limits_group is 'a#b'", "without '#'"]),
        ({"rt_limits_group": "a\\"}, ["without a backslash at its end"]),
        ({"rt_limits_group": "-G"}, ["rt_limits_group", "'-G' is no name"]),
        ({"rt_limits_group": "a" * 256}, ["rt_limits_group", "up to 255"]),
        (
            {"rt_limits_group": "sudo", "rt_limits_users": ["ada"]},
            ["rt_limits_group is sudo", "become root", "realtime"],
        ),
        ({"rt_limits_users": ["ada lovelace"]}, ["rt_limits_users", "'ada lovelace'"]),
        ({"rt_limits_memlock": 8}, ["rt_limits_memlock is 8 kB", "at least 8192", "8388608 for 8 GB"]),
        ({"rt_limits_nice": 5}, ["rt_limits_nice is 5", "-20 to 0"]),
        ({"rt_limits_nofile": 1073741816}, ["rt_limits_nofile is 1073741816", "1024 to 1048576"]),
        ({"sched_tuning_dirty_background_bytes": 268435456}, ["sched_tuning_dirty_background_bytes", "smaller number"]),
        (
            {"sched_tuning_energy_preference": "power"},
            ["sched_tuning_energy_preference is power", "no other preference"],
        ),
        ({"sched_tuning_energy_preference": "p w"}, ["sched_tuning_energy_preference is 'p w'"]),
        ({"sched_tuning_governor": "Performance"}, ["sched_tuning_governor is 'Performance'", "performance"]),
        ({"wine_nspa_packages": ["wine-"]}, ["wine_nspa_packages has 'wine-'", "name of a package"]),
        ({"wine_nspa_packages": [{"wine": "10"}]}, ["wine_nspa_packages (number 1 of its list)", "wanted a text"]),
        ({"linux_nspa_distro_packages": "a b"}, ["linux_nspa_distro_packages has 'a b'"]),
        ({"linux_nspa_packages": [dict(GOOD, src="linux.deb")]}, ["src 'linux.deb'", "absolute path", "http(s)"]),
        ({"linux_nspa_packages": [dict(GOOD, src="file:///x.deb")]}, ["src 'file:///x.deb'", "absolute path"]),
        ({"linux_nspa_packages": [dict(GOOD, sha256="0" * 64 + "\n")]}, ["64 hexadecimal digits"]),
        (capability("usr/bin/wineserver"), ["'usr/bin/wineserver'", "absolute path"]),
        (capability("/usr/bin/*"), ["'/usr/bin/*'", "names the program", "every one of them"]),
        (capability("/opt/**/wineserver"), ["'/opt/**/wineserver'", "'**'"]),
        (capability("/opt/../wineserver"), ["'/opt/../wineserver'", "'..'"]),
        (capability("/opt/wineserver", "cap_sys_nce+ep"), ["'/opt/wineserver'", "cap_sys_nce", "not a capability"]),
        (capability("/opt/wineserver", "=ep"), ["'=ep'", "cap_sys_nice+ep", "every user"]),
        (capability("/opt/wineserver", "cap_setuid,cap_sys_nice+ep"), ["cap_setuid", "every user"]),
        (capability("/opt/wineserver", "cap_setuid+i"), ["cap_setuid", "every user"]),
        ({"wine_env_extra": {"A B": "1"}}, ["wine_env_extra", "A B"]),
        ({"wine_env_extra": {"A\n": "1"}}, ["wine_env_extra", "name is wrong"]),
        ({"wine_env_extra": {"PATH": "/opt/wine"}}, ["'PATH'", "login could break", "launcher"]),
        ({"wine_env_extra": {"LD_PRELOAD": "/opt/x.so"}}, ["'LD_PRELOAD'", "root", "launcher"]),
        ({"wine_env_extra": {"WINE_RT_PRIO": "99"}}, ["'WINE_RT_PRIO'", "priority plan", "wine_env_rt_prio"]),
        ({"wine_env_extra": {"A": ""}}, ["'A'", "systemd passes over"]),
        ({"wine_env_extra": {"A": "x" * 513}}, ["513 characters", "512"]),
        ({"wine_env_extra": {f"A{number}": "1" for number in range(101)}}, ["101 variables", "100 at the most"]),
        ({"wine_env_extra": {"WINEPREFIX": "$HOME/x"}}, ["WINEPREFIX", "$HOME/x", "launcher"]),
    ],
)
def test_bad_settings_name_variable_value_and_remedy(variables, words):
    found = problems(**variables)
    assert found
    text = "\n".join(found)
    assert [word for word in words if word not in text] == [], text


def test_a_fact_of_an_earlier_play_is_no_setting():
    report = {"verdict": "fail"}
    assert problems(readiness_report=report, ansible_facts={"readiness_report": report}) == []
    assert problems(readiness_report=report) != []


def test_the_playbooks_settings_are_checked_too():
    assert problems(nspa_reboot="ask", nspa_hosts=["studio1"]) == []
    for word in (True, False, "yes", "True", 1):
        assert problems(nspa_reboot=word) == []
    assert "nspa_reboot" in problems(nspa_reboot="maybe")[0]
    assert "did you mean nspa_reboot?" in problems(nspa_rebot=True)[0]


def test_what_an_earlier_role_was_given_wins():
    given = {"rt_limits_rtprio": 90}
    assert _settings.checked({"rt_limits_rtprio": 95}, lambda value: value, given)["rt_limits_rtprio"] == 90
    with pytest.raises(_settings.SettingsError, match="rt_limits_rtprio is 150"):
        _settings.checked({}, lambda value: value, {"rt_limits_rtprio": 150})


def test_all_problems_are_told_at_once():
    assert len(problems(rt_limits_rtprio=100, boot_params_parameters=["threadirq"])) == 2


def test_numbers_given_as_text_are_taken():
    assert problems(rt_limits_rtprio="90") == []


def test_numbers_given_as_text_reach_the_host_as_numbers():
    values = _settings.checked({"sched_tuning_rr_timeslice_ms": "50"}, lambda value: value)
    assert values["sched_tuning_rr_timeslice_ms"] == 50


def test_what_is_wrong_is_raised_with_all_that_is_wrong():
    with pytest.raises(_settings.SettingsError, match="Nothing was changed") as caught:
        _settings.checked({"rt_limits_rtprio": 100, "wine_env_extra": {"A B": "1"}}, lambda value: value)
    assert len(caught.value.problems) == 2


def test_a_package_with_a_checksum_is_taken():
    for src in (
        "/srv/linux image.deb",
        "https://ada:secret@[::1]:8080/pool/linux-image_6.1+rt~1.deb?a=b",
        "http://a/b",
    ):
        assert problems(linux_nspa_source="packages", linux_nspa_packages=[dict(GOOD, src=src)]) == []


@pytest.mark.parametrize(
    "variables",
    [
        {"rt_limits_users": "ada,bob"},  # as -e rt_limits_users=ada,bob gives it
        {"rt_limits_users": ["DOM\\ada", "jörg", "ada@example.org"], "rt_limits_group": "audio"},
        {"rt_limits_group": "sudo"},  # nobody is put into it
        {"rt_limits_memlock": 8388608},
        {"wine_nspa_packages": ["wine", "libc6:i386", "wine=10.0~repack-6", "wine/trixie-backports", "g++"]},
        {"boot_params_parameters": ["hugepagesz=2M", "hugepagesz=1G", "snd_hda_intel.power_save=0", "threadirqs"]},
        {"wine_env_extra": {"WINEPREFIX": "/srv/wine nspa", "WINEFSYNC_SPINCOUNT": 64, "mesa_glthread": "true"}},
        {"readiness_enforce": "yes", "sched_tuning_governor": "", "sched_tuning_swappiness": None},
        capability("/usr/lib/*/wine/wineserver*"),
        capability("/opt/x/ws", "cap_sys_nice,cap_ipc_lock=ep"),
    ],
)
def test_what_is_right_is_taken(variables):
    assert problems(**variables) == []


@pytest.mark.parametrize("role", _settings.ROLES)
def test_argument_specs_equal_the_defaults_by_value(role):
    options = _settings.SPECS[role]
    defaults = yaml.safe_load((CHECKOUT / "roles" / role / "defaults" / "main.yml").read_text(encoding="utf-8"))
    assert {name: option.get("default") for name, option in options.items()} == defaults


def test_every_role_is_known_to_the_settings():
    assert sorted(path.name for path in (CHECKOUT / "roles").iterdir()) == sorted(_settings.ROLES)
