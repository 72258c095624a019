# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Live kernel tunables: sysctls under /proc/sys, attributes under /sys, and the CPU frequency governor.

What the kernel took is read back. What it held before is in the manifest, under the sysctl's name, the attribute's path
or ``governor``: ``before``, values by path, and ``set``, the values that are ours. Put back is only what still holds
one of ours. What a kernel or a machine does not have is left alone, and named: kernels differ in what they can be told.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Set, Tuple

from ansible_collections.nspa.proaudio.plugins.module_utils._core.change import Concern, Purpose
from ansible_collections.nspa.proaudio.plugins.module_utils._core.errors import HostError
from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import Manifest
from ansible_collections.nspa.proaudio.plugins.module_utils._host import container, sysctls

KIND = "tunables"
GOVERNOR = "governor"

OPTIONS: Dict[str, Any] = {
    "sysctls": {"type": "dict", "default": {}},
    "attributes": {"type": "dict", "default": {}},
    "governor": {"type": "str", "default": ""},
    "boot_file": {"type": "path", "default": "/etc/sysctl.d/90-nspa-proaudio.conf"},
}

#: Two ways to say the same (mm/page-writeback.c): whoever sets the one makes the other 0, and 0 cannot be set.
_OTHER = {
    "vm.dirty_bytes": "vm.dirty_ratio",
    "vm.dirty_ratio": "vm.dirty_bytes",
    "vm.dirty_background_bytes": "vm.dirty_background_ratio",
    "vm.dirty_background_ratio": "vm.dirty_background_bytes",
}

#: Value and file of sysctls at boot.
at_boot = sysctls.at_boot


class TunableError(HostError):
    """A value cannot be had on this machine; the message says what to do."""


class Kernel:
    """The files of /proc/sys and /sys below a root."""

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root

    def read(self, path: str) -> str:
        """Return the value in a file; of a row of words, the one in brackets, which is chosen. Raises OSError."""
        text = Path(path).read_text(encoding="utf-8", errors="replace").strip()
        chosen = re.fullmatch(r"(?:\S+ )*\[(\S+)\](?: \S+)*", text)
        return chosen.group(1) if chosen else text

    def write(self, path: str, value: str) -> None:
        """Set the value in a file that is there, in one write(2) (kernel.sysctl_writes_strict). Raises OSError."""
        descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC)
        try:
            os.write(descriptor, f"{value}\n".encode())
        finally:
            os.close(descriptor)


@dataclass
class Tunable:
    """One thing to set: its name, what is wanted, and the value in each of its files now.

    `other`: the value of the tunable that says the same in another way, by path.
    """

    name: str
    wanted: str
    current: Dict[str, str]  #: by path
    other: Dict[str, str] = field(default_factory=dict)

    @property
    def differing(self) -> List[str]:
        """The paths whose value is another one."""
        return [path for path, value in self.current.items() if not same(self.wanted, value)]


@dataclass
class Back:
    """One thing that is ours no more: what to write where."""

    name: str
    values: Dict[str, str]  #: by path
    current: Dict[str, str]


