# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel command line: splitting it, comparing it, and refusing what would break it."""

from __future__ import annotations

import difflib
import re
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

#: Parameters that pro-audio guides set; the typo guard compares with these
#: (kernel.org, admin-guide/kernel-parameters.txt). Each has one value: of several the kernel takes the last.
KNOWN = (
    "threadirqs",
    "preempt",
    "nohz_full",
    "rcu_nocbs",
    "rcu_nocb_poll",
    "isolcpus",
    "irqaffinity",
    "skew_tick",
    "tsc",
    "mitigations",
    "nosmt",
    "nosoftlockup",
    "nowatchdog",
    "processor.max_cstate",
    "intel_idle.max_cstate",
    "cpufreq.default_governor",
    "pcie_aspm",
    "usbcore.autosuspend",
    "snd_hda_intel.power_save",
    "transparent_hugepage",
    "rt_group_sched",
    "panic",
    "quiet",
)
#: Parameters that add up, so that others of the same name may follow, by what their order counts among
#: (admin-guide/kernel-parameters.txt: hugepages= belongs to the hugepagesz= before it).
ADDING = {
    "console": "console",
    "earlycon": "earlycon",
    "memmap": "memmap",
    "hugepages": "hugepages",
    "hugepagesz": "hugepages",
    "default_hugepagesz": "hugepages",
}
#: What a boot loader sets by itself.
LOADERS_OWN = ("root", "initrd", "BOOT_IMAGE")
#: What makes a machine come up as another one: in a rescue shell, some of them for anybody and without a password
#: (kernel-parameters.txt, kernel-command-line(7), systemd-debug-generator(8), initramfs-tools(7)).
OTHER_BOOT = re.compile(
    r"rdinit|init|[1-5sS]|single|(?:rd\.)?(?:rescue|emergency|break)|recovery|"
    r"(?:rd\.)?systemd\.(?:unit|run.*|debug_shell|default_debug_tty|mask|wants|break)"
)

# Letters that mean nothing to a shell inside double quotes, nor to GRUB's script language anywhere: the settings
# are shell, and the menu that is made from them is GRUB script.
_PARAMETER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]*(=[A-Za-z0-9_.,:/+@%^=\-]*)?")


class Parameter(NamedTuple):
    """One parameter as the kernel takes it."""

    name: str
    """With underscores: the kernel takes ``-`` and ``_`` in a name for the same (kernel/params.c, parameq)."""
    value: Optional[str]


def split(line: str) -> List[str]:
    """Split a kernel command line into the words that the kernel reads as parameters.

    As next_arg() in the kernel's lib/cmdline.c: spaces inside double quotes belong to the parameter. What stands
    behind a ``--`` is init's, and left out (kernel/params.c, parse_args).
    """
    words = re.findall(r'(?:"[^"]*(?:"|$)|[^\s"])+', line)
    for number, word in enumerate(words):
        if _next_argument(word) == ("--", None):
            return words[:number]
    return words


def parse(word: str) -> Parameter:
    """Read one word of a command line: ``dyndbg="a b"`` and ``"dyndbg=a b"`` are one parameter."""
    name, value = _next_argument(word)
    return Parameter(name.replace("-", "_"), value)


def parameters(line: str) -> List[Parameter]:
    """The parameters of a command line, as the kernel takes them."""
    return [parse(word) for word in split(line)]


def missing(wanted: Sequence[str], line: str) -> List[str]:
    """Return the parameters of *wanted* that are not in effect on the command line *line*.

    Of several values of a parameter the last counts, so ``preempt=full preempt=none`` lacks ``preempt=full``. One
    that is wanted several times has to come last with all its values in their order. Those of `ADDING` count
    wherever they stand, in the order in which they are wanted.
    """
    present = _by_group(parameters(line))
    lacking: List[str] = []
    for group, items in _by_group([parse(word) for word in wanted]).items():
        found = present.get(group, [])
        there = _in_order(items, found) if group in ADDING.values() else found[-len(items) :] == items
        if not there:
            lacking += [word for word in wanted if _group(parse(word)) == group and word not in lacking]
    return [word for word in wanted if word in lacking]


def problem(parameter: str) -> Optional[str]:
    """Say what is wrong with one parameter, or None.

    Refuses what a shell or GRUB's script language would read, and near misses of known names: a machine that was
    told ``threadirq`` boots without a word and without threaded interrupts.
    """
    if not _PARAMETER.fullmatch(parameter):
        return (
            "wanted one kernel parameter such as threadirqs or preempt=full, without spaces, quotes or any other "
            "character that a boot loader's own language reads"
        )
    name = parameter.partition("=")[0]
    if name in LOADERS_OWN:
        return f"the boot loader sets {name}= by itself, and a second one would keep this machine from booting"
    if OTHER_BOOT.fullmatch(name.replace("-", "_")):
        return (
            f"'{name}' starts something else than this machine's own system, and some of that lets anybody in; leave "
            "it out, and type it at the boot menu (key e) if you need it once"
        )
    if name.replace("-", "_") in KNOWN:
        return None
    near = difflib.get_close_matches(name, KNOWN, n=1, cutoff=0.88)
    if near:
        return f"the kernel has no parameter '{name}' and would ignore it in silence; did you mean '{near[0]}'?"
    return None


def contradiction(wanted: Sequence[str]) -> Optional[str]:
    """Say which well-known parameter is wanted with two values, or None.

    Others may be repeated: some add up, and of the rest the kernel takes the last.
    """
    values: Dict[str, str] = {}
    for word in wanted:
        name = parse(word).name
        if name in KNOWN and values.setdefault(name, word) != word:
            return f"{values[name]} and {word} are both wanted, and the kernel would take the last. Keep one of them"
    return None


def _next_argument(word: str) -> Tuple[str, Optional[str]]:
    """Name and value without their quotes, as next_arg() finds them."""
    quoted = word.startswith('"')
    if quoted:
        word = word[1:]
    name, equals, value = word.partition("=")
    if value.startswith('"'):
        value = value[1:-1] if len(value) > 1 and value.endswith('"') else value[1:]
    elif quoted and word.endswith('"'):
        name, value = (name, value[:-1]) if equals else (name[:-1], value)
    return name, value if equals else None


def _group(parameter: Parameter) -> str:
    return ADDING.get(parameter.name, parameter.name)


def _by_group(items: Sequence[Parameter]) -> Dict[str, List[Parameter]]:
    groups: Dict[str, List[Parameter]] = {}
    for item in items:
        groups.setdefault(_group(item), []).append(item)
    return groups


def _in_order(items: Sequence[Parameter], among: Sequence[Parameter]) -> bool:
    left = iter(among)
    return all(item in left for item in items)
