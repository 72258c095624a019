# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input is refused before anything is changed, with variable, value and remedy."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

SITE = Path(__file__).resolve().parents[4] / "playbooks" / "site.yml"
CHECKSUMLESS = {"linux_nspa_source": "packages", "linux_nspa_packages": [{"src": "https://example.org/linux.deb"}]}


def site(**variables):
    """Run site.yml on one container and return what it prints; it must fail."""
    command = ["ansible-playbook", "-i", os.environ["MOLECULE_INVENTORY_FILE"], str(SITE)]
    command += ["--extra-vars", json.dumps({"nspa_hosts": "trixie", **variables})]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "changed=0" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    return " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"rt_limits_rtpri": 95}, ["rt_limits_rtpri", "95", "did you mean rt_limits_rtprio?"]),
        ({"sched_tuning_swappiness": "low"}, ["sched_tuning_swappiness", "low", "int"]),
        ({"rt_limits_rtprio": 100}, ["rt_limits_rtprio is 100", "1 to 98"]),
        ({"wine_env_rt_prio": 88}, ["out of order", "wine_env_rt_prio is 88", "lower wine_env_rt_prio"]),
        (CHECKSUMLESS, ["https://example.org/linux.deb", "sha256", "sha256sum FILE"]),
        ({"rt_limits_users": ["studio", "nobody-here"]}, ["rt_limits_users", "nobody-here", "create the user first"]),
        ({"nspa_hosts": "bullseye"}, ["Debian GNU/Linux 11", "wanted debian 12 and 13"]),
    ],
    ids=["unknown option", "wrong type", "rtprio 100", "plan", "no checksum", "no such user", "distribution"],
)
def test_refused(variables, words):
    text = site(**variables)
    assert [word for word in words if word not in text] == [], text


def test_no_network_is_noticed_first():
    # A proxy that refuses stands in for a network that is down; apt takes the same way out.
    setting = "/etc/apt/apt.conf.d/99-no-network"
    ansible = ["ansible", "-i", os.environ["MOLECULE_INVENTORY_FILE"], "trixie", "-m", "ansible.builtin.raw", "-a"]
    proxy = 'Acquire::http::Proxy "http://127.0.0.1:9"; Acquire::https::Proxy "http://127.0.0.1:9";'
    subprocess.run([*ansible, f"echo '{proxy}' > {setting}"], check=True, capture_output=True)
    try:
        text = site()
    finally:
        subprocess.run([*ansible, f"rm {setting}"], check=True, capture_output=True)
    assert "does not answer" in text
    assert "Check the network" in text