@dataclass
class TunablesChange:
    """What differs between the running kernel and what is wanted."""

    role: str
    kernel: Kernel
    wanted: List[Tunable] = field(default_factory=list)
    back: List[Back] = field(default_factory=list)
    left_alone: List[str] = field(default_factory=list)
    warnings: List[str] = field(default_factory=list)
    values: Dict[str, str] = field(default_factory=dict)
    before: Dict[str, str] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        """Whether a live value differs, or the manifest says of a value that it is ours and it is not wanted."""
        return bool(self.back or self._differing)

    @property
    def _differing(self) -> List[Tunable]:
        return [item for item in self.wanted if item.differing]

    def apply(self, manifest: Manifest) -> None:
        """Write what differs, after noting in the manifest what stood there.

        When the kernel refuses a value, those that were set for it are put back first.
        """
        new = [item.name for item in self._differing if manifest.get(KIND, item.name) is None]
        for item in self._differing:
            entry = manifest.record(KIND, item.name, self.role, before={})
            for path, value in {**item.current, **item.other}.items():
                entry["before"].setdefault(path, value)
            entry["set"] = sorted({*entry.get("set", []), item.wanted})
        manifest.save()
        written: List[Tuple[Tunable, str]] = []
        try:
            for item in self._differing:
                for path in item.differing:
                    written.append((item, path))
                    self._write(item.name, path, item.wanted)
            # At the end of all: some tunables change others (vm.dirty_bytes and vm.dirty_ratio).
            for item in self.wanted:
                for path in item.current:
                    self._check(item.name, path, item.wanted)
        except TunableError as error:
            stays = "" if self._undo(written) else ". What was set for it stays; state: absent puts it back"
            for name in new if not stays else []:
                manifest.forget(KIND, name)
            manifest.save()
            raise TunableError(
                f"{error}; choose another value, or leave it alone: null for a sysctl or an attribute, an empty text "
                f"for the governor{stays}"
            ) from error
        self._put_back(manifest)

    def _write(self, name: str, path: str, value: str) -> None:
        try:
            self.kernel.write(path, value)
        except OSError as error:
            raise TunableError(
                f"{name} is wanted to be {value}, and the running kernel refuses that ({path}: {error.strerror})"
            ) from error

    def _check(self, name: str, path: str, value: str) -> None:
        """See whether the kernel took a value, and report what it made of it."""
        found = _read(self.kernel, path)
        if found is None or not same(value, found):
            raise TunableError(
                f"{name} is wanted to be {value}, and the running kernel made {found or 'nothing'} of it ({path})"
            )
        self.values[name] = found

    def _undo(self, written: List[Tuple[Tunable, str]]) -> bool:
        """Write the values from before again; whether all of them are back."""
        for item, path in reversed(written):
            for place, value in {**item.other, path: item.current[path]}.items():
                with contextlib.suppress(OSError):
                    self.kernel.write(place, value)
        return all(_read(self.kernel, path) == item.current[path] for item, path in written)

    def _put_back(self, manifest: Manifest) -> None:
        """Put back what is not wanted any more; one value that the kernel refuses does not keep the others."""
        errors = []
        for item in self.back:
            try:
                for path, value in item.values.items():
                    self._write(item.name, path, value)
                    self._check(item.name, path, value)
            except TunableError as error:
                errors.append(str(error))
                continue
            manifest.forget(KIND, item.name)
            manifest.save()
        if errors:
            raise TunableError(
                f"Not all values from before could be put back: {'; '.join(errors)}. "
                "Those that are missing are still in the manifest: run this again, or reboot and then run it again."
            )

    def result(self) -> Dict[str, Any]:
        """Return what the module reports."""
        return {"values": self.values, "left_alone": self.left_alone}

    def diff(self) -> List[Dict[str, str]]:
        """Return the values before and after."""
        texts = [
            "".join(f"{name} = {values.get(name, '')}\n" for name in sorted(self.values))
            for values in (self.before, self.values)
        ]
        header = "running kernel"
        return [{"before": texts[0], "after": texts[1], "before_header": header, "after_header": header}]


def compare(
    manifest: Manifest,
    role: str,
    wanted: Optional[Mapping[str, Any]],
    purpose: Purpose,
    kernel: Optional[Kernel] = None,
) -> TunablesChange:
    """Compare the live values with what is wanted.

    :param wanted: ``sysctls``, values by name, and ``attributes``, values by path or pattern, where None and an empty
        text leave one alone; ``governor`` of every CPU, empty to leave it alone; ``boot_file``, the file in which the
        role sets the same sysctls at boot.
    :raises TunableError: when a name or value is none, a value could never be put back, or a CPU lacks the governor.
    """
    change = TunablesChange(role=role, kernel=kernel or Kernel())
    names: Set[str] = set()
    if wanted is not None:
        values = _values(wanted["sysctls"])
        governor = wanted["governor"]
        attributes = _attribute_values(wanted["attributes"])
        names = {*values, *attributes, *([GOVERNOR] if governor else [])}
        # The governor first: while it is performance, the processor takes no other preference.
        change.wanted = [*_sysctls(values, change), *_governor(governor, change), *_attributes(attributes, change)]
        if purpose is not Purpose.JUDGE and not container.kind(change.kernel.root):
            change.warnings += _lost_at_boot(values, wanted["boot_file"], purpose, change.kernel.root)
    for item in change.wanted:
        entry = manifest.get(KIND, item.name)
        if entry is not None and entry["owner"] != role:
            raise TunableError(
                f"{item.name} is wanted by {role} and belongs to {entry['owner']}. Let only one of them manage it"
            )
        change.before[item.name] = ", ".join(sorted(set(item.current.values())))
        change.values[item.name] = item.wanted if item.differing else change.before[item.name]
    owned = manifest.owned(KIND, role)
    for name, entry in sorted(owned.items(), key=lambda item: (item[0] != GOVERNOR, item[0])):
        if name not in names:
            change.back.append(_to_put_back(name, entry, change))
    return change


