# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe on kernels that nobody packages, and on kernels with faults, emulated below its own system calls."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest
from support import emulated_kernel as emulated
from support import seccomp_filters

from ansible_collections.nspa.proaudio.plugins.module_utils._sync import probe

_REASON = seccomp_filters.unavailable()
pytestmark = pytest.mark.skipif(bool(_REASON), reason=_REASON)

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can look as another user")


PATIENCE = 5.0  # s, where nothing hangs; a busy machine may pause for long
IMPATIENCE = 0.6  # s, where something does


def probed(kernel: emulated.Kernel, deadline: float = PATIENCE, samples: int = 3) -> dict[str, Any]:
    return kernel.run(lambda: probe.probe(samples=samples, deadline=deadline))


def _deadline(evidence: str) -> float:
    return IMPATIENCE if evidence.startswith("hangs") else PATIENCE


# Kernels that work: the name of the interface, then what the probe must say of it, and of its 32-bit side.
WORKING = {
    "linux-nspa 5.10.9": (
        emulated.WaitMultiple(), "futex_wait_multiple",
        {"status": "supported", "variant": "op31", "timeouts": "relative", "number": 31, "answer": "EINVAL"},
        "supported",
    ),
    "the 5.2.1 variant": (
        emulated.WaitMultiple(most=200), "futex_wait_multiple",
        {"status": "supported", "variant": "v521", "timeouts": "relative"},
        "supported",
    ),
    "linux-nspa 5.6.15, the README's": (
        emulated.WaitMultiple(timeouts="absolute-realtime", padded=False), "futex_wait_multiple",
        {"status": "degraded", "variant": "v55", "timeouts": "absolute-realtime"},
        "broken",
    ),
    "the proposal for Linux": (
        emulated.WaitMultiple(operation=13, timeouts="absolute-monotonic", padded=False), "futex_wait_multiple_13",
        {"status": "supported", "variant": "op13", "timeouts": "absolute-monotonic", "number": 13},
        "supported",
    ),
    "futex2": (
        emulated.Futex2(), "futex2",
        {"status": "supported", "variant": "rfc", "timeouts": "absolute-monotonic", "number": 443},
        "supported",
    ),
    "futex_waitv, emulated": (
        emulated.FutexWaitv(), "futex_waitv",
        {"status": "supported", "variant": None, "timeouts": "absolute-monotonic", "number": 449},
        "supported",
    ),
    "ntsync": (
        emulated.Ntsync(), "ntsync",
        {"status": "supported", "timeouts": "absolute-monotonic", "number": 0xC0284E82, "module": "loaded"},
        "supported",
    ),
    "the overlay": (
        emulated.Ntsync(overlay=True), "nspa_ntsync",
        {"status": "supported", "timeouts": "absolute-monotonic", "number": 0xC0084E90, "module": "loaded"},
        "supported",
    ),
    "winesync of 2022": (
        emulated.Winesync(), "winesync",
        {"status": "supported", "timeouts": "absolute-monotonic", "number": 0xC020F703, "module": "loaded"},
        "supported",
    ),
    "winesync of 2021": (
        emulated.Winesync(events=False), "winesync",
        {"status": "supported", "timeouts": "absolute-monotonic", "number": 0xC030F703},
        "supported",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("kernel", "name", "wanted", "compat"), WORKING.values(), ids=WORKING.keys())
def test_an_interface_of_the_past_or_of_linux_nspa_is_recognised(
    kernel: emulated.Kernel, name: str, wanted: dict[str, Any], compat: str
) -> None:
    found = probed(kernel)["interfaces"][name]
    assert {key: found[key] for key in wanted} == wanted, found["evidence"]
    assert found["wake_index_ok"] is True
    assert found["compat32"]["status"] == compat, found["compat32"]["evidence"]
    latency = found["wake_latency_us"]
    assert latency["samples"] == 3
    assert 0 < latency["min"] <= latency["p50"] <= latency["p99"] <= latency["max"]


def test_the_readme_kernel_is_told_in_words() -> None:
    result = probed(emulated.WaitMultiple(timeouts="absolute-realtime", padded=False))
    found = result["interfaces"]["futex_wait_multiple"]
    assert "every timed wait of Wine 5.x ends at once" in found["evidence"]
    assert "32-bit Wine writes padding" in found["compat32"]["evidence"]
    assert result["wine_series"]["5.x"] == {"chooses": "fsync", "through": "futex_wait_multiple", "works": False}
    assert any("Wine-NSPA 5.x would take futex_wait_multiple" in sentence for sentence in result["hazards"])


def test_an_overlay_before_the_aggregate_wait_is_recognised_by_its_channel() -> None:
    found = probed(emulated.Ntsync(overlay=True, aggregate=False))["interfaces"]["nspa_ntsync"]
    assert found["status"] == "supported"
    assert found["wake_index_ok"] is None


def test_a_stock_ntsync_is_no_overlay() -> None:
    found = probed(emulated.Ntsync())["interfaces"]["nspa_ntsync"]
    assert found["status"] == "absent"
    assert "stock" in found["evidence"]


def test_wine_with_futex_waitv_refuses_a_kernel_with_futex2() -> None:
    result = probed(emulated.Futex2())
    assert result["interfaces"]["futex_waitv"]["status"] == "supported"
    assert result["wine_series"]["8.x"]["chooses"] == "esync"
    assert result["wine_sync"] == "esync"
    assert any("futex2" in sentence for sentence in result["hazards"])


# Faults: the kernel, the interface, its status, and what its evidence must say.
FUTEX_FAULTS = {
    "wrong index": "number 0 was woken, the kernel said 1",
    "wrong index in long lists": "a wait on 128 private futexes: number 0 was woken, the kernel said 1",
    "EFAULT": "gets EFAULT, EAGAIN is right",
    "ENOSYS": "gets ENOSYS, EAGAIN is right",
    "EINTR": "gets EINTR, EAGAIN is right",
    "EINTR once asleep": "was interrupted again and again",
    "ignores values": "hangs: waiting for a value that had changed already",
    "wakes nobody": "hangs: waiting on 3 private futexes while number 0 is woken",
    "loses wakes": "hangs: waiting on 3 private futexes while number 0 is woken",
    "wake fails": "waking number 0 was answered with EFAULT",
    "returns early": "came back with 0 before anything was woken",
}


@pytest.mark.parametrize(("fault", "evidence"), FUTEX_FAULTS.items(), ids=FUTEX_FAULTS.keys())
@pytest.mark.parametrize(
    ("kernel", "name"),
    [
        (emulated.WaitMultiple, "futex_wait_multiple"),
        (emulated.Futex2, "futex2"),
        (emulated.FutexWaitv, "futex_waitv"),
    ],
)
def test_a_faulty_futex_interface_is_broken(
    kernel: type[emulated.FutexKernel], name: str, fault: str, evidence: str
) -> None:
    found = probed(kernel(fault), _deadline(evidence))["interfaces"][name]
    assert found["status"] == "broken"
    assert evidence in found["evidence"]
    assert found["wake_index_ok"] is not True
    assert found["compat32"]["status"] == "broken"


@pytest.mark.parametrize(
    ("kernel", "name"),
    [
        (emulated.WaitMultiple("timeouts at once"), "futex_wait_multiple"),
        (emulated.Futex2("timeouts at once"), "futex2"),
        (emulated.FutexWaitv("timeouts at once"), "futex_waitv"),
        (emulated.Ntsync("timeouts at once"), "ntsync"),
        (emulated.Winesync("timeouts at once"), "winesync"),
    ],
)
def test_timeouts_that_do_not_last_are_a_defect(kernel: emulated.Kernel, name: str) -> None:
    found = probed(kernel)["interfaces"][name]
    assert (found["status"], found["timeouts"], found["wake_index_ok"]) == ("degraded", None, True)
    assert "no timed wait lasts" in found["evidence"]


def test_a_kernel_that_hangs_at_the_first_question_costs_its_deadline_only() -> None:
    start = time.monotonic()
    result = probed(emulated.WaitMultiple("hangs at the first question"), deadline=0.5)
    assert time.monotonic() - start < 4
    found = result["interfaces"]["futex_wait_multiple"]
    assert found["status"] == "broken"
    assert "nothing came back within 0.5 s" in found["evidence"]
    assert result["interfaces"]["futex_waitv"]["status"] == "supported"  # the others are asked all the same


DEVICE_FAULTS = {
    "wrong index": "number 0 was woken, the kernel said 1",
    "EFAULT": "taking a semaphore that is free: EFAULT, 0 is right",
    "EINTR": "taking a semaphore that is free: EINTR, 0 is right",
    "loses wakes": "hangs: ",
    "returns early": "taking it again: 0, ETIMEDOUT is right",
    "forgets owners": "unlocking it as somebody else: 2, EPERM is right",
    "forgets the dead": "locking an abandoned mutex: 0, EOWNERDEAD is right",
    "takes one of all": "a wait for all must take all: 1, ETIMEDOUT is right",
}


@pytest.mark.parametrize(("fault", "evidence"), DEVICE_FAULTS.items(), ids=DEVICE_FAULTS.keys())
@pytest.mark.parametrize(("kernel", "name"), [(emulated.Ntsync, "ntsync"), (emulated.Winesync, "winesync")])
def test_a_faulty_driver_is_broken(kernel: type[emulated.DeviceKernel], name: str, fault: str, evidence: str) -> None:
    found = probed(kernel(fault), _deadline(evidence))["interfaces"][name]
    assert found["status"] == "broken"
    assert evidence in found["evidence"]


@pytest.mark.parametrize(
    ("fault", "evidence"),
    [
        ("garbles messages", "receiving from a channel: 0, 12 and 22 came of 11 and 22"),
        ("no replies", "hangs: sending through a channel"),
        ("wrong index", "number 0 was woken, the kernel said 1"),
    ],
)
def test_a_faulty_overlay_is_broken(fault: str, evidence: str) -> None:
    found = probed(emulated.Ntsync(fault, overlay=True), _deadline(evidence))["interfaces"]["nspa_ntsync"]
    assert found["status"] == "broken"
    assert evidence in found["evidence"]


def test_the_unfinished_driver_of_linux_6_10_is_broken_and_a_hazard() -> None:
    result = probed(emulated.Ntsync("unfinished driver"))
    assert result["interfaces"]["ntsync"]["status"] == "broken"
    assert result["wine_series"]["11.x"] == {"chooses": "ntsync", "through": "ntsync", "works": False}
    assert result["wine_sync"] == "fsync"
    assert any("unload the module" in sentence for sentence in result["hazards"])


# Device nodes: the kernel, then status, module, and part of the evidence.
NODES = {
    "not there": (emulated.Ntsync(loaded=False), "absent", "none", "this kernel does not have it"),
    "not loaded": (emulated.Ntsync(loaded=False, listed=True), "absent", "available", "modprobe ntsync"),
    "loaded, and no node": (emulated.Ntsync("no node"), "blocked", "loaded", "hand the device into this container"),
    "a node, and no driver": (emulated.Ntsync("no driver", listed=True), "absent", "loaded", "ENXIO"),
}


@pytest.mark.parametrize(("kernel", "status", "module", "evidence"), NODES.values(), ids=NODES.keys())
def test_what_is_missing_is_told(kernel: emulated.Kernel, status: str, module: str, evidence: str) -> None:
    found = probed(kernel)["interfaces"]["ntsync"]
    assert (found["status"], found["module"]) == (status, module)
    assert evidence in found["evidence"]


@as_root
def test_a_device_for_root_only_is_no_use_to_a_musician() -> None:
    result = probed(emulated.Ntsync(mode=0o600))
    found = result["interfaces"]["ntsync"]
    assert (found["status"], found["ordinary_user"]) == ("degraded", False)
    assert "mode 0600" in found["evidence"]
    assert result["wine_series"]["11.x"]["chooses"] == "server"
    assert result["wine_sync"] == "fsync"


@as_root
def test_an_ordinary_user_who_may_not_open_the_device_is_blocked() -> None:
    def as_nobody() -> Any:
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        return probe.probe(samples=0)

    result = emulated.Ntsync(mode=0o600).run(as_nobody)
    found = result["interfaces"]["ntsync"]
    assert (found["status"], found["ordinary_user"]) == ("blocked", False)
    assert "udev" in found["evidence"]
    assert result["interfaces"]["futex_waitv"]["status"] == "supported"


@as_root
def test_an_open_device_is_usable_by_everybody() -> None:
    result = probed(emulated.Ntsync(mode=0o666))
    assert result["interfaces"]["ntsync"]["ordinary_user"] is True
    assert result["wine_sync"] == "ntsync"
    assert {name: choice["chooses"] for name, choice in result["wine_series"].items()} == {
        "5.x": "esync",
        "8.x": "fsync",
        "11.x": "ntsync",
        "stock": "ntsync",
        "proton": "ntsync",
    }
