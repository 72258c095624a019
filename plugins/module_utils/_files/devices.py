# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""udev and the loader of modules read their files at boot; what ours say is brought about now, too.

Whether that is done is asked of the devices and of the kernel, so that a run that was interrupted in between is
finished by the next one. A device whose rule is taken away is first given back what the kernel created it with: udev
itself leaves alone what no rule names (udev-node.c). A module that was loaded stays until the next boot.
"""

from __future__ import annotations

import contextlib
import grp
import os
import re
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from ansible_collections.nspa.proaudio.plugins.module_utils._core import proc, programs
from ansible_collections.nspa.proaudio.plugins.module_utils._core.errors import HostError
from ansible_collections.nspa.proaudio.plugins.module_utils._host import container

#: Seconds for udev to work off the events of a few devices; emulated machines are slow.
SETTLE = 60.0

_RULES = re.compile(r"^/etc/udev/rules\.d/[^/]+\.rules$")
_MODULES = re.compile(r"^/etc/modules-load\.d/[^/]+\.conf$")
_PAIR = re.compile(r'([A-Z]+)(==|=)"((?:[^"\\]|\\.)*)"')


class Node(NamedTuple):
    """What a rule says of devices: their name, as a pattern, and what it sets; None: nothing."""

    name: str
    group: Optional[str]
    mode: Optional[int]


@dataclass
class Devices:
    """The devices and modules of this machine."""

    root: Path = Path("/")
    run: Callable[..., subprocess.CompletedProcess[str]] = programs.run
    release: str = ""

    def due(self, contents: Mapping[str, bytes]) -> List[str]:
        """What files that stand as wanted have yet to bring about, by path: devices and modules, as text."""
        nodes = [str(path) for path, node in self._nodes(contents) if not self._is_as(path, node)]
        return nodes + self._missing_modules(contents)

    def give_back(self, contents: Mapping[str, bytes]) -> List[str]:
        """Give devices what the kernel created them with, before the rules that say otherwise go.

        That is mode 0600 and root, unless the driver says otherwise (drivers/base/devtmpfs.c; DEVMODE, DEVUID, DEVGID).
        Returns the devices: others may have rules for them, too. Raises HostError.
        """
        nodes = [path for path, _node in self._nodes(contents)]
        for path in nodes:
            try:
                self._give_back(path)
            except OSError as error:
                raise HostError(
                    f"{path} cannot be given back to root ({error.strerror}): see what keeps /dev from being changed."
                ) from error
        return [str(path) for path in nodes]

    def _give_back(self, path: Path) -> None:
        number = path.stat().st_rdev
        said = proc.read(f"/sys/dev/char/{os.major(number)}:{os.minor(number)}/uevent", self.root) or ""
        found = dict(line.partition("=")[::2] for line in said.splitlines())
        os.chown(path, int(found.get("DEVUID", "0")), int(found.get("DEVGID", "0")))
        path.chmod(int(found.get("DEVMODE", "0600"), 8))

    def bring_about(self, paths: Iterable[str], contents: Mapping[str, bytes], also: Iterable[str] = ()) -> None:
        """Have udev read its rules again, and look at the devices; load modules. Raises HostError.

        :param paths: what was written or taken away.
        :param contents: files that stand now, by path.
        :param also: devices that were given back.
        """
        for name in self._missing_modules(contents):
            self._do("modprobe", "--", name)
        nodes = sorted({*also, *(str(path) for path, _node in self._nodes(contents))})
        if self._has_udev and any(map(_RULES.match, [*paths, *contents])):
            self._do("udevadm", "control", "--reload")
            if nodes:
                self._do("udevadm", "trigger", "--action=change", "--settle", *nodes)
        left = [str(path) for path, node in self._nodes(contents) if not self._is_as(path, node)]
        if left:
            raise HostError(
                f"udev read the rules, and gives {', '.join(left)} to others: a later rule says so. This finds it: "
                f"grep -rs {Path(left[0]).name} /etc/udev/rules.d /run/udev/rules.d /usr/lib/udev/rules.d. Take it out "
                "there, and run this again."
            )

    def _do(self, *command: str) -> None:
        done = self.run(*command, timeout=SETTLE)
        if done.returncode:
            raise HostError(
                f"'{' '.join(command)}' failed: {done.stderr.strip() or done.returncode}. "
                "Mend that, and run this again."
            )

    @property
    def _has_udev(self) -> bool:
        """Whether udev runs, which it does not in a container: the devices there are its host's."""
        return (self.root / "run/udev/control").exists()

    def _nodes(self, contents: Mapping[str, bytes]) -> Iterator[Tuple[Path, Node]]:
        """The devices that there are, each with the rule of ours that names it."""
        for path, content in contents.items() if self._has_udev else ():
            if _RULES.match(path):
                for node in rules(content):
                    for found in sorted((self.root / "dev").glob(node.name)):
                        if stat.S_ISCHR(found.lstat().st_mode):
                            yield found, node

    @staticmethod
    def _is_as(path: Path, node: Node) -> bool:
        seen = path.stat()
        return (node.mode is None or stat.S_IMODE(seen.st_mode) == node.mode) and (
            node.group is None or seen.st_gid == _gid(node.group)
        )

    def _missing_modules(self, contents: Mapping[str, bytes]) -> List[str]:
        """The modules that are wanted, not loaded, and there to be loaded."""
        if container.kind(self.root):
            return []
        wanted = [name for path, content in contents.items() if _MODULES.match(path) for name in modules(content)]
        loaded = [name for name in wanted if (self.root / "sys/module" / name.replace("-", "_")).exists()]
        rest = [name for name in wanted if name not in loaded]
        if not rest:
            return []
        listed = proc.read(f"/lib/modules/{self.release or os.uname().release}/modules.dep", self.root) or ""
        there = {
            name.replace("-", "_") for name in re.findall(r"^(?:.*/)?([^/:]+)\.ko[.a-z0-9]*:", listed, re.MULTILINE)
        }
        return [name for name in rest if name.replace("-", "_") in there]


def rules(content: bytes) -> List[Node]:
    """What rules say of devices: those of the form that we write, with KERNEL== and GROUP= or MODE= (udev(7))."""
    found = []
    for line in content.decode("utf-8", "replace").splitlines():
        said = {name + sign: _plain(value) for name, sign, value in _PAIR.findall(line) if not line.startswith("#")}
        if "KERNEL==" in said and ("GROUP=" in said or "MODE=" in said):
            mode = int(said["MODE="], 8) if "MODE=" in said else None
            found.append(Node(said["KERNEL=="], said.get("GROUP="), mode))
    return found


def modules(content: bytes) -> List[str]:
    """The modules that a file names (modules-load.d(5))."""
    lines = [line.strip() for line in content.decode("utf-8", "replace").splitlines()]
    return [line for line in lines if line and line[0] not in "#;"]


def of_ours(paths: Iterable[str]) -> List[str]:
    """Those paths that udev or the loader of modules reads."""
    return [path for path in paths if _RULES.match(path) or _MODULES.match(path)]


def _plain(value: str) -> str:
    """A value as udev reads it: an escaped quote, and doubled signs of its own substitutions."""
    return value.replace('\\"', '"').replace("%%", "%").replace("$$", "$")


def _gid(group: str) -> Optional[int]:
    if group.isdigit():
        return int(group)
    with contextlib.suppress(KeyError, ValueError):
        return grp.getgrnam(group).gr_gid
    return None
