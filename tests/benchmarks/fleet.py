# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run costs that has nothing to change, beside a bare ping and beside the usual way to the same machine.

    sudo .venv/bin/python tests/benchmarks/fleet.py        (or: make bench)

Boots two containers of the test bed, and removes them at the end. On them, in turns: a play with one ping, our
playbooks/site.yml, and usual_way/playbook.yml, the same work in the modules that come with Ansible. Then the controller
alone: our run for 1, 10 and 50 hosts, where a stub stands for the ssh client and the host behind it, and gives at once
the answers that the container gave. Ends with status 1 if our run takes more module calls than its bar, or if anything
was changed or failed, which would make the figures worthless. Times are printed beside their bars and judged by nobody:
they are ratios of one run on one machine.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent.parent
USUAL_WAY = Path(__file__).resolve().parent / "usual_way" / "playbook.yml"
BED = [sys.executable, "-m", "testbed"]
FORKS = 20

# The bars of a run that changes nothing.
MOST_CALLS = 3
MOST_PINGS = 2.2
MOST_OF_THE_USUAL_WAY = 1 / 6
MOST_CPU_PER_HOST_S = 0.35
MOST_FOR_50_HOSTS_S = 60

PING = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Ping
      ansible.builtin.ping:
"""

CALLS = "/var/tmp/module-calls"
COUNTING = f"""#!/bin/sh
echo call >> {CALLS}
exec /usr/bin/python3 "$@"
"""
# Pipelining hands the module's program to the interpreter's standard input.
RECORDS = "/var/tmp/module-records"
RECORDING = f"""#!/bin/sh
mkdir -p {RECORDS}
call="{RECORDS}/$(date +%s%N)"
cat > "$call.program"
/usr/bin/python3 "$@" < "$call.program" > "$call.answer"
status=$?
cat "$call.answer"
exit $status
"""

# Stands for the ssh client, so that Ansible's own side of the connection is measured. What is asked is compared to the
# letter: another module, or other arguments, is a question without an answer.
STUB = """#!/bin/sh
# Ansible asks the client once whether it can keep connections open.
[ "$*" != "-o ControlPersist" ] || exit 0
asked=$(sed -n 's/^params=//p')
case $asked in
{answers}
esac
printf '%s\n' "$asked" >> {here}/unanswered
printf 'The stub has no answer to this call, which was not recorded on the container: %s\n' "$asked" >&2
exit 1
"""
ANSWER = """{asked})
    echo call >> {here}/calls
    exec cat {here}/{number}.answer
    ;;"""


class BenchError(Exception):
    """The figures would be worthless; the message says why."""


@dataclass
class Run:
    """What one run of ansible-playbook cost."""

    wall: float  # s
    cpu: float  # s, user and system, of ansible-playbook and of every program that it started and waited for
    output: str


@dataclass
class Row:
    """One way, measured several times."""

    title: str
    runs: list[Run] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)

    def wall(self) -> float:
        return statistics.median(run.wall for run in self.runs)

    def cpu(self) -> float:
        return statistics.median(run.cpu for run in self.runs)


@dataclass(frozen=True)
class Host:
    """A container of the test bed."""

    name: str
    port: int
    key: str
    known_hosts: str

    def inventory(self, interpreter: str) -> dict[str, object]:
        """The host's variables for Ansible."""
        return {
            "ansible_host": "127.0.0.1",
            "ansible_port": self.port,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": self.key,
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={self.known_hosts} -o IdentitiesOnly=yes",
            "ansible_python_interpreter": interpreter,
        }

    def shell(self, script: str, text: str = "") -> str:
        """Run SCRIPT there, with TEXT on its standard input, and return what it prints."""
        return bed("ssh", self.name, script, text=text)

    def put(self, path: str, content: str) -> None:
        """Write an executable file there."""
        self.shell(f"cat > {path} && chmod 755 {path}", content)


