# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that read what the roles write, asked what they make of it: shells, PAM, systemd and GRUB themselves.

A reader that is not on this machine skips the test, with the package that brings it.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence, Tuple

import pytest

Limits = Dict[str, Tuple[int, int]]
INFINITE = 2**64 - 1

#: Every way in which a login may read a file of profile.d.
SHELLS = {
    "dash": ("dash",),
    "bash": ("bash", "--norc", "--noprofile"),
    "bash as sh": ("bash", "--posix", "--norc", "--noprofile"),
    "zsh": ("zsh", "-f"),
    "zsh as sh": ("zsh", "--emulate", "sh", "-f"),
}
GENERATOR = "/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator"
SYSTEMD = "/usr/lib/systemd/systemd"
SYSCTL = "/usr/lib/systemd/systemd-sysctl"

# Opens a PAM session by a service file of our own (pam_start_confdir(3)), and prints what it brought.
_PAM = r"""
import ctypes, json, os, sys
pam = ctypes.CDLL("libpam.so.0")
talk = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, *[ctypes.c_void_p] * 3)(lambda *_: 19)  # PAM_CONV_ERR
class Conversation(ctypes.Structure):
    _fields_ = [("talk", type(talk)), ("data", ctypes.c_void_p)]
handle, conversation = ctypes.c_void_p(), Conversation(talk, None)
names = (b"nspa", os.fsencode(sys.argv[2]), ctypes.byref(conversation), os.fsencode(sys.argv[1]))
for code in (pam.pam_start_confdir(*names, ctypes.byref(handle)), pam.pam_open_session(handle, 0)):
    if code:
        sys.exit(f"PAM: error {code}")
pam.pam_getenvlist.restype = ctypes.POINTER(ctypes.c_char_p)
print(json.dumps([os.fsdecode(item) for item in iter(iter(pam.pam_getenvlist(handle)).__next__, None)]))
"""


def there(program: str) -> bool:
    """Whether a program, or a file by its path, is on this machine."""
    return bool(os.path.exists(program) or shutil.which(program))


def needs(program: str, package: str) -> None:
    """Skip the test where a program or file is missing."""
    if not there(program):
        pytest.skip(f"needs {program} (Debian: {package}, see testbed/packages.txt)")


def run(*command: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a reader with nothing of our own environment; it must succeed."""
    options.setdefault("env", {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"})
    done = subprocess.run(
        command, capture_output=True, encoding="utf-8", errors="surrogateescape", check=False, timeout=60, **options
    )
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done


# -- environment


def profile(shell: str, file: Path) -> Dict[str, str]:
    """What a login shell of `SHELLS` has in its environment when it has read a file of profile.d without a word."""
    command = SHELLS[shell]
    needs(command[0], command[0])
    done = run(*command, "-c", '. "$1" && exec env -0', "login", str(file))
    assert done.stderr == "", done.stderr
    return _pairs(done.stdout.split("\0"))


def environment_d(file: Path) -> Dict[str, str]:
    """What systemd's own generator makes of a file of environment.d(5)."""
    needs(GENERATOR, "systemd")
    folder = file.parent / "xdg" / "environment.d"
    folder.mkdir(parents=True)
    shutil.copy(file, folder / "90-test.conf")
    done = run(GENERATOR, env={"XDG_CONFIG_HOME": str(folder.parent), "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"})
    assert done.stderr == "", done.stderr
    # Quoted as for a shell; but systemd, which reads this, does not make a home of a "~".
    return _pairs([shlex.split(line)[0] for line in done.stdout.splitlines()])


def pam_environment(file: Path) -> Dict[str, str]:
    """What a PAM session has in its environment by pam_env(8) and a file such as /etc/environment."""
    services = file.parent / "pam"
    services.mkdir()
    (services / "nspa").write_text(f"session required pam_env.so conffile=/dev/null envfile={file} readenv=1\n")
    return _pairs(json.loads(run(sys.executable, "-c", _PAM, str(services), "nobody").stdout))


def _pairs(items: Sequence[str]) -> Dict[str, str]:
    return {name: value for name, equals, value in (item.partition("=") for item in items) if equals}


# -- limits


def pam_limits(file: Path, group: str) -> Limits:
    """What pam_limits(8) asks the kernel for a member of the group: soft and hard, by name.

    Read from its system calls, as a sandbox may not let anybody raise a limit.
    """
    needs("strace", "strace")
    services = file.parent / "pam"
    services.mkdir()
    (services / "nspa").write_text(f"session required pam_limits.so conf={file}\n")
    groups = file.parent / "group"
    groups.write_text(f"{Path('/etc/group').read_text()}{group}:x:54321:nobody\n", encoding="utf-8")
    trace = file.parent / "trace"
    private = 'mount --bind "$0" /etc/group && exec "$@"'
    run(
        *("unshare", "--mount", "--propagation", "private", "sh", "-c", private, str(groups)),
        *("strace", "-qq", "-X", "raw", "-e", "trace=prlimit64", "-o", str(trace)),
        *(sys.executable, "-c", _PAM, str(services), "nobody"),
    )
    # linux/resource.h
    names = {0x7: "NOFILE", 0x8: "MEMLOCK", 0xD: "NICE", 0xE: "RTPRIO"}
    calls = re.findall(r"prlimit64\(0, (\w+), \{rlim_cur=(\w+), rlim_max=(\w+)\}, NULL\)", trace.read_text())
    asked = {int(number, 16): (int(soft, 0), int(hard, 0)) for number, soft, hard in calls}
    return {name: asked[number] for number, name in names.items() if number in asked}


def manager_limits(file: Path) -> Limits:
    """What systemd's user manager gives its services by a file of user.conf.d; it must be read without a word."""
    return _systemd(file.parent / "manager", {"config/systemd/user.conf": file})


def unit_limits(file: Path) -> Limits:
    """What systemd gives a unit by a drop-in with limits; it must be read without a word."""
    return _systemd(file.parent / "unit", {"units/test.service.d/50-test.conf": file})


def _systemd(folder: Path, files: Dict[str, Path]) -> Limits:
    needs(SYSTEMD, "systemd")
    units = folder / "units"
    units.mkdir(parents=True)
    for name in ("basic.target", "shutdown.target"):
        (units / name).write_text("[Unit]\nDefaultDependencies=no\n")
    (units / "default.target").write_text("[Unit]\nRequires=test.service\n")
    (units / "test.service").write_text("[Service]\nExecStart=/bin/true\n")
    for name, file in files.items():
        (folder / name).parent.mkdir(parents=True)
        shutil.copy(file, folder / name)
    _open_to_all(folder)
    done = run(
        *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),  # as root it does not test
        *(SYSTEMD, "--test", "--user", "--unit=default.target"),
        env={
            "HOME": "/nonexistent",
            "XDG_RUNTIME_DIR": str(folder),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "SYSTEMD_UNIT_PATH": str(units),
            "SYSTEMD_LOG_TARGET": "console",
            "SYSTEMD_LOG_LEVEL": "notice",
        },
    )
    complaints = [text for text in done.stderr.splitlines() if str(folder) in text]
    assert complaints == [], complaints
    unit = done.stdout.partition("-> Unit test.service:")[2].partition("-> Unit ")[0]
    found = {name: int(value) for name, value in re.findall(r"\tLimit(\w+): (\d+)\n", unit)}
    return {name: (found[f"{name}Soft"], value) for name, value in found.items() if not name.endswith("Soft")}


