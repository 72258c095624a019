# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each setting may be beyond its type: what everything that reads it takes, and takes for the same.

`RULES` has an entry for every setting that its type, its choices or the priority plan do not confine. What needs the
host to be known, such as whether a user exists, the host is asked (module_utils).
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional

from ansible_collections.nspa.proaudio.plugins.module_utils._boot import cmdline
from ansible_collections.nspa.proaudio.plugins.module_utils._core.errors import HostError
from ansible_collections.nspa.proaudio.plugins.module_utils._host import capabilities, distributions
from ansible_collections.nspa.proaudio.plugins.module_utils._wine import environment
from ansible_collections.nspa.proaudio.plugins.plugin_utils._setting_types import shown

Problems = Iterator[str]

#: kB that every session may lock without us (MLOCK_LIMIT in the kernel's include/uapi/linux/resource.h since 5.16).
MEMLOCK_LEAST = 8192
#: kB; more are not a positive number of bytes, of which pam_limits and systemd make what they like.
MEMLOCK_MOST = (2**63 - 1) // 1024
#: The soft limit that the units set (a program may rely on it for select(2)); systemd drops a hard limit below it.
NOFILE_LEAST = 1024
#: fs.nr_open as the kernel starts with it (fs/file.c); it refuses to set a higher limit, and PAM goes on without one.
NOFILE_MOST = 1048576
#: Bytes of unwritten data. With less than a megabyte every program waits for the disk; a terabyte is no limit at all.
DIRTY_LEAST, DIRTY_MOST = 2**20, 2**40
#: Characters of all kernel parameters together. With what the boot loader adds they must fit in COMMAND_LINE_SIZE,
#: 2048 on most machines; the kernel cuts off what does not.
PARAMETERS_LONGEST = 1024
#: Characters of a user's or group's name (LOGIN_NAME_MAX in limits.h).
NAME_LONGEST = 255
#: Characters of a path or an address: PATH_MAX in limits.h.
PATH_LONGEST = 4095
#: Groups whose members can become root; who only wants to make music must not get in there.
POWERFUL = ("root", "sudo", "wheel", "admin", "disk", "shadow", "kmem", "docker", "lxd", "incus-admin", "libvirt")
#: What a program that every user starts may hold: it gives away nothing but time and memory.
GRANTED = ("cap_sys_nice", "cap_ipc_lock")

_PACKAGE = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9+._-]*(?<!-)(?::[a-z0-9][a-z0-9-]*)?(?:[=/][A-Za-z0-9][A-Za-z0-9.+:~_-]*)?"
)
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_ADDRESS = re.compile(r"https?://[A-Za-z0-9\[][^/?#\s]*/[!-~]+")


def _name(name: str) -> Optional[str]:
    """Why no distribution lets a user or group have this name; the host checks by its own rule again."""
    if not name.isprintable() or len(name) > NAME_LONGEST:
        return f"{shown(name)} is no name of a user or group: wanted up to {NAME_LONGEST} printable characters"
    reasons = [row.names.problem(name) for row in distributions.TABLE.values()]
    return reasons[0] if all(reasons) else None


def _group(group: str) -> Problems:
    problem = _name(group)
    if problem:
        yield f"is wrong: {problem}"
    elif "#" in group:
        yield f"is {shown(group)}: wanted a name without '#', with which a comment starts in limits.conf"
    elif group.endswith("\\"):
        yield f"is {shown(group)}: wanted a name without a backslash at its end, behind which udev would read on"


def _users(users: List[str]) -> Problems:
    for user in users:
        problem = _name(user)
        if problem:
            yield f"is wrong: {problem}"


