# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a program whether it accepts a file, before the file goes into place."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from pathlib import Path
from typing import List

from ansible_collections.nspa.proaudio.plugins.module_utils._core import programs
from ansible_collections.nspa.proaudio.plugins.module_utils._files.look import HostFileError, Seen
from ansible_collections.nspa.proaudio.plugins.module_utils._files.write import writing

TIMEOUT = 120
"""Seconds that a validator may take."""


def ask(path: str, validate: str, new: Seen, predict: bool) -> List[str]:
    """Let a validator look at a private copy of what a path is to hold; the copy has the same name and mode.

    `validate` is a command line with %s for the file. Returns warnings: in check mode (`predict`) the validator may
    belong to a package that is not installed yet. Raises HostFileError with what the validator said.
    """
    try:
        command = shlex.split(validate)
    except ValueError as error:
        raise HostFileError(f"{path}: validate '{validate}' is not a command line: {error}.") from error
    if shutil.which(command[0], path=programs.environment()["PATH"]) is None:
        text = f"{path} was not checked: the program {command[0]} is not on this machine."
        if not predict:
            raise HostFileError(f"{text} Nothing was changed. Install it first.")
        return [text]
    # Not in the login's TMPDIR, which may be anywhere.
    folder = tempfile.TemporaryDirectory(prefix="nspa-proaudio-", dir="/tmp")
    with writing(f"A private copy of {path}"), folder as name:
        copy = Path(name) / Path(path).name
        copy.write_bytes(new.content)
        copy.chmod(int((new.state or {})["mode"], 8))
        _run([word.replace("%s", str(copy)) for word in command], path, str(copy))
    return []


def _run(command: List[str], path: str, copy: str) -> None:
    program = command[0]
    try:
        done = programs.run(*command, timeout=TIMEOUT)
    except (programs.ProgramError, ValueError) as error:
        raise HostFileError(f"{path} was not checked by its validator: {error}. Nothing was changed.") from error
    if done.returncode != 0:
        said = "\n".join(filter(None, (done.stdout.strip(), done.stderr.strip()))).replace(copy, path)
        raise HostFileError(
            f"{path} was refused by its validator '{program}' (exit code {done.returncode}). Nothing was changed. "
            f"It said: {said or 'nothing'}"
        )
