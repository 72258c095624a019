# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pro-audio host as the checks see it: a tree of files, and functions where the machine would be asked."""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import pytest
from support.processes import add_process

from ansible_collections.nspa.proaudio.plugins.module_utils._boot.model import Entry, Loader
from ansible_collections.nspa.proaudio.plugins.module_utils._host import capabilities
from ansible_collections.nspa.proaudio.plugins.module_utils._host.attempt import Promise
from ansible_collections.nspa.proaudio.plugins.module_utils._host.sessions import Place, Session
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict import registry
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.machine import Machine
from ansible_collections.nspa.proaudio.plugins.module_utils._wine import environment
from ansible_collections.nspa.proaudio.plugins.plugin_utils import _settings

RT = "6.12.9-rt-amd64"
STOCK = "6.12.9-amd64"
UIDS = {"root": 0, "ada": 1000, "grace": 1001, "rtkit": 109}
KERNEL_THREAD = 0x00200000
OURS = "/etc/sysctl.d/90-nspa-proaudio.conf"
SYSCTLS = {
    "fs.inotify.max_user_watches": "1048576",
    "vm.dirty_bytes": "268435456",
    "vm.dirty_background_bytes": "67108864",
    "dev.hpet.max-user-freq": "3072",
}
ATTRIBUTES = {
    "/sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never",
    "/sys/class/rtc/rtc0/max_user_freq": "3072",
    "/sys/module/snd_hda_intel/parameters/power_save": "0",
}


class Packages:
    """A package manager that knows kernels alone."""

    def __init__(self, kernels: Dict[str, str]) -> None:
        self.by_package = kernels

    def newest(self, names: Sequence[str]) -> str:
        """As dpkg: no names are all packages, and a name may carry a version, an architecture or a release."""
        wanted = [re.split("[:=/]", name)[0] for name in names] or list(self.by_package)
        return max(self.by_package.get(name, "") for name in wanted)


class Loaders:
    """A boot loader with one entry."""

    def __init__(self, entry: Optional[Entry]) -> None:
        self.entry = entry

    def default(self) -> Optional[Entry]:
        return self.entry