def _memlock(memlock: str) -> Problems:
    if memlock == "unlimited":
        return
    if not re.fullmatch(r"[1-9][0-9]{0,18}", memlock) or int(memlock) > MEMLOCK_MOST:
        yield (
            f"is {shown(memlock)}: wanted a number of kB, such as 8388608 for 8 GB, or unlimited; "
            f"the largest number is {MEMLOCK_MOST}"
        )
    elif int(memlock) < MEMLOCK_LEAST:
        yield (
            f"is {memlock} kB: wanted at least {MEMLOCK_LEAST}, which every session may lock anyway; "
            "write a number of kB, such as 8388608 for 8 GB, or unlimited"
        )


def _range(least: int, most: int, why: str) -> Callable[[int], Problems]:
    """A rule for whole numbers; *why* ends the sentence."""

    def rule(value: int) -> Problems:
        if not least <= value <= most:
            yield f"is {value}: wanted {least} to {most}{why}"

    return rule


def _governor(governor: str) -> Problems:
    # The kernel's CPUFREQ_NAME_LEN is 16; it takes capitals too, but reads back its own small letters.
    if governor and not re.fullmatch(r"[a-z][a-z0-9_-]{0,14}", governor):
        yield f"is {shown(governor)}: wanted the name of a governor, such as performance, or '' to leave it alone"


def _preference(preference: str) -> Problems:
    # drivers/cpufreq/intel_pstate.c and amd-pstate.c: words, or a number of the processor's own scale.
    if preference and not re.fullmatch(r"[a-z][a-z_]{0,31}|[0-9]{1,3}", preference):
        yield f"is {shown(preference)}: wanted a preference, such as performance, or '' to leave it alone"


def _parameters(parameters: List[str]) -> Problems:
    for parameter in parameters:
        problem = cmdline.problem(parameter)
        if problem:
            yield f"has {shown(parameter)}: {problem}"
    contradiction = cmdline.contradiction(parameters)
    if contradiction:
        yield f"contradicts itself: {contradiction}"
    length = len(" ".join(parameters))
    if length > PARAMETERS_LONGEST:
        yield (
            f"has {length} characters: wanted no more than {PARAMETERS_LONGEST}, as the kernel cuts off a command "
            "line that is too long; leave some out"
        )


def _packages(names: List[str]) -> Problems:
    for name in names:
        if len(name) > NAME_LONGEST or not _PACKAGE.fullmatch(name):
            yield (
                f"has {shown(name)}: wanted the name of a package such as wine, with nothing but :ARCHITECTURE, "
                "=VERSION or /RELEASE behind it"
            )


def _kernel_files(items: List[Mapping[str, Any]]) -> Problems:
    """Every kernel package that is fetched or copied must be known by its checksum."""
    for item in items:
        src, digest = item["src"], item.get("sha256") or ""
        path = src.startswith("/") and src.isprintable() and not src.endswith("/")
        if len(src) > PATH_LONGEST or not (path or _ADDRESS.fullmatch(src)):
            yield (
                f"has the src {shown(src)}: wanted the absolute path of a package file on the host, "
                "such as /srv/linux-image.deb, or an http(s) address"
            )
        if not _SHA256.fullmatch(digest):
            yield (
                f"has {shown(src)} with the checksum {shown(digest)}: wanted sha256 with 64 hexadecimal digits, as "
                "'sha256sum FILE' prints it; a kernel is never installed unchecked"
            )


def _capabilities(items: List[Mapping[str, Any]]) -> Problems:
    for item in items:
        path, text = item["path"], item["capabilities"]
        problem = _program(path)
        if problem:
            yield f"has the path {shown(path)}: {problem}"
        try:
            wanted = capabilities.parse(text)
        except HostError as error:
            yield f"is wrong for {shown(path)}: {error}"
            continue
        allowed = sum(1 << capabilities.NAMES.index(name) for name in GRANTED)
        if (wanted.permitted | wanted.inheritable) & ~allowed:
            yield (
                f"has {shown(text)} for {shown(path)}: wanted {' or '.join(GRANTED)} alone, such as cap_sys_nice+ep; "
                "anything else would let every user who starts that program do more than play in time"
            )


