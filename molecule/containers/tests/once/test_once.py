# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host whose state is as wanted is asked once; one that was changed behind our back is mended all the same."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

import pytest

SITE = Path(__file__).resolve().parents[4] / "playbooks" / "site.yml"
#: The budget of a run that changes nothing, in module calls on the host.
BUDGET = 3
LIMITS = "/etc/security/limits.d/95-nspa-proaudio.conf"
PROFILE = "/etc/profile.d/nspa-proaudio.sh"
ANSWER = "/usr/local/lib/nspa-proaudio/answer"

testinfra_hosts = ["ansible://trixie"]


class Play(NamedTuple):
    """What a run of ansible-playbook did."""

    code: int
    output: str
    changed: int
    calls: int


@pytest.fixture
def run(host, tmp_path):
    """Run site.yml, or a play of these keywords, on the host, and count the starts of Python on it."""

    def run(*options, check=True, **play):
        playbook = SITE
        if play:
            playbook = tmp_path / "play.yml"
            text = {"hosts": "all", "become": True, "gather_facts": False, **play}
            playbook.write_text(json.dumps([text]))
        host.run("rm -f /var/tmp/module-calls")
        command = ["ansible-playbook", "-i", os.environ["MOLECULE_INVENTORY_FILE"], "--limit", "trixie"]
        command += ["-e", "ansible_python_interpreter=/usr/local/bin/counting-python3", *options, str(playbook)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        output = done.stdout + done.stderr
        assert "Traceback" not in output, output
        assert not check or done.returncode == 0, output
        changed = re.search(r"changed=(\d+)", output)
        calls = host.run("cat /var/tmp/module-calls").stdout.count("call")
        return Play(done.returncode, output, int(changed.group(1)) if changed else -1, calls)

    return run


def test_a_run_that_changes_nothing_asks_the_host_once_and_gives_the_verdict(run):
    first = run()
    again = run()
    print(f"\nmodule calls of a run that changes nothing: {again.calls} (at most {BUDGET})")
    assert (first.changed, again.changed) == (0, 0)
    assert 0 < again.calls <= BUDGET
    assert "Verdict:" in again.output


def test_another_setting_is_carried_out(run, host):
    try:
        play = run("-e", "rt_limits_rtprio=91")
        assert play.changed > 0
        assert host.file(LIMITS).contains("rtprio.*91")
    finally:
        run()
    assert not host.file(LIMITS).contains("rtprio.*91")


def test_a_failed_verdict_fails_the_run_where_that_is_wanted(run):
    """Also where nothing is left to do, and the verdict comes with the first answer."""
    nobody = ("-e", '{"rt_limits_users": [], "rt_limits_group": "nobody-plays"}')
    try:
        run(*nobody)
        play = run(*nobody, "-e", "readiness_enforce=true", check=False)
        assert (play.code, play.changed) == (2, 0), play.output
        assert play.calls <= BUDGET
        assert "This machine is not ready" in play.output
        assert run(*nobody, "-e", "readiness_enforce=true", "--check").changed == 0
    finally:
        run()


@pytest.mark.parametrize("options", [("--check", "--diff"), ("-e", "wine_nspa_state=absent", "--tags", "rt_limits")])
def test_so_it_is_in_check_mode_and_for_a_part(run, options):
    play = run(*options)
    assert play.changed == 0
    assert 0 < play.calls <= BUDGET


@pytest.mark.parametrize("strategy", ["linear", "free"])
def test_so_it_is_for_a_role_alone(run, strategy):
    play = run(strategy=strategy, roles=["nspa.proaudio.rt_limits"])
    assert (play.changed, play.calls) == (0, 1)


#: What the manifest knows, how it is changed behind our back, and how to see that it was mended.
BROKEN = {
    "a file edited": (f"echo '# mine' >> {LIMITS}", f"! grep mine {LIMITS}"),
    "a file with another mode": (f"chmod 600 {LIMITS}", f"test $(stat -c %a {LIMITS}) = 644"),
    "a file gone": (f"rm {PROFILE}", f"grep WINEFSYNC {PROFILE}"),
    "a folder gone": (
        "rm -r /etc/systemd/user.conf.d",
        "grep DefaultLimitRTPRIO /etc/systemd/user.conf.d/50-nspa-proaudio.conf",
    ),
    "a block gone": (
        "sed -i '/BEGIN nspa.proaudio/,/END nspa.proaudio/d' /etc/environment",
        "grep WINEFSYNC /etc/environment",
    ),
    "a program edited": ("echo '# mine' >> /usr/local/bin/nspa-check", "! grep '# mine' /usr/local/bin/nspa-check"),
    "the program that answers edited": (
        f'echo \'open("/root/was-run", "w")\' >> {ANSWER}',
        f"test ! -e /root/was-run && ! grep was-run {ANSWER}",
    ),
    "the program that answers gone": (f"rm {ANSWER}", f"test -x {ANSWER}"),
    "a member gone": ("gpasswd --delete studio realtime", "id -nG studio | grep realtime"),
    "a group gone": ("groupdel realtime", "id -nG studio | grep realtime"),
    "a capability gone": ("setcap -r /usr/lib/wine/wineserver64", "getcap /usr/lib/wine/wineserver64 | grep nice"),
    "a package gone": ("apt-get -y purge wine", "dpkg -s wine"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_was_changed_behind_our_back_is_found_and_mended(run, host, what):
    spoil, mended = BROKEN[what]
    assert host.run(spoil).rc == 0
    assert host.run(mended).rc != 0, "it was not spoilt"
    play = run()
    assert play.changed > 0
    assert host.run(mended).rc == 0, play.output
    again = run()
    assert again.changed == 0
    assert again.calls <= BUDGET
    # Edits are kept for whoever made them, also when all else is put back, which a later step compares.
    assert host.run("rm -rf /var/lib/nspa-proaudio/kept").rc == 0


@pytest.mark.parametrize("seconds", [2.5, 4, 6])
def test_a_run_that_is_killed_is_finished_by_the_next_one(run, host, seconds):
    """On both sides: nobody tells the host that its controller is gone."""
    for spoil, _mended in BROKEN.values():
        host.run(spoil)
    command = ["ansible-playbook", "-i", os.environ["MOLECULE_INVENTORY_FILE"], "--limit", "trixie", str(SITE)]
    playbook = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(seconds)
    assert playbook.poll() is None, "it was over before it could be killed"
    os.killpg(playbook.pid, signal.SIGKILL)
    playbook.wait()
    host.run("pkill -KILL python3")  # a module comes through its standard input, so that nothing else tells it
    assert run().code == 0
    again = run()
    assert (again.changed, again.calls <= BUDGET) == (0, True)
    for what, (_spoil, mended) in BROKEN.items():
        assert host.run(mended).rc == 0, what
    assert host.run("dpkg --audit").stdout == ""
    assert host.run("rm -rf /var/lib/nspa-proaudio/kept").rc == 0


def test_without_a_manifest_everything_is_asked_again(run, host):
    assert host.run("mv /var/lib/nspa-proaudio /var/tmp/kept-state").rc == 0
    try:
        assert run(check=False).calls > BUDGET
    finally:
        assert host.run("rm -rf /var/lib/nspa-proaudio && mv /var/tmp/kept-state /var/lib/nspa-proaudio").rc == 0
    assert run().calls <= BUDGET


def test_a_task_of_somebody_else_makes_the_next_role_ask_again(run, host):
    spoil = {"ansible.builtin.raw": f"rm {PROFILE}"}
    roles = [{"import_role": {"name": f"nspa.proaudio.{role}"}} for role in ("rt_limits", "wine_env")]
    play = run(tasks=[roles[0], spoil, roles[1]])
    assert host.file(PROFILE).exists, play.output


def test_a_change_of_ours_makes_the_next_role_ask_again(run, host):
    assert host.run(f"rm {LIMITS} {PROFILE}").rc == 0
    play = run(roles=["nspa.proaudio.rt_limits", "nspa.proaudio.wine_env"])
    assert play.changed == 2
    assert host.file(PROFILE).exists


def test_a_role_that_comes_twice_is_checked_twice(run, host):
    role = "nspa.proaudio.rt_limits"
    play = run(roles=[role, {"role": role, "vars": {"rt_limits_rtprio": 150}}], check=False)
    assert play.code == 2
    assert "rt_limits_rtprio is 150" in play.output
    assert not host.file(LIMITS).contains("150")


def test_what_a_role_is_given_on_its_entry_reaches_the_verdict(run):
    try:
        limits = {"role": "nspa.proaudio.rt_limits", "vars": {"rt_limits_rtprio": 91}}
        play = run("-v", roles=[limits, "nspa.proaudio.readiness"])
        assert re.search(r"id: rtprio.*?wanted: '?91", play.output, re.DOTALL) or "login 91" in play.output, play.output
    finally:
        run()