class Studio:
    """A host on which everything is as it should be; a test changes what it is about, then asks."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.release, self.version = RT, "#1 SMP PREEMPT_RT Debian 6.12.9-1"
        self.loader = Loader("grub", True, "a stand-in")
        self.entry: Optional[Entry] = Entry("x", "x", kernel=RT, cmdline="ro quiet threadirqs")
        self.kernels = {"linux-image-rt-amd64": RT, "linux-image-amd64": STOCK}
        self.groups = {"realtime": ["ada"]}
        self.sync: Dict[str, Any] = {"wine_sync": "ntsync", "interfaces": {"futex_waitv": {"status": "supported"}}}
        self.slice_ms = 50.0
        self.may_not: Optional[OSError] = None
        """Why no real-time thread may be started, not even by root."""
        self.boot: Dict[str, Tuple[str, str]] = {
            "vm.swappiness": ("10", "/etc/sysctl.d/50-nspa-proaudio.conf"),
            "kernel.sched_rr_timeslice_ms": ("50", "/etc/sysctl.d/50-nspa-proaudio.conf"),
        }
        self.boot.update({name: (value, OURS) for name, value in SYSCTLS.items()})
        self.daemons: Dict[str, str] = {}
        """The programs that set the governor, each with what stops it."""
        self.holds: Any = True
        """What a started wineserver answers; an exception is raised."""
        self.started: List[Tuple[str, str]] = []
        self.read_by_wine = {"WINE_RT_PRIO", "WINE_RT_POLICY", "WINEFSYNC", "WINEDEBUG"}
        self.looks: List[Tuple[str, Promise]] = []
        self.sessions = {name: self.session(name) for name in UIDS}
        self.wineserver = root / "usr/lib/wine/wineserver64"
        self.attributes: Dict[str, bytes] = {}
        self._tree()

    def _tree(self) -> None:
        self.write("/etc/os-release", 'ID=debian\nPRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n')
        self.write("/proc/cmdline", "BOOT_IMAGE=/vmlinuz ro quiet threadirqs\n")
        (self.root / "run/systemd/system").mkdir(parents=True)
        self.write("/proc/self/status", "Name:\tpython3\nCapEff:\t000001ffffffffff\n")
        self.write("/proc/1/status", "Name:\tsystemd\nCapEff:\t000001ffffffffff\n")
        self.write("/proc/sys/vm/swappiness", "10\n")
        self.write("/proc/sys/kernel/sched_rt_runtime_us", "950000\n")
        self.write("/proc/sys/kernel/sched_rt_period_us", "1000000\n")
        self.write("/sys/kernel/realtime", "1\n")
        for name, value in SYSCTLS.items():
            self.write(f"/proc/sys/{name.replace('.', '/')}", f"{value}\n")
        for path, value in ATTRIBUTES.items():
            self.write(path, f"{value}\n")
        self.write("/dev/cpu_dma_latency", "")
        self.process(70, ["/usr/libexec/rtkit-daemon"], uid=UIDS["rtkit"], name="rtkit-daemon")
        self.write("/usr/lib/x86_64-linux-gnu/security/pam_systemd.so", "")
        for interrupt in (0, 9, 24):  # a timer never has a thread
            self.write(f"/sys/kernel/irq/{interrupt}/actions", "something\n")
        self.write("/sys/kernel/irq/7/actions", "\n")  # nobody handles this one
        self.thread(51, "irq/9-acpi", 50)
        self.thread(52, "irq/24-snd_hda_intel:card0 (x)", 95)
        self.program(str(self.wineserver), "cap_sys_nice+ep")

    def write(self, path: str, text: str) -> None:
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")

    def remove(self, path: str) -> None:
        (self.root / path.lstrip("/")).unlink()

    def thread(self, pid: int, name: str, priority: int, flags: int = KERNEL_THREAD, policy: int = 1) -> None:
        """A process in /proc; every field that is not meant has a number of its own."""
        fields = {number: str(number * 1000) for number in range(3, 53)}
        fields.update({3: "S", 9: str(flags | 0x40), 40: str(priority), 41: str(policy)})
        self.write(f"/proc/{pid}/stat", f"{pid} ({name}) {' '.join(fields.values())}\n")

    def process(self, pid: int, command: Sequence[str], **facts: Any) -> None:
        """A process as support.processes makes one."""
        add_process(self.root, pid, command, **facts)

    def program(self, path: str, text: str = "", content: bytes = b"\x7fELF...") -> str:
        """A program with capabilities."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(content)
        self.attributes.pop(path, None)
        if text:
            self.attributes[path] = capabilities.encode(capabilities.parse(text))
        return path

    def governor(self, cpu: int, name: Optional[str], online: bool = True) -> None:
        """A CPU with frequency scaling; a governor of None cannot be read (a directory stands for EBUSY)."""
        path = f"/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor"
        if name is None:
            (self.root / path.lstrip("/")).mkdir(parents=True)
        else:
            self.write(path, f"{name}\n")
        if cpu:
            self.write(f"/sys/devices/system/cpu/cpu{cpu}/online", f"{int(online)}\n")

    @staticmethod
    def place() -> Place:
        limits = {
            "Max realtime priority": ("95", "95"),
            "Max locked memory": ("unlimited", "unlimited"),
            "Max nice priority": ("40", "40"),
            "Max open files": ("1024", "1048576"),
            "Max realtime timeout": ("unlimited", "unlimited"),
        }
        return Place(limits=limits, environment=dict(variables()), groups=["realtime"])

    def session(self, user: str) -> Session:
        return Session(user, [user, "realtime"], self.place(), self.place(), False, uid=UIDS[user])

    @property
    def ada(self) -> Session:
        return self.sessions["ada"]

    def limit(self, row: str, login: Any, desktop: Any) -> None:
        """Give ada a limit: a soft one with a high hard one, or a pair."""
        for place, value in ((self.ada.login, login), (self.ada.desktop, desktop)):
            place.limits[row] = value if isinstance(value, tuple) else (value, "999999999")

    def machine(self) -> Machine:
        return Machine(
            self.root,
            os.uname_result(("Linux", "studio1", self.release, self.version, "x86_64")),
            detect_loader=lambda root: self.loader,
            boot_loader=lambda loader, root: Loaders(self.entry) if loader.managed else None,
            package_manager=lambda: Packages(self.kernels),
            newest=lambda names, manager: manager.newest(names),
            at_boot=lambda names, root: {name: self.boot[name] for name in names if name in self.boot},
            uid=UIDS.get,
            members=lambda group: self.groups.get(group, []),
            look=self._look,
            probe_sync=lambda: self.sync,
            run_in_child=self._in_child,
            wineservers=lambda pattern: [path for path in self._programs(pattern) if "wineserver" in path],
            holds_cap_sys_nice=self._start,
            variables_read=lambda path, names: self.read_by_wine & set(names),
            running_daemons=lambda root: self.daemons,
            attribute=self.attributes.get,
        )

    def _programs(self, pattern: str) -> List[str]:
        return sorted(str(path) for path in Path("/").glob(pattern.lstrip("/")))

    def _look(self, user: str, promise: Promise) -> Session:
        self.looks.append((user, promise))
        found = self.sessions[user]
        if isinstance(found, Exception):
            raise found
        return found

    def _in_child(self, function: Any) -> float:
        if self.may_not:
            raise self.may_not
        return self.slice_ms

    def _start(self, path: str, user: str) -> bool:
        self.started.append((path, user))
        if isinstance(self.holds, Exception):
            raise self.holds
        return bool(self.holds)

    def settings(self, **more: Any) -> Dict[str, Any]:
        capability = {"path": str(self.root / "usr/lib/wine/wineserver*"), "capabilities": "cap_sys_nice+ep"}
        return {**defaults(), "rt_limits_users": ["ada"], "wine_nspa_capabilities": [capability], **more}

    def report(self, **more: Any) -> Dict[str, Any]:
        return registry.verdict(self.settings(**more), self.machine())

    def ask(self, **more: Any) -> Dict[str, Dict[str, str]]:
        """The rows of the report by id."""
        return {row["id"]: row for row in self.report(**more)["checks"]}


@functools.lru_cache(maxsize=None)
def defaults() -> Dict[str, Any]:
    """Every setting's default."""
    return _settings.effective({}, lambda value: value)


def variables() -> Dict[str, str]:
    """The environment that the defaults want."""
    values = defaults()
    names = ("wine_env_series", "wine_env_rt_prio", "wine_env_rt_policy")
    return environment.environment(*(values[name] for name in names), {})


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(tmp_path)
