# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which way to synchronise each Wine would take on this host, and whether that is wise. Pure functions.

Each Wine detects in its own order, and less carefully than this probe: any answer but ENOSYS is a yes to it, and a
device that can be opened is a good one. The orders are those of Wine's and Proton's sources (docs/sync-interfaces.md).
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from ansible_collections.nspa.proaudio.plugins.module_utils._sync.judge import ABSENT, BROKEN, SUPPORTED

Interfaces = Dict[str, Dict[str, Any]]

SERIES = ("5.x", "8.x", "11.x", "stock", "proton")


def series(interfaces: Interfaces, esync: bool) -> Dict[str, Dict[str, Any]]:
    """For each series: what it `chooses` (ntsync, fsync, esync or server), `through` which interface, and whether that
    `works`. `esync`: whether eventfd works here. Wants WINEFSYNC=1 or WINEESYNC=1 where a series asks for it."""
    ntsync = _opens(interfaces["ntsync"])
    fallback = "esync" if esync else "server"
    chosen: Dict[str, Optional[str]] = {
        "5.x": "futex_wait_multiple" if _answers(interfaces["futex_wait_multiple"]) else None,
        "8.x": "futex_waitv" if _fsync_of_8(interfaces) else None,
        "11.x": "ntsync" if ntsync else None,
        "stock": "ntsync" if ntsync else None,
        "proton": "ntsync" if ntsync else "futex_waitv" if _fsync_of_8(interfaces) else None,
    }
    result: Dict[str, Dict[str, Any]] = {}
    for name in SERIES:
        through = chosen[name]
        if through is None:
            chooses = fallback if name in ("5.x", "8.x") else "server"
        else:
            chooses = "ntsync" if through == "ntsync" else "fsync"
        works = through is None or interfaces[through]["status"] == SUPPORTED
        result[name] = {"chooses": chooses, "through": through, "works": works}
    return result


def best(interfaces: Interfaces, esync: bool) -> str:
    """The best that a Wine made for this host could use: ntsync, fsync, esync or server."""
    if interfaces["ntsync"]["status"] == SUPPORTED:
        return "ntsync"
    fsync = [interfaces["futex_wait_multiple"]["status"]]
    if interfaces["futex2"]["status"] == ABSENT:  # Wine with futex_waitv refuses a kernel with futex2
        fsync.append(interfaces["futex_waitv"]["status"])
    if SUPPORTED in fsync:
        return "fsync"
    return "esync" if esync else "server"


def hazards(interfaces: Interfaces, choices: Dict[str, Dict[str, Any]]) -> List[str]:
    """One sentence for each thing here that would make a Wine misbehave, and what to do."""
    sentences = []
    for name, choice in choices.items():
        if not choice["works"]:
            interface = interfaces[choice["through"]]
            cure = {
                "5.x": "set WINEFSYNC=0, or boot another kernel",
                "8.x": "set WINEFSYNC=0, or boot another kernel",
                "proton": "set PROTON_NO_NTSYNC=1 and PROTON_NO_FSYNC=1, or boot another kernel",
            }.get(name, "unload the module ntsync, or boot another kernel")
            sentences.append(
                f"{_wine(name)} would take {choice['through']}, which is {interface['status']} here "
                f"({interface['evidence']}): {cure}."
            )
        elif choice["through"]:
            compat = interfaces[choice["through"]].get("compat32", {})
            if compat.get("status") == BROKEN:
                sentences.append(
                    f"{_wine(name)} would take {choice['through']}, which is broken for 32-bit programs "
                    f"({compat['evidence']}): run 64-bit programs only, or boot another kernel."
                )
    if interfaces["futex2"]["status"] != ABSENT and interfaces["futex_waitv"]["status"] == SUPPORTED:
        sentences.append("Wine with futex_waitv refuses fsync on a kernel with futex2: boot a kernel without it.")
    return sentences


def _wine(name: str) -> str:
    return {"stock": "Wine 10.16 and later", "proton": "Proton"}.get(name, f"Wine-NSPA {name}")


def _answers(interface: Dict[str, Any]) -> bool:
    """Wine's own question to the kernel: any answer but ENOSYS is a yes."""
    return interface["answer"] not in (None, "ENOSYS")


def _fsync_of_8(interfaces: Interfaces) -> bool:
    """Wine's fsync with futex_waitv, as of 2022: not on a kernel with futex2."""
    return interfaces["futex2"]["status"] == ABSENT and _answers(interfaces["futex_waitv"])


def _opens(interface: Dict[str, Any]) -> bool:
    """Wine's own question to a driver: whether an ordinary user can open the device."""
    return interface["answer"] is not None and interface["ordinary_user"] is not False
