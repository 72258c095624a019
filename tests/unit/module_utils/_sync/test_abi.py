# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers and struct layouts: against the kernel's own headers where they are installed, and against known values."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from ansible_collections.nspa.proaudio.plugins.module_utils._sync import abi, devices, futex
from ansible_collections.nspa.proaudio.plugins.module_utils._sync.devices import NspaNtsync, Ntsync, Winesync

HEADERS = Path("/usr/include")
TABLES = {
    "x86_64": "x86_64-linux-gnu/asm/unistd_64.h",
    "i386": "x86_64-linux-gnu/asm/unistd_32.h",
    "aarch64": "asm-generic/unistd.h",
    "riscv64": "asm-generic/unistd.h",
    "loongarch64": "asm-generic/unistd.h",
}
_TYPES = {"__u64": "Q", "__u32": "I"}


def header(name: str) -> str:
    path = HEADERS / name
    if not path.exists():
        pytest.skip(f"linux-libc-dev here has no {name}")
    return path.read_text()


def layout(text: str, name: str) -> tuple[str, list[str]]:
    """The struct module's layout of a C struct of __u32 and __u64, and the names of its fields."""
    body = re.search(rf"struct {name} \{{(.*?)\}};", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL), re.DOTALL)
    assert body, name
    fields = re.findall(r"(__u\d\d)\s+(\w+);", body.group(1))
    return "=" + "".join(_TYPES[kind] for kind, _name in fields), [field for _kind, field in fields]


@pytest.mark.parametrize("architecture", TABLES)
def test_system_call_numbers_are_those_of_the_headers(architecture: str) -> None:
    text = header(TABLES[architecture])
    for name, number in abi.SYSCALLS[architecture].items():
        found = re.search(rf"#define __NR(?:3264)?_{name}\s+(\d+)", text)
        assert found, f"{name} of {abi}"
        assert int(found.group(1)) == number, f"{name} of {abi}"


def test_futex_constants_are_those_of_the_header() -> None:
    text = header("linux/futex.h")
    for name, value in {
        "FUTEX_WAKE": abi.FUTEX_WAKE,
        "FUTEX_PRIVATE_FLAG": abi.FUTEX_PRIVATE_FLAG,
        "FUTEX_WAITV_MAX": futex.MAXIMUM,
        "FUTEX_LOCK_PI2": futex.FutexOperation13.operation,
    }.items():
        found = re.search(rf"#define {name}\s+(\d+)", text)
        assert found, name
        assert int(found.group(1)) == value, name


def test_an_entry_of_futex_waitv_is_the_struct_of_the_header() -> None:
    form, fields = layout(header("linux/futex.h"), "futex_waitv")
    entry = futex.FutexWaitv(abi.Abi("x86_64")).entry(0x1122334455667788, 7, shared=False)
    assert struct.calcsize(form) == len(entry) == 24
    values = dict(zip(fields, struct.unpack(form, entry)))
    assert values == {"val": 7, "uaddr": 0x1122334455667788, "flags": 128 | 2, "__reserved": 0}


def test_ntsync_is_that_of_the_header() -> None:
    text = header("linux/ntsync.h")
    defined = dict(re.findall(r"#define NTSYNC_IOC_(\w+)\s+(_IO\w+ ?\(.*\))", text))
    assert "EVENT_READ" in defined, "the header is that of an unfinished ntsync"
    directions = {"_IOW": 1, "_IOR": 2, "_IOWR": 3}
    for name in ("CREATE_SEM", "SEM_RELEASE", "WAIT_ANY", "WAIT_ALL", "CREATE_MUTEX", "MUTEX_UNLOCK", "MUTEX_KILL",
                 "CREATE_EVENT", "EVENT_SET"):  # fmt: skip
        macro, number, argument = re.match(r"(_IO\w+) ?\('N', (0x\w+), (.*)\)", defined[name]).groups()
        size = 4 if argument == "__u32" else struct.calcsize(layout(text, argument.split()[1])[0])
        wanted = devices.ioctl_number(directions[macro], ord("N"), int(number, 16), size)
        assert getattr(Ntsync, name) == wanted, name
    assert layout(text, "ntsync_wait_args")[1] == [
        "timeout", "objs", "count", "index", "flags", "owner", "alert", "pad"
    ]  # fmt: skip
    assert int(re.search(r"#define NTSYNC_MAX_WAIT_COUNT (\d+)", text).group(1)) == devices.MAXIMUM


