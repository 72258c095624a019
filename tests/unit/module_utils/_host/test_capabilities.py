# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Capabilities of programs, judged by libcap's own tools and by the kernel."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Callable, Iterator, List, Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.host import Host, killed_at, tree

from ansible_collections.nspa.proaudio.plugins.module_utils._core.change import Purpose
from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import Manifest
from ansible_collections.nspa.proaudio.plugins.module_utils._host import capabilities
from ansible_collections.nspa.proaudio.plugins.module_utils._host.capabilities import (
    NAMES,
    Capabilities,
    CapabilityError,
    decode,
    encode,
    parse,
    text_of,
)

#: By their numbers in linux/capability.h, and not as our own table has them.
NICE, RAW = 1 << 23, 1 << 13
HEADER = Path("/usr/include/linux/capability.h")
SHOWN = "cap_sys_nice=ep"

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to set capabilities")
needs_libcap = pytest.mark.skipif(not shutil.which("setcap"), reason="needs setcap and getcap (libcap2-bin)")


# -- the text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("cap_sys_nice+ep", Capabilities(NICE, 0, True)),
        ("cap_sys_nice=ep", Capabilities(NICE, 0, True)),
        ("= cap_sys_nice+ep", Capabilities(NICE, 0, True)),
        ("CAP_SYS_NICE=pe", Capabilities(NICE, 0, True)),
        ("cap_sys_nice+p cap_sys_nice+e", Capabilities(NICE, 0, True)),
        ("cap_net_raw,cap_sys_nice=p", Capabilities(NICE | RAW, 0, False)),
        ("cap_net_raw=ei cap_sys_nice+ep", Capabilities(NICE, RAW, True)),
        ("cap_net_raw,cap_sys_nice=eip cap_net_raw-eip", Capabilities(NICE, NICE, True)),
        ("cap_sys_nice=eip-i", Capabilities(NICE, 0, True)),
        ("cap_23=ep", Capabilities(NICE, 0, True)),
        ("cap_63=ep", Capabilities(1 << 63, 0, True)),
    ],
)
def test_both_spellings_are_read(text: str, wanted: Capabilities) -> None:
    assert parse(text) == wanted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "grants nothing"),
        ("=", "grants nothing"),
        ("cap_sys_nice=", "grants nothing"),
        ("cap_sys_nice+ep cap_sys_nice-ep", "grants nothing"),
        ("cap_sys_nice", "not of the form"),
        ("cap_sys_nice+x", "not of the form"),
        ("cap_sys_nice ep", "not of the form"),
        ("cap_sys_nice=ep cap_sys_nice+", "not of the form"),
        ("cap_sys_nicer+ep", "'cap_sys_nicer' in .* is not a capability of Linux"),
        ("cap_64=ep", "'cap_64' in .* is not a capability of Linux"),
        ("cap_sys_nice=ep cap_net_raw=p", "one effective flag"),
        ("cap_sys_nice=e", "one effective flag"),
    ],
)
def test_what_a_file_cannot_carry_is_refused(text: str, message: str) -> None:
    with pytest.raises(CapabilityError, match=message):
        parse(text)


masks = st.integers(min_value=0, max_value=(1 << len(NAMES)) - 1)
carried = st.builds(Capabilities, masks, masks, st.booleans(), st.just(0)).filter(
    lambda item: item.permitted | item.inheritable
)


@given(carried)
def test_what_is_printed_and_written_is_what_is_read(capabilities: Capabilities) -> None:
    assert parse(str(capabilities)) == capabilities
    assert decode(encode(capabilities)) == capabilities


@pytest.mark.parametrize(
    ("attribute", "wanted"),
    [
        # Captured from Linux: revision 1 by hand, 2 by setcap, 3 by setcap -n 1000.
        ("010000010000800000000000", Capabilities(NICE, 0, True)),
        ("0100000200008000000000000000000000000000", Capabilities(NICE, 0, True)),
        ("0100000300008000000000000000000000000000e8030000", Capabilities(NICE, 0, True, rootid=1000)),
        ("0000000200000000002000000100000000000000", Capabilities(1 << 32, RAW, False)),
    ],
)
def test_all_revisions_are_read(attribute: str, wanted: Capabilities) -> None:
    assert decode(bytes.fromhex(attribute)) == wanted


@given(st.binary(max_size=30))
def test_what_makes_no_sense_is_said_not_guessed(attribute: bytes) -> None:
    try:
        capabilities = decode(attribute)
    except CapabilityError:
        assert text_of(attribute) == f"unknown ({attribute.hex()})"
    else:
        assert len(attribute) in (12, 20, 24)
        assert text_of(attribute) == str(capabilities)


