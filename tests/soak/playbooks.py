# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill the whole playbook: site.yml against a container of the test bed, with the connection, at any moment.

Wine's packages and the verdict are left out: the one is a download of minutes, and the other fails where the machine
is not ready, as a container may not be.
"""

from __future__ import annotations

import collections
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, Tuple

from support import CHECKOUT

from soak.rounds import LEFTOVER, LOSS, STUCK, WRONG, Trouble
from soak.run import Report

NAME = "soak-1"
KILL = "playbook"
_LEFT_OUT = "wine_nspa,readiness"
# What of the machine has to be as before; the files that change by themselves or by our looking are left out.
_LOOK = """
import hashlib, json, os, subprocess
seen = {}
for top in ("/boot", "/etc", "/opt", "/usr/local", "/usr/bin", "/usr/lib/systemd", "/var/lib", "/var/tmp"):
    for folder, folders, files in os.walk(top):
        if folder.startswith(("/var/lib/apt", "/var/lib/dpkg", "/var/lib/systemd", "/var/lib/private")):
            folders[:] = []
            continue
        for name in files:
            path = os.path.join(folder, name)
            info = os.lstat(path)
            data = os.readlink(path).encode() if os.path.islink(path) else b""
            if os.path.isfile(path) and not os.path.islink(path):
                data = open(path, "rb").read()
            seen[path] = [info.st_mode, info.st_uid, info.st_gid, hashlib.sha256(data).hexdigest()]
for name in ("group-", "gshadow-", "passwd-", "shadow-", ".pwd.lock", "resolv.conf"):
    seen.pop("/etc/" + name, None)
for line in subprocess.run(["dpkg-query", "-W"], stdout=subprocess.PIPE).stdout.decode().splitlines():
    seen["package " + line] = []
for line in subprocess.run(["apt-mark", "showauto"], stdout=subprocess.PIPE).stdout.decode().split():
    seen["dependency " + line] = []
print(json.dumps(seen))
"""


class Container:
    """The machine, and playbooks on it."""

    def __init__(self, folder: Path) -> None:
        bed = [sys.executable, "-m", "testbed"]
        subprocess.run([*bed, "up", NAME, "--kind", "container"], cwd=CHECKOUT, check=True, stdout=subprocess.DEVNULL)
        shown = subprocess.run([*bed, "show", NAME], cwd=CHECKOUT, check=True, stdout=subprocess.PIPE).stdout
        state: Dict[str, Any] = json.loads(shown)
        self._bed = bed
        self._inventory = folder / "inventory.json"
        variables = {
            "ansible_host": state["address"],
            "ansible_port": state["port"],
            "ansible_user": state["user"],
            "ansible_ssh_private_key_file": state["key"],
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={state['known_hosts']} -o LogLevel=ERROR",
            "rt_limits_users": ["soak"],
        }
        self._inventory.write_text(json.dumps({"all": {"hosts": {NAME: variables}}}))
        self.shell("id soak >/dev/null 2>&1 || useradd --create-home soak")

    def close(self) -> None:
        subprocess.run([*self._bed, "down", NAME], cwd=CHECKOUT, check=False, stdout=subprocess.DEVNULL)

    def shell(self, command: str, given: str = "") -> str:
        done = subprocess.run(
            [*self._bed, "ssh", NAME, command],
            cwd=CHECKOUT,
            input=given,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def look(self) -> Dict[str, Any]:
        return dict(json.loads(self.shell("python3 -", _LOOK)))

    def start(self, playbook: str, output: Path) -> subprocess.Popen[bytes]:
        """A playbook in a session of its own, which can be killed as a whole."""
        command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(self._inventory)]
        with output.open("wb") as said:
            return subprocess.Popen(
                [*command, "--skip-tags", _LEFT_OUT, f"playbooks/{playbook}"],
                cwd=CHECKOUT,
                env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / "collections")},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run(self, playbook: str, output: Path) -> Tuple[float, int]:
        """A playbook to its end; the time that it took, and how many tasks changed something. Raises Trouble."""
        begin = time.monotonic()
        code = self.start(playbook, output).wait()
        text = output.read_text(errors="replace")
        if "Traceback" in text:
            raise Trouble(WRONG, text[-3000:])
        if code:
            raise Trouble(STUCK, f"{playbook} ended with {code}: {text[-3000:]}")
        return time.monotonic() - begin, int(text.rpartition("changed=")[2].split()[0])


def soak(number: int, seed: int, tell: Callable[[str], None]) -> Report:
    """Kill site.yml or remove.yml this many times, at any moment of a whole run; see that the next one finishes it."""
    report, begin = Report(seed, done=collections.Counter()), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        container = Container(Path(name))
        try:
            _rounds(container, Path(name) / "output", number, random.Random(seed), report, tell)
        finally:
            container.close()
    report.seconds = time.monotonic() - begin
    return report


def _rounds(
    container: Container, output: Path, number: int, chance: random.Random, report: Report, tell: Callable[[str], None]
) -> None:
    start = container.look()
    takes = {playbook: container.run(playbook, output)[0] for playbook in ("site.yml", "remove.yml")}
    for count in range(number):
        victim = chance.choice(["site.yml", "site.yml", "remove.yml"])
        moment = chance.uniform(1, takes[victim])
        try:
            if victim == "remove.yml":
                container.run("site.yml", output)
            process = container.start(victim, output)
            try:
                process.wait(moment)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                report.done[KILL] += 1
            _converges(container, chance, output, start)
        except Trouble as trouble:
            report.problems.append(trouble.problem)
            tell(f"playbook {count}: {victim} killed after {moment:.1f} s; a {trouble.problem.kind}: {trouble}")
            return


def _converges(container: Container, chance: random.Random, output: Path, start: Dict[str, Any]) -> None:
    if chance.random() < 0.5:
        container.run("site.yml", output)
        if container.run("site.yml", output)[1]:
            raise Trouble(STUCK, f"site.yml changes something again: {output.read_text(errors='replace')[-3000:]}")
    container.run("remove.yml", output)
    now = container.look()
    for name in sorted({*start, *now}):
        if start.get(name) != now.get(name):
            kind = LEFTOVER if name not in start else LOSS
            more = [other for other in {*start, *now} if start.get(other) != now.get(other)]
            raise Trouble(kind, f"{name} was {start.get(name)} and is {now.get(name)}; differing: {sorted(more)}")
