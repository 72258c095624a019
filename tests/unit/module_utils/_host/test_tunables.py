# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Live tunables: what differs is written once and read back, and absent brings back what stood there."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.host import Host, killed_at

from ansible_collections.nspa.proaudio.plugins.module_utils._core.change import Purpose
from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import Manifest
from ansible_collections.nspa.proaudio.plugins.module_utils._host import tunables
from ansible_collections.nspa.proaudio.plugins.module_utils._host.tunables import TunableError

ROLE = "some_role"
SYSCTLS = {"vm.swappiness": 10, "kernel.sched_rr_timeslice_ms": 10}
BOOT_FILE = "/etc/sysctl.d/90-ours.conf"


class Machine(tunables.Kernel):
    """A tree with the files that a running kernel has, and a manifest.

    `takes`: what the kernel makes of a value by the file's name, an error if it refuses; `silent`: files that do not
    answer.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.manifest = str(root / "var/lib/nspa-proaudio/manifest.json")
        self.takes: Dict[str, Callable[[str], str]] = {}
        self.silent: List[Path] = []
        self.swappiness = self.file("proc/sys/vm/swappiness", "60")
        self.timeslice = self.file("proc/sys/kernel/sched_rr_timeslice_ms", "100")

    def read(self, path: str) -> str:
        if Path(path) in self.silent:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), path)
        return super().read(path)

    def write(self, path: str, value: str) -> None:
        super().write(path, self.takes.get(Path(path).name, str)(value))

    def file(self, path: str, text: str) -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text + "\n")
        return target

    def cpu(self, number: int, governor: str = "schedutil", offered: str = "performance schedutil") -> Path:
        folder = f"sys/devices/system/cpu/cpu{number}/cpufreq"
        self.file(f"{folder}/scaling_available_governors", offered)
        return self.file(f"{folder}/scaling_governor", governor)

    def compare(
        self,
        sysctls: Optional[Dict[str, Any]] = SYSCTLS,
        governor: str = "",
        role: str = ROLE,
        purpose: Purpose = Purpose.APPLY,
        manifest: Optional[Manifest] = None,
        attributes: Optional[Dict[str, Any]] = None,
    ) -> tunables.TunablesChange:
        """Compare; sysctls None means that nothing is wanted."""
        wanted = {
            "sysctls": sysctls,
            "attributes": attributes or {},
            "governor": governor,
            "boot_file": BOOT_FILE,
        }
        manifest = manifest or Manifest.load(self.manifest)
        return tunables.compare(manifest, role, None if sysctls is None else wanted, purpose, self)

    def run(self, *arguments: Any, **options: Any) -> tunables.TunablesChange:
        """Compare and apply, as the module does."""
        with Manifest.change(self.manifest) as manifest:
            change = self.compare(*arguments, **options, manifest=manifest)
            change.apply(manifest)
            manifest.save()
            return change

    def owned(self) -> Dict[str, Any]:
        return Manifest.load(self.manifest).entries(tunables.KIND)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def refuse(_value: str) -> str:
    raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


# -- setting and putting back


def test_what_differs_is_written_and_put_back(machine: Machine) -> None:
    assert machine.compare().changed
    assert (machine.swappiness.read_text(), machine.timeslice.read_text()) == ("60\n", "100\n"), "comparing writes"
    machine.run()
    assert (machine.swappiness.read_text(), machine.timeslice.read_text()) == ("10\n", "10\n")
    assert not machine.compare().changed
    back = machine.compare(None)
    assert back.changed
    assert back.diff()[0]["before"] == "kernel.sched_rr_timeslice_ms = 10\nvm.swappiness = 10\n"
    assert back.diff()[0]["after"] == "kernel.sched_rr_timeslice_ms = 100\nvm.swappiness = 60\n"
    machine.run(None)
    assert (machine.swappiness.read_text(), machine.timeslice.read_text()) == ("60\n", "100\n")
    assert not machine.compare(None).changed
    assert not Path(machine.manifest).exists()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.tuples(*[st.integers(0, 200)] * 2), before=st.tuples(*[st.integers(0, 200)] * 2))
def test_the_value_is_the_one_that_was_asked_for(machine: Machine, values: tuple, before: tuple) -> None:
    machine.swappiness.write_text(f"{before[0]}\n")
    machine.timeslice.write_text(f"{before[1]}\n")
    wanted = {"vm.swappiness": values[0], "kernel.sched_rr_timeslice_ms": values[1]}
    done = machine.run(wanted)
    assert (int(machine.swappiness.read_text()), int(machine.timeslice.read_text())) == values
    assert done.result()["values"] == {name: str(value) for name, value in wanted.items()}
    machine.run(None)
    assert (int(machine.swappiness.read_text()), int(machine.timeslice.read_text())) == before


def test_the_first_value_is_kept_when_another_is_wanted_later(machine: Machine) -> None:
    machine.run()
    machine.run({"vm.swappiness": 1})
    machine.run(None)
    assert machine.swappiness.read_text() == "60\n"


def test_what_is_not_wanted_any_more_is_put_back(machine: Machine) -> None:
    machine.run()
    change = machine.run({"vm.swappiness": 10, "kernel.sched_rr_timeslice_ms": None})
    assert change.result()["values"] == {"vm.swappiness": "10", "kernel.sched_rr_timeslice_ms": "100"}
    assert (machine.swappiness.read_text(), machine.timeslice.read_text()) == ("10\n", "100\n")


def test_a_value_that_was_right_from_the_start_is_not_owned(machine: Machine) -> None:
    machine.swappiness.write_text("10\n")
    machine.run()
    machine.run(None)
    assert (machine.swappiness.read_text(), machine.timeslice.read_text()) == ("10\n", "100\n")


def test_what_somebody_changed_is_mended_and_then_put_back_as_it_was_first(machine: Machine) -> None:
    machine.run()
    machine.swappiness.write_text("33\n")
    assert machine.compare(purpose=Purpose.JUDGE).changed
    machine.run()
    assert machine.swappiness.read_text() == "10\n"
    machine.run(None)
    assert machine.swappiness.read_text() == "60\n"


def test_what_somebody_else_set_since_is_left_and_named(machine: Machine) -> None:
    machine.run()
    machine.swappiness.write_text("33\n")
    change = machine.run(None)
    assert change.warnings == [
        "vm.swappiness is 33, which somebody else set; left as it is. Before this collection it was: 60"
    ]
    assert (machine.swappiness.read_text(), machine.timeslice.read_text()) == ("33\n", "100\n")
    assert not machine.compare(None).changed


def test_what_somebody_put_back_already_is_forgotten_without_a_word(machine: Machine) -> None:
    machine.run()
    machine.swappiness.write_text("60\n")
    change = machine.run(None)
    assert change.warnings == []
    assert change.result()["values"]["vm.swappiness"] == "60"
    assert machine.owned() == {}


def test_two_roles_keep_apart(machine: Machine) -> None:
    machine.run()
    with pytest.raises(TunableError, match=r"vm\.swappiness is wanted by other and belongs to some_role"):
        machine.compare(role="other")
    machine.run(None, role="other")
    assert machine.swappiness.read_text() == "10\n"


def test_a_file_that_is_gone_is_forgotten(machine: Machine) -> None:
    machine.run()
    machine.swappiness.unlink()
    assert machine.compare(None).changed
    machine.run(None)
    assert machine.owned() == {}
    assert machine.timeslice.read_text() == "100\n"


# -- values


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("4096 131072 6291456", "4096\t131072\t6291456"),
        ("0x10", "16"),
        ("0X1f", "31"),
        ("020", "16"),
        ("-1", "-1"),
        ("3", "3\t4\t1\t7"),
        ("|/bin/core  %P", "|/bin/core %P"),
        ("", ""),
    ],
)
def test_values_are_compared_as_the_kernel_reads_them(wanted: str, found: str) -> None:
    assert tunables.same(wanted, found)


@pytest.mark.parametrize(
    ("wanted", "found"), [("10", "60"), ("10", ""), ("4 3", "4"), ("1", "-1"), ("a", "a b"), ("10", "0x11"), ("", "1")]
)
def test_other_values_are_others(wanted: str, found: str) -> None:
    assert not tunables.same(wanted, found)


@pytest.mark.parametrize("value", [True, ["1"], {"a": 1}, "1\n2", "1\0", "\x1b[2J", " "])
def test_what_is_not_one_value_is_refused(machine: Machine, value: Any) -> None:
    with pytest.raises(TunableError, match=r"vm\.swappiness is wanted to be .*write a number or a text"):
        machine.compare({"vm.swappiness": value})


def test_null_and_an_empty_text_leave_a_tunable_alone(machine: Machine) -> None:
    assert not machine.compare({"vm.swappiness": None, "kernel.sched_rr_timeslice_ms": ""}).changed


@pytest.mark.parametrize(
    "name", ["../vm/swappiness", "vm/../vm/swappiness", "vm.swappiness\0", "-vm.swappiness", "vm.*"]
)
def test_what_is_no_name_is_refused(machine: Machine, name: str) -> None:
    with pytest.raises(TunableError, match="is not the name of a sysctl"):
        machine.compare({name: 1})


def test_a_dot_in_an_interface_is_understood_in_both_notations(machine: Machine) -> None:
    path = machine.file("proc/sys/net/ipv4/conf/eth0.1/forwarding", "0")
    machine.run({"net.ipv4.conf.eth0/1.forwarding": 1})
    assert path.read_text() == "1\n"
    assert not machine.compare({"net/ipv4/conf/eth0.1/forwarding": 1}).changed
    with pytest.raises(TunableError, match="wanted twice, to be 1 and 0"):
        machine.compare({"net.ipv4.conf.eth0/1.forwarding": 1, "net/ipv4/conf/eth0.1/forwarding": 0})


def test_a_tunable_that_this_kernel_lacks_is_left_alone_and_named(machine: Machine) -> None:
    change = machine.run({"kernel.gone": 1, "vm.swappiness": 10})
    assert change.result()["left_alone"] == [f"the running kernel ({os.uname().release}) has no kernel.gone"]
    assert change.result()["values"] == {"vm.swappiness": "10"}


def test_a_tunable_that_cannot_be_read_is_refused_with_a_way_out(machine: Machine) -> None:
    machine.silent.append(machine.swappiness)
    with pytest.raises(TunableError, match=r"vm\.swappiness .* cannot be read .* set it to null"):
        machine.compare()


# -- what the kernel makes of it


def test_a_value_that_the_kernel_refuses_changes_nothing(machine: Machine) -> None:
    machine.takes["sched_rr_timeslice_ms"] = refuse
    with pytest.raises(TunableError, match=r"sched_rr_timeslice_ms is wanted to be 10, and the running kernel refuses"):
        machine.run()
    assert (machine.swappiness.read_text(), machine.timeslice.read_text()) == ("60\n", "100\n")
    assert machine.owned() == {}


def test_a_value_that_the_kernel_changes_is_an_error_that_says_what_to_do(machine: Machine) -> None:
    machine.takes["swappiness"] = lambda value: str(min(int(value), 100))
    with pytest.raises(TunableError, match=r"vm\.swappiness is wanted to be 150, .* made 100 of it .*; choose another"):
        machine.run({"vm.swappiness": 150})
    assert machine.swappiness.read_text() == "60\n"
    assert machine.owned() == {}


def test_what_was_ours_before_a_refusal_stays_ours(machine: Machine) -> None:
    machine.run()
    machine.takes["swappiness"] = refuse
    with pytest.raises(TunableError):
        machine.run({"kernel.sched_rr_timeslice_ms": 20, "vm.swappiness": 1})
    assert (machine.swappiness.read_text(), machine.timeslice.read_text()) == ("10\n", "10\n")
    del machine.takes["swappiness"]
    machine.run(None)
    assert (machine.swappiness.read_text(), machine.timeslice.read_text()) == ("60\n", "100\n")


def test_what_cannot_be_undone_is_said_and_stays_in_the_manifest(machine: Machine) -> None:
    machine.takes["swappiness"] = lambda value: value if value == "10" else refuse(value)
    machine.takes["sched_rr_timeslice_ms"] = refuse
    with pytest.raises(TunableError, match="What was set for it stays; state: absent puts it back"):
        machine.run()
    machine.takes.clear()
    machine.run(None)
    assert machine.swappiness.read_text() == "60\n"


def test_a_tunable_that_another_one_changes_is_found(machine: Machine) -> None:
    other = machine.file("proc/sys/vm/dirty_bytes", "0")
    ratio = machine.file("proc/sys/vm/dirty_ratio", "20")

    def clears_the_ratio(value: str) -> str:
        ratio.write_text("0\n")
        return value

    machine.takes["dirty_bytes"] = clears_the_ratio
    with pytest.raises(TunableError, match=r"vm\.dirty_ratio is wanted to be 20, .* made 0 of it"):
        machine.run({"vm.dirty_ratio": 20, "vm.dirty_bytes": 8192})
    assert other.read_text() == "0\n"


def test_the_value_is_reported_as_the_kernel_shows_it(machine: Machine) -> None:
    machine.takes["swappiness"] = lambda value: str(int(value, 0))
    assert machine.run({"vm.swappiness": "0x10"}).result()["values"] == {"vm.swappiness": "16"}
    assert not machine.compare({"vm.swappiness": "0x10"}).changed
    machine.run(None)
    assert machine.swappiness.read_text() == "60\n"


def test_one_value_that_cannot_be_put_back_does_not_keep_the_others(machine: Machine) -> None:
    machine.run()
    machine.takes["sched_rr_timeslice_ms"] = refuse
    with pytest.raises(TunableError, match=r"Not all values .* kernel\.sched_rr_timeslice_ms .* run this again"):
        machine.run(None)
    assert machine.swappiness.read_text() == "60\n"
    assert list(machine.owned()) == ["kernel.sched_rr_timeslice_ms"]


REAL = """
import sys
from pathlib import Path
from ansible_collections.nspa.proaudio.plugins.module_utils._core.change import Purpose
from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import Manifest
from ansible_collections.nspa.proaudio.plugins.module_utils._host import tunables
root, value = sys.argv[1:]
ours = {"sysctls": {"net.ipv4.ip_default_ttl": value}, "attributes": {}, "governor": "", "boot_file": "/x"}
for wanted in (ours, None):
    with Manifest.change(root + "/state/x/manifest.json") as manifest:
        kernel = tunables.Kernel(Path(root))
        try:
            tunables.compare(manifest, "r", wanted, Purpose.APPLY, kernel).apply(manifest)
            said = "set"
        except tunables.TunableError as error:
            said = str(error)
    print(kernel.read("/proc/sys/net/ipv4/ip_default_ttl"), said)