def test_all_means_all_that_this_kernel_knows() -> None:
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text(encoding="ascii"))
    assert parse("all=ep").permitted == sum(1 << number for number in range(last + 1))
    assert parse("=ep") == parse("all=ep")


# -- the same as the kernel's header and libcap


@pytest.mark.skipif(not HEADER.exists(), reason=f"needs {HEADER} (linux-libc-dev)")
def test_every_capability_has_the_kernels_number() -> None:
    defined = re.findall(r"^#define (CAP_[A-Z_]+)\s+([0-9]+)$", HEADER.read_text(encoding="utf-8"), re.MULTILINE)
    numbers = {name.lower(): int(number) for name, number in defined}
    # The header may be older, or younger, than our table.
    assert len(numbers) > 35
    assert {name: NAMES.index(name) for name in numbers if name in NAMES} == {
        name: number for name, number in numbers.items() if number < len(NAMES)
    }


def test_the_bits_are_where_the_kernel_reads_them() -> None:
    for number in (0, 1, 22, 23, 24, 31, 32, 33, 39, 40):
        low, high = (1 << number) & 0xFFFFFFFF, (1 << number) >> 32
        attribute = b"".join(word.to_bytes(4, "little") for word in (0x02000001, low, 0, high, 0))
        assert encode(parse(f"{NAMES[number]}=ep")) == encode(parse(f"cap_{number}=ep")) == attribute
        assert text_of(attribute) == f"{NAMES[number]}=ep"


@needs_root
@needs_libcap
def test_libcap_gives_every_name_the_same_bit(program: Path) -> None:
    for name in NAMES:
        subprocess.run(["setcap", f"{name}=ep", str(program)], check=True)
        assert decode(capabilities.read(str(program)) or b"") == parse(f"{name}=ep"), name


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("libcap") / "program"
    shutil.copy("/bin/true", path)
    return path


