# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The running machine, as the checks of the verdict ask it.

Every question stands here and every answer comes from the machine: the kernel, its processes, a session, the package
manager, the boot loader. Where they come from can be replaced through the constructor: another root, other functions.
"""

from __future__ import annotations

import contextlib
import glob
import grp
import os
import pwd
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import (
    Any,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    Set,
    Tuple,
    Union,
)

from ansible_collections.nspa.proaudio.plugins.module_utils._boot import kernels, loaders, trial
from ansible_collections.nspa.proaudio.plugins.module_utils._boot.model import Entry, Loader
from ansible_collections.nspa.proaudio.plugins.module_utils._core import proc
from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import DEFAULT_PATH, Manifest
from ansible_collections.nspa.proaudio.plugins.module_utils._host import (
    capabilities,
    container,
    distributions,
    processes,
    sessions,
    tunables,
)
from ansible_collections.nspa.proaudio.plugins.module_utils._host import (
    governors as frequency_governors,
)
from ansible_collections.nspa.proaudio.plugins.module_utils._host.attempt import Promise
from ansible_collections.nspa.proaudio.plugins.module_utils._host.interrupts import Thread, threads
from ansible_collections.nspa.proaudio.plugins.module_utils._packages import manager as package_managers
from ansible_collections.nspa.proaudio.plugins.module_utils._packages.manager import PackageManager
from ansible_collections.nspa.proaudio.plugins.module_utils._sync import probe
from ansible_collections.nspa.proaudio.plugins.module_utils._wine import server

_CAP_SYS_PTRACE, _CAP_SYS_NICE, _CAP_SYS_RESOURCE = 19, 23, 24  # linux/capability.h


class Rtkit(NamedTuple):
    """The most that the running rtkit grants."""

    priority: int
    rttime_us: int


class RealtimeProgram(NamedTuple):
    """A program with a thread under a real-time policy."""

    name: str  #: which it can choose itself
    priority: int  #: the highest of its threads
    limit: int  #: the highest that it may ask for itself
    rttime_us: Optional[int]  #: the CPU time after which the kernel kills it; None: unlimited


def _uid(user: str) -> Optional[int]:
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return None


def _members(group: str) -> List[str]:
    try:
        return list(grp.getgrnam(group).gr_mem)
    except KeyError:
        return []


def in_child(function: Callable[[], float]) -> float:
    """What `function` returns in a child, so that this process keeps its own scheduling. OSError passes through."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        answer = "errno 5"
        try:
            answer = repr(function())
        except OSError as error:
            answer = f"errno {error.errno}"
        finally:
            os.write(writer, answer.encode())
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        answer = stream.read()
    os.waitpid(child, 0)
    if answer.startswith("errno "):
        number = int(answer.split()[1])
        raise OSError(number, os.strerror(number))
    return float(answer)


def _round_robin_ms() -> float:
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    return os.sched_rr_get_interval(0) * 1000


