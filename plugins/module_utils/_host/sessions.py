# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user really gets: limits, groups and environment of a new login and of the user's systemd manager."""

from __future__ import annotations

import pwd
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from ansible_collections.nspa.proaudio.plugins.module_utils._core import programs

#: Seconds for a login, its user manager included; an emulated machine needs about ten.
TIMEOUT = 120

#: Printed between the parts of the probe's output.
_MARK = "--nspa-proaudio--"

# Run by the user's own login shell rules (/etc/profile), in a session that PAM and logind opened.
_PROBE = f"""
cat /proc/self/limits; echo {_MARK}
id -Gn; echo {_MARK}
env; echo {_MARK}
systemctl --user show-environment; echo {_MARK}
cat "/proc/$(systemctl show --property=MainPID --value "user@$(id -u).service")/limits"
"""

#: Names of rows in /proc/PID/limits (fs/proc/base.c, lnames).
RTPRIO, MEMLOCK, NICE, NOFILE, RTTIME = (
    "Max realtime priority",
    "Max locked memory",
    "Max nice priority",
    "Max open files",
    "Max realtime timeout",
)


class SessionError(Exception):
    """No session could be opened; the message says why."""


@dataclass
class Session:
    """A new login of one user. Limits are (soft, hard) texts as the kernel prints them, by row name."""

    user: str
    limits: Dict[str, Tuple[str, str]] = field(default_factory=dict)
    groups: List[str] = field(default_factory=list)
    environment: Dict[str, str] = field(default_factory=dict)
    manager_limits: Dict[str, Tuple[str, str]] = field(default_factory=dict)
    manager_environment: Dict[str, str] = field(default_factory=dict)
    manager_was_running: bool = False  #: the user was logged in already, so the manager may be from before a change


def parse_limits(text: str) -> Dict[str, Tuple[str, str]]:
    """Read /proc/PID/limits: (soft, hard) by row name."""
    rows = re.findall(r"^(Max [a-z ]+?)\s{2,}(\S+)\s+(\S+)", text, re.MULTILINE)
    return {name: (soft, hard) for name, soft, hard in rows}


def parse_environment(text: str) -> Dict[str, str]:
    """Read lines ``NAME=value``, as env(1) and systemctl show-environment print them."""
    found = re.findall(r"^([A-Za-z_][A-Za-z0-9_]*)=(.*)$", text, re.MULTILINE)
    return {name: re.sub(r"^\$?(['\"])(.*)\1$", r"\2", value) for name, value in found}


def manager_pid(user: str) -> Optional[int]:
    """Return the process of the user's running systemd manager, or None."""
    try:
        uid = pwd.getpwnam(user).pw_uid
    except KeyError:
        return None
    done = _run("systemctl", "show", "--property=MainPID", "--value", f"user@{uid}.service")
    text = done.stdout.strip()
    return int(text) if text.isdigit() and int(text) else None


def login(user: str) -> Session:
    """Log *user* in anew, through PAM's login service and logind, and see what the session gets.

    The session ends at once; nothing of it stays. Needs root and systemd as PID 1.

    :raises SessionError: when no session comes up.
    """
    if not Path("/run/systemd/system").is_dir():
        raise SessionError("systemd does not run this machine, so no session can be opened to look at")
    session = Session(user, manager_was_running=manager_pid(user) is not None)
    command = ["systemd-run", "--quiet", "--wait", "--pipe", "--collect", "--uid", user]
    command += ["--property", "PAMName=login", "--property", f"RuntimeMaxSec={TIMEOUT}"]
    command += ["--working-directory", "/", "/bin/sh", "-l", "-c", _PROBE]
    done = _run(*command)
    parts = done.stdout.split(_MARK + "\n")
    if len(parts) != 5:
        reason = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        raise SessionError(f"{user} could not be logged in to look at the session: {reason[0]}")
    session.limits = parse_limits(parts[0])
    session.groups = parts[1].split()
    session.environment = parse_environment(parts[2])
    session.manager_environment = parse_environment(parts[3])
    session.manager_limits = parse_limits(parts[4])
    return session


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return programs.run(*command, timeout=TIMEOUT + 10)
    except programs.ProgramError as error:
        raise SessionError(str(error)) from error
