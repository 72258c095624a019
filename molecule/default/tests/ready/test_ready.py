# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine is a pro-audio host: asked by itself, not through the collection's modules."""

from __future__ import annotations

import pytest

#: RT priority of the checks below: above Wine's ceiling, below the limit.
PRIORITY = 90
WINESERVER = "/usr/lib/wine/wineserver64"


def login(host, command):
    """Run a command in a new SSH session of the user, which PAM opens."""
    key = "/home/studio/.ssh/test_key"
    if not host.file(key).exists:
        setup = f"ssh-keygen -q -t ed25519 -N '' -f {key} && cat {key}.pub >> /home/studio/.ssh/authorized_keys"
        assert host.run(f'su studio -c "{setup}"').rc == 0
    options = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes -o LogLevel=ERROR"
    return host.run(f"ssh {options} -i {key} studio@127.0.0.1 %s", command)


def test_the_real_time_kernel_runs(host):
    assert "-rt-" in host.check_output("uname -r")
    assert host.file("/sys/kernel/realtime").content_string.strip() == "1"


def test_threadirqs_is_in_effect_and_interrupts_have_threads(host):
    assert "threadirqs" in host.file("/proc/cmdline").content_string.split()
    assert int(host.check_output("ps -e -o comm= | grep -c '^irq/'")) >= 4


def test_every_normal_boot_entry_has_the_parameter_and_recovery_has_not(host):
    lines = [line for line in host.file("/boot/grub/grub.cfg").content_string.splitlines() if "/vmlinuz-" in line]
    normal = [line for line in lines if " single " not in line + " "]
    assert normal and [line for line in normal if "threadirqs" not in line] == []
    assert [line for line in lines if line not in normal and "threadirqs" in line] == []


@pytest.mark.parametrize(("item", "wanted"), [("-r", "95"), ("-l", "unlimited"), ("-e", "40")])
def test_a_new_login_has_the_limits(host, item, wanted):
    assert login(host, f"bash -lc 'ulimit {item}'").stdout.strip() == wanted


def test_a_new_login_really_starts_real_time_threads(host):
    started = login(host, f"chrt --fifo {PRIORITY} sh -c 'chrt -p $$'")
    assert "SCHED_FIFO" in started.stdout and f"priority: {PRIORITY}" in started.stdout, started.stderr


def test_services_of_the_user_manager_really_start_real_time_threads(host):
    unit = f"[Service]\\nType=oneshot\\nExecStart=chrt --fifo {PRIORITY} true\\n"
    started = login(
        host,
        "export XDG_RUNTIME_DIR=/run/user/$(id -u); mkdir -p $XDG_RUNTIME_DIR/systemd/user; "
        f"printf '{unit}' > $XDG_RUNTIME_DIR/systemd/user/rt-test.service; "
        "systemctl --user daemon-reload && systemctl --user start rt-test && systemctl --user show -P Result rt-test",
    )
    assert started.stdout.strip() == "success", started.stderr


def test_the_group_may_keep_the_cpus_awake(host):
    opened = login(host, "sh -c 'exec 3>/dev/cpu_dma_latency'")
    assert opened.rc == 0, opened.stderr


@pytest.mark.parametrize("what", ["chrt --fifo 10 true", "exec 3>/dev/cpu_dma_latency", "exec 3</dev/rtc0"])
def test_somebody_else_gets_none_of_it(host, what):
    assert host.run("id -u stranger || useradd --create-home stranger").rc == 0
    refused = host.run(f"su - stranger -c '{what}'")
    assert host.run("userdel --remove stranger").rc == 0
    assert refused.rc != 0


def test_no_unit_failed_at_boot(host):
    assert host.check_output("systemctl list-units --failed --no-legend") == ""


@pytest.mark.parametrize(
    "how", ["bash -lc env", "env", "XDG_RUNTIME_DIR=/run/user/$(id -u) systemctl --user show-environment"]
)
def test_every_session_has_wines_variables(host, how):
    lines = [line.replace('"', "") for line in login(host, how).stdout.splitlines()]
    for wanted in ("WINEFSYNC=1", "WINE_RT_PRIO=78", "WINE_RT_POLICY=RR", "WINEFSYNC_SPINCOUNT=128", "WINEDEBUG=-all"):
        assert wanted in lines


def test_the_real_wineserver_has_the_capability(host):
    assert host.check_output(f"getcap {WINESERVER}").split()[-1] in ("cap_sys_nice=ep", "cap_sys_nice+ep")


def test_the_capability_survives_the_start_of_the_server(host):
    script = f"""
        export WINEPREFIX=$(mktemp -d); {WINESERVER} -f -p & server=$!; sleep 3
        grep CapEff /proc/$server/status; kill $server
    """
    effective = int(login(host, script).stdout.split()[1], 16)
    assert effective >> 23 & 1


def test_the_tunables_are_set_and_come_back_at_boot(host):
    assert host.sysctl("vm.swappiness") == 10
    assert host.sysctl("kernel.sched_rr_timeslice_ms") == 50
    assert host.sysctl("fs.inotify.max_user_watches") == 1048576
    assert host.sysctl("vm.dirty_bytes") == 268435456
    assert host.file("/sys/class/rtc/rtc0/max_user_freq").content_string == "3072\n"