def _open_to_all(folder: Path) -> None:
    """Let another user read a folder of pytest's."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o777 if path.is_dir() else 0o644)
    for path in list(folder.parents)[:-2]:
        path.chmod(path.stat().st_mode | 0o011)


# -- tunables


def sysctls(file: Path, *paths: str) -> Dict[str, str]:
    """What systemd-sysctl writes below /proc/sys by a file of sysctl.d(5), an empty text for what it lets alone.

    The real /proc/sys is out of its sight.
    """
    needs(SYSCTL, "systemd")
    kernel = file.parent / "sys"
    for path in paths:
        (kernel / path).parent.mkdir(parents=True, exist_ok=True)
        (kernel / path).touch()
    private = 'mount --bind "$0" /proc/sys && exec "$@"'
    done = run(
        *("unshare", "--mount", "--propagation", "private", "sh", "-c", private, str(kernel), SYSCTL, "--strict"),
        str(file),
    )
    assert done.stderr == "", done.stderr
    return {path: (kernel / path).read_text().strip() for path in paths}


def tmpfiles(file: Path, path: str) -> str:
    """What systemd-tmpfiles writes into a file by a file of tmpfiles.d(5); an empty text if it lets it alone."""
    needs("systemd-tmpfiles", "systemd")
    root = file.parent / "root"
    (root / path).parent.mkdir(parents=True)
    (root / path).write_text("")
    run("systemd-tmpfiles", "--create", f"--root={root}", str(file))
    return (root / path).read_text().strip()


# -- GRUB


def grub_settings(file: Path, line: str) -> str:
    """GRUB_CMDLINE_LINUX_DEFAULT when sh, as grub-mkconfig does, has read a drop-in; it was `line` before."""
    script = 'GRUB_CMDLINE_LINUX_DEFAULT=$2; . "$1"; printf %s "$GRUB_CMDLINE_LINUX_DEFAULT"'
    done = run("sh", "-e", "-c", script, "sh", str(file), line)
    assert done.stderr == "", done.stderr
    return done.stdout


def grub_words(folder: Path, line: str) -> List[str]:
    """The words that GRUB hands to ``linux`` for a line of its menu, as it runs the menu itself."""
    needs("grub-script-check", "grub-common")
    needs("grub-emu", "grub-emu")
    (folder / "entry.cfg").write_text(f"menuentry test {{\n\tlinux /vmlinuz {line}\n}}\n")
    run("grub-script-check", str(folder / "entry.cfg"))
    show = 'function linux {\nfor word in "$@"; do\necho "SAID $word DIAS"\ndone\n}\n'
    return grub(folder, f"{show}linux {line}\nhalt\n")


def grub(folder: Path, script: str) -> List[str]:
    """What GRUB itself prints with ``echo "SAID ... DIAS"`` when it runs a grub.cfg, up to ``halt``."""
    (folder / "grub.cfg").write_text(f"set timeout=0\n{script}")
    with _emulator(folder) as terminal:
        said, deadline = b"", time.monotonic() + 20
        while time.monotonic() < deadline:
            if not select.select([terminal], [], [], 1)[0]:
                continue
            try:
                said += os.read(terminal, 65536)
            except OSError:
                break  # it has ended
        else:
            pytest.fail(f"GRUB does not halt: {said[-500:]!r}")
    # The terminal has 80 columns, and goes on in the next line without a space.
    text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", said.decode("utf-8", "replace")).replace("\r", "")
    return re.findall(r"SAID (.*?) DIAS", text.replace("\n", ""))


@contextlib.contextmanager
def _emulator(folder: Path) -> Iterator[int]:
    child, terminal = pty.fork()
    if child == 0:
        os.environ["TERM"] = "vt100"
        os.execvp("grub-emu", ["grub-emu", "-d", str(folder), "-r", "host"])
    try:
        yield terminal
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
        os.close(terminal)
