# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a kernel's trial: started on the machine at every boot while one lasts.

In the new kernel's one boot it looks whether all is well, and makes that kernel the default, or notes what is wrong and
reboots into the earlier one. In any later boot it notes that the machine came back. It is put together from these
files by plugin_utils/_single_file.py, and says on standard output what it does, for the journal.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import Callable, List, NamedTuple, Optional, Sequence

from ansible_collections.nspa.proaudio.plugins.module_utils._boot import cmdline, trial, wanted
from ansible_collections.nspa.proaudio.plugins.module_utils._boot.trial import Trial
from ansible_collections.nspa.proaudio.plugins.module_utils._core import proc, programs, want
from ansible_collections.nspa.proaudio.plugins.module_utils._core.change import Compare, Purpose
from ansible_collections.nspa.proaudio.plugins.module_utils._core.errors import HostError
from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import Manifest
from ansible_collections.nspa.proaudio.plugins.module_utils._host import systemd
from ansible_collections.nspa.proaudio.plugins.module_utils._sync import probe

#: Seconds that a boot may take until the system is up.
DEADLINE = 600.0
#: Seconds between two looks.
STEP = 2.0
#: Lines of a kernel's log that are kept.
LINES = 15


class Boot(NamedTuple):
    """This boot, as the end of a trial is judged by it."""

    release: str
    id: str
    line: str  #: the kernel's command line
    lacking: Callable[[], List[str]]  #: what Wine needs and this kernel has not, a sentence each
    up: Callable[[], bool]  #: whether the system has come up


def this_boot(root: Path = Path("/")) -> Boot:
    """The boot in which we run."""
    return Boot(
        os.uname().release,
        trial.boot_id(root),
        proc.command_line(root),
        lambda: probe.missing(probe.probe(samples=0), ["any"]),
        lambda: systemd.Systemd().property("default.target", "ActiveState") == "active",
    )


def main() -> int:
    """Bring the trial to its end if this boot does; returns the exit status."""
    try:
        manifest = Manifest.load()
        known = trial.recorded(manifest)
        boot = this_boot()
        if known is None or not known.lasts:
            return 0
        end = judge(known, boot, parameters(manifest))
        if end is None:
            return 0
        _say(end.told())
        conclude(end)
    except HostError as error:
        _say(str(error))
        return 1
    if end.state == trial.FAILED and boot.release == end.release:
        _say(f"Going back to {end.earlier}.")
        _reboot()
    return 0


def parameters(manifest: Manifest) -> List[str]:
    """The kernel parameters that were wanted last."""
    wants = [arguments for _digest, name, arguments in want.recorded(manifest) if name == wanted.KERNEL_CMDLINE.name]
    return [word for arguments in wants for word in arguments["parameters"]]


def judge(
    known: Trial,
    boot: Boot,
    asked: Sequence[str],
    deadline: float = DEADLINE,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Optional[Trial]:
    """The trial with its end, as this boot shows it; None if it has yet to have its boot.

    :param asked: kernel parameters that are wanted on the command line.
    :param deadline: seconds from now in which the system must have come up.
    """
    if boot.release != known.release:
        if boot.id == known.boot:
            return None
        why = f"the machine came back with {boot.release} before {known.release} had shown that it works"
        return trial.ended(known, trial.FAILED, why, last_words(known.release))
    lacking = cmdline.missing(asked, boot.line)
    if lacking:
        return trial.ended(known, trial.FAILED, f"it ran without {' '.join(lacking)}")
    sentences = boot.lacking()
    if sentences:
        return trial.ended(known, trial.FAILED, " ".join(sentences))
    until = clock() + deadline
    while not boot.up():
        if clock() >= until:
            why = f"the system did not come up within {deadline:g} s (systemctl list-jobs, journalctl -b -1)"
            return trial.ended(known, trial.FAILED, why)
        sleep(STEP)
    return trial.ended(known, trial.CONFIRMED, "the system came up, with its parameters and what Wine needs")


def conclude(end: Trial, path: Optional[str] = None, compare: Compare = wanted.BOOT_DEFAULT.compare) -> None:
    """Note the end of a trial, and make the boot menu what it is after that. Raises HostError.

    :param path: the manifest; None: the machine's own.
    """
    with Manifest.change(path) as manifest:
        for _digest, name, arguments in want.recorded(manifest):
            if name == wanted.BOOT_DEFAULT.name:
                role = arguments["role"]
                trial.record(manifest, f"{role}/{name}", end)
                # Whether it is tried once more is for a run to say, not for the end of this trial.
                asked = {**(wanted.BOOT_DEFAULT.wanted(arguments) or {}), "retry": False}
                compare(manifest, role, asked, Purpose.APPLY).apply(manifest)
                manifest.save()


def last_words(release: str, root: Path = Path("/"), run: systemd.Run = programs.run) -> List[str]:
    """The last lines of the kernel's log from the boot before this one, if that was this kernel's.

    From the journal, or from what the firmware kept over the reboot (systemd-pstore(8)).
    """
    texts = []
    with contextlib.suppress(HostError):
        texts.append(run("journalctl", "-b", "-1", "-k", "-o", "cat", "--no-pager", timeout=60).stdout)
    for folder in ("var/lib/systemd/pstore", "sys/fs/pstore"):
        paths = sorted((root / folder).rglob("dmesg*"), key=lambda path: path.stat().st_mtime)
        texts += [path.read_text(encoding="utf-8", errors="replace") for path in paths[-1:]]
    for text in texts:
        lines = text.splitlines()
        if any(f"Linux version {release} " in line or f"{release} #" in line for line in lines):
            return [line.replace("\0", "") for line in lines[-LINES:]]
    return []


def _say(sentence: str) -> None:
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()


def _reboot() -> None:
    """Reboot; by force where the system does not come to its end."""
    for command in (["systemctl", "reboot"], ["systemctl", "reboot", "--force"]):
        try:
            programs.run(*command, timeout=60)
        except HostError as error:
            _say(str(error))
        time.sleep(120)
    Path("/proc/sysrq-trigger").write_text("b")