@dataclass
class Machine:
    """The running machine. Each question that costs something is put once."""

    root: Path = Path("/")
    uname: os.uname_result = field(default_factory=os.uname)
    detect_loader: Callable[[Path], Loader] = loaders.detect
    boot_loader: Callable[[Loader, Path], Optional[loaders.BootLoader]] = loaders.manager
    package_manager: Callable[[], PackageManager] = package_managers.find
    newest: Callable[[Sequence[str], PackageManager], str] = kernels.newest
    at_boot: Callable[[Iterable[str], Path], Mapping[str, Tuple[str, str]]] = tunables.at_boot
    uid: Callable[[str], Optional[int]] = _uid
    """The number of a user's account; None where there is none."""
    members: Callable[[str], List[str]] = _members
    """The members of a group; none where there is no such group."""
    look: Callable[[str, Promise], sessions.Session] = sessions.look
    probe_sync: Callable[[], Dict[str, Any]] = probe.probe
    """What the kernel can wait on, as the module futex_wait_multiple returns it."""
    run_in_child: Callable[[Callable[[], float]], float] = in_child
    wineservers: Callable[[str], List[str]] = server.find
    """The wineservers that a pattern means."""
    holds_cap_sys_nice: Callable[[str, str], bool] = server.holds_cap_sys_nice
    """Whether a wineserver that a user starts holds the capability. Raises WineserverError when it does not start."""
    variables_read: Callable[[str, Iterable[str]], Set[str]] = server.variables_read
    """Which of some environment variables a wineserver, or the Wine beside it, can read."""
    running_daemons: Callable[[Path], Dict[str, str]] = frequency_governors.running
    """The programs that set the governor by themselves, each with what keeps it from that."""
    attribute: Callable[[str], Optional[bytes]] = capabilities.read
    """A file's attribute with its capabilities."""

    # -- what it is

    @property
    def release(self) -> str:
        """The running kernel's release, as uname -r."""
        return self.uname.release

    @property
    def is_nspa(self) -> bool:
        """Whether the running kernel is Linux-NSPA, by its release."""
        return proc.is_nspa(self.release)

    def identity(self) -> Dict[str, str]:
        """Who it is, for the head of the report."""
        name = self._os_release.get("PRETTY_NAME", "an unknown distribution")
        return {"machine": self.uname.nodename, "name": name, "kernel": self.release}

    @cached_property
    def _os_release(self) -> Mapping[str, str]:
        return distributions.os_release(self.root)

    @cached_property
    def _distribution(self) -> Optional[distributions.Distribution]:
        return distributions.identify(self._os_release)

    @cached_property
    def container(self) -> str:
        """The kind of container that this is; empty if it is none."""
        return container.kind(self.root)

    def read(self, path: str) -> Optional[str]:
        """The text of a file in /proc or /sys; None where it is not there or not to be read."""
        return proc.read(path, self.root)

    def has(self, path: str) -> bool:
        """Whether there is something at a path, such as a device."""
        return (self.root / path.lstrip("/")).exists()

    # -- the kernel and the boot loader

    @property
    def realtime(self) -> proc.Realtime:
        """Whether the running kernel is PREEMPT_RT."""
        return proc.realtime(self.root, self.uname.version)

    @property
    def command_line(self) -> str:
        """The running kernel's command line."""
        return proc.command_line(self.root)

    @cached_property
    def loader(self) -> Loader:
        """The boot loader that started this machine."""
        return self.detect_loader(self.root)

    @cached_property
    def next_boot(self) -> Optional[Entry]:
        """The entry that boots next; None where there is none, or where the boot loader is not managed."""
        found = self.boot_loader(self.loader, self.root)
        return found.default() if found else None

    @cached_property
    def trial(self) -> Optional[trial.Trial]:
        """The last kernel that had one boot to show that it works, which no other place knows; None if none had."""
        return trial.recorded(Manifest.load(str(self.root / DEFAULT_PATH.lstrip("/"))))

    def realtime_kernels(self) -> List[str]:
        """The packages of the distribution's own real-time kernel; none where it has none."""
        return self._distribution.kernels(self.uname.machine) if self._distribution else []

    def newest_kernel(self, packages: Sequence[str]) -> str:
        """The release of the newest installed kernel of these packages; empty if there is none.

        They are named as for the package manager, which knows its own rule for ``name=version`` and the like; none of
        them is none, and never any package.
        """
        return self.newest(packages, self.package_manager()) if packages else ""

    # -- interrupts and scheduling

    def interrupts(self) -> List[int]:
        """The numbers of the interrupts that a driver handles (Documentation/ABI/testing/sysfs-kernel-irq)."""
        folders = (self.root / "sys/kernel/irq").glob("[0-9]*")
        return sorted(int(folder.name) for folder in folders if self.read(f"/sys/kernel/irq/{folder.name}/actions"))

    def interrupt_threads(self) -> List[Thread]:
        """The threads of interrupts, by number."""
        return threads(self.root)

    def round_robin_ms(self) -> float:
        """The time slice that a SCHED_RR thread gets, in ms. Raises OSError where none may be started."""
        return self.run_in_child(_round_robin_ms)

    def refuses_fifo(self, priority: int) -> str:
        """Why even root may not run under SCHED_FIFO here; empty if it may."""

        def become() -> float:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
            return 0.0

        try:
            self.run_in_child(become)
        except OSError as error:
            return error.strerror or str(error)
        return ""

    def governors(self) -> Dict[str, Optional[str]]:
        """The frequency governor by CPU; None where it cannot be read. Empty without frequency scaling."""
        files = (self.root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_governor")
        cpus = sorted((path.parent.parent.name for path in files), key=lambda name: int(name[3:]))
        return {cpu: self.read(f"/sys/devices/system/cpu/{cpu}/cpufreq/scaling_governor") for cpu in cpus}

    def governor_daemons(self) -> Dict[str, str]:
        """The programs here that set the governor by themselves, each with what keeps it from that."""
        return self.running_daemons(self.root)

    def files(self, pattern: str) -> List[str]:
        """The files of the kernel that a pattern means, sorted."""
        return [f"/{path.relative_to(self.root)}" for path in sorted(self.root.glob(pattern.lstrip("/")))]

    def is_offline(self, cpu: str) -> bool:
        """Whether a CPU (cpu3) was taken offline; the first one has no switch for it."""
        return self.read(f"/sys/devices/system/cpu/{cpu}/online") == "0"

    def fair_servers(self) -> Dict[str, Optional[str]]:
        """The time that each CPU keeps for ordinary programs, in ns by CPU; None where it cannot be read, as when the
        kernel is locked down. Empty where debugfs does not show it (kernel/sched/debug.c, debugfs_fair_server_init).
        """
        folder = "/sys/kernel/debug/sched/fair_server"
        cpus = sorted(path.name for path in (self.root / folder.lstrip("/")).glob("cpu[0-9]*"))
        return {cpu: self.read(f"{folder}/{cpu}/runtime") for cpu in cpus}

    def set_at_boot(self, tunable: str) -> Optional[Tuple[str, str]]:
        """The value that a sysctl gets at the next boot, and the file that sets it; None if no file does."""
        return self.at_boot([tunable], self.root).get(tunable)

    # -- people and their sessions

    @cached_property
    def _sessions(self) -> Dict[Tuple[str, Promise], Union[sessions.Session, sessions.SessionError]]:
        return {}

    def session(self, user: str, promise: Promise) -> sessions.Session:
        """A new login of a user, and a service of the user's manager. Raises SessionError, at once the second time."""
        key = (user, promise)
        if key not in self._sessions:
            try:
                self._sessions[key] = self.look(*key)
            except sessions.SessionError as error:
                self._sessions[key] = error
        found = self._sessions[key]
        if isinstance(found, sessions.SessionError):
            raise found
        return found

    def rtkit(self) -> Optional[Rtkit]:
        """The running rtkit, which has an account of its own; None where there is none (rtkit-daemon --help)."""
        account = self.uid("rtkit")
        for process in processes.everything(self.root):
            with contextlib.suppress(OSError):
                if process.name() == "rtkit-daemon" and account is not None and process.users()[1] == account:
                    said = dict(word.split("=", 1) for word in process.command() if "=" in word)
                    return Rtkit(
                        int(said.get("--max-realtime-priority", 20)), int(said.get("--rttime-usec-max", 200000))
                    )
        return None

    def realtime_programs(self, uid: int) -> List[RealtimeProgram]:
        """The programs of a user that have a thread under SCHED_FIFO or SCHED_RR."""
        return list(self._realtime_programs(uid))

    def _realtime_programs(self, uid: int) -> Iterator[RealtimeProgram]:
        for process in processes.everything(self.root):
            with contextlib.suppress(OSError):
                if process.users()[1] != uid:
                    continue
                threads = [seen for seen in process.threads() if seen.policy in processes.REALTIME]
                if threads:
                    limits = process.limits()
                    rttime, rtprio = limits["Max realtime timeout"][0], limits["Max realtime priority"][0]
                    yield RealtimeProgram(
                        process.name(),
                        max(seen.priority for seen in threads),
                        99 if rtprio == "unlimited" else int(rtprio),
                        None if rttime == "unlimited" else int(rttime),
                    )

    @property
    def forbids_looking(self) -> str:
        """What to do so that root can look at sessions at all; empty where root can."""
        if not (self.root / "run/systemd/system").is_dir():
            return "Start this machine with systemd, which opens the sessions."
        if not self._has("/proc/self/status", "CapEff", _CAP_SYS_PTRACE):
            return "Let this container look at its users' processes (CAP_SYS_PTRACE) where it is started."
        return ""

    @property
    def starts_user_managers(self) -> bool:
        """Whether PAM has the module by which a login starts a systemd manager for the user (pam_systemd(8))."""
        places = ("usr/lib/security", "usr/lib/*/security", "usr/lib64/security", "lib/security", "lib/*/security")
        return any(any(self.root.glob(f"{place}/pam_systemd.so")) for place in places)

    @property
    def user_manager_package(self) -> str:
        """The distribution's package with that module; empty where it is not known."""
        return self._distribution.packages.get(distributions.USER_MANAGER, "") if self._distribution else ""

    @property
    def may_raise_limits(self) -> bool:
        """Whether systemd (PID 1) may raise anybody's limits: CAP_SYS_RESOURCE (setrlimit(2))."""
        return self._has("/proc/1/status", "CapEff", _CAP_SYS_RESOURCE)

    @property
    def grants_cap_sys_nice(self) -> bool:
        """Whether a program may get cap_sys_nice from its file here at all: the bounding set (capabilities(7))."""
        return self._has("/proc/self/status", "CapBnd", _CAP_SYS_NICE)

    def _has(self, status: str, field: str, capability: int) -> bool:
        """Whether a process has a capability in a set; where that cannot be seen, nothing is known against it."""
        found = re.search(rf"^{field}:\s*([0-9a-f]+)$", self.read(status) or "", re.MULTILINE)
        return found is None or bool(int(found.group(1), 16) >> capability & 1)

    # -- programs

    def is_wine_nspa(self, path: str) -> bool:
        """Whether a wineserver is of Wine-NSPA: no other Wine reads its real-time priority (5.x and 8.x, 11.x)."""
        return bool(self.variables_read(path, ("WINE_RT_PRIO", "NSPA_RT_PRIO")))

    def programs(self, pattern: str) -> List[str]:
        """The real programs (ELF files, no symlinks) that a pattern means, sorted."""
        return [path for path in sorted(glob.glob(pattern)) if _is_program(Path(path))]


def _is_program(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(4) == b"\x7fELF"
