# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of the test bed that decide, without starting a machine."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from testbed import archive, cloud, container, machine, qemu
from testbed.common import BedError, Cache, last_lines, need
from testbed.recipe import LOADER_MARK, LOADERS, SUITES, Recipe

MAIN = "http://mirror.test/debian/"
SECURITY = "http://mirror.test/debian-security/"
KEY = "ssh-ed25519 AAAA test"


@pytest.fixture
def cache(tmp_path):
    """A cache with its directories, without its key."""
    found = Cache(tmp_path / "cache")
    for directory in (found.images, found.machines, found.downloads, found.logs, found.locks):
        directory.mkdir(parents=True)
    return found


# --- Where packages come from


def test_the_mirrors_are_apts_own():
    """The first Debian archive and the first security archive, whatever else apt knows."""
    text = (
        "https://packages.example/apt/|Example|Example\n"
        f"{SECURITY}|Debian|Debian-Security\n{MAIN}|Debian|Debian\n{MAIN}|Debian|Debian Backports\n"
        "http://second.test/debian/|Debian|Debian\n"
    )
    assert archive.parse_index_targets(text) == (MAIN, SECURITY)
    assert archive.parse_index_targets("https://packages.example/apt/|Ubuntu|Ubuntu\n") == (None, None)
    assert archive.parse_index_targets("") == (None, None)


def test_only_what_apt_is_told_about_fetching_goes_on():
    """Proxies and validity, not the rest, and not an empty value."""
    text = (
        'Acquire "";\nAcquire::http::Proxy "http://proxy.test:3142";\nAcquire::https::Proxy "";\n'
        'Acquire::http::Proxy::local.test "DIRECT";\nAcquire::Check-Valid-Until "false";\n'
        'Acquire::Languages:: "none";\nDir::Etc::Trusted "x";\n'
    )
    assert archive.parse_fetch_options(text) == (
        'Acquire::http::Proxy "http://proxy.test:3142";',
        'Acquire::http::Proxy::local.test "DIRECT";',
        'Acquire::Check-Valid-Until "false";',
    )


@pytest.mark.parametrize(
    ("there", "seen"),
    [
        ("deb http://127.0.0.1:3142/debian trixie main", "deb http://10.0.2.2:3142/debian trixie main"),
        ('Acquire::http::Proxy "http://localhost:3142";', 'Acquire::http::Proxy "http://10.0.2.2:3142";'),
        ("deb http://localhost.test/debian trixie main", "deb http://localhost.test/debian trixie main"),
        ("deb http://mirror.test/localhost/ trixie main", "deb http://mirror.test/localhost/ trixie main"),
    ],
)
def test_the_loopback_is_the_hosts(there, seen):
    """A mirror or a proxy on the host's loopback is reached through QEMU's gateway."""
    assert archive.as_seen_from_guest(there) == seen


def test_sources_of_a_current_suite():
    """All that the mirror has; backports only when a kernel asks for them."""
    debian = archive.Archive(MAIN, SECURITY)
    lines = debian.sources("trixie", backports=False, exists=lambda uri, suite: True)
    assert lines == [
        f"deb {MAIN} trixie main",
        f"deb {MAIN} trixie-updates main",
        f"deb {SECURITY} trixie-security main",
    ]
    assert f"deb {MAIN} trixie-backports main" in debian.sources("trixie", True, lambda uri, suite: True)


def test_sources_of_an_archived_suite():
    """What the mirror has dropped is left out; what cannot be left out is said."""
    debian = archive.Archive(MAIN, SECURITY)
    assert debian.sources("bullseye", False, lambda uri, suite: suite == "bullseye") == [f"deb {MAIN} bullseye main"]
    with pytest.raises(BedError, match=r"bullseye-backports.*does not have it"):
        debian.sources("bullseye", True, lambda uri, suite: not suite.endswith("backports"))
    with pytest.raises(BedError, match=r"Wanted Debian bullseye.*NSPA_BED_MIRROR"):
        debian.sources("bullseye", False, lambda uri, suite: False)


# --- What an image is made of