"""


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="needs root and unshare")
@pytest.mark.parametrize(
    ("value", "now", "said"),
    [
        ("77", "77", "set"),
        ("0x20", "32", "set"),
        ("0", "64", "the running kernel refuses that"),
        ("nonsense", "64", "the running kernel refuses that"),
    ],
)
def test_the_running_kernel_is_set_and_read_back(tmp_path: Path, value: str, now: str, said: str) -> None:
    # In a network namespace of its own, whose sysctls start anew and end with it.
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/sys").symlink_to("/proc/sys")
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-c", REAL, str(tmp_path), value],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if done.stderr.startswith("unshare: "):
        pytest.skip(f"no network namespace here: {done.stderr.strip()}")
    present, absent = done.stdout.splitlines()
    assert present.startswith(f"{now} ")
    assert said in present
    assert absent == "64 set"


# -- two ways to say the same


def kernel_of_dirty_pages(machine: Machine, dirty_bytes: str, ratio: str) -> List[Path]:
    """As mm/page-writeback.c: whoever sets the one makes the other 0, and 0 bytes are refused."""
    files = [machine.file("proc/sys/vm/dirty_bytes", dirty_bytes), machine.file("proc/sys/vm/dirty_ratio", ratio)]

    def takes(other: Path, least: int) -> Callable[[str], str]:
        def take(value: str) -> str:
            if int(value) < least:
                refuse(value)
            other.write_text("0\n")
            return value

        return take

    write = machine.write

    def only_what_is_taken(path: str, value: str) -> None:
        # The kernel keeps what it had when it refuses.
        if Path(path).name == "dirty_bytes" and int(value) < 8192:
            refuse(value)
        write(path, value)

    machine.takes.update(dirty_bytes=takes(files[1], 8192), dirty_ratio=takes(files[0], 0))
    machine.write = only_what_is_taken  # type: ignore[method-assign]
    return files


@pytest.mark.parametrize("before", [("0", "20"), ("33554432", "0")])
def test_bytes_and_ratio_are_put_back_by_the_one_that_was_set(machine: Machine, before: tuple) -> None:
    files = kernel_of_dirty_pages(machine, *before)
    machine.run({"vm.dirty_bytes": 268435456})
    assert [path.read_text() for path in files] == ["268435456\n", "0\n"]
    back = machine.compare(None)
    assert back.values == {"vm.dirty_bytes": before[0]}
    assert machine.run(None).warnings == []
    assert [path.read_text().strip() for path in files] == list(before)
    assert machine.owned() == {}


def test_a_ratio_that_cannot_be_read_could_never_be_put_back(machine: Machine) -> None:
    files = kernel_of_dirty_pages(machine, "0", "20")
    machine.silent.append(files[1])
    with pytest.raises(TunableError, match=r"vm\.dirty_bytes .* could never be put back"):
        machine.compare({"vm.dirty_bytes": 268435456})


def test_bytes_that_go_with_a_value_that_is_refused_leave_the_ratio(machine: Machine) -> None:
    files = kernel_of_dirty_pages(machine, "0", "20")
    machine.takes["swappiness"] = refuse
    with pytest.raises(TunableError, match="refuses that") as error:
        machine.run({"vm.dirty_bytes": 268435456, "vm.swappiness": 1})
    assert "stays" not in str(error.value)
    assert [path.read_text() for path in files] == ["0\n", "20\n"]


# -- attributes

THP, RTC = "/sys/kernel/mm/transparent_hugepage/enabled", "/sys/class/rtc/rtc*/max_user_freq"


def test_attributes_are_set_everywhere_and_put_back(machine: Machine) -> None:
    files = [machine.file(f"sys/class/rtc/rtc{number}/max_user_freq", "64") for number in range(2)]
    machine.run({}, attributes={RTC: 3072})
    assert [path.read_text() for path in files] == ["3072\n"] * 2
    assert not machine.compare({}, attributes={RTC: 3072}).changed
    machine.run({}, attributes={RTC: None})
    assert [path.read_text() for path in files] == ["64\n"] * 2


def test_of_a_row_of_words_the_chosen_one_counts(machine: Machine) -> None:
    path = machine.file(THP[1:], "[always] madvise never")
    machine.takes["enabled"] = lambda value: " ".join(
        f"[{word}]" if word == value else word for word in ("always", "madvise", "never")
    )
    machine.run({}, attributes={THP: "madvise"})
    assert path.read_text() == "always [madvise] never\n"
    assert not machine.compare({}, attributes={THP: "madvise"}).changed
    machine.run(None)
    assert path.read_text() == "[always] madvise never\n"


def test_an_attribute_that_is_not_there_is_left_alone_and_named(machine: Machine) -> None:
    path = machine.file("sys/class/rtc/rtc0/max_user_freq", "64")
    machine.silent.append(path)
    change = machine.compare({}, attributes={RTC: 3072, THP: "madvise"})
    assert not change.changed
    assert [text.split(" that answers")[0].split(" (")[0] for text in change.left_alone] == [
        f"{path} does not answer",
        f"there is no {RTC}",
        f"there is no {THP}",
    ]


@pytest.mark.parametrize("path", ["/proc/x", "/sys/../etc/passwd", "sys/x", "/sys/a b", "/sys"])
def test_what_is_no_attribute_is_refused(machine: Machine, path: str) -> None:
    with pytest.raises(TunableError, match="is not the path of an attribute"):
        machine.compare({}, attributes={path: 1})


def test_a_container_has_its_hosts_attributes(machine: Machine) -> None:
    machine.file("run/systemd/container", "docker")
    machine.file(THP[1:], "[always] madvise never")
    assert not machine.compare({}, attributes={THP: "madvise"}).changed


def test_the_governor_goes_before_the_preference_both_ways(machine: Machine) -> None:
    """The processor's driver takes no preference while the governor is performance (drivers/cpufreq/intel_pstate.c)."""
    governor = machine.cpu(0, "powersave", "performance powersave")
    pattern = "/sys/devices/system/cpu/cpu*/cpufreq/energy_performance_preference"
    preference = machine.file(pattern[1:].replace("cpu*", "cpu0"), "balance_power")
    machine.takes["energy_performance_preference"] = lambda value: (
        refuse(value) if governor.read_text() == "performance\n" and value != "performance" else value
    )
    machine.run({}, "performance", attributes={pattern: "performance"})
    assert (governor.read_text(), preference.read_text()) == ("performance\n", "performance\n")
    machine.run(None)
    assert (governor.read_text(), preference.read_text()) == ("powersave\n", "balance_power\n")


