# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine is asked for: for each concern, or for those that go together, two states that differ, and absent."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple

from soak.machine import KERNEL, STOCK

ONE, OTHER, ABSENT = "one", "other", "absent"


class Step(NamedTuple):
    """One run of a module."""

    module: str
    arguments: Mapping[str, Any]


class Scene(NamedTuple):
    """States by name, each as the steps that bring a machine there."""

    name: str
    states: Dict[str, List[Step]]


def _scene(module: str, one: Mapping[str, Any], other: Mapping[str, Any], **always: Any) -> Scene:
    """A scene of one module."""
    role = f"soak_{module}"
    states = {
        ONE: [Step(module, {"role": role, **always, **one})],
        OTHER: [Step(module, {"role": role, **always, **other})],
        ABSENT: [Step(module, {"role": role, **always, "state": "absent"})],
    }
    return Scene(module, states)


def _file(path: str, content: str, **options: Any) -> Dict[str, Any]:
    return {"path": path, "content": content, **options}


_FILES = [
    _file("/etc/security/limits.d/95-soak.conf", "@audio - rtprio 95\n", validate="/bin/grep -q rtprio %s"),
    _file("/etc/soak/deep/deeper/file.conf", "one\n", mode="0600"),
    _file("/etc/security/somebodys.conf", "ours\n" * 50, replace=True),
    _file("/etc/link.conf", "a file\n", replace=True),
    _file("/etc/environment", "WINE_RT=1\n", block=True),
    _file("/etc/crlf.conf", "ours = 1\n", block=True),
]
_OTHER_FILES = [
    _file("/etc/security/limits.d/95-soak.conf", "@audio - rtprio 90\n", mode="0640", group="audio"),
    _file("/etc/soak/other.conf", "other\n"),
    _file("/etc/link.conf", "another file\n", replace=True),
    _file("/etc/environment", "WINE_RT=2\nWINE_MORE=1\n", block=True),
]


def _capabilities(**files: str) -> Dict[str, Any]:
    return {"files": [{"path": f"/opt/nspa/{name}", "capabilities": text} for name, text in files.items()]}


def _kernel(packages: List[str], default: str, parameters: List[str]) -> List[Step]:
    return [
        Step("packages", {"role": "soak_kernel", "names": packages}),
        Step("boot_default", {"role": "soak_kernel", "packages": [default]}),
        Step("kernel_cmdline", {"role": "soak_boot", "parameters": parameters}),
    ]


_KERNEL_GOES = [
    Step("kernel_cmdline", {"role": "soak_boot", "state": "absent"}),
    Step("boot_default", {"role": "soak_kernel", "state": "absent"}),
    Step("packages", {"role": "soak_kernel", "state": "absent"}),
    Step("boot_default", {"role": "soak_kernel", "state": "absent"}),
]

SCENES = {
    scene.name: scene
    for scene in (
        _scene("host_files", {"files": _FILES}, {"files": _OTHER_FILES}),
        _scene("group_members", {"members": ["ada", "bela"]}, {"members": ["clara", "bela"]}, group="realtime"),
        _scene(
            "file_capabilities",
            _capabilities(wineserver="cap_sys_nice=ep", jackd="cap_sys_nice,cap_ipc_lock=ep"),
            _capabilities(wineserver="cap_sys_nice=ep", mixer="cap_sys_nice=ep"),
        ),
        _scene(
            "kernel_tunables",
            {"sysctls": {"vm.swappiness": 10}, "governor": "performance"},
            {"sysctls": {"vm.swappiness": 5, "vm.dirty_ratio": 9}},
        ),
        _scene("packages", {"names": ["soak-wine"]}, {"names": ["soak-plugins", "library"]}),
        Scene(
            "kernel",
            {
                ONE: _kernel([f"linux-image-{KERNEL}"], f"linux-image-{KERNEL}", ["threadirqs", "preempt=full"]),
                OTHER: _kernel([f"linux-image-{KERNEL}", "tool"], f"linux-image-{STOCK}", ["threadirqs", "nosmt"]),
                ABSENT: _KERNEL_GOES,
            },
        ),
    )
}
#: Those that take a moment only.
QUICK = ("host_files", "group_members", "file_capabilities", "kernel_tunables")