def test_the_name_follows_the_content(monkeypatch):
    """The same recipe is the same image; anything that changes its content is another."""
    recipe = Recipe()
    name = recipe.name(MAIN, KEY)
    assert name == Recipe().name(MAIN, KEY)
    others = {
        name,
        Recipe(suite="bookworm").name(MAIN, KEY),
        Recipe(loader="uefi-grub").name(MAIN, KEY),
        Recipe(kind="container").name(MAIN, KEY),
        Recipe(kernels=("linux-image-rt-amd64",)).name(MAIN, KEY),
        Recipe(packages=("wine",)).name(MAIN, KEY),
        recipe.name("http://other.test/debian/", KEY),
        recipe.name(MAIN, "another key"),
    }
    monkeypatch.setattr("testbed.recipe.INITRAMFS_MODULES", ())
    monkeypatch.setattr("testbed.recipe.FILES", {"/etc/motd": "another file\n"})
    others.add(recipe.name(MAIN, KEY))
    assert len(others) == 9
    assert name.startswith("trixie-bios-grub-")


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("loader", LOADERS)
def test_every_recipe_is_whole(suite, loader):
    """Each suite and loader has a boot loader's package, a kernel, a script that ends with the mark, and no comfort."""
    recipe = Recipe(suite=suite, loader=loader)
    assert "linux-image-cloud-amd64" in recipe.install
    assert {"bios-grub": "grub-pc", "uefi-grub": "grub-efi-amd64", "uefi-systemd-boot": "efibootmgr"}[
        loader
    ] in recipe.install
    assert not {"python3-apt", "acl"} & set(recipe.install)
    assert LOADER_MARK in recipe.loader_script and "@" not in recipe.loader_script
    assert subprocess.run(["sh", "-n"], input=recipe.loader_script, text=True, check=False).returncode == 0


def test_a_container_has_no_kernel():
    """Nor a boot loader, nor anything that would touch the host's network."""
    recipe = Recipe(kind="container")
    assert not any("linux-image" in package or "grub" in package for package in recipe.install)
    assert recipe.loader_script == "" and not recipe.uefi
    assert "systemd-networkd.service" in recipe.masked
    assert "systemd-networkd.service" not in Recipe().masked


def test_backports():
    """A kernel from backports brings its archive."""
    assert Recipe(kernels=("linux-image-rt-amd64/trixie-backports",)).backports
    assert not Recipe().backports


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"suite": "sid"}, "suite 'sid'"),
        ({"loader": "lilo"}, "loader 'lilo'"),
        ({"kind": "jail"}, "kind 'jail'"),
        ({"kernels": ()}, "at least one kernel"),
        ({"kernels": ("linux-image-amd64/bookworm-backports",)}, "from its backports"),
    ],
)
def test_what_no_image_can_be_made_of(wrong, message):
    """A wrong recipe is refused before anything is made."""
    with pytest.raises(BedError, match=message):
        Recipe(**wrong)


# --- QEMU


@pytest.mark.parametrize(
    ("modules", "device", "wanted", "found"),
    [
        (["kvm", "kvm_intel"], True, None, "kvm"),
        (["kvm", "kvm_amd"], True, "", "kvm"),
        (["kvm", "kvm_pvm"], True, None, "tcg"),
        (["kvm_intel"], False, None, "tcg"),
        ([], False, "kvm", "kvm"),
        (["kvm_intel"], True, "tcg", "tcg"),
    ],
)
def test_kvm_only_where_it_works(tmp_path, modules, device, wanted, found):
    """A /dev/kvm is not enough; a person's word is."""
    for name in modules:
        (tmp_path / name).mkdir()
    if device:
        (tmp_path / "device").touch()
    assert qemu.choose_accelerator(wanted, tmp_path, tmp_path / "device") == found


def test_an_unknown_accelerator_is_refused():
    """Rather than taken for one of the two."""
    with pytest.raises(BedError, match="'hvf'"):
        qemu.choose_accelerator("hvf")


def guest(**more):
    """A guest with the given differences."""
    return qemu.Guest(name="m", disk=Path("/d.qcow2"), log=Path("/l.log"), port=4022, **more)