# -- the governor


def test_every_cpu_gets_the_governor_and_its_own_back(machine: Machine) -> None:
    files = [machine.cpu(0), machine.cpu(1, "powersave", "performance powersave"), machine.cpu(10)]
    machine.run({}, "performance")
    assert [path.read_text() for path in files] == ["performance\n"] * 3
    assert not machine.compare({}, "performance").changed
    machine.run(None)
    assert [path.read_text() for path in files] == ["schedutil\n", "powersave\n", "schedutil\n"]


def test_a_governor_that_is_not_offered_is_refused_with_those_that_are(machine: Machine) -> None:
    machine.cpu(0)
    with pytest.raises(TunableError, match="'fast' is not offered by cpu0; choose one of performance, sched"):
        machine.compare({}, "fast")


def test_what_is_no_governor_is_refused_even_where_there_is_none(machine: Machine) -> None:
    with pytest.raises(TunableError, match="wanted one word, such as performance"):
        machine.compare({}, "performance\nf /etc/passwd")


def test_a_machine_without_frequency_scaling_is_left_alone_and_told(machine: Machine) -> None:
    machine.file("sys/devices/system/cpu/cpu0/online", "1")
    change = machine.compare({}, "performance")
    assert not change.changed
    assert change.result()["left_alone"] == [
        "no CPU frequency scaling here: the governor is left to the hypervisor or the firmware"
    ]


