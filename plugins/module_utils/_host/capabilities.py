# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""File capabilities, read and written as what they are: the extended attribute ``security.capability``.

The tools that print them changed their spelling (``= cap_sys_nice+ep``, then ``cap_sys_nice=ep``); the attribute
did not change. Its layout, little-endian words: magic (revision in the top byte, bit 0: effective), then permitted
and inheritable, one pair in revision 1 and two pairs from revision 2 on; revision 3 adds the uid that is root in the
user namespace it is valid for (linux/capability.h: struct vfs_cap_data, struct vfs_ns_cap_data).

A file is known by its device, inode and time of change as well as by its path: one that was replaced after it was
looked at is not touched.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import re
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from ansible_collections.nspa.proaudio.plugins.module_utils._core.change import Concern, Purpose
from ansible_collections.nspa.proaudio.plugins.module_utils._core.errors import HostError
from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import Manifest

KIND = "capabilities"
ATTRIBUTE = "security.capability"

_FILE = {"path": {"type": "str", "required": True}, "capabilities": {"type": "str", "required": True}}
OPTIONS: Dict[str, Any] = {"files": {"type": "list", "elements": "dict", "options": _FILE, "default": []}}

#: Names by bit number (linux/capability.h as of Linux 6.18; CAP_LAST_CAP is 40 since 5.9).
NAMES = (
    "cap_chown",
    "cap_dac_override",
    "cap_dac_read_search",
    "cap_fowner",
    "cap_fsetid",
    "cap_kill",
    "cap_setgid",
    "cap_setuid",
    "cap_setpcap",
    "cap_linux_immutable",
    "cap_net_bind_service",
    "cap_net_broadcast",
    "cap_net_admin",
    "cap_net_raw",
    "cap_ipc_lock",
    "cap_ipc_owner",
    "cap_sys_module",
    "cap_sys_rawio",
    "cap_sys_chroot",
    "cap_sys_ptrace",
    "cap_sys_pacct",
    "cap_sys_admin",
    "cap_sys_boot",
    "cap_sys_nice",
    "cap_sys_resource",
    "cap_sys_time",
    "cap_sys_tty_config",
    "cap_mknod",
    "cap_lease",
    "cap_audit_write",
    "cap_audit_control",
    "cap_setfcap",
    "cap_mac_override",
    "cap_mac_admin",
    "cap_syslog",
    "cap_wake_alarm",
    "cap_block_suspend",
    "cap_audit_read",
    "cap_perfmon",
    "cap_bpf",
    "cap_checkpoint_restore",
)
REVISION_2 = 0x02000000
REVISION_MASK = 0xFF000000
EFFECTIVE = 0x000001
#: Size of the attribute by revision.
SIZES = {0x01000000: 12, REVISION_2: 20, 0x03000000: 24}


class CapabilityError(HostError):
    """Capabilities cannot be read, understood or set as asked; the text says what to do."""


class Capabilities(NamedTuple):
    """The capabilities of a file. Bit masks; `rootid` is the uid that is root where they count (0: everywhere)."""

    permitted: int
    inheritable: int
    effective: bool
    rootid: int = 0

    def __str__(self) -> str:
        """As libcap 2.41 and later print them, for example ``cap_net_raw,cap_sys_nice=ep``."""
        clauses = []
        for flags, bits in (
            ("ip", self.permitted & self.inheritable),
            ("p", self.permitted & ~self.inheritable),
            ("i", self.inheritable & ~self.permitted),
        ):
            if bits:
                clauses.append(f"{','.join(_names(bits))}={'e' if self.effective else ''}{flags}")
        text = " ".join(clauses) or "="
        return f"{text} [rootid={self.rootid}]" if self.rootid else text


class Seen(NamedTuple):
    """What stood at a path: which file it was (`identity`), and its attribute, or None if it had none."""

    identity: Tuple[int, int, int]
    attribute: Optional[bytes]


