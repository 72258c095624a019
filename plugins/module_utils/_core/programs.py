# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running the host's own programs."""

from __future__ import annotations

import os
import subprocess
from typing import Dict, Optional

from ansible_collections.nspa.proaudio.plugins.module_utils._core.errors import HostError

_SYSTEM = "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"


class ProgramError(HostError):
    """A program that this collection needs is not on the host, or does not end."""


def environment() -> Dict[str, str]:
    """Return our environment, with messages in English.

    The system's folders stand at the end of PATH: with sudo it can be an ordinary user's, without /usr/sbin.
    """
    return dict(os.environ, PATH=f"{os.environ.get('PATH', '')}:{_SYSTEM}", LC_ALL="C.UTF-8", LANGUAGE="")


def run(
    *command: str, timeout: Optional[float] = None, variables: Optional[Dict[str, str]] = None
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and return its exit status and what it said.

    :param timeout: seconds after which it is ended.
    :param variables: all that it gets of an environment besides PATH; None: ours.
    :raises ProgramError: when it cannot be started, or does not end in time.
    """
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            env=environment() if variables is None else {"PATH": environment()["PATH"], **variables},
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ProgramError(f"{command[0]} did not end within {timeout:g} s") from error
    except OSError as error:
        raise ProgramError(f"{command[0]} cannot be run on this host: {error.strerror}") from error