# From the drivers' headers of Linux 6.14, linux-nspa 7.0 and winesync, computed by a C compiler.
IOCTLS = {
    Ntsync: {
        "CREATE_SEM": 0x40084E80, "SEM_RELEASE": 0xC0044E81, "WAIT_ANY": 0xC0284E82, "WAIT_ALL": 0xC0284E83,
        "CREATE_MUTEX": 0x40084E84, "MUTEX_UNLOCK": 0xC0084E85, "MUTEX_KILL": 0x40044E86,
        "CREATE_EVENT": 0x40084E87, "EVENT_SET": 0x80044E88,
    },
    NspaNtsync: {
        "CREATE_CHANNEL": 0xC0084E90, "CHANNEL_SEND_PI": 0xC0184E91, "CHANNEL_RECV": 0xC0204E92,
        "CHANNEL_REPLY": 0x40084E93, "AGGREGATE_WAIT": 0xC0284E97,
    },
    Winesync: {
        "CREATE_SEM": 0xC00CF700, "PUT_SEM": 0xC00CF702, "WAIT_ANY": 0xC020F703, "WAIT_ALL": 0xC020F704,
        "CREATE_MUTEX": 0xC00CF705, "PUT_MUTEX": 0xC00CF706, "KILL_OWNER": 0x4004F707, "CREATE_EVENT": 0xC00CF70A,
        "SET_EVENT": 0xC00CF70B, "WAIT_ANY_2021": 0xC030F703, "WAIT_ALL_2021": 0x4030F704,
    },
}  # fmt: skip


@pytest.mark.parametrize("device", IOCTLS, ids=lambda device: device.name)
def test_ioctl_numbers_are_the_known_ones(device: type[devices.Device]) -> None:
    assert {name: getattr(device, name) for name in IOCTLS[device]} == IOCTLS[device]


@pytest.mark.parametrize(
    ("name", "kind", "padded", "wanted"),
    [
        ("x86_64", futex.FutexOperation, True, "10000000 00000000 07000000 ffffffff"),
        ("aarch64", futex.FutexOperation, True, "10000000 00000000 07000000 ffffffff"),
        ("i386", futex.FutexOperation, True, "10000000 00000000 07000000 ffffffff"),
        ("i386", futex.FutexOperation, False, "10000000 07000000 ffffffff"),
    ],
)
def test_a_block_of_wait_multiple(name: str, kind: type[futex.FutexOperation], padded: bool, wanted: str) -> None:
    assert kind(abi.Abi(name), padded).entry(0x10, 7, shared=True) == bytes.fromhex(wanted)


def test_a_block_of_opcode_13_has_no_padding_in_32_bit() -> None:
    assert len(futex.FutexOperation13(abi.Abi("i386")).entry(0x10, 7, shared=True)) == 12
    assert len(futex.FutexOperation13(abi.Abi("x86_64")).entry(0x10, 7, shared=True)) == 16


def test_an_entry_of_futex2_is_sixteen_bytes_in_32_bit_too(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("x86_64", "i386"):
        interface = futex.Futex2(abi.Abi(name))
        assert interface.entry(0x10, 7, shared=True) == struct.pack("=QII", 0x10, 7, 2 | 8)
        assert interface.entry(0x10, 7, shared=False) == struct.pack("=QII", 0x10, 7, 2)


def test_timespecs_are_as_wide_as_the_interface_wants_them() -> None:
    moment = 5 * 10**9 + 7
    assert abi.timespec64(moment) == struct.pack("=qq", 5, 7)
    assert abi.Abi("x86_64").old_timespec(moment) == struct.pack("=qq", 5, 7)
    assert abi.Abi("i386").old_timespec(moment) == struct.pack("=ii", 5, 7)


@pytest.mark.parametrize(
    ("machine", "pointer", "name"),
    [
        ("x86_64", 8, "x86_64"),
        ("x86_64", 4, "i386"),
        ("i686", 4, "i386"),
        ("aarch64", 8, "aarch64"),
        ("aarch64", 4, "arm"),
        ("armv7l", 4, "arm"),
        ("riscv64", 8, "riscv64"),
        ("s390x", 8, ""),
        ("mips", 4, ""),
    ],
)
def test_the_machine_is_told_by_its_name_and_by_the_interpreter(
    monkeypatch: pytest.MonkeyPatch, machine: str, pointer: int, name: str
) -> None:
    real = abi.os.uname()
    monkeypatch.setattr(abi.os, "uname", lambda: type(real)((*real[:4], machine)))
    monkeypatch.setattr(abi.struct, "calcsize", lambda _layout: pointer)
    assert abi.native_abi_name() == name


def test_errors_have_names_and_results_stay_numbers() -> None:
    assert [abi.errno_name(result) for result in (-22, -38, 0, 3)] == ["EINVAL", "ENOSYS", "0", "3"]