def test_an_offline_cpu_is_skipped_and_said(machine: Machine) -> None:
    files = [machine.cpu(0), machine.cpu(1), machine.cpu(2), machine.cpu(3)]
    machine.silent.append(files[1])
    files[2].unlink()
    machine.file("sys/devices/system/cpu/cpu2/online", "0")
    files[3].unlink()
    files[3].mkdir()
    change = machine.run({}, "performance")
    assert files[0].read_text() == "performance\n"
    assert change.result()["left_alone"] == [
        "cpu1 is offline, so its governor is left as it is; bring it online and run this again",
        "cpu2 is offline, so its governor is left as it is; bring it online and run this again",
        "cpu3 does not say its governor (Is a directory), so it is left as it is",
    ]
    assert not machine.compare({}, "performance").changed


def test_a_cpu_that_came_online_later_gets_the_governor_and_its_own_back(machine: Machine) -> None:
    files = [machine.cpu(0), machine.cpu(1, "powersave")]
    machine.silent.append(files[1])
    machine.run({}, "performance")
    machine.silent.clear()
    machine.run({}, "performance")
    assert files[1].read_text() == "performance\n"
    machine.run(None)
    assert [path.read_text() for path in files] == ["schedutil\n", "powersave\n"]


def test_a_cpu_that_went_offline_does_not_keep_the_others_from_being_put_back(machine: Machine) -> None:
    files = [machine.cpu(0), machine.cpu(1)]
    machine.run({}, "performance")
    machine.silent.append(files[1])
    change = machine.run(None)
    assert files[0].read_text() == "schedutil\n"
    assert f"{files[1]} does not answer" in change.warnings[0]
    assert not machine.compare(None).changed