CONCERN = Concern("kernel_tunables", OPTIONS, compare)


def same(wanted: str, found: str) -> bool:
    """Whether the kernel holds what is wanted.

    ``4096 87380`` and ``4096<tab>87380`` are the same to it, as are 0x10, 020 and 16; and of a row of numbers the
    first few may be set alone (kernel/sysctl.c, proc_dointvec).
    """
    left, right = wanted.split(), found.split()
    if left == right:
        return True
    numbers = [[_number(word) for word in words] for words in (left, right)]
    return None not in numbers[0] and bool(left) and numbers[0] == numbers[1][: len(left)]


def _number(word: str) -> Optional[int]:
    match = re.fullmatch(r"(-?)(0[xX][0-9a-fA-F]+|[0-9]+)", word)
    if not match:
        return None
    base = 16 if match.group(2)[:2] in ("0x", "0X") else 8 if re.fullmatch(r"0[0-7]+", match.group(2)) else 10
    return int(match.group(1) + match.group(2), base)


def _values(wanted: Mapping[str, Any]) -> Dict[str, str]:
    """Check names and values; return the values by each sysctl's usual name."""
    found: Dict[str, str] = {}
    for text, value in wanted.items():
        if value in (None, ""):
            continue
        problem = sysctls.problem(str(text))
        if problem:
            raise TunableError(problem)
        line = _line(str(text), value)
        name = sysctls.name(sysctls.key(str(text)))
        if found.setdefault(name, line) != line:
            raise TunableError(
                f"{name} is wanted twice, to be {found[name]} and {value}. Which of the two shall it be?"
            )
    return found


def _line(name: str, value: Any) -> str:
    """A value as it is written. Raises TunableError."""
    line = str(value).strip(" ")
    if isinstance(value, (bool, dict, list)) or not line or re.search(r"[\x00-\x08\x0a-\x1f\x7f]", line):
        raise TunableError(f"{name} is wanted to be {value!r}, which is not one line: write a number or a text")
    return line


def _attribute_values(wanted: Mapping[str, Any]) -> Dict[str, str]:
    """Check paths and values of attributes."""
    found = {}
    for path, value in wanted.items():
        if value in (None, ""):
            continue
        if not re.fullmatch(r"/sys(?:/[A-Za-z0-9_.:*?-]+)+", path) or "/../" in f"{path}/":
            raise TunableError(f"{path!r} is not the path of an attribute: wanted one below /sys, without '..'")
        found[path] = _line(path, value)
    return found


def _attributes(values: Mapping[str, str], change: TunablesChange) -> Iterator[Tunable]:
    root = change.kernel.root
    if values and container.kind(root):
        change.left_alone.append("a container shares its host's devices: their attributes are set there")
        return
    for pattern, value in values.items():
        current = {}
        for path in sorted(root.glob(pattern.lstrip("/"))):
            try:
                current[str(path)] = change.kernel.read(str(path))
            except OSError as error:
                change.left_alone.append(f"{path} does not answer ({error.strerror}), so it is left as it is")
        if current:
            yield Tunable(pattern, value, current)
        else:
            change.left_alone.append(
                f"there is no {pattern} that answers: {os.uname().release} or this machine lacks it"
            )


def _sysctls(values: Mapping[str, str], change: TunablesChange) -> List[Tunable]:
    root = change.kernel.root
    if values and container.kind(root):
        change.left_alone.append("a container shares its host's kernel: its sysctls are set there")
        return []
    found = []
    for name, value in values.items():
        path = root / "proc/sys" / sysctls.key(name)
        if not path.is_file():
            change.left_alone.append(f"the running kernel ({os.uname().release}) has no {name}")
            continue
        other = root / "proc/sys" / sysctls.key(_OTHER.get(name, name))
        try:
            current = change.kernel.read(str(path))
            beside = {str(other): change.kernel.read(str(other))} if other != path and other.is_file() else {}
        except OSError as error:
            raise TunableError(
                f"{name} is wanted to be {value}, but its value cannot be read ({error.strerror}), so it could never "
                "be put back: it is an order to the kernel, or not for us to see; set it to null to leave it out"
            ) from error
        found.append(Tunable(name, value, {str(path): current}, beside))
    return found