@needs_root
@needs_libcap
@settings(max_examples=60, deadline=None)
@given(
    clauses=st.lists(
        st.tuples(
            st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True),
            st.sampled_from(["=", "+", "-"]),
            st.sampled_from(["", "e", "p", "i", "ep", "ei", "eip", "ip"]),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_setcap_understands_a_text_in_the_same_way(program: Path, clauses: list) -> None:
    text = " ".join(f"{','.join(names)}{operator}{flags}" for names, operator, flags in clauses)
    done = subprocess.run(["setcap", text, str(program)], capture_output=True, check=False)
    theirs = capabilities.read(str(program)) if done.returncode == 0 else None
    try:
        ours: Optional[bytes] = encode(parse(text))
    except CapabilityError:
        ours = None
    if ours is not None:
        assert theirs is not None
        assert decode(theirs) == decode(ours), text
    elif theirs is not None:
        # libcap writes an attribute that grants nothing, and one that the kernel reads as all effective.
        assert not decode(theirs).permitted | decode(theirs).inheritable or "effective" in _why(text)


def _why(text: str) -> str:
    with pytest.raises(CapabilityError) as error:
        parse(text)
    return str(error.value)


@needs_root
@needs_libcap
@settings(max_examples=30, deadline=None)
@given(carried)
def test_getcap_reads_what_is_written(program: Path, wanted: Capabilities) -> None:
    os.setxattr(program, capabilities.ATTRIBUTE, encode(wanted))
    shown = subprocess.run(["getcap", str(program)], capture_output=True, encoding="utf-8", check=True).stdout
    assert parse(shown[len(str(program)) :]) == wanted


# -- the module


@pytest.fixture
def wine(tmp_path: Path) -> Path:
    """A folder as Debian's Wine has it: the true server, a wrapper script, a symlink."""
    folder = tmp_path / "wine"
    folder.mkdir()
    for name in ("wineserver32", "wineserver64"):
        shutil.copy("/bin/true", folder / name)
    (folder / "wineserver").write_text(f"#!/bin/sh -e\nexec {folder}/wineserver64 $@\n")
    (folder / "wineserver").chmod(0o755)
    (folder / "wineserver-stable").symlink_to("wineserver64")
    return folder


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def files(*paths: Path, capabilities: str = "cap_sys_nice+ep") -> List[dict]:
    return [{"path": str(path), "capabilities": capabilities} for path in paths]


def shown(path: Path) -> str:
    return text_of(capabilities.read(str(path)))


@needs_root
def test_the_module_predicts_what_it_then_does(host: Host, wine: Path) -> None:
    start, server = tree(wine), wine / "wineserver64"
    predicted = host.run("file_capabilities", check=True, role="wine", files=files(server))
    assert tree(wine) == start
    assert not host.manifest.exists()
    done = host.run("file_capabilities", role="wine", files=files(server))
    assert done.result == predicted.result
    assert done.result["changes"] == [{"path": str(server), "before": "", "after": SHOWN, "missing": False}]
    assert [(item["before"], item["after"]) for item in done.result["diff"]] == [("", f"{SHOWN}\n")]
    assert shown(server) == SHOWN
    for spelling in ("cap_sys_nice+ep", "cap_sys_nice=ep", "= cap_sys_nice+ep"):
        assert not host.run("file_capabilities", role="wine", files=files(server, capabilities=spelling)).changed
    middle = tree(wine)
    predicted = host.run("file_capabilities", check=True, role="wine", state="absent")
    assert tree(wine) == middle
    assert host.run("file_capabilities", role="wine", state="absent").result == predicted.result
    assert tree(wine) == start
    assert not host.manifest.parent.exists()


@needs_root
def test_a_program_really_gets_them(host: Host) -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        program = Path(folder) / "program"
        shutil.copy("/bin/cat", program)
        assert host.run("file_capabilities", role="wine", files=files(program)).changed
        command = [str(program), "/proc/self/status"]
        status = subprocess.run(command, user=65534, group=65534, capture_output=True, encoding="ascii", check=True)
    effective = next(line for line in status.stdout.splitlines() if line.startswith("CapEff:"))
    assert int(effective.split()[1], 16) == NICE


@needs_root
def test_what_a_program_carried_before_comes_back(host: Host, wine: Path) -> None:
    server = wine / "wineserver64"
    os.setxattr(server, capabilities.ATTRIBUTE, bytes.fromhex("0100000200200000000000000000000000000000"))
    start = tree(wine)
    host.run("file_capabilities", role="wine", files=files(server))
    host.run("file_capabilities", role="wine", files=files(server, capabilities="cap_sys_nice,cap_ipc_lock=ep"))
    assert shown(server) == "cap_ipc_lock,cap_sys_nice=ep"
    host.run("file_capabilities", role="wine", state="absent")
    assert tree(wine) == start


@needs_root
def test_a_program_that_leaves_the_list_is_put_back(host: Host, wine: Path) -> None:
    old, new = wine / "wineserver32", wine / "wineserver64"
    host.run("file_capabilities", role="wine", files=files(old, new))
    done = host.run("file_capabilities", role="wine", files=files(new))
    assert done.result["changed_files"] == [str(old)]
    assert (shown(old), shown(new)) == ("", SHOWN)


@needs_root
def test_every_program_of_the_list_gets_its_own_and_loses_it_again(host: Host, wine: Path) -> None:
    start = tree(wine)
    one, other = wine / "wineserver32", wine / "wineserver64"
    wanted = files(one) + files(other, capabilities="cap_net_raw+ep")
    host.run("file_capabilities", role="wine", files=wanted)
    assert (shown(one), shown(other)) == (SHOWN, "cap_net_raw=ep")
    os.removexattr(other, capabilities.ATTRIBUTE)
    assert host.run("file_capabilities", role="wine", files=wanted).result["changed_files"] == [str(other)]
    assert shown(other) == "cap_net_raw=ep"
    host.run("file_capabilities", role="wine", state="absent")
    assert tree(wine) == start


@needs_root
def test_two_hard_links_to_one_program_are_set_and_put_back(host: Host, wine: Path) -> None:
    start = tree(wine)
    (wine / "linked").hardlink_to(wine / "wineserver64")
    host.run("file_capabilities", role="wine", files=files(wine / "wineserver64", wine / "linked"))
    assert shown(wine / "linked") == SHOWN
    assert host.run("file_capabilities", role="wine", state="absent").code == 0
    (wine / "linked").unlink()
    assert tree(wine) == start


def replaced_by_a_program(server: Path) -> None:
    shutil.copy("/bin/true", server.with_name("new"))
    server.with_name("new").rename(server)


def replaced_in_the_same_inode(server: Path) -> None:
    server.unlink()
    shutil.copy("/bin/true", server)


def replaced_by_a_symlink(server: Path) -> None:
    server.unlink()
    server.symlink_to("/bin/true")


def replaced_by_a_pipe(server: Path) -> None:
    server.unlink()
    os.mkfifo(server)


@needs_root
@pytest.mark.parametrize(
    "replace",
    [replaced_by_a_program, replaced_in_the_same_inode, replaced_by_a_symlink, replaced_by_a_pipe, Path.unlink],
)
def test_a_program_that_is_replaced_between_two_looks_is_not_touched(
    tmp_path: Path, wine: Path, replace: Callable[[Path], None]
) -> None:
    state = str(tmp_path / "state/x/manifest.json")
    first, server = wine / "wineserver32", wine / "wineserver64"
    with Manifest.change(state) as manifest:
        change = capabilities.compare(manifest, "wine", {"files": files(first, server)}, Purpose.APPLY)
        replace(server)
        with pytest.raises(CapabilityError, match="wineserver64 was replaced or changed while it was looked at"):
            change.apply(manifest)
    assert shown(first) == ""
    assert capabilities.read("/bin/true") is None
    assert not Path(state).exists()


@needs_root
def test_an_upgrade_takes_them_away_and_the_next_run_sets_them_again(host: Host, wine: Path) -> None:
    server = wine / "wineserver64"
    host.run("file_capabilities", role="wine", files=files(server))
    shutil.copy("/bin/true", wine / "new")
    (wine / "new").rename(server)
    assert shown(server) == ""
    assert host.run("file_capabilities", role="wine", files=files(server)).changed
    assert shown(server) == SHOWN
    server.unlink()
    done = host.run("file_capabilities", role="wine", state="absent")
    assert (done.code, done.changed) == (0, True)
    assert not host.manifest.parent.exists()


@needs_root
def test_what_somebody_else_set_since_is_left_and_named(host: Host, wine: Path) -> None:
    server = wine / "wineserver64"
    host.run("file_capabilities", role="wine", files=files(server))
    os.setxattr(server, capabilities.ATTRIBUTE, encode(parse("cap_net_raw+ep")))
    done = host.run("file_capabilities", role="wine", state="absent")
    assert "carries cap_net_raw=ep, which somebody else set; left as it is" in str(done.result["warnings"])
    assert shown(server) == "cap_net_raw=ep"
    assert not host.manifest.parent.exists()


@needs_root
def test_a_pattern_means_the_programs_it_matches(host: Host, wine: Path) -> None:
    done = host.run("file_capabilities", role="wine", files=files(wine / "wineserver*"))
    assert done.result["changed_files"] == [str(wine / "wineserver32"), str(wine / "wineserver64")]
    assert [shown(wine / name) for name in ("wineserver32", "wineserver64")] == [SHOWN] * 2, "not the first one alone"
    refused = host.run("file_capabilities", role="wine", files=files(wine / "wineserver-*"))
    assert "matches no program" in refused.message
    assert "wineserver64" in refused.message


@needs_root
def test_one_program_by_two_names_is_one_program(host: Host, wine: Path, tmp_path: Path) -> None:
    (tmp_path / "lib").symlink_to("wine")
    done = host.run("file_capabilities", role="wine", files=files(wine / "wineserver64", tmp_path / "lib/wineserver64"))
    assert done.result["changed_files"] == [str(wine / "wineserver64")]
    assert not host.run("file_capabilities", role="wine", files=files(tmp_path / "lib/wineserver64")).changed


def refusal(host: Host, path: Path, capabilities: str = "cap_sys_nice+ep") -> str:
    """The message, the same with and without check mode; nothing is changed."""
    messages = set()
    for check in (True, False):
        refused = host.run("file_capabilities", check=check, role="wine", files=files(path, capabilities=capabilities))
        assert refused.code != 0
        messages.add(refused.message)
    assert len(messages) == 1
    assert not host.manifest.exists()
    return messages.pop()


def test_a_symlink_is_refused_with_the_program_behind_it(host: Host, wine: Path) -> None:
    assert f"is a symlink, and capabilities count only on the program itself: name that one, {wine}/wineserver64." in (
        refusal(host, wine / "wineserver-stable")
    )


def test_a_script_is_refused_with_the_program_it_starts(host: Host, wine: Path) -> None:
    message = refusal(host, wine / "wineserver")
    assert "is a script (#!/bin/sh -e), and the kernel ignores capabilities on scripts." in message
    assert f"It names {wine}/wineserver64: is that the one?" in message


def test_where_only_a_script_is_there_yet_check_mode_predicts_the_program(host: Host, wine: Path) -> None:
    """Case 34: libwine brings a script, wine64 the program; both match the pattern."""
    for program in ("wineserver32", "wineserver64"):
        (wine / program).unlink()
    pattern = wine / "wineserver*"
    assert list(wine.glob("wineserver*"))
    predicted = host.run("file_capabilities", check=True, role="wine", files=files(pattern))
    assert predicted.changed
    assert [change["missing"] for change in predicted.result["changes"]] == [True]
    assert host.run("file_capabilities", role="wine", files=files(pattern)).code != 0


def test_what_is_no_program_is_refused(host: Host, wine: Path) -> None:
    (wine / "text").write_text("text")
    (wine / "library").write_bytes((wine / "wineserver64").read_bytes())
    (wine / "library").chmod(0o644)
    (wine / "dangling").symlink_to("nowhere")
    (wine / "to-text").symlink_to("text")
    for name, words in (
        ("text", "is not a program (ELF file)"),
        ("", "is not a file"),
        ("library", "is not executable"),
        ("dangling", "is not a program either"),
        ("to-text", "is not a program either"),
    ):
        assert words in refusal(host, wine / name)


def test_bad_input_is_named(host: Host, wine: Path) -> None:
    server = wine / "wineserver64"
    assert "'cap_sys_nicer' in 'cap_sys_nicer+ep'" in refusal(host, server, "cap_sys_nicer+ep")
    assert "is not an absolute path" in refusal(host, Path("wineserver64"))
    for pattern in ("/**x", "/bin/tr\0ue", "/[", f"/{'x' * 5000}"):
        refused = host.run("file_capabilities", role="wine", files=files(Path(pattern)))
        assert pattern.replace("\0", "") in refused.message.replace("\0", "")
    twice = files(server) + files(server, capabilities="cap_net_raw+ep")
    assert "twice, with different capabilities" in host.run("file_capabilities", role="wine", files=twice).message


@needs_root
def test_two_roles_keep_apart(host: Host, wine: Path) -> None:
    server = wine / "wineserver64"
    host.run("file_capabilities", role="wine", files=files(server))
    refused = host.run("file_capabilities", role="other", files=files(server))
    assert "are wanted by other and belong to wine" in refused.message


def test_a_missing_program_is_predicted_and_then_an_error(host: Host, wine: Path) -> None:
    for name in ("not-yet", "not-yet*"):
        predicted = host.run("file_capabilities", check=True, role="wine", files=files(wine / name))
        assert predicted.result["changes"] == [
            {"path": str(wine / name), "before": "", "after": SHOWN, "missing": True}
        ]
        refused = host.run("file_capabilities", role="wine", files=files(wine / name))
        assert f"{wine / name} does not exist on this host, and cap_sys_nice+ep was wanted on it" in refused.message


@pytest.fixture
def mounted(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file system of its own, with the type and options of the parameter."""
    kind, options = request.param
    folder = tmp_path / "mounted"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", kind, "-o", options, kind, str(folder)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot mount {kind} here: {done.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@needs_root
@pytest.mark.parametrize("mounted", [("tmpfs", "nosuid")], indirect=True)
def test_a_file_system_without_suid_is_refused(host: Host, mounted: Path) -> None:
    shutil.copy("/bin/true", mounted / "program")
    assert "mounted with nosuid" in refusal(host, mounted / "program")


@needs_root
@pytest.mark.parametrize("mounted", [("ramfs", "mode=755")], indirect=True)
def test_a_file_system_without_attributes_is_named(host: Host, mounted: Path) -> None:
    shutil.copy("/bin/true", mounted / "program")
    refused = host.run("file_capabilities", role="wine", files=files(mounted / "program"))
    assert "Its file system cannot store capabilities" in refused.message
    assert not host.run("file_capabilities", role="wine", state="absent").result.get("msg")
    assert not host.manifest.parent.exists()


@needs_root
@pytest.mark.parametrize("then", ["present", "absent"])
@pytest.mark.parametrize("doing", ["cap_sys_nice+ep", "cap_net_raw+ep", None])
def test_killed_at_any_step_both_ways_are_still_open(tmp_path: Path, doing: Optional[str], then: str) -> None:
    server, state = tmp_path / "server", str(tmp_path / "state/x/manifest.json")
    shutil.copy("/bin/true", server)

    def run(text: Optional[str]) -> None:
        wanted = {"files": files(server, capabilities=text)} if text else None
        with Manifest.change(state) as manifest:
            change = capabilities.compare(manifest, "wine", wanted, Purpose.APPLY)
            if change.changed:
                change.apply(manifest)

    for first in (None, "cap_sys_nice+ep"):
        for step in range(1, 200):
            run(first)
            killed = killed_at(step, lambda: run(doing))
            if then == "present":
                run("cap_ipc_lock+ep")
                assert shown(server) == "cap_ipc_lock=ep"
            run(None)
            assert shown(server) == "", f"killed at step {step}"
            assert not Path(state).parent.exists()
            if not killed:
                break
        else:
            raise AssertionError("never came to its end")