def test_all_cpus_offline_are_not_a_governor_given_up(machine: Machine) -> None:
    path = machine.cpu(0)
    machine.run({}, "performance")
    machine.silent.append(path)
    assert not machine.compare({}, "performance").changed


def test_a_container_is_left_alone(machine: Machine) -> None:
    machine.file("run/systemd/container", "systemd-nspawn")
    machine.file("etc/sysctl.d/99-z.conf", "vm.swappiness=60")
    change = machine.compare(governor="performance")
    assert not change.changed
    assert len(change.left_alone) == 2
    assert change.warnings == []


# -- the next boot


def test_another_file_that_wins_at_boot_is_named(machine: Machine) -> None:
    machine.file(BOOT_FILE[1:], "vm.swappiness = 10\nkernel.sched_rr_timeslice_ms = 10")
    machine.file("etc/sysctl.conf", "vm.swappiness=60")
    (machine.root / "etc/sysctl.d/99-sysctl.conf").symlink_to("../sysctl.conf")
    warning = (
        "vm.swappiness is 10 only until the next boot, when /etc/sysctl.conf (read as /etc/sysctl.d/99-sysctl.conf) "
        "makes it 60: take it out there, or let the role's settings say the same"
    )
    assert machine.compare(purpose=Purpose.PREDICT).warnings == [warning]
    assert machine.run().warnings == [warning]
    assert machine.compare().warnings == [warning], "an unchanged host is told as well"
    assert machine.compare(purpose=Purpose.JUDGE).warnings == []


