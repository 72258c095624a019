# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A wineserver, started for a moment as an ordinary user, to see what it may really do."""

from __future__ import annotations

import contextlib
import glob
import os
import pwd
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import BinaryIO, List

#: The capability's number (linux/capability.h).
CAP_SYS_NICE = 23

#: Seconds until the server must run; an emulated machine needs about one.
START = 20


class WineserverError(Exception):
    """The server did not start; the message says what it said."""


def find(pattern: str) -> List[str]:
    """Return the real programs (ELF, no symlink) that *pattern* matches, sorted."""
    found = []
    for path in sorted(glob.glob(pattern)):
        if Path(path).is_symlink() or not Path(path).is_file():
            continue
        with open(path, "rb") as stream:
            if stream.read(4) == b"\x7fELF":
                found.append(path)
    return found


def holds_cap_sys_nice(path: str, user: str) -> bool:
    """Start the wineserver *path* as *user* on an empty prefix and say whether it holds cap_sys_nice.

    A capability on the file is not yet one of the process: a nosuid mount, no_new_privs or a bounding set
    takes it away without a word, so the running process is asked (proc(5), CapEff).

    :raises WineserverError: when the server does not run.
    """
    account = pwd.getpwnam(user)
    prefix = tempfile.mkdtemp(prefix="nspa-proaudio-prefix-")
    os.chown(prefix, account.pw_uid, account.pw_gid)
    status = os.stat(prefix)
    # Where the server puts its socket (server/request.c): by device and inode of the prefix.
    sockets = f"/tmp/.wine-{account.pw_uid}/server-{status.st_dev:x}-{status.st_ino:x}"
    command = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--init-groups"]
    command += [path, "--foreground", "--persistent"]
    environment = {"PATH": "/usr/bin:/bin", "HOME": account.pw_dir, "WINEPREFIX": prefix, "WINEDEBUG": "-all"}
    try:
        with tempfile.TemporaryFile() as output:
            server = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, cwd="/"
            )
            try:
                _wait(server, path, output)
                text = Path(f"/proc/{server.pid}/status").read_text(encoding="ascii", errors="replace")
            finally:
                server.kill()
                server.wait()
    finally:
        shutil.rmtree(prefix, ignore_errors=True)
        shutil.rmtree(sockets, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.rmdir(os.path.dirname(sockets))
    effective = re.search(r"^CapEff:\s*([0-9a-f]+)$", text, re.MULTILINE)
    return bool(effective and int(effective.group(1), 16) >> CAP_SYS_NICE & 1)


def _wait(server: subprocess.Popen[bytes], path: str, output: BinaryIO) -> None:
    """Wait until the child is the server itself; it becomes that with exec."""
    deadline = time.monotonic() + START
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        with contextlib.suppress(OSError):
            if os.path.samefile(f"/proc/{server.pid}/exe", path):
                return
        time.sleep(0.01)
    output.seek(0)
    said = output.read().decode(errors="replace").strip()
    raise WineserverError(f"{path} did not start: {said or f'exit status {server.poll()}'}")
