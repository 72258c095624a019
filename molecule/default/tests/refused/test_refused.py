# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kernel whose checksum is wrong is not installed."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

SITE = Path(__file__).resolve().parents[4] / "playbooks" / "site.yml"


def test_a_wrong_checksum_stops_before_anything_is_changed(host):
    wrong = "0" * 64
    path = "/var/tmp/linux-image.deb"
    assert host.run(f"echo not a kernel > {path}").rc == 0
    settings = {"linux_nspa_source": "packages", "linux_nspa_packages": [{"src": path, "sha256": wrong}]}
    command = ["ansible-playbook", "-i", os.environ["MOLECULE_INVENTORY_FILE"], str(SITE)]
    done = subprocess.run([*command, "--extra-vars", json.dumps(settings)], capture_output=True, text=True, check=False)
    text = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 2
    assert "changed=0" in text
    assert path in text
    assert wrong in text
    assert host.check_output(f"sha256sum {path}").split()[0] in text
