# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What sysctls are at boot, judged by the systemd-sysctl of this machine, which writes into a /proc/sys of the test."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Dict, List, Optional, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.nspa.proaudio.plugins.module_utils._host import sysctls, tunables

#: Where a Debian with systemd is installed; another version's can be given.
SYSTEM = Path(os.environ.get("NSPA_TEST_SYSTEM", "/"))
SYSTEMD_SYSCTL = "usr/lib/systemd/systemd-sysctl"

needs_systemd = pytest.mark.skipif(
    os.geteuid() != 0 or not (SYSTEM / SYSTEMD_SYSCTL).exists() or not shutil.which("unshare"),
    reason="needs root, unshare, and systemd-sysctl (systemd)",
)

#: Run in a mount namespace of its own: the machine's programs, the test's files.
CHROOT = f"""
set -e
mount --bind "$1/usr/lib/sysctl.d" "$1/mnt"
mount --bind {SYSTEM}/usr/lib "$1/usr/lib"
mount --bind "$1/mnt" "$1/usr/lib/sysctl.d"
mount --bind {SYSTEM}/usr/lib64 "$1/usr/lib64"
exec chroot "$1" /{SYSTEMD_SYSCTL}
"""

KEYS = (
    "vm/swappiness",
    "vm/dirty_ratio",
    "net/ipv4/conf/all/forwarding",
    "net/ipv4/conf/eth0/forwarding",
    "net/ipv4/conf/eth0.1/forwarding",
)