def _governor(governor: str, change: TunablesChange) -> List[Tunable]:
    """The governor of all CPUs that have one and are online."""
    root = change.kernel.root
    if not governor:
        return []
    # The kernel's CPUFREQ_NAME_LEN is 16; the same word stands in a file of tmpfiles.d.
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,15}", governor):
        raise TunableError(f"{governor!r} is not the name of a governor: wanted one word, such as performance")
    if container.kind(root):
        change.left_alone.append("a container shares its host's CPUs: the governor is set there")
        return []
    folders = (root / "sys/devices/system/cpu").glob("cpu[0-9]*")
    cpus = sorted((path for path in folders if path.name[3:].isdigit()), key=lambda path: int(path.name[3:]))
    files = {cpu: cpu / "cpufreq/scaling_governor" for cpu in cpus}
    if not any(os.path.lexists(path) for path in files.values()):
        change.left_alone.append(
            "no CPU frequency scaling here: the governor is left to the hypervisor or the firmware"
        )
        return []
    current = {}
    for cpu, path in files.items():
        try:
            current[str(path)] = change.kernel.read(str(path))
        except OSError as error:
            # A policy whose CPUs are all offline answers EBUSY (drivers/cpufreq/cpufreq.c, show).
            offline = error.errno == errno.EBUSY or _read(change.kernel, str(cpu / "online")) == "0"
            change.left_alone.append(
                f"{cpu.name} is offline, so its governor is left as it is; bring it online and run this again"
                if offline
                else f"{cpu.name} does not say its governor ({error.strerror}), so it is left as it is"
            )
            continue
        offered = (_read(change.kernel, str(path.with_name("scaling_available_governors"))) or governor).split()
        if governor not in offered:
            raise TunableError(
                f"the governor '{governor}' is not offered by {cpu.name}; choose one of {', '.join(offered)}"
            )
    return [Tunable(GOVERNOR, governor, current)] if current else []


def _to_put_back(name: str, entry: Mapping[str, Any], change: TunablesChange) -> Back:
    """What of an entry is to be written: where the value is still ours, and not what it was before."""
    back = Back(name, {}, {})
    ours = entry.get("set")
    before = dict(entry["before"])
    other = str(change.kernel.root / "proc/sys" / sysctls.key(_OTHER[name])) if name in _OTHER else ""
    instead = before.pop(other, "0")
    for path, value in before.items():
        found = _read(change.kernel, path)
        if found is None:
            if os.path.lexists(path):
                change.warnings.append(
                    f"{path} does not answer, so {name} was not put back: until a reboot it may stay"
                )
            continue
        back.current[path] = found
        if found == value:
            continue
        if ours is None or any(same(item, found) for item in ours):
            if value == "0" and instead != "0":
                path, value = other, instead
            back.values[path] = value
        else:
            change.warnings.append(
                f"{name} is {found}, which somebody else set; left as it is. Before this collection it was: {value}"
            )
    after = {**back.current, **(dict.fromkeys(back.current, "0") if other in back.values else back.values)}
    change.before[name] = ", ".join(sorted(set(back.current.values())))
    change.values[name] = ", ".join(sorted(set(after.values())))
    return back


def _lost_at_boot(values: Mapping[str, str], boot_file: str, purpose: Purpose, root: Path) -> Iterator[str]:
    """Say which values another file takes back at the next boot."""
    assume = {}
    if purpose is Purpose.PREDICT:
        # As in check mode, where an earlier task would have written it.
        assume[boot_file] = "".join(f"{name} = {value}\n" for name, value in values.items())
    found = at_boot(values, root, assume)
    for name, (value, file) in found.items():
        if not same(values[name], value):
            yield (
                f"{name} is {values[name]} only until the next boot, when {file} makes it {value}: "
                "take it out there, or let the role's settings say the same"
            )


def _read(kernel: Kernel, path: str) -> Optional[str]:
    try:
        return kernel.read(path)
    except OSError:
        return None
