# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the machine boots next, what runs now, and what is wanted: the kernel and its command line."""

from __future__ import annotations

import os
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Optional

from ansible_collections.nspa.proaudio.plugins.module_utils._boot import cmdline
from ansible_collections.nspa.proaudio.plugins.module_utils._boot import grub as bootloader
from ansible_collections.nspa.proaudio.plugins.module_utils._boot.grub import BootLoaderError, Grub, Loader
from ansible_collections.nspa.proaudio.plugins.module_utils._core import programs
from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import Manifest
from ansible_collections.nspa.proaudio.plugins.module_utils._files import files

#: Read by grub-mkconfig after /etc/default/grub, in the order of their names.
PARAMETERS_FILE = "/etc/default/grub.d/70-nspa-cmdline.cfg"
DEFAULT_FILE = "/etc/default/grub.d/71-nspa-default.cfg"

_HEADER = "# Written by nspa.proaudio (role {role}): change the role's variables, not this file.\n"


@dataclass
class Plan:
    """What differs; ``apply`` brings it about. Without a managed boot loader nothing ever differs."""

    loader: Loader
    role: str
    path: str  #: our drop-in
    running: str = ""
    before: str = ""  #: what boots next as the menu stands
    next_boot: str = ""  #: what boots next once the plan is carried out
    text: Optional[str] = None  #: wanted content of the drop-in; None: no drop-in
    grub: Optional[Grub] = None
    stale: bool = False  #: the menu does not say what the files say
    reboot_reasons: List[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.differences = self._compare(Manifest.load()) if self.grub else None

    def _compare(self, manifest: Manifest) -> files.Differences:
        wanted = [] if self.text is None else [files.Wanted(self.path, self.text.encode())]
        return files.compare(manifest, self.role, wanted)

    @property
    def changed(self) -> bool:
        """Whether the machine differs from what is wanted."""
        return self.differences is not None and (self.differences.any or self.stale)

    def apply(self) -> None:
        """Write our drop-in and make GRUB's menu anew; if GRUB refuses, the drop-in goes back as it was."""
        if self.grub is None:
            return
        earlier = files.look(self.path)
        with Manifest.change() as manifest:
            files.apply(manifest, self._compare(manifest))
        try:
            self.grub.regenerate()
        except BootLoaderError:
            self.text = earlier.content.decode() if earlier.state else None
            with Manifest.change() as manifest:
                files.apply(manifest, self._compare(manifest))
            raise

    def result(self) -> Dict[str, Any]:
        """Return what the modules report."""
        diff = files.diff(self.differences) if self.differences else []
        if self.before != self.next_boot:
            header = "what boots next"
            diff.append(
                {
                    "before": self.before + "\n",
                    "after": self.next_boot + "\n",
                    "before_header": header,
                    "after_header": header,
                }
            )
        return {
            "changed": self.changed,
            "loader": asdict(self.loader),
            "running": self.running,
            "next_boot": self.next_boot,
            "reboot_reasons": self.reboot_reasons,
            "diff": diff,
        }


def running_cmdline() -> str:
    """Return the command line of the running kernel, without the loader's BOOT_IMAGE (proc(5), /proc/cmdline)."""
    line = Path("/proc/cmdline").read_text(encoding="utf-8", errors="replace").strip()
    return re.sub(r"^BOOT_IMAGE=\S+\s*", "", line)


def compare_parameters(wanted: List[str]) -> Plan:
    """Compare kernel parameters with the boot menu and the running kernel; changes nothing.

    :param wanted: parameters; an empty list takes ours back.
    :raises BootLoaderError: when a parameter is not one, or the menu cannot be read.
    """
    for parameter in wanted:
        problem = cmdline.problem(parameter)
        if problem:
            raise BootLoaderError(f"'{parameter}': {problem}. Nothing was changed.")
    loader, running = bootloader.detect(), running_cmdline()
    if not loader.managed:
        return Plan(loader, "boot_params", PARAMETERS_FILE, running)
    grub = Grub()
    default = grub.default()
    line = default.cmdline if default else ""
    kept = [item for item in cmdline.split(line) if item not in _ours() or item in wanted]
    next_boot = " ".join(kept + [item for item in wanted if item not in kept])
    text = None
    if wanted:
        text = _HEADER.format(role="boot_params")
        text += f'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT {" ".join(wanted)}"\n'
    normal = [entry for entry in grub.entries if entry.kernel and not entry.recovery]
    lacking = any(cmdline.missing(wanted, entry.cmdline) for entry in normal)
    return Plan(
        loader,
        "boot_params",
        PARAMETERS_FILE,
        running,
        line,
        next_boot,
        text,
        grub,
        lacking or grub.stale(),
        _reasons(running, next_boot),
    )


def _reasons(running: str, next_boot: str) -> List[str]:
    now, then = cmdline.split(running), cmdline.split(next_boot)
    coming, going = [item for item in then if item not in now], [item for item in now if item not in then]
    reasons = []
    if coming:
        reasons.append(f"the kernel runs without {' '.join(coming)}")
    if going:
        reasons.append(f"the kernel still runs with {' '.join(going)}")
    return reasons


def _ours() -> List[str]:
    """Return the parameters in our drop-in."""
    content = files.look(PARAMETERS_FILE).content.decode("utf-8", "replace")
    found = re.search(r'"\$GRUB_CMDLINE_LINUX_DEFAULT ([^"]*)"', content)
    return found.group(1).split() if found else []


def compare_default(packages: List[str]) -> Plan:
    """Compare the default boot entry with the newest kernel of *packages*; changes nothing.

    :param packages: kernel packages, or packages that depend on one; an empty list takes our choice back.
    :raises BootLoaderError: when a package brings no kernel, or the menu cannot be read.
    """
    loader, running = bootloader.detect(), os.uname().release
    if not loader.managed:
        return Plan(loader, "linux_nspa", DEFAULT_FILE, running)
    grub = Grub()
    default = grub.default()
    before = default.kernel if default else ""
    if not packages:
        ours = Path(DEFAULT_FILE).exists()
        first = grub.entries[0].kernel if ours and grub.entries else before
        reasons = _kernel_reasons(running, first)
        return Plan(loader, "linux_nspa", DEFAULT_FILE, running, before, first, None, grub, grub.stale(), reasons)
    release = newest_kernel(packages)
    if release and grub.entry_of(release) is None:
        raise BootLoaderError(f"{release} is installed, but GRUB's menu has no entry for it: run update-grub")
    entry = grub.entry_of(release) if release else None
    name = release or f"the kernel of {' '.join(packages)}"
    text = _HEADER.format(role="linux_nspa") + (f"GRUB_DEFAULT='{entry.id}'\n" if entry else "")
    stale = bool(release) and (before != release or grub.stale())
    return Plan(
        loader, "linux_nspa", DEFAULT_FILE, running, before, name, text, grub, stale, _kernel_reasons(running, name)
    )


def _kernel_reasons(running: str, wanted: str) -> List[str]:
    return [f"{running} runs, and {wanted} boots next"] if running != wanted else []


def newest_kernel(packages: List[str]) -> str:
    """Return the release of the newest kernel that *packages* or what they depend on brought; empty if none did.

    Releases are those of the files /boot/vmlinuz-RELEASE in dpkg's lists.
    """
    names = [name for name in packages if re.match(r"^[a-z0-9][a-z0-9.+-]+$", name)]
    depends = _dpkg("-W", "-f", "${Depends}, ", *names)
    names += [item.split()[0] for item in depends.split(",") if item.strip().startswith("linux-image")]
    releases = set(re.findall(r"^/boot/vmlinuz-(\S+)$", _dpkg("-L", *names), re.MULTILINE))
    installed = [release for release in releases if Path("/boot", f"vmlinuz-{release}").exists()]
    return max(installed, key=_version_key) if installed else ""


def _version_key(release: str) -> List[Any]:
    return [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in re.findall(r"\d+|[^\d]+", release)]


def _dpkg(*arguments: str) -> str:
    # Unknown packages make dpkg-query fail, and say nothing of the known ones' output.
    return programs.run("dpkg-query", *arguments).stdout