def test_our_file_counts_as_written_in_check_mode_alone(machine: Machine) -> None:
    machine.file("etc/sysctl.d/50-a.conf", "vm.swappiness=60")
    assert machine.compare(purpose=Purpose.PREDICT).warnings == []
    assert "/etc/sysctl.d/50-a.conf makes it 60" in machine.compare().warnings[0]


def test_a_file_that_says_the_same_in_other_words_is_no_warning(machine: Machine) -> None:
    machine.file("etc/sysctl.d/99-z.conf", "vm.swappiness=0xa")
    assert machine.compare().warnings == []


# -- interrupted


@pytest.mark.parametrize("then", ["present", "absent"])
def test_killed_at_any_step_both_ways_are_still_open(memory: Path, then: str) -> None:
    machine = Machine(memory)
    files = [machine.swappiness, machine.timeslice]
    for step in range(1, 200):
        killed = killed_at(step, machine.run)
        if then == "present":
            machine.run()
            assert [path.read_text() for path in files] == ["10\n"] * 2
        machine.run(None)
        # A kill between open and write leaves a real file empty; a file of the kernel is never empty.
        assert [path.read_text() or before for path, before in zip(files, ("60\n", "100\n"))] == ["60\n", "100\n"]
        assert not Path(machine.manifest).parent.exists(), f"killed at step {step}"
        for path, before in zip(files, ("60\n", "100\n")):
            path.write_text(before)
        if not killed:
            return
    raise AssertionError("never came to its end")


# -- the module


def test_the_module_predicts_what_it_then_does(tmp_path: Path) -> None:
    # The running kernel's own value, which sets nothing.
    value = Path("/proc/sys/vm/swappiness").read_text(encoding="ascii").strip()
    host = Host(tmp_path)
    wanted = {"role": ROLE, "sysctls": {"vm.swappiness": value}}
    predicted, done = (host.run("kernel_tunables", check=check, **wanted) for check in (True, False))
    assert predicted.result == done.result
    assert not done.changed
    assert done.result["values"] in ({"vm.swappiness": value}, {})
    assert not host.run("kernel_tunables", role=ROLE, state="absent").changed
    assert not host.manifest.parent.exists()
    refused = host.run("kernel_tunables", role=ROLE, sysctls={"../x": 1})
    assert "is not the name of a sysctl" in refused.message
    assert json.dumps(refused.result)
