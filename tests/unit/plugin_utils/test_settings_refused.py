# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad settings through ansible-playbook itself: each inventory's own way to get something odd into a variable.

One play asks preflight for many hosts, each with one bad setting. Nothing is ever started on a host.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from support import CHECKOUT

PLAYBOOK = str(Path(sys.executable).parent / "ansible-playbook")
#: Variable, and its value as the YAML of an inventory has it.
BAD = [
    ("rt_limits_rtprio", "loud"),
    ("rt_limits_rtprio", "true"),
    ("rt_limits_rtprio", "95.5"),
    ("rt_limits_rtprio", ".nan"),
    ("rt_limits_rtprio", "'1e999999999'"),
    ("rt_limits_server_rtprio", ".inf"),
    ("rt_limits_client_rtprio", "0x" + "f" * 6000),
    ("rt_limits_nice", "1:30"),
    ("rt_limits_nofile", "[1024]"),
    ("rt_limits_nofile", "{{ nowhere }}"),
    ("rt_limits_memlock", "8 GB"),
    ("rt_limits_memlock", "-1"),
    ("rt_limits_memlock", ""),
    ("rt_limits_group", "2026-01-31"),
    ("rt_limits_group", "!!binary aGVsbG8="),
    ("rt_limits_group", '"a\\0b"'),
    ("rt_limits_group", '"\\e]0;gone\\a"'),
    ("rt_limits_group", "'{{ rt_limits_group }}'"),
    ("rt_limits_users", "~"),
    ("rt_limits_users", "{ada: bob}"),
    ("rt_limits_users", "['-G root']"),
    ("rt_limits_users", "[[[[[[[[[[[[[[[[ada]]]]]]]]]]]]]]]]"),
    ("rt_limits_users", "['{{ 1 / 0 }}']"),
    ("sched_tuning_swappiness", "'{% for %}'"),
    ("sched_tuning_swappiness", "!unsafe '{{ 10 }}'"),
    ("sched_tuning_governor", "[performance]"),
    ("sched_tuning_rr_timeslice_ms", "0"),
    ("boot_params_parameters", "threadirqs; reboot"),
    ("boot_params_parameters", "[{preempt: full}]"),
    ("boot_params_parameters", "['quiet\n\n    reboot']"),
    ("linux_nspa_state", "installed"),
    ("linux_nspa_packages", "[{src: /srv/linux.deb}]"),
    ("linux_nspa_packages", "[{src: '../linux.deb', sha256: " + "a" * 64 + "}]"),
    ("linux_nspa_distro_packages", "['-oDPkg::Pre-Invoke::=reboot']"),
    ("wine_nspa_packages", "wine, wine64"),
    ("wine_nspa_recommends", "perhaps"),
    ("wine_nspa_capabilities", "[{path: /usr/bin/*, capabilities: cap_sys_nice+ep}]"),
    ("wine_nspa_capabilities", "[{path: /usr/lib/wine/wineserver64, capabilities: =ep}]"),
    ("wine_env_extra", "{A: {B: c}}"),
    ("wine_env_extra", "{A: yes}"),
    ("wine_env_extra", "{1: x}"),
    ("wine_env_extra", "A=1"),
    ("wine_env_extra", "{WINE_RT_PRIO: 99}"),
    ("wine_env_extra", "{PATH: /opt/wine/bin}"),
    ("wine_env_extra", "\"{{ lookup('file', '/nowhere') }}\""),
    ("wine_env_rt_policy", "FIFO"),
    ("wine_env_series", "11.x"),
    ("readiness_enforce", "[]"),
    ("nspa_reboot", "{}"),
    ("rt_limit_users", "[ada]"),
    ("wine_env_extras", "{}"),
]


def test_whatever_is_in_an_inventory_is_refused_by_name_before_anything_runs(tmp_path: Path) -> None:
    hosts = []
    for number, (name, value) in enumerate(BAD):
        hosts.append(f"    host{number}:\n      wrong: {name}\n      {name}: {_quoted(value)}\n")
    (tmp_path / "inventory.yml").write_text("all:\n  hosts:\n" + "".join(hosts), encoding="utf-8")
    (tmp_path / "python").write_text(f'#!/bin/sh\necho call >> {tmp_path}/calls\nexec {sys.executable} "$@"\n')
    (tmp_path / "python").chmod(0o755)
    tasks = [
        {
            "block": [{"name": "Check", "nspa.proaudio.preflight": {}, "register": "said"}],
            "rescue": [
                {
                    "name": "Told well",
                    "ansible.builtin.assert": {
                        "quiet": True,
                        "that": [
                            "said.problems | length == 1",
                            "wrong in said.problems[0]",
                            "said.problems | map('length') | max <= 600",
                            "'Nothing was changed' in said.msg",
                            "'Traceback' not in said.msg",
                        ],
                    },
                },
                {"name": "Count", "ansible.builtin.set_fact": {"refused": True}},
            ],
        },
        {"name": "Refused", "ansible.builtin.assert": {"quiet": True, "that": "refused is defined"}},
    ]
    play = [{"hosts": "all", "gather_facts": False, "tasks": tasks}]
    (tmp_path / "play.yml").write_text(json.dumps(play))
    done = subprocess.run(
        [
            *(PLAYBOOK, "-i", str(tmp_path / "inventory.yml"), "-c", "local", str(tmp_path / "play.yml")),
            *("-e", f"ansible_python_interpreter={tmp_path / 'python'}"),
        ],
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / "collections"),
            "ANSIBLE_FORKS": "4",
            "ANSIBLE_NOCOLOR": "1",
        },
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    output = done.stdout + done.stderr
    recap = output.rpartition("PLAY RECAP")[2]
    failed = [line for line in recap.splitlines() if line.startswith("host") and "failed=0" not in line]
    assert failed == [], output
    assert recap.count("rescued=1") == len(BAD), output
    assert recap.count("changed=0") == len(BAD)
    assert "Traceback" not in output, output
    assert not (tmp_path / "calls").exists()


def _quoted(value: str) -> str:
    """A bare expression as an inventory has to quote it; everything else stands as it is."""
    return f'"{value}"' if value.startswith("{{") else value