def test_command_line(cache):
    """What keeps a machine to itself."""
    emulator = qemu.Qemu(cache)
    command = guest().command(emulator, "tcg")
    text = " ".join(command)
    assert "hostfwd=tcp:127.0.0.1:4022-:22" in text and text.count("hostfwd") == 1
    assert text.startswith(f"{cache.root}/qemu-trixie/") and f"-L {cache.root}/qemu-trixie/usr/share/seabios" in text
    assert machine.OURS.match("\0".join(command).encode())
    assert "-accel tcg" in text and "path=/l.log" in text and "file=/d.qcow2" in text
    assert "i6300esb" not in text and "pflash" not in text and "-kernel" not in command
    assert "-accel kvm -cpu host" in " ".join(guest().command(emulator, "kvm"))
    assert "hostfwd" not in " ".join(qemu.Guest(name="m", disk=Path("/d"), log=Path("/l")).command(emulator, "tcg"))


def test_command_line_with_everything(cache):
    """A watchdog, UEFI with variables of its own, a seed, a kernel from outside."""
    command = guest(
        watchdog=True, firmware_vars=Path("/v.fd"), seed=Path("/s.img"), kernel=(Path("/k"), Path("/i"), "root=x")
    ).command(qemu.Qemu(cache), "tcg")
    text = " ".join(command)
    assert "-device i6300esb -action watchdog=reset" in text
    assert "usr/share/OVMF/OVMF_CODE_4M.fd" in text and "if=pflash,format=raw,file=/v.fd" in text
    assert "file=/s.img" in text and command[command.index("-append") + 1] == "root=x"


def test_container_command_line():
    """The overlay is the container's own, the name goes in as data, and 133 is a reboot."""
    command = container.command(Path("/c/machines/m"), Path("/c/images/i/root"), "m", 4022)
    assert command[:3] == ["unshare", "--mount", "--propagation=private"]
    assert command[command.index("nspa-testbed") + 1 :][:3] == ["/c/images/i/root", "4022", "m"]
    assert "--directory=/c/machines/m/root" in command and "--register=no" in command


# --- Machines


@pytest.mark.parametrize("name", ["", "..", "a/b", "-x", "a b", "x" * 64])
def test_a_name_is_not_a_path(cache, name):
    """A machine's name becomes a directory's name, so it may not lead elsewhere."""
    with pytest.raises(BedError, match="cannot be called"):
        machine.directory_of(cache, name)


def test_a_process_is_known_by_its_start():
    """A number that was given to another process is not the machine."""
    began = machine.process_start(os.getpid())
    state = machine.State("m", "vm", "i", "127.0.0.1", 1, "root", "k", "h", "l", os.getpid(), began)
    assert began and machine.alive(state)
    state.pid_start = "1"
    assert not machine.alive(state)
    process = subprocess.Popen(["true"])
    while machine.process_start(process.pid):
        pass
    process.wait()
    assert machine.process_start(process.pid) == ""


def test_leftovers_are_found_and_ended(cache):
    """A process on the machine's files is ended by remove, although no machine.json names it; others are not."""
    directory = cache.machines / "m"
    directory.mkdir()

    def process(path):
        return subprocess.Popen(["sh", "-c", "read line", "nspa-testbed", str(path)], stdin=subprocess.PIPE)

    with process(directory / "root") as mine, process(cache.machines / "mm" / "root") as other:
        try:
            assert machine.leftovers(directory) == [mine.pid]
            assert machine.remove(cache, "m")
            assert mine.wait(10) == -signal.SIGTERM
            assert other.poll() is None
        finally:
            for one in (mine, other):
                one.stdin.close()
    assert not directory.exists()
    assert not machine.remove(cache, "m")


def test_waiting_for_a_dead_machine_ends_at_once(cache):
    """The last lines of its console are the message."""
    log = machine.log_of(cache, "m")
    log.write_text("GRUB\n\x1b[31mKernel panic - not syncing\x1b[0m\n")
    state = machine.State("m", "vm", "i", "127.0.0.1", 1, "root", "k", "h", str(log), 1, "0")
    (cache.machines / "m").mkdir()
    machine.save(cache, state)
    assert machine.read(cache, "m") == state
    with pytest.raises(BedError, match=r"(?s)has stopped.*Kernel panic"):
        machine.wait(cache, "m", timeout_s=60)
    with pytest.raises(BedError, match="no machine 'n'"):
        machine.wait(cache, "n")


