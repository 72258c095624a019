# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make machines to test the collection on, and throw them away. Runs as root; testbed/README.md explains it."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict

from testbed import cloud, machine
from testbed.common import BedError, Cache
from testbed.image import Image
from testbed.recipe import DEFAULT_KERNELS, KINDS, LOADERS, SUITES, Recipe


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python3 -m testbed", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    image = argparse.ArgumentParser(add_help=False)
    image.add_argument("--kind", choices=KINDS, default="vm", help="virtual machine or container (default: vm)")
    image.add_argument("--suite", choices=SUITES, default="trixie", help="Debian's suite (default: trixie)")
    image.add_argument("--loader", choices=LOADERS, default="bios-grub", help="how a VM starts (default: bios-grub)")
    image.add_argument(
        "--kernel",
        action="append",
        metavar="PACKAGE",
        help="kernel package of a VM, or "
        f"PACKAGE/SUITE-backports; can be repeated (default: {', '.join(DEFAULT_KERNELS)})",
    )
    image.add_argument("--package", action="append", default=[], help="further package; can be repeated")
    image.add_argument("--image-url", help="an official cloud image (qcow2) instead of Debian's packages")
    image.add_argument("--image-checksum", help="its SHA-256, as sha256:HEX")

    options = argparse.ArgumentParser(add_help=False)
    options.add_argument("--memory", type=int, default=2048, metavar="MIB", help="a VM's memory (default: 2048)")
    options.add_argument("--cpus", type=int, default=2, help="a VM's processors (default: 2)")
    options.add_argument("--ssh-port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)")
    options.add_argument("--user", default="root", help="who logs in: root, or studio, who has sudo (default: root)")
    options.add_argument(
        "--watchdog", action=argparse.BooleanOptionalAction, default=False, help="give a VM a watchdog that resets it"
    )
    timeout = argparse.ArgumentParser(add_help=False)
    timeout.add_argument(
        "--timeout",
        type=float,
        default=machine.BOOT_TIMEOUT_S,
        metavar="S",
        help=f"how long to wait for SSH, in seconds (default: {machine.BOOT_TIMEOUT_S})",
    )
    name = argparse.ArgumentParser(add_help=False)
    name.add_argument("name", help="the machine's name")

    def command(title: str, *parents: argparse.ArgumentParser, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(title, parents=parents, help=text, description=text)

    command("image", image, text="make a base image, if its recipe changed")
    command("start", name, image, options, text="start a machine, and do not wait for it")
    command("wait", name, timeout, text="wait until a machine takes logins")
    command("up", name, image, options, timeout, text="image, start and wait in one")
    command("down", name, text="stop a machine and remove its disk; its console's log stays")
    command("list", text="show the machines")
    command("show", name, text="print what is known about a machine, as JSON")
    command("log", name, text="print a machine's console")
    ssh = command("ssh", name, text="log in, or run a command there")
    ssh.add_argument("remote", nargs=argparse.REMAINDER, metavar="command", help="what to run; nothing logs in")
    return top


def main() -> int:
    """Do what the command line says; 1 with a message when that is impossible."""
    arguments = parser().parse_args()
    try:
        cache = Cache()
        cache.prepare()
        return COMMANDS[arguments.command](cache, arguments)
    except BedError as error:
        print(f"bed: {error}", file=sys.stderr)
        return 1


def say(text: str) -> None:
    """Tell the person (standard output is for JSON and logs)."""
    print(f"bed: {text}", file=sys.stderr, flush=True)


def get_image(cache: Cache, arguments: argparse.Namespace) -> tuple[bool, Image | cloud.CloudImage]:
    """The image the command line asks for, made or fetched if need be, and whether it had to be."""
    image: Image | cloud.CloudImage
    if arguments.image_url:
        image = cloud.CloudImage(cache, arguments.image_url, arguments.image_checksum, arguments.loader)
    else:
        kernels, packages = tuple(arguments.kernel or DEFAULT_KERNELS), tuple(arguments.package)
        image = Image(cache, Recipe(arguments.suite, arguments.kind, arguments.loader, kernels, packages))
    began = time.monotonic()
    made = image.ensure()
    say(f"image {image.name}: " + (f"made in {time.monotonic() - began:.0f} s" if made else "in the cache"))
    return made, image


def do_image(cache: Cache, arguments: argparse.Namespace) -> int:
    """image: make the image."""
    made, image = get_image(cache, arguments)
    print(json.dumps({"changed": made, "image": image.name, "path": str(image.path)}))
    return 0


def do_start(cache: Cache, arguments: argparse.Namespace) -> int:
    """start: start the machine and print what is known about it."""
    _, image = get_image(cache, arguments)
    options = machine.Options(arguments.memory, arguments.cpus, arguments.ssh_port, arguments.user, arguments.watchdog)
    started = machine.start(cache, arguments.name, image, options)
    say(f"machine {arguments.name}: " + ("started" if started else "runs already"))
    print(json.dumps({"changed": started, **asdict(machine.known(cache, arguments.name))}))
    return 0


def do_wait(cache: Cache, arguments: argparse.Namespace) -> int:
    """wait: wait for SSH."""
    seconds = machine.wait(cache, arguments.name, arguments.timeout)
    say(f"machine {arguments.name}: answers, after {seconds:.0f} s")
    return 0


def do_up(cache: Cache, arguments: argparse.Namespace) -> int:
    """up: all of it."""
    return do_start(cache, arguments) or do_wait(cache, arguments)


def do_down(cache: Cache, arguments: argparse.Namespace) -> int:
    """down: remove the machine."""
    with cache.lock(f"machine-{arguments.name}"):
        removed = machine.remove(cache, arguments.name)
    say(f"machine {arguments.name}: " + ("removed" if removed else "was not there"))
    print(json.dumps({"changed": removed}))
    return 0


def do_list(cache: Cache, _arguments: argparse.Namespace) -> int:
    """list: one line for each machine."""
    for state, runs in machine.listing(cache):
        reached = f"{state.address}:{state.port}"
        print(state.name, "runs" if runs else "stopped", state.kind, reached, state.image, sep="\t")
    return 0


def do_show(cache: Cache, arguments: argparse.Namespace) -> int:
    """show: the state as JSON."""
    state = machine.known(cache, arguments.name)
    print(json.dumps({**asdict(state), "runs": machine.alive(state)}, indent=1))
    return 0


def do_log(cache: Cache, arguments: argparse.Namespace) -> int:
    """log: the console, also of a machine that is gone."""
    path = machine.log_of(cache, arguments.name)
    if not path.exists():
        raise BedError(f"There is no log of a machine {arguments.name!r} in {cache.logs}.")
    sys.stdout.write(path.read_text(errors="replace"))
    return 0


def do_ssh(cache: Cache, arguments: argparse.Namespace) -> int:
    """ssh: become the ssh command."""
    command = machine.known(cache, arguments.name).ssh() + arguments.remote
    os.execvp(command[0], command)


COMMANDS = {
    "image": do_image,
    "start": do_start,
    "wait": do_wait,
    "up": do_up,
    "down": do_down,
    "list": do_list,
    "show": do_show,
    "log": do_log,
    "ssh": do_ssh,
}

if __name__ == "__main__":
    sys.exit(main())
