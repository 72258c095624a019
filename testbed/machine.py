# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines: starting, waiting, stopping, and what is known about each (machine.json in its directory)."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from . import container, qemu
from .cloud import CloudImage
from .common import BedError, Cache, last_lines, need, run
from .image import Image

ADDRESS = "127.0.0.1"
NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9.-]{0,62}$")
# How the command line of a machine's process begins.
OURS = re.compile(rb"[^\0]*/ld-linux[^\0]*\0--argv0\0qemu-system|systemd-nspawn|unshare|sh\0")
BOOT_TIMEOUT_S = 300
POLL_S = 0.5


@dataclass
class State:
    """A machine as its machine.json describes it: how to reach it, and the process that it is."""

    name: str
    kind: str
    image: str
    address: str
    port: int
    user: str
    key: str
    known_hosts: str
    log: str
    pid: int = 0
    pid_start: str = ""

    def ssh(self, *options: str) -> list[str]:
        """The ssh command that reaches it, without a remote command."""
        command = ["ssh", "-i", self.key, "-p", str(self.port), "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes"]
        command += ["-o", "StrictHostKeyChecking=accept-new", "-o", f"UserKnownHostsFile={self.known_hosts}"]
        return [*command, "-o", "LogLevel=ERROR", *options, f"{self.user}@{self.address}"]


@dataclass(frozen=True)
class Options:
    """What can be asked of a machine besides its image."""

    memory_mib: int = 2048
    cpus: int = 2
    port: int = 0
    user: str = "root"
    watchdog: bool = False


def directory_of(cache: Cache, name: str) -> Path:
    """The directory of machine NAME."""
    if not NAME.match(name):
        raise BedError(f"A machine cannot be called {name!r}: letters, digits, dots and hyphens only, at most 63.")
    return cache.machines / name


def log_of(cache: Cache, name: str) -> Path:
    """The log of machine NAME's console. It outlives the machine; the one before is kept as .log.1."""
    return cache.logs / f"{directory_of(cache, name).name}.log"


def read(cache: Cache, name: str) -> State | None:
    """What is known about machine NAME; None when there is no such machine."""
    path = directory_of(cache, name) / "machine.json"
    try:
        return State(**json.loads(path.read_text()))
    except FileNotFoundError:
        return None


def save(cache: Cache, state: State) -> None:
    """Write what is known about a machine."""
    path = directory_of(cache, state.name) / "machine.json"
    path.write_text(json.dumps(asdict(state), indent=1) + "\n")


def known(cache: Cache, name: str) -> State:
    """Like read, and BedError when there is no such machine."""
    state = read(cache, name)
    if state is None:
        raise BedError(f"There is no machine {name!r}. The list command shows those there are.")
    return state


def listing(cache: Cache) -> list[tuple[State, bool]]:
    """All machines, each with whether it runs."""
    names = sorted(path.parent.name for path in cache.machines.glob("*/machine.json"))
    return [(state, alive(state)) for state in (read(cache, name) for name in names) if state]


def process_start(pid: int) -> str:
    """When process PID started, in the kernel's ticks: with the number, it names a process for good. Empty if gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


def alive(state: State) -> bool:
    """Whether the machine's process runs."""
    return bool(state.pid) and process_start(state.pid) == state.pid_start


def free_port() -> int:
    """A TCP port nobody listens on, on the loopback."""
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return int(probe.getsockname()[1])


def start(cache: Cache, name: str, image: Image | CloudImage, options: Options) -> bool:
    """Start machine NAME on an overlay of IMAGE, which is in the cache; False if it runs already.

    A machine of that name that stands on another image, or whose process is gone, is removed first: test machines
    always start from their image. Does not wait until it answers.
    """
    directory = directory_of(cache, name)
    with cache.lock(f"machine-{name}"):
        state = read(cache, name)
        if state and alive(state) and state.image == image.name:
            return False
        remove(cache, name)
        directory.mkdir()
        log = log_of(cache, name)
        if log.exists():
            log.rename(log.with_suffix(".log.1"))
        state = State(
            name=name,
            kind=image.kind,
            image=image.name,
            address=ADDRESS,
            port=options.port or free_port(),
            user=options.user,
            key=str(cache.key),
            known_hosts=str(directory / "known_hosts"),
            log=str(log),
        )
        if image.kind == "vm":
            command = _prepare_vm(qemu.Qemu(cache), directory, image, state, options)
        else:
            command = container.command(directory, image.source, state.name, state.port)
        with open(log, "a") as handle:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=handle, stderr=handle, start_new_session=True
            )
        state.pid, state.pid_start = process.pid, process_start(process.pid)
        save(cache, state)
        # QEMU and systemd-nspawn refuse a bad option at once.
        time.sleep(POLL_S)
        if process.poll() is not None:
            raise died(state)
        return True