@dataclass
class FileChange:
    """One file whose capabilities differ.

    `seen` is None where the file does not exist yet (only in a prediction); `after` is the attribute, or None for
    none; `back`: the role gives the file up.
    """

    path: str
    seen: Optional[Seen]
    after: Optional[bytes]
    back: bool = False

    @property
    def before(self) -> Optional[bytes]:
        """The attribute that it has now."""
        return self.seen.attribute if self.seen else None


@dataclass
class CapabilitiesChange:
    """What differs between the programs and what is wanted.

    `forget`: given up, and nothing to put back; `settle`: set as wanted by a run that was then interrupted;
    `litter`: left of the manifest by an interrupted run.
    """

    role: str
    files: List[FileChange] = field(default_factory=list)
    forget: List[str] = field(default_factory=list)
    settle: List[Tuple[str, bytes]] = field(default_factory=list)
    warnings: List[str] = field(default_factory=list)
    litter: List[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        """Whether anything differs, traces of an interrupted run included."""
        return bool(self.files or self.forget or self.settle or self.litter)

    def apply(self, manifest: Manifest) -> None:
        """Set what differs. Raises CapabilityError, with nothing changed if a program is not the one looked at."""
        with contextlib.ExitStack() as stack:
            opened = [(item, stack.enter_context(_opened(item))) for item in self.files]
            ours = [(item, item.after) for item in self.files if item.after is not None and not item.back]
            for item, attribute in ours:
                entry = manifest.get(KIND, item.path)
                before = None if item.before is None else item.before.hex()
                # Until it is set, both the old and the new one are ours.
                still = [before] if entry is not None and before in entry["set"] else []
                manifest.record(KIND, item.path, self.role, before, set=[*still, attribute.hex()])
            if ours:
                manifest.save()
            for item, descriptor in opened:
                _write(item, descriptor)
        for path, attribute in [(item.path, attribute) for item, attribute in ours] + self.settle:
            manifest.record(KIND, path, self.role, None, set=[attribute.hex()])
        for path in [item.path for item in self.files if item.back] + self.forget:
            manifest.forget(KIND, path)
        manifest.save()

    def result(self) -> Dict[str, Any]:
        """What the module returns."""
        return {
            "changed_files": [item.path for item in self.files],
            "changes": [
                {
                    "path": item.path,
                    "before": text_of(item.before),
                    "after": text_of(item.after),
                    "missing": item.seen is None,
                }
                for item in self.files
            ],
        }

    def diff(self) -> List[Dict[str, str]]:
        """The capabilities of each program, in the form of Ansible's --diff."""
        return [
            {
                "before_header": f"{item.path} (capabilities)",
                "after_header": f"{item.path} (capabilities)",
                "before": f"{text_of(item.before)}\n" if item.before is not None else "",
                "after": f"{text_of(item.after)}\n" if item.after is not None else "",
            }
            for item in self.files
        ]


# -- text and attribute


def parse(text: str) -> Capabilities:
    """Read a text such as ``cap_sys_nice+ep`` or ``cap_net_raw,cap_sys_nice=ep`` (cap_from_text(3)).

    Raises CapabilityError for what is not one, and for what a file cannot carry: its effective flag is one bit
    for all of its capabilities.
    """
    sets = {"e": 0, "i": 0, "p": 0}
    for clause in text.split():
        match = re.match(r"^([A-Za-z0-9_,]*)((?:=[eip]*|[+-][eip]+)+)$", clause)
        if not match:
            raise CapabilityError(f"'{clause}' in '{text}' is not of the form cap_sys_nice+ep.")
        bits = _bits(match.group(1), text)
        for operator, flags in re.findall(r"([=+-])([eip]*)", match.group(2)):
            for flag in sets:
                if operator == "=":
                    sets[flag] &= ~bits
                if flag in flags:
                    sets[flag] = sets[flag] & ~bits if operator == "-" else sets[flag] | bits
    carried = sets["p"] | sets["i"]
    if sets["e"] not in (0, carried):
        raise CapabilityError(
            f"'{text}' makes only some of its capabilities effective. A file has one effective flag for all of them: "
            f"give each of them the e, or none."
        )
    if not carried:
        raise CapabilityError(
            f"'{text}' grants nothing. Write, for example, cap_sys_nice+ep; to take capabilities away, leave the file "
            f"out, or use state: absent."
        )
    return Capabilities(sets["p"], sets["i"], bool(sets["e"]))


def decode(attribute: bytes) -> Capabilities:
    """Read the attribute. Raises CapabilityError for a layout that no kernel writes."""
    magic = struct.unpack_from("<I", attribute.ljust(4, b"\0"))[0]
    size = SIZES.get(magic & REVISION_MASK)
    if size != len(attribute):
        raise CapabilityError(f"The attribute {attribute.hex()} has no revision and length that Linux knows.")
    words = struct.unpack(f"<{size // 4}I", attribute)
    permitted, inheritable = words[1], words[2]
    if size > 12:
        permitted, inheritable = permitted | words[3] << 32, inheritable | words[4] << 32
    return Capabilities(permitted, inheritable, bool(magic & EFFECTIVE), words[5] if size == 24 else 0)


def encode(wanted: Capabilities) -> bytes:
    """The attribute in revision 2, which the kernel itself turns into 3 inside a user namespace."""
    low, high = 0xFFFFFFFF, 32
    return struct.pack(
        "<5I",
        REVISION_2 | (EFFECTIVE if wanted.effective else 0),
        wanted.permitted & low,
        wanted.inheritable & low,
        wanted.permitted >> high,
        wanted.inheritable >> high,
    )


def read(path: str) -> Optional[bytes]:
    """The attribute of a file, or None if it has none. Raises OSError."""
    return look(path).attribute


def look(path: str) -> Seen:
    """Which file stands at a path, and its attribute. Raises OSError."""
    info = os.lstat(path)
    try:
        attribute: Optional[bytes] = os.getxattr(path, ATTRIBUTE, follow_symlinks=False)
    except OSError as error:
        if error.errno not in (errno.ENODATA, errno.ENOTSUP):
            raise
        attribute = None
    return Seen(_identity(info), attribute)


def text_of(attribute: Optional[bytes]) -> str:
    """What a person reads: the capabilities, an empty text for none, the bytes if they make no sense."""
    if attribute is None:
        return ""
    try:
        return str(decode(attribute))
    except CapabilityError:
        return f"unknown ({attribute.hex()})"


# -- comparing


def compare(manifest: Manifest, role: str, wanted: Optional[Mapping[str, Any]], purpose: Purpose) -> CapabilitiesChange:
    """Compare the programs with what is wanted.

    A file that does not exist is an error only when it is to be applied: it may belong to a package that an earlier
    task would install.

    :param wanted: ``files``, dictionaries with ``path`` (or a pattern) and ``capabilities``, a text.
    :raises CapabilityError: with nothing changed, for whatever forbids to go on.
    """
    change = CapabilitiesChange(role=role, litter=manifest.litter())
    files: Dict[str, Tuple[Seen, bytes]] = {}
    missing: Dict[str, bytes] = {}
    for item in wanted["files"] if wanted is not None else []:
        pattern, text = item["path"], item["capabilities"]
        attribute = encode(parse(text))
        found = _files(pattern, applied=purpose is Purpose.APPLY)
        if not found and purpose is Purpose.APPLY:
            raise CapabilityError(
                f"{pattern} does not exist on this host, and {text} was wanted on it. "
                f"Install the package that brings it first, or correct the path."
            )
        if not found:
            missing[pattern] = attribute
        for path, seen in found.items():
            if files.setdefault(path, (seen, attribute))[1] != attribute:
                raise CapabilityError(f"{path} is in the list twice, with different capabilities.")
    change.files = [FileChange(path, None, attribute) for path, attribute in missing.items()]
    for path, (seen, attribute) in files.items():
        entry = manifest.get(KIND, path)
        if entry is not None and entry["owner"] != role:
            raise CapabilityError(
                f"The capabilities of {path} are wanted by {role} and belong to {entry['owner']}. "
                f"Let only one of them manage it."
            )
        if not _same(seen.attribute, attribute):
            change.files.append(FileChange(path, seen, attribute))
        elif entry is not None and entry["set"] != [attribute.hex()]:
            change.settle.append((path, attribute))
    for path, entry in sorted(manifest.owned(KIND, role).items()):
        if path not in files:
            _put_back(path, entry, change)
    return change


CONCERN = Concern("file_capabilities", OPTIONS, compare)


# -- details


def _bits(names: str, text: str) -> int:
    """The bit mask of a list of names; no name, or "all", means all that this kernel knows."""
    if names in ("", "all"):
        return (1 << _last() + 1) - 1
    bits = 0
    for name in names.lower().split(","):
        numbered = re.match(r"^cap_([0-9]+)$", name)
        if name in NAMES:
            number = NAMES.index(name)
        elif numbered and int(numbered.group(1)) < 64:
            number = int(numbered.group(1))
        else:
            raise CapabilityError(f"'{name}' in '{text}' is not a capability of Linux; see capabilities(7).")
        bits |= 1 << number
    return bits


def _last() -> int:
    try:
        return int(Path("/proc/sys/kernel/cap_last_cap").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return len(NAMES) - 1


def _names(bits: int) -> List[str]:
    numbers = [number for number in range(bits.bit_length()) if bits >> number & 1]
    return [NAMES[number] if number < len(NAMES) else f"cap_{number}" for number in numbers]


def _same(one: Optional[bytes], other: Optional[bytes]) -> bool:
    """Whether two attributes grant the same; the revision they are written in does not matter."""
    if one is None or other is None:
        return one is other
    try:
        return decode(one) == decode(other)
    except CapabilityError:
        return one == other


def _put_back(path: str, entry: Mapping[str, Any], change: CapabilitiesChange) -> None:
    """Add to a change what has to be put back of one entry, or only has to be forgotten, with a warning if need be."""
    before = None if entry["before"] is None else bytes.fromhex(entry["before"])
    try:
        seen = look(path)
    except FileNotFoundError:
        change.forget.append(path)
        return
    except OSError as error:
        raise CapabilityError(f"The capabilities of {path} cannot be read: {error.strerror}.") from error
    current = seen.attribute
    if _same(current, before) or current is None:
        # None although we set some: a package upgrade replaced the file.
        change.forget.append(path)
    elif any(_same(current, bytes.fromhex(item)) for item in entry["set"]):
        change.files.append(FileChange(path, seen, before, back=True))
    else:
        change.forget.append(path)
        change.warnings.append(
            f"{path} carries {text_of(current)}, which somebody else set; left as it is. "
            f"Before this collection it was: {text_of(before) or 'none'}."
        )


def _files(pattern: str, applied: bool) -> Dict[str, Seen]:
    """The programs that a path or glob means, by their true directory; none if there is nothing at all.

    Raises CapabilityError for what cannot carry capabilities.
    """
    if not pattern.startswith("/") or "\0" in pattern:
        raise CapabilityError(f"'{pattern}' is not an absolute path.")
    try:
        if not glob.has_magic(pattern):
            return dict([_program(pattern)]) if os.path.lexists(pattern) else {}
        found = sorted(str(path) for path in Path("/").glob(pattern.lstrip("/")))
        programs = [path for path in found if _is_elf(Path(path))]
        # In a prediction the program may yet come, beside the script that starts it: libwine brings one of Wine's.
        if found and not programs and applied:
            raise CapabilityError(
                f"{pattern} matches no program (ELF file), only {', '.join(found)}. {_problem(Path(found[0]))}"
            )
        return dict(_program(path) for path in programs)
    except (OSError, ValueError) as error:
        raise CapabilityError(f"{pattern} cannot be looked at: {error}. Remedy that, or correct the path.") from error


def _program(path: str) -> Tuple[str, Seen]:
    """One program; what stands there is noted first, so that what is checked after is that one, or is not touched."""
    seen = look(path)
    problem = _problem(Path(path))
    if problem:
        raise CapabilityError(problem)
    return _canonical(path), seen


def _identity(info: os.stat_result) -> Tuple[int, int, int]:
    return (info.st_dev, info.st_ino, info.st_ctime_ns)


def _canonical(path: str) -> str:
    """One name for a file that is reached through several, as /lib and /usr/lib."""
    return str(Path(path).parent.resolve() / Path(path).name)


def _is_elf(path: Path) -> bool:
    """A regular file (not a symlink to one) that starts as an ELF file does."""
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(4) == b"\x7fELF"


def _problem(path: Path) -> str:
    """Why the kernel would ignore or refuse capabilities on this path, with what to do; empty if it would not."""
    if path.is_symlink():
        target = path.resolve()
        hint = f"name that one, {target}" if _is_elf(target) else f"it leads to {target}, which is not a program either"
        return f"{path} is a symlink, and capabilities count only on the program itself: {hint}."
    if not path.is_file():
        return f"{path} is not a file; capabilities belong on a program."
    if not _is_elf(path):
        return _problem_of_script(path)
    if not path.stat().st_mode & 0o111:
        return f"{path} is not executable, so nothing could use its capabilities. Is it a library?"
    if os.statvfs(str(path)).f_flag & os.ST_NOSUID:
        return (
            f"{path} is on a file system mounted with nosuid, where the kernel ignores capabilities. "
            f"Remount it with suid, or install the program elsewhere."
        )
    return ""


def _problem_of_script(path: Path) -> str:
    with path.open("rb") as stream:
        head = stream.read(65536)
    if not head.startswith(b"#!"):
        return f"{path} is not a program (ELF file); the kernel ignores capabilities on it."
    interpreter, _newline, body = head.partition(b"\n")
    named = {word.decode() for word in re.findall(rb"/[A-Za-z0-9_./+-]+", body)}
    programs = sorted(word for word in named if _is_elf(Path(word)))
    hint = f"It names {', '.join(programs)}: is that the one?" if programs else "Name the program that it starts."
    return (
        f"{path} is a script ({interpreter.decode('utf-8', 'replace').strip()}), "
        f"and the kernel ignores capabilities on scripts. {hint}"
    )


@contextlib.contextmanager
def _opened(item: FileChange) -> Iterator[int]:
    """Open the file that was looked at. Raises CapabilityError if another one stands there now."""
    with _changing(item.path):
        try:
            # Not held up by a pipe that stands there now.
            descriptor = os.open(item.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENOENT, errno.ENXIO):
                raise
            raise _replaced(item.path) from error
    try:
        info = os.fstat(descriptor)
        if item.seen is None or _identity(info) != item.seen.identity:
            raise _replaced(item.path)
        yield descriptor
    finally:
        os.close(descriptor)


def _write(item: FileChange, descriptor: int) -> None:
    with _changing(item.path):
        if item.after is not None:
            os.setxattr(descriptor, ATTRIBUTE, item.after)
            return
        try:
            os.removexattr(descriptor, ATTRIBUTE)
        except OSError as error:
            # Of two hard links to one file, the other one was first.
            if error.errno != errno.ENODATA:
                raise


def _replaced(path: str) -> CapabilityError:
    return CapabilityError(
        f"{path} was replaced or changed while it was looked at, so nothing was changed. "
        f"Is a package being installed? Wait until that has ended, and run again."
    )


@contextlib.contextmanager
def _changing(path: str) -> Iterator[None]:
    """Turn what the kernel says into what to do."""
    try:
        yield
    except OSError as error:
        remedies = {
            errno.ENOTSUP: "Its file system cannot store capabilities; install the program on one that can (ext4, "
            "XFS, Btrfs).",
            errno.EPERM: "This needs root: become: true. In a container, it needs CAP_SETFCAP too.",
            errno.EROFS: "Its file system is mounted read-only: remount it, and run again.",
        }
        raise CapabilityError(
            f"The capabilities of {path} cannot be changed: {error.strerror}. "
            f"{remedies.get(error.errno or 0, 'Remedy that, and run again.')}"
        ) from error