def test_waiting_for_a_silent_machine_ends_in_time(cache):
    """A machine that runs and does not answer is told from one that is gone."""
    log = machine.log_of(cache, "m")
    log.write_text("still starting\n")
    (cache.machines / "m").mkdir()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    began = machine.process_start(os.getpid())
    machine.save(
        cache, machine.State("m", "vm", "i", "127.0.0.1", port, "root", "k", "h", str(log), os.getpid(), began)
    )
    with pytest.raises(BedError, match=r"(?s)within 1 seconds.*still starting"):
        machine.wait(cache, "m", timeout_s=1)


def test_a_lock_makes_others_wait(cache):
    """Two at once do not make one image."""
    order = []

    def second():
        with cache.lock("image"):
            order.append("second")

    with cache.lock("image"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.2)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def test_the_cache_is_where_it_is_said(monkeypatch, tmp_path):
    """By the variable, else the default."""
    monkeypatch.setenv("NSPA_BED_CACHE", str(tmp_path))
    assert Cache().root == tmp_path
    monkeypatch.delenv("NSPA_BED_CACHE")
    assert Cache().root == Path("/var/cache/nspa-testbed")


def test_what_is_missing_is_named():
    """With the command that brings it."""
    with pytest.raises(BedError, match=r"needs no-such-program,.*packages\.txt"):
        need("sh", "no-such-program")


def test_last_lines():
    """The end, without what only a terminal understands."""
    assert last_lines("a\nb\x07\n\n\x1bc\n", 2) == "    b\n    c"
    assert last_lines("") == "    (nothing)"


# --- Cloud images


def image_file(path, content=b"QFI\xfb" + bytes(100)):
    """A file as a server would give it, and its checksum."""
    path.write_bytes(content)
    return path.as_uri(), f"sha256:{hashlib.sha256(content).hexdigest()}"


def test_a_cloud_image_is_held_to_its_checksum(cache, tmp_path):
    """The right one is kept and not fetched again; the wrong one leaves nothing."""
    url, checksum = image_file(tmp_path / "image")
    image = cloud.CloudImage(cache, url, checksum, "uefi-grub")
    assert image.ensure() is True and image.ensure() is False
    assert image.source.read_bytes().startswith(b"QFI")
    wrong = cloud.CloudImage(cache, url, "sha256:" + "0" * 64, "bios-grub")
    with pytest.raises(BedError, match="has the SHA-256"):
        wrong.ensure()
    assert sorted(cache.downloads.iterdir()) == [image.source]


def test_a_cloud_image_must_be_qcow2(cache, tmp_path):
    """Whatever its name says."""
    url, checksum = image_file(tmp_path / "image.qcow2", b"not a disk")
    with pytest.raises(BedError, match="format qcow2"):
        cloud.CloudImage(cache, url, checksum, "bios-grub").ensure()
    assert not list(cache.downloads.iterdir())


@pytest.mark.parametrize("checksum", [None, "", "md5:" + "0" * 32, "0" * 64])
def test_a_cloud_image_needs_a_checksum(cache, checksum):
    """Nothing is fetched without."""
    with pytest.raises(BedError, match="sha256:HEX"):
        cloud.CloudImage(cache, "https://cloud.test/image.qcow2", checksum, "bios-grub")


def test_a_cloud_image_that_is_not_there(cache, tmp_path):
    """The address is in the message."""
    image = cloud.CloudImage(cache, (tmp_path / "gone").as_uri(), "sha256:" + "0" * 64, "bios-grub")
    with pytest.raises(BedError, match="gone could not be fetched"):
        image.ensure()


def test_the_seed_says_who_may_log_in(cache, tmp_path):
    """A FAT file system called CIDATA with the two files of cloud-init's NoCloud."""
    for program in ("mkfs.vfat", "mcopy"):
        try:
            need(program)
        except BedError:
            pytest.skip(f"{program} is not installed")
    cache.key.parent.mkdir(parents=True)
    cache.key.with_suffix(".pub").write_text(KEY + "\n")
    url, checksum = image_file(tmp_path / "image")
    seed = cloud.CloudImage(cache, url, checksum, "bios-grub").seed(tmp_path, "m")

    def inside(name):
        return subprocess.run(["mtype", "-i", seed, f"::{name}"], stdout=subprocess.PIPE, text=True, check=True).stdout

    assert b"CIDATA" in seed.read_bytes()[:4096]
    assert inside("user-data").startswith("#cloud-config\n") and inside("user-data").count(KEY) == 2
    assert "local-hostname: m\n" in inside("meta-data")