def _prepare_vm(
    emulator: qemu.Qemu, directory: Path, image: Image | CloudImage, state: State, options: Options
) -> list[str]:
    """Make the overlay and its firmware variables; return QEMU's command line."""
    need("ssh")
    emulator.ensure()
    disk = directory / "disk.qcow2"
    overlay = [*emulator.program("qemu-img"), "create", "-q", "-f", "qcow2", "-F", "qcow2"]
    run([*overlay, "-b", image.source, disk, image.disk_size])
    variables = None
    if image.firmware_vars:
        variables = directory / "vars.fd"
        shutil.copy(image.firmware_vars, variables)
    guest = qemu.Guest(
        name=state.name,
        disk=disk,
        log=Path(state.log),
        port=state.port,
        memory_mib=options.memory_mib,
        cpus=options.cpus,
        firmware_vars=variables,
        watchdog=options.watchdog,
        seed=image.seed(directory, state.name),
    )
    return guest.command(emulator, qemu.choose_accelerator(os.environ.get("NSPA_BED_ACCEL")))


def died(state: State) -> BedError:
    """What to say when a machine's process is gone."""
    return BedError(
        f"The machine {state.name} has stopped. The last lines of its console:\n{tail(state)}\n"
        f"The whole log: {state.log}"
    )


def tail(state: State) -> str:
    """The last lines of the machine's console."""
    with contextlib.suppress(FileNotFoundError):
        return last_lines(Path(state.log).read_text(errors="replace"))
    return last_lines("")


def _banner(port: int) -> bool:
    """Whether an SSH server greets on the loopback's PORT (QEMU accepts connections before the guest does)."""
    try:
        with socket.create_connection((ADDRESS, port), timeout=5) as connection:
            connection.settimeout(5)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def wait(cache: Cache, name: str, timeout_s: float = BOOT_TIMEOUT_S) -> float:
    """Wait until machine NAME takes logins; return how long that took, in seconds.

    Raises BedError with the last lines of its console when it stops, or does not answer within TIMEOUT_S.
    """
    state = known(cache, name)
    began = time.monotonic()
    answer = ""
    while time.monotonic() - began < timeout_s:
        if not alive(state):
            raise died(state)
        if _banner(state.port):
            done = subprocess.run(
                [*state.ssh("-o", "ConnectTimeout=30"), "test ! -e /run/nologin"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            if done.returncode == 0:
                return time.monotonic() - began
            answer = done.stdout
        time.sleep(POLL_S)
    raise BedError(
        f"The machine {name} did not take a login within {timeout_s:.0f} seconds."
        + (f" SSH said:\n{last_lines(answer)}\n" if answer.strip() else " ")
        + f"The last lines of its console:\n{tail(state)}\nThe whole log: {state.log}"
    )


def remove(cache: Cache, name: str) -> bool:
    """Stop machine NAME and forget it; False when there was none. Its console's log stays."""
    directory = directory_of(cache, name)
    state = read(cache, name)
    pids = leftovers(directory)
    if state and alive(state):
        pids.append(state.pid)
    stop_processes(pids)
    if not directory.exists():
        return bool(pids)
    shutil.rmtree(directory)
    return True


def leftovers(directory: Path) -> list[int]:
    """Processes that run on the files of a machine's DIRECTORY, whatever its machine.json says."""
    needle = str(directory).encode() + b"/"
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            command = path.read_bytes()
            if needle in command and OURS.match(command):
                found.append(int(path.parent.name))
    return found


def stop_processes(pids: list[int], patience_s: float = 10) -> None:
    """End PIDS, kindly and then not, and wait until they are gone."""
    running = {pid: process_start(pid) for pid in pids}
    for sign in (signal.SIGTERM, signal.SIGKILL):
        for pid in running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sign)
        deadline = time.monotonic() + patience_s
        while running and time.monotonic() < deadline:
            running = {pid: began for pid, began in running.items() if began and process_start(pid) == began}
            time.sleep(0.05)
        if not running:
            return
    raise BedError(f"The processes {', '.join(map(str, running))} cannot be stopped; end them by hand.")
