# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container is set up as far as it can be, and nothing pretends that it has a kernel of its own."""

from __future__ import annotations

import json

testinfra_hosts = ["ansible://studio"]


def test_the_user_is_in_the_group(host):
    assert "realtime" in host.user("studio").groups


def test_the_limits_reach_a_login_as_far_as_the_host_allows(host):
    # The unit's own view of its limits: what systemd will ask for, whatever the container's host grants.
    uid = host.user("studio").uid
    shown = host.check_output(f"systemctl show -p LimitRTPRIO -p LimitMEMLOCK user@{uid}.service").splitlines()
    assert shown == ["LimitMEMLOCK=infinity", "LimitRTPRIO=95"]


def test_nobody_elses_limits_were_raised(host):
    shown = host.check_output("systemctl show -p LimitRTPRIO user@4711.service")
    assert shown == "LimitRTPRIO=0"


def test_the_real_wineserver_has_the_capability(host):
    assert "cap_sys_nice" in host.check_output("getcap /usr/lib/wine/wineserver64")


def test_no_kernel_was_installed_and_no_boot_menu_made(host):
    assert not host.file("/etc/default/grub.d").exists
    assert host.file("/boot").listdir() == []


def test_the_command_asks_without_ansible(host):
    asked = host.run("nspa-check sync --json")
    assert asked.rc == 0
    assert json.loads(asked.stdout)["interfaces"]["futex_waitv"]["status"] == "supported"
    assert host.run("nspa-check sync --require futex_wait_multiple").rc == 1
    assert host.run("nspa-check sync --require no-such-interface").rc == 2
