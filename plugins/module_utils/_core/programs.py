# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running the host's own programs."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import Dict, Mapping, Optional, Sequence

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
    *command: str,
    timeout: Optional[float] = None,
    variables: Optional[Mapping[str, str]] = None,
    instead: Optional[Mapping[str, str]] = None,
    apart: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and return its exit status and what it said.

    :param timeout: seconds after which it is ended.
    :param variables: what its environment has beside ours.
    :param instead: what its environment has instead of ours, beside PATH.
    :param apart: in a session of its own, with all that it says going into a file in memory (and returned as stdout):
        it comes to its end also when this process is killed or the connection breaks, and no broken pipe stops it
        half-way.
    :raises ProgramError: when it cannot be started, or does not end in time.
    """
    run_as = _run_apart if apart else _run_along
    try:
        ours = environment()
        base = ours if instead is None else {"PATH": ours["PATH"], **instead}
        return run_as(command, {**base, **(variables or {})}, timeout)
    except subprocess.TimeoutExpired as error:
        raise ProgramError(f"{command[0]} did not end within {timeout:g} s") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ProgramError(f"{command[0]} cannot be run on this machine: {reason}") from error


def _run_along(
    command: Sequence[str], variables: Dict[str, str], timeout: Optional[float]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        env=variables,
        timeout=timeout,
        check=False,
    )


def _run_apart(
    command: Sequence[str], variables: Dict[str, str], timeout: Optional[float]
) -> subprocess.CompletedProcess[str]:
    # Not in a folder, which may be full, or the login's TMPDIR: a file in memory goes with its last process.
    with os.fdopen(os.memfd_create("said"), "w+b") as said:
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            env=variables,
            start_new_session=True,
        ) as process:
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                # With all that it started, which would go on writing.
                os.killpg(process.pid, signal.SIGKILL)
                raise
        said.seek(0)
        text = said.read().decode("utf-8", "replace")
    return subprocess.CompletedProcess(command, process.returncode, text, "")