def _program(path: str) -> str:
    """Why a path, or pattern, does not say which programs are meant."""
    if not path.startswith("/") or not path.isprintable() or len(path) > PATH_LONGEST:
        return "wanted an absolute path, such as /usr/lib/wine/wineserver*"
    parts = path.split("/")
    pattern, literal = re.search(r"[*?[]", parts[-1]), re.sub(r"\[[^]]*\]|[*?]", " ", parts[-1])
    if ".." in parts or "**" in path or (pattern and not re.search(r"[A-Za-z0-9]{3}", literal)):
        return (
            "wanted a path without '..' and '**' whose last part names the program, such as "
            "/usr/lib/wine/wineserver*; who names all programs of a folder gives every one of them the capability"
        )
    return ""


#: Rules by setting. Each says what is wrong, to stand behind the setting's name.
RULES: Dict[str, Callable[[Any], Problems]] = {
    "linux_nspa_distro_packages": _packages,
    "linux_nspa_packages": _kernel_files,
    "boot_params_parameters": _parameters,
    "rt_limits_group": _group,
    "rt_limits_users": _users,
    "rt_limits_memlock": _memlock,
    "rt_limits_nice": _range(-20, 0, ", where -20 goes before all others"),
    "rt_limits_nofile": _range(
        NOFILE_LEAST,
        NOFILE_MOST,
        "; programs start with the lower number, and a kernel takes no more than the higher one",
    ),
    "sched_tuning_swappiness": _range(0, 200, ", or null to leave it alone"),
    "sched_tuning_rr_timeslice_ms": _range(1, 1000, " (the kernel's own is 100), or null to leave it alone"),
    "sched_tuning_governor": _governor,
    "sched_tuning_energy_preference": _preference,
    "sched_tuning_inotify_watches": _range(8192, 2**31 - 1, ", or null to leave it alone"),
    "sched_tuning_dirty_bytes": _range(DIRTY_LEAST, DIRTY_MOST, ", or null to leave it alone"),
    "sched_tuning_dirty_background_bytes": _range(DIRTY_LEAST, DIRTY_MOST, ", or null to leave it alone"),
    "sched_tuning_timer_frequency": _range(64, 8192, ", or null to leave it alone"),
    "sched_tuning_hda_power_save": _range(0, 3600, " seconds, where 0 is never, or null to leave it alone"),
    "wine_nspa_packages": _packages,
    "wine_nspa_capabilities": _capabilities,
    "wine_env_extra": environment.problems,
}


def together(values: Mapping[str, Any]) -> List[str]:
    """What settings that are each right are wrong in together, one sentence each."""
    found = []
    if values["rt_limits_users"] and values["rt_limits_group"] in POWERFUL:
        found.append(
            f"rt_limits_group is {values['rt_limits_group']}, whose members can become root or read everything: wanted "
            "a group that gives nothing else, such as realtime, for the users in rt_limits_users"
        )
    if values["linux_nspa_source"] == "packages" and not values["linux_nspa_packages"]:
        found.append(
            "linux_nspa_source is 'packages', but linux_nspa_packages is empty: list the kernel's package files, "
            "each with src (a path on the host or an http(s) address) and sha256"
        )
    background, dirty = values["sched_tuning_dirty_background_bytes"], values["sched_tuning_dirty_bytes"]
    if background is not None and dirty is not None and background >= dirty:
        found.append(
            f"sched_tuning_dirty_background_bytes is {background} and sched_tuning_dirty_bytes is {dirty}: wanted a "
            "smaller number for the first, at which writing begins, than for the second, at which programs wait"
        )
    preference = values["sched_tuning_energy_preference"]
    if values["sched_tuning_governor"] == "performance" and preference not in ("", "performance", "0"):
        found.append(
            f"sched_tuning_energy_preference is {preference} and sched_tuning_governor is performance, with which the "
            "processor takes no other preference: wanted performance for both, or another governor"
        )
    return found