def main() -> int:
    """Measure, print, judge the calls."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=3, help="how often each way is measured (default: 3)")
    parser.add_argument(
        "--hosts", default="1,10,50", help="for how many hosts the controller is measured (default: 1,10,50)"
    )
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("--rounds: a number from 1 on is wanted")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the containers go then, too
    try:
        if os.geteuid() != 0:
            raise BenchError("The test bed starts containers, which needs root: run the same command with sudo.")
        with tempfile.TemporaryDirectory(prefix="nspa-bench-") as directory, contextlib.ExitStack() as stack:
            names = [f"bench-{os.getpid()}-{what}" for what in ("ours", "usual")]
            ours, usual = (stack.enter_context(container(name)) for name in names)
            bench = Bench(Path(directory), ours, usual)
            bench.converge()
            rows = bench.ways(arguments.rounds)
            print(table_of_ways(*rows), flush=True)
            bench.record()
            fleet = {count: bench.fleet(count) for count in sorted({int(n) for n in arguments.hosts.split(",")})}
            print(table_of_hosts(fleet, bench.stub_cpu()))
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    calls = max(rows[1].calls)
    if calls > MOST_CALLS:
        print(f"bench: our run took {calls} module calls, and its bar is {MOST_CALLS}.", file=sys.stderr)
        return 1
    return 0


class Bench:
    """The measurements, on two hosts."""

    def __init__(self, directory: Path, ours: Host, usual: Host) -> None:
        self.directory, self.ours, self.usual = directory, ours, usual
        for host in (ours, usual):
            host.put("/usr/local/bin/counting-python3", COUNTING)
            self.inventory(host.name, {host.name: host.inventory("/usr/local/bin/counting-python3")})
        self.ping = directory / "ping.yml"
        self.ping.write_text(PING)
        self.site = CHECKOUT / "playbooks" / "site.yml"

    def inventory(self, name: str, hosts: dict[str, dict[str, object]]) -> Path:
        """Write an inventory of these hosts, and return its path."""
        path = self.directory / f"{name}.json"
        settings = {"rt_limits_users": ["studio"], "wine_nspa_recommends": False}
        path.write_text(json.dumps({"all": {"hosts": hosts, "vars": settings}}))
        return path

    def play(self, playbook: Path, inventory: str, environment: dict[str, str] | None = None) -> Run:
        """Run a playbook with the inventory of that name. BenchError when it fails."""
        command = [str(Path(sys.executable).with_name("ansible-playbook")), f"--forks={FORKS}"]
        command += [f"--inventory={self.directory / inventory}.json", str(playbook)]
        variables = {**os.environ, "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"), "LC_ALL": "C.UTF-8"}
        variables["ANSIBLE_COLLECTIONS_PATH"] = str(CHECKOUT / "collections")
        variables["ANSIBLE_SSH_CONTROL_PATH_DIR"] = str(self.directory / "ssh")
        # A connection outlasts the turns of the others; it ends with its container.
        variables["ANSIBLE_SSH_ARGS"] = "-C -o ControlMaster=auto -o ControlPersist=900s"
        with open(self.directory / "output", "w+") as output:
            start = time.monotonic()
            process = subprocess.Popen(
                command,
                cwd=CHECKOUT,
                env={**variables, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            try:
                _, status, used = os.wait4(process.pid, 0)
            except BaseException:
                process.terminate()
                raise
            wall = time.monotonic() - start
            process.returncode = os.waitstatus_to_exitcode(status)
            output.seek(0)
            text = output.read()
        if process.returncode:
            raise BenchError(f"{playbook.name} failed with exit status {process.returncode}:\n{text[-3000:]}")
        return Run(wall, used.ru_utime + used.ru_stime, text)

    def converge(self) -> None:
        """Make both hosts what they are to be, so that there is nothing left to change."""
        for host, playbook in ((self.ours, self.site), (self.usual, USUAL_WAY)):
            run = self.play(playbook, host.name)
            say(f"{playbook.relative_to(CHECKOUT)}: converged in {run.wall:.0f} s")

    def ways(self, rounds: int) -> tuple[Row, Row, Row]:
        """The three ways, in turns, so that whatever else this machine does meets all of them."""
        rows = Row("one ping"), Row("our site.yml, nothing to change"), Row("the usual way, nothing to change")
        work = (self.ping, self.ours), (self.site, self.ours), (USUAL_WAY, self.usual)
        for playbook, host in work:  # connections open, files of this machine in memory
            self.unchanged(playbook, host.name)
        for number in range(rounds):
            for row, (playbook, host) in zip(rows, work):
                host.shell(f"rm -f {CALLS}")
                row.runs.append(self.unchanged(playbook, host.name))
                row.calls.append(len(host.shell(f"cat {CALLS}").split()))
            say(f"round {number + 1} of {rounds}: " + ", ".join(f"{row.runs[-1].wall:.2f} s" for row in rows))
        return rows

    def unchanged(self, playbook: Path, inventory: str, environment: dict[str, str] | None = None) -> Run:
        """Run a playbook. BenchError when it changes anything."""
        run = self.play(playbook, inventory, environment)
        if not re.search(r"ok=\d+ ", run.output) or re.search(r"changed=[1-9]", run.output):
            raise BenchError(f"{playbook.name} was to change nothing, and did:\n{run.output[-3000:]}")
        return run

    def record(self) -> None:
        """Have the container answer our run once more, and make the stub from its answers."""
        interpreter = "/usr/local/bin/recording-python3"
        self.ours.put(interpreter, RECORDING)
        self.inventory("recording", {self.ours.name: self.ours.inventory(interpreter)})
        self.unchanged(self.site, "recording")
        answers = []
        for number, call in enumerate(self.ours.shell(f"ls {RECORDS}/*.program").split()):
            program, answer = (self.ours.shell(f"cat {path}") for path in (call, call.replace(".program", ".answer")))
            asked = re.findall("^params=(.*)$", program, re.MULTILINE)
            if len(asked) != 1:
                raise BenchError("This ansible-core packs its modules in another way than the stub knows (params=).")
            (self.directory / f"{number}.program").write_text(program)
            (self.directory / f"{number}.answer").write_text(answer)
            answers.append(ANSWER.format(asked=shlex.quote(asked[0]), here=self.directory, number=number))
        self.stub = self.directory / "stub-ssh"
        self.stub.write_text(STUB.format(answers="\n".join(answers), here=self.directory))
        self.stub.chmod(0o755)

    def stub_cpu(self) -> float:
        """CPU seconds of the stub's own in one run of one host: they are not the controller's."""
        programs = sorted(self.directory.glob("*.program"))
        times, before = 20, children_cpu()
        for program in programs * times:
            with program.open("rb") as handle:
                subprocess.run([str(self.stub)], check=True, stdin=handle, capture_output=True)
        return (children_cpu() - before) / times

    def fleet(self, count: int) -> Run:
        """Our run on this many hosts that are the stub."""
        calls, unanswered = self.directory / "calls", self.directory / "unanswered"
        calls.write_text("")
        variables = {"ansible_ssh_executable": str(self.stub), "ansible_user": "root"}
        variables.update(ansible_python_interpreter="/usr/bin/python3")
        self.inventory("fleet", {f"stub-{number}": dict(variables) for number in range(count)})
        run = self.unchanged(self.site, "fleet")
        expected = count * len(list(self.directory.glob("*.answer")))
        if unanswered.exists() or len(calls.read_text().split()) != expected:
            raise BenchError(f"The stub did not answer {expected} calls of {count} hosts:\n{run.output[-3000:]}")
        say(f"{count} hosts: {run.wall:.1f} s")
        return run


def table_of_ways(ping: Row, ours: Row, usual: Row) -> str:
    """The costs of the three ways, and their ratios beside the bars."""
    lines = [
        f"Medians of {len(ours.runs)} runs of each, in turns, on a booted container over an open SSH connection:",
        "",
        "| a run | module calls | wall | x ping | of the usual way | controller's CPU | x ping | of the usual way |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in (ping, ours, usual):
        lines.append(
            f"| {row.title} | {max(row.calls)} | {row.wall():.2f} s | {row.wall() / ping.wall():.2f} "
            f"| {row.wall() / usual.wall():.3f} | {row.cpu():.2f} s | {row.cpu() / ping.cpu():.2f} "
            f"| {row.cpu() / usual.cpu():.3f} |"
        )
    lines.append(f"| *bar for ours* | {MOST_CALLS} | | {MOST_PINGS} | {MOST_OF_THE_USUAL_WAY:.3f} | | | |")
    return "\n".join(lines) + "\n"


def table_of_hosts(fleet: dict[int, Run], stub: float) -> str:
    """What the controller takes for more hosts, and for each one more."""
    first, last = min(fleet), max(fleet)
    lines = [
        f"The controller alone, {FORKS} forks: a stub stands for ssh and the hosts, and answers at once what the "
        "container answered:",
        "",
        "| hosts | wall | controller's CPU | wall of each more | controller's CPU of each more |",
        "|--:|--:|--:|--:|--:|",
    ]
    for count, run in fleet.items():
        # The stub runs on the controller and is counted with it; its share is known, and taken off.
        each = ""
        if count > first:
            start, more = fleet[first], count - first
            each = f"{(run.wall - start.wall) / more:.3f} s | {(run.cpu - start.cpu) / more - stub:.3f} s"
        lines.append(f"| {count} | {run.wall:.1f} s | {run.cpu - count * stub:.1f} s | {each or '|'} |")
    bar = f"{MOST_FOR_50_HOSTS_S} s" if last == 50 else ""
    lines.append(f"| *bar for {last}* | {bar} | | | {MOST_CPU_PER_HOST_S} s |")
    lines.append(f"\nThe stub's own CPU, taken off: {stub:.3f} s for each host.")
    return "\n".join(lines) + "\n"


@contextlib.contextmanager
def container(name: str) -> Iterator[Host]:
    """A container that is booted, and is gone afterwards whatever happens."""
    try:
        known = json.loads(bed("up", name, "--kind", "container"))
        yield Host(name, known["port"], known["key"], known["known_hosts"])
    finally:
        bed("down", name)


def bed(*words: str, text: str = "") -> str:
    """Run a command of the test bed and return what it prints. BenchError when it fails."""
    done = subprocess.run([*BED, *words], cwd=CHECKOUT, input=text, capture_output=True, text=True)
    if done.returncode:
        raise BenchError(f"{shlex.join(words)} failed with exit status {done.returncode}:\n{done.stderr}")
    return done.stdout


def children_cpu() -> float:
    """CPU seconds so far of the programs that this one started and waited for."""
    used = os.times()
    return used.children_user + used.children_system


def say(text: str) -> None:
    """Tell the person how far it is; standard output is for the tables."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
