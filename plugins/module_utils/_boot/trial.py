# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kernel's one chance: what is recorded of it, and what is set on the machine while it lasts.

The boot menu's default stays the kernel that is known to work; the loader boots the new one once. Whatever happens to
that boot - a panic, a hang, a power cut - the next one is the old kernel's again. A unit on the machine
(_command/trial.py) makes the new kernel the default once it has seen that all is well.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import NamedTuple, Optional, Sequence

from ansible_collections.nspa.proaudio.plugins.module_utils._core import proc
from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import Manifest
from ansible_collections.nspa.proaudio.plugins.module_utils._files import files

KIND = "trials"

ARMING, ARMED, CONFIRMED, FAILED = "arming", "armed", "confirmed", "failed"
"""The states of a trial. ``arming``: a run was ended before the loader was told."""

PARAMETER = "panic=20"
"""What every entry boots with while a trial lasts: after a panic the kernel waits this many seconds and reboots
(kernel-parameters.txt), and so does an initramfs that does not find its root (initramfs-tools(7))."""

WATCHDOG_FILE = "etc/systemd/system.conf.d/60-nspa-trial.conf"
_WATCHDOG = """\
# Written by nspa.proaudio (role {role}) for the time of a kernel's trial.
# A machine that hangs is reset by its watchdog, if it has one, after this many seconds (systemd-system.conf(5)).
[Manager]
RuntimeWatchdogSec=60
"""


class Trial(NamedTuple):
    """One kernel's trial, as it is recorded."""

    release: str
    state: str
    earlier: str
    """The release that runs meanwhile, and again if this one fails."""
    boot: str
    """The boot (its boot_id) in which it was armed."""
    image: str
    """The SHA-256 of the kernel's image, which tells a mended kernel of the same release from the one that failed."""
    when: int
    """Seconds since 1970 at which it got this state."""
    why: str = ""
    """What was seen, a sentence; empty while the trial lasts."""
    log: Sequence[str] = ()
    """The last lines of the kernel's log from a boot that failed, where they can be had."""

    @property
    def lasts(self) -> bool:
        """Whether it has not come to an end."""
        return self.state in (ARMING, ARMED)

    def told(self) -> str:
        """The trial in a sentence without its end."""
        day = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(self.when))
        if self.state == CONFIRMED:
            return f"{self.release} was tried, and confirmed on {day}"
        if self.state == FAILED:
            return f"{self.release} was tried, and given up on {day}: {self.why}"
        return f"{self.release} has one boot to show that it works; if it does not, {self.earlier} boots again"


def recorded(manifest: Manifest) -> Optional[Trial]:
    """The machine's last trial; None if there was none."""
    for release, entry in manifest.entries(KIND).items():
        return Trial(release, **{name: entry[name] for name in Trial._fields if name != "release"})
    return None


def record(manifest: Manifest, owner: str, trial: Trial) -> None:
    """Note a trial in the place of the last one, and save the manifest."""
    drop(manifest)
    details = {**trial._asdict(), "log": list(trial.log)}
    del details["release"]
    manifest.record(KIND, trial.release, owner, None, **details)
    manifest.save()


def drop(manifest: Manifest) -> None:
    """Forget the last trial."""
    for release in manifest.entries(KIND):
        manifest.forget(KIND, release)


def begin(release: str, earlier: str, root: Path = Path("/"), state: str = ARMING) -> Trial:
    """A trial that begins now."""
    return Trial(release, state, earlier, boot_id(root), image_of(release, root), int(time.time()))


def ended(trial: Trial, state: str, why: str, log: Sequence[str] = ()) -> Trial:
    """The trial with its end, now."""
    return trial._replace(state=state, why=why, log=list(log), when=int(time.time()))


def boot_id(root: Path = Path("/")) -> str:
    """What tells this boot from all others (random(4))."""
    return proc.read("/proc/sys/kernel/random/boot_id", root) or ""


def image_of(release: str, root: Path = Path("/")) -> str:
    """The SHA-256 of a kernel's image; empty where there is none."""
    for place in (f"boot/vmlinuz-{release}", f"usr/lib/modules/{release}/vmlinuz"):
        path = root / place
        if path.is_file():
            return hashlib.sha256(path.read_bytes()).hexdigest()
    return ""


def watchdog(role: str, root: Path = Path("/")) -> files.Wanted:
    """The file that has systemd feed the hardware watchdog."""
    return files.Wanted(str(root / WATCHDOG_FILE), _WATCHDOG.format(role=role).encode())