class Machine:
    """Files of a machine, in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in (*sysctls.FOLDERS, "usr/lib64", "mnt", "proc"):
            (root / folder).mkdir(parents=True)
        for name in ("lib", "lib64"):
            (root / name).symlink_to(f"usr/{name}")
        for key in KEYS:
            self.write(f"proc/sys/{key}", "")

    def write(self, path: str, text: str) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def link(self, path: str, target: str) -> None:
        (self.root / path).symlink_to(target)

    def at_boot(self, *names: str, **options: Dict[str, str]) -> Dict[str, Tuple[str, str]]:
        return sysctls.at_boot(names or KEYS, self.root, **options)

    def values(self) -> Dict[str, str]:
        return {name: value for name, (value, _file) in self.at_boot().items()}

    def systemd(self) -> Dict[str, str]:
        """What systemd-sysctl really writes."""
        command = ["unshare", "--mount", "sh", "-c", CHROOT, "sh", str(self.root)]
        subprocess.run(command, capture_output=True, check=False, timeout=60)
        texts = {key: (self.root / "proc/sys" / key).read_text(encoding="utf-8") for key in KEYS}
        return {key: text.splitlines()[0].strip() for key, text in texts.items() if text}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "root")


# -- the same as systemd

NAMES = ("10-a.conf", "90-nspa-proaudio.conf", "99-sysctl.conf", ".hidden.conf", "note.txt", "é.conf", "B.conf")
SPELLINGS = (
    *KEYS,
    "vm.swappiness",
    "/vm/swappiness",
    "vm//swappiness",
    "vm..swappiness",
    "net.ipv4.conf.eth0/1.forwarding",
    "net.ipv4.conf.eth0.1.forwarding",
    "net.ipv4.conf.*.forwarding",
    "net/ipv4/conf/eth*/forwarding",
    "net/ipv4/conf/eth[0-9]/forwarding",
    "net/ipv4/conf/[!e]*/forwarding",
    "net/ipv4/conf/[^a]*/forwarding",
    "net.ipv4.*.forwarding",
    "vm.*",
    "*/swappiness",
    "vm.swap?iness",
)
values = st.sampled_from(["11", "22", "33", "44"])
spaces = st.sampled_from(["", " ", "\t", "  "])
assignments = st.builds(
    lambda a, minus, b, name, c, d, value, e: f"{a}{minus}{b}{name}{c}={d}{value}{e}",
    *(spaces, st.sampled_from(["", "", "-"]), spaces, st.sampled_from(SPELLINGS), spaces, spaces, values, spaces),
)
exclusions = st.builds("{}-{}".format, spaces, st.sampled_from(SPELLINGS))
other = st.sampled_from(
    ["", "# vm.swappiness=99", " ; vm.swappiness=99", "vm.swappiness", "nonsense", "=", "vm.gone=1"]
)
lines = st.one_of(assignments, assignments, exclusions, other)
texts = st.builds(
    lambda parts, end: end.join(parts), st.lists(lines, max_size=6), st.sampled_from(["\n", "\n", "\r\n", "\n\n"])
)
content = st.one_of(texts, texts, texts, st.sampled_from([None]))
places = st.tuples(st.sampled_from(sysctls.FOLDERS), st.sampled_from(NAMES))


@needs_systemd
@settings(max_examples=100, deadline=None)
@given(st.dictionaries(places, content, max_size=6))
def test_systemd_sets_the_same(files: Dict[Tuple[str, str], Optional[str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(Path(folder) / "root")
        for (place, name), text in files.items():
            if text is None:
                machine.link(f"{place}/{name}", "/dev/null")
            else:
                machine.write(f"{place}/{name}", text)
        assert machine.values() == machine.systemd()


FORWARDING = [key for key in KEYS if key.endswith("forwarding")]
CASES: List[Tuple[Dict[str, str], Dict[str, str]]] = [
    # A pattern that gets another value goes to the end.
    (
        {"a.conf": "net.ipv4.conf.*.forwarding=1\nnet.ipv4.conf.e*.forwarding=2\nnet.ipv4.conf.*.forwarding=3\n"},
        dict.fromkeys(FORWARDING, "3"),
    ),
    # A pattern that is excluded excludes nothing, not even itself.
    (
        {"a.conf": "net.ipv4.conf.*.forwarding=1\n-net.ipv4.conf.e*.forwarding\n"},
        dict.fromkeys(FORWARDING, "1"),
    ),
    # A star is one part of the path.
    (
        {"a.conf": "net.ipv4.*=1\nnet.*.forwarding=1\n*=1\n*/*/*=1\n*.*=1\n"},
        {"vm/swappiness": "1", "vm/dirty_ratio": "1"},
    ),
    # Line ends of all kinds.
    ({"a.conf": "vm.swappiness=1\rvm.dirty_ratio=2\0vm.swappiness=3"}, {"vm/swappiness": "3", "vm/dirty_ratio": "2"}),
    ({".hidden.conf": "vm.swappiness=1\n", "b.txt": "vm.swappiness=1\n", "b.conf~": "vm.swappiness=1\n"}, {}),
    ({"a.conf": "net.ipv4.conf.[^a]*.forwarding=1\n"}, dict.fromkeys(FORWARDING[1:], "1")),
    ({"a.conf": "net.ipv4.conf.[!e]*.forwarding=1\n"}, {FORWARDING[0]: "1"}),
    # Capitals come first.
    ({"a.conf": "vm.swappiness=1\n", "B.conf": "vm.swappiness=2\n"}, {"vm/swappiness": "1"}),
    # An exclusion after an assignment takes it back.
    ({"a.conf": "vm.swappiness=1\n", "b.conf": "-vm.swappiness\n"}, {}),
    ({"a.conf": "vm.swappiness=1=2\n;vm.swappiness=3\n #vm.swappiness=3\n"}, {"vm/swappiness": "1=2"}),
]


@needs_systemd
@pytest.mark.parametrize(("files", "values"), CASES)
def test_systemd_sets_what_the_rules_say(machine: Machine, files: Dict[str, str], values: Dict[str, str]) -> None:
    for name, text in files.items():
        machine.write(f"etc/sysctl.d/{name}", text)
    assert machine.systemd() == values


@pytest.mark.parametrize(("files", "values"), CASES)
def test_the_rules_are_followed(machine: Machine, files: Dict[str, str], values: Dict[str, str]) -> None:
    for name, text in files.items():
        machine.write(f"etc/sysctl.d/{name}", text)
    assert machine.values() == values


# -- Debian's files


def debian_12(machine: Machine, text: str) -> None:
    machine.write("etc/sysctl.conf", text)
    machine.link("etc/sysctl.d/99-sysctl.conf", "../sysctl.conf")


def test_sysctl_conf_of_debian_12_wins_over_ours_and_is_named(machine: Machine) -> None:
    debian_12(machine, "#vm.dirty_ratio=5\nvm.swappiness=60\n")
    machine.write("etc/sysctl.d/90-nspa-proaudio.conf", "-vm.swappiness = 10\n-vm.dirty_ratio = 10\n")
    assert machine.at_boot("vm.swappiness", "vm.dirty_ratio") == {
        "vm.swappiness": ("60", "/etc/sysctl.conf (read as /etc/sysctl.d/99-sysctl.conf)"),
        "vm.dirty_ratio": ("10", "/etc/sysctl.d/90-nspa-proaudio.conf"),
    }


def test_sysctl_conf_of_debian_13_is_not_read(machine: Machine) -> None:
    machine.write("etc/sysctl.conf", "vm.swappiness=60\n")
    assert machine.at_boot("vm.swappiness") == {}


def test_the_verdict_finds_it_under_tunables(machine: Machine) -> None:
    debian_12(machine, "vm.swappiness=60\n")
    assert tunables.at_boot(["vm.swappiness"], machine.root)["vm.swappiness"][0] == "60"


def test_a_file_in_etc_replaces_one_of_the_same_name_in_usr_as_a_whole(machine: Machine) -> None:
    machine.write("usr/lib/sysctl.d/50-a.conf", "vm.swappiness=1\nvm.dirty_ratio=1\n")
    machine.write("run/sysctl.d/50-a.conf", "vm.swappiness=2\n")
    assert machine.at_boot() == {"vm/swappiness": ("2", "/run/sysctl.d/50-a.conf")}
    machine.link("etc/sysctl.d/50-a.conf", "/dev/null")
    assert machine.at_boot() == {}


def test_a_broken_link_and_a_folder_replace_a_file_too(machine: Machine) -> None:
    machine.write("usr/lib/sysctl.d/50-a.conf", "vm.swappiness=1\n")
    machine.write("usr/lib/sysctl.d/60-a.conf", "vm.swappiness=1\n")
    machine.link("etc/sysctl.d/50-a.conf", "nowhere")
    (machine.root / "etc/sysctl.d/60-a.conf").mkdir()
    assert machine.at_boot() == {}


def test_the_file_that_sets_a_value_first_is_named_when_a_later_one_agrees(machine: Machine) -> None:
    machine.write("etc/sysctl.d/90-ours.conf", "vm.swappiness=10\n")
    machine.write("etc/sysctl.d/99-theirs.conf", "vm.swappiness=10\n")
    assert machine.at_boot("vm.swappiness") == {"vm.swappiness": ("10", "/etc/sysctl.d/90-ours.conf")}


def test_a_pattern_counts_where_nothing_names_the_key(machine: Machine) -> None:
    machine.write("etc/sysctl.d/99-z.conf", "net.ipv4.conf.*.forwarding=1\n-net.ipv4.conf.all.forwarding\n")
    machine.write("etc/sysctl.d/10-a.conf", "net.ipv4.conf.eth0.forwarding=0\n")
    assert machine.at_boot() == {
        "net/ipv4/conf/eth0/forwarding": ("0", "/etc/sysctl.d/10-a.conf"),
        "net/ipv4/conf/eth0.1/forwarding": ("1", "/etc/sysctl.d/99-z.conf"),
    }


def test_a_credential_comes_after_all_files(machine: Machine) -> None:
    machine.write("etc/sysctl.d/99-z.conf", "vm.swappiness=10\n")
    machine.write("usr/lib/credstore/sysctl.extra", "vm.swappiness=20\n")
    machine.write("etc/credstore/sysctl.extra", "vm.swappiness=30\n")
    assert machine.at_boot("vm.swappiness") == {"vm.swappiness": ("30", "/etc/credstore/sysctl.extra")}


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("quiet sysctl.vm.swappiness=40", "40"),
        ("sysctl.vm.swappiness=40 sysctl/vm/swappiness=50", "50"),
        ('"sysctl.vm.swappiness=40"', "40"),
        ("sysctl.vm.swappiness", None),
        ("sysctlvm.swappiness=40", None),
        ("quiet -- sysctl.vm.swappiness=40", None),
    ],
)
def test_the_kernel_command_line_sets_what_no_file_does(machine: Machine, line: str, value: Optional[str]) -> None:
    machine.write("proc/cmdline", f"BOOT_IMAGE=/vmlinuz {line}\n")
    found = machine.at_boot("vm.swappiness")
    assert found == ({} if value is None else {"vm.swappiness": (value, "the kernel command line")})
    machine.write("etc/sysctl.d/10-a.conf", "vm.swappiness=1\n")
    assert machine.at_boot("vm.swappiness") == {"vm.swappiness": ("1", "/etc/sysctl.d/10-a.conf")}


def test_a_file_that_is_not_there_yet_can_be_assumed(machine: Machine) -> None:
    ours = {"/etc/sysctl.d/90-ours.conf": "vm.swappiness=10\n"}
    machine.write("usr/lib/sysctl.d/50-a.conf", "vm.swappiness=1\n")
    assert machine.at_boot("vm.swappiness", assume=ours)["vm.swappiness"][0] == "10"
    machine.write("etc/sysctl.d/90-ours.conf", "vm.swappiness=2\n")
    assert machine.at_boot("vm.swappiness", assume=ours)["vm.swappiness"][0] == "10"
    machine.write("etc/sysctl.d/99-z.conf", "vm.swappiness=3\n")
    assert machine.at_boot("vm.swappiness", assume=ours)["vm.swappiness"][0] == "3"


# -- names


def test_both_notations_are_understood() -> None:
    for spelling in ("net.ipv4.conf.eth0/1.forwarding", "net/ipv4/conf/eth0.1/forwarding"):
        assert sysctls.problem(spelling) == ""
        assert sysctls.key(spelling) == "net/ipv4/conf/eth0.1/forwarding"
    assert sysctls.name("net/ipv4/conf/eth0.1/forwarding") == "net.ipv4.conf.eth0/1.forwarding"


NOT_NAMES: List[str] = [
    *("", "swappiness", "vm", ".vm.swappiness", "-vm.swappiness", "/vm/swappiness", "../vm/swappiness"),
    *(
        "vm/../kernel/core_pattern",
        "vm.swappiness\0",
        "vm.swappiness\n",
        "vm swappiness",
        "vm.swap*",
        "vm.swappi[n]ess",
    ),
    *("net.ipv4.conf.//.forwarding", "vm.swappiness=1", "vm.swappiness;", "vm.swäppiness", "vm.swappiness#"),
]


@pytest.mark.parametrize("text", NOT_NAMES)
def test_what_is_no_name_is_refused(text: str) -> None:
    assert "is not the name of a sysctl: wanted one such as vm.swappiness" in sysctls.problem(text)


@given(st.text(max_size=30))
def test_no_name_that_passes_leaves_proc_sys(text: str) -> None:
    if not sysctls.problem(text):
        path = Path("/proc/sys", sysctls.key(text))
        assert os.path.normpath(path) == str(path)
        assert path.parts[:3] == ("/", "proc", "sys")
        assert len(path.parts) > 4
        assert sysctls.key(sysctls.name(sysctls.key(text))) == sysctls.key(text)
