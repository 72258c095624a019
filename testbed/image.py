# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Making base images: a root file system by mmdebstrap, and for a virtual machine a disk with its boot loader."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
import uuid
from pathlib import Path

from . import archive as debian
from . import qemu
from .common import BedError, Cache, last_lines, need, run
from .recipe import DISK_MIB, ESP_MIB, LOADER_MARK, Recipe

MAX_AGE_DAYS = 14
LOADER_TIMEOUT_S = 300


class Image:
    """A base image in the cache, made when it is not there."""

    disk_size = f"{DISK_MIB}M"

    def __init__(self, cache: Cache, recipe: Recipe, archive: debian.Archive | None = None) -> None:
        """Name the image RECIPE makes; nothing is made yet. ARCHIVE is this machine's own unless given."""
        self.cache = cache
        self.recipe = recipe
        self.archive = archive or debian.of_this_machine()
        self.qemu = qemu.Qemu(cache)
        self.name = recipe.name(self.archive.main, cache.public_key)
        self.path = cache.images / self.name

    @property
    def kind(self) -> str:
        """vm or container."""
        return self.recipe.kind

    @property
    def source(self) -> Path:
        """What machines stand on: the disk of a virtual machine, or the root directory of a container."""
        return self.path / ("disk.qcow2" if self.kind == "vm" else "root")

    @property
    def firmware_vars(self) -> Path | None:
        """The UEFI variables as they are after the boot loader's installation, if it starts by UEFI."""
        return self.path / "vars.fd" if self.recipe.uefi else None

    def seed(self, _directory: Path, _name: str) -> Path | None:
        """No seed: our own images know who may log in."""
        return None

    def ready(self) -> bool:
        """Whether it is in the cache, and not so old that the mirror has dropped packages its apt lists name."""
        limit = float(os.environ.get("NSPA_BED_MAX_AGE_DAYS") or MAX_AGE_DAYS)
        stamp = self.path / "recipe.json"
        return stamp.exists() and time.time() - stamp.stat().st_mtime < limit * 86400

    def ensure(self) -> bool:
        """Make the image unless it is there; True when it was made. Two callers at once make it once."""
        with self.cache.lock(f"image-{self.recipe.title}"):
            if self.ready():
                return False
            work = self.cache.images / f".making-{self.recipe.title}"
            # What an interrupted run left.
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            log = self.cache.logs / f"image-{self.recipe.title}.log"
            log.unlink(missing_ok=True)
            self._make(work, log)
            self._discard_others()
            os.rename(work, self.path)
            return True

    def _discard_others(self) -> None:
        """Remove what this image replaces: a directory with the same name, and older recipes no machine uses."""
        used = {json.loads(state.read_text()).get("image") for state in self.cache.machines.glob("*/machine.json")}
        if self.path.exists() and self.name in used:
            raise BedError(
                f"The image {self.name} is too old and must be made again, but a machine stands on it. "
                "Remove that machine first (list shows them)."
            )
        for other in self.cache.images.glob(f"{self.recipe.title}-*"):
            content = json.loads((other / "recipe.json").read_text())["packages"]
            if other.name not in used and (other == self.path or tuple(content) == self.recipe.install):
                shutil.rmtree(other)

    def _make(self, work: Path, log: Path) -> None:
        """Make everything in WORK."""
        recipe = self.recipe
        need("mmdebstrap")
        root = work / "root"
        lines = self.archive.sources(recipe.suite, recipe.backports, debian.suite_exists)
        _debootstrap(recipe, root, lines, self.archive.options, log)
        _furnish(recipe, root, self.cache.public_key)
        if recipe.kind == "vm":
            lines = [debian.as_seen_from_guest(line) for line in lines]
            options = tuple(debian.as_seen_from_guest(option) for option in self.archive.options)
            _write(root, "/etc/apt/sources.list", "".join(f"{line}\n" for line in lines))
            _write(root, "/etc/apt/apt.conf.d/99mmdebstrap", "".join(f"{option}\n" for option in options))
            self.qemu.ensure(self.archive)
            _make_disk(self.qemu, recipe, work, log)
            shutil.rmtree(root)
        content = recipe.content(self.archive.main, self.cache.public_key)
        (work / "recipe.json").write_text(json.dumps(content, indent=1) + "\n")


def _write(root: Path, path: str, text: str) -> None:
    """Write a file of the new system."""
    target = root / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_symlink():
        target.unlink()
    target.write_text(text)


def _debootstrap(recipe: Recipe, root: Path, lines: list[str], options: tuple[str, ...], log: Path) -> None:
    """Install the packages into ROOT, with apt's lists kept, so that the machine can install without an update."""
    early = root.parent / "early"
    for path, text in recipe.early_files.items():
        _write(early, path, text)
    early.mkdir(exist_ok=True)
    command = ["mmdebstrap", "--mode=root", "--format=directory", "--variant=minbase", "--architectures=amd64"]
    command += ["--skip=cleanup/apt/lists", '--aptopt=Acquire::Languages "none"']
    command += [f"--aptopt={option.rstrip(';')}" for option in options]
    command += [f"--setup-hook=cp -r {early}/. $1"]
    if recipe.kind == "vm" and recipe.loader == "bios-grub":
        answer = "grub-pc grub-pc/install_devices multiselect /dev/vda"
        command += [f"--essential-hook=echo {answer} | chroot $1 debconf-set-selections"]
    command += [f"--include={','.join(recipe.install)}", recipe.suite, str(root)]
    run([*command, *lines], log=log)
    shutil.rmtree(early)


def _furnish(recipe: Recipe, root: Path, public_key: str) -> None:
    """Put the recipe's files, users and masks into the new system."""
    (root / "etc/hostname").unlink(missing_ok=True)
    for path, text in recipe.files.items():
        _write(root, path, text)
    (root / "etc/sudoers.d/studio").chmod(0o440)
    run(["chroot", root, "useradd", "--create-home", "--uid", "1000", "--shell", "/bin/bash", "studio"])
    for home, owner in ((root / "root", 0), (root / "home/studio", 1000)):
        directory = home / ".ssh"
        directory.mkdir(exist_ok=True)
        directory.chmod(0o700)
        keys = directory / "authorized_keys"
        keys.write_text(public_key + "\n")
        for created in (directory, keys):
            os.chown(created, owner, owner)
    for unit in recipe.masked:
        link = root / "etc/systemd/system" / unit
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")
    if recipe.kind == "vm":
        run(["systemctl", f"--root={root}", "enable", "systemd-networkd.service"])
    # systemd-boot names its entries after the machine, so the disk must know who it is; else each machine finds out.
    identity = f"{uuid.uuid4().hex}\n" if recipe.loader == "uefi-systemd-boot" and recipe.kind == "vm" else ""
    (root / "etc/machine-id").write_text(identity)
    # apt's own index of its lists takes long to make under emulation; here it takes a second.
    run(["chroot", root, "apt-cache", "gencaches"])


def _make_disk(emulator: qemu.Qemu, recipe: Recipe, work: Path, log: Path) -> None:
    """Turn the root file system in WORK into a disk that starts by itself."""
    need("sfdisk", "mke2fs", "mkfs.vfat")
    root = work / "root"
    root_uuid = str(uuid.uuid4())
    fstab = f"UUID={root_uuid} / ext4 errors=remount-ro 0 1\n"
    raw = work / "disk.raw"
    with open(raw, "wb") as handle:
        handle.truncate(DISK_MIB << 20)
    if recipe.uefi:
        volume = uuid.uuid4().hex[:8].upper()
        fstab += f"UUID={volume[:4]}-{volume[4:]} /boot/efi vfat umask=0077 0 1\n"
        (root / "boot/efi").mkdir(exist_ok=True)
        table = f"label: gpt\nsize={ESP_MIB}MiB, type=U\ntype=L\n"
        start_mib, end_mib = 1 + ESP_MIB, DISK_MIB - 1
        esp = work / "esp"
        with open(esp, "wb") as handle:
            handle.truncate(ESP_MIB << 20)
        run(["mkfs.vfat", "-F", "32", "-n", "ESP", "-i", volume, esp], log=log)
    else:
        table = "label: dos\ntype=83, bootable\n"
        start_mib, end_mib = 1, DISK_MIB
    _write(root, "/etc/fstab", fstab)
    cmdline = root / "etc/kernel/cmdline"
    if cmdline.exists():
        cmdline.write_text(cmdline.read_text().replace("@ROOT_UUID@", root_uuid))
    _write(root, "/nspa-testbed-loader", recipe.loader_script)
    (root / "nspa-testbed-loader").chmod(0o755)
    kernel = sorted((root / "boot").glob("vmlinuz-*"))[-1]
    for source, name in ((kernel, "kernel"), (root / f"boot/initrd.img-{kernel.name[8:]}", "initrd")):
        shutil.copy(source, work / name)

    run(["sfdisk", "--quiet", raw], log=log, input=table)
    # The two features are younger than bullseye's boot loader and kernel.
    command = ["mke2fs", "-q", "-F", "-t", "ext4", "-O", "^metadata_csum_seed,^orphan_file", "-U", root_uuid]
    command += ["-L", "root", "-E", f"offset={start_mib << 20}", "-d", str(root), str(raw)]
    run([*command, f"{end_mib - start_mib}M"], log=log)
    if recipe.uefi:
        run(["dd", f"if={esp}", f"of={raw}", "bs=1M", "seek=1", "conv=notrunc,sparse"], log=log)
        esp.unlink()
        shutil.copy(emulator.firmware[1], work / "vars.fd")
    convert = [*emulator.program("qemu-img"), "convert", "-f", "raw", "-O", "qcow2"]
    run([*convert, raw, work / "disk.qcow2"], log=log)
    raw.unlink()
    _install_loader(emulator, recipe, work, root_uuid, log)
    for name in ("kernel", "initrd"):
        (work / name).unlink()


def _install_loader(emulator: qemu.Qemu, recipe: Recipe, work: Path, root_uuid: str, log: Path) -> None:
    """Start the disk once with QEMU's own loader and let it install its boot loader."""
    guest = qemu.Guest(
        name=f"loader-{recipe.title}",
        disk=work / "disk.qcow2",
        log=log,
        memory_mib=1024,
        firmware_vars=work / "vars.fd" if recipe.uefi else None,
        kernel=(
            work / "kernel",
            work / "initrd",
            f"root=UUID={root_uuid} rw console=ttyS0 quiet panic=-1 init=/nspa-testbed-loader",
        ),
    )
    command = guest.command(emulator, qemu.choose_accelerator(os.environ.get("NSPA_BED_ACCEL")))
    with open(log, "a") as handle, contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(command, stdout=handle, stderr=handle, timeout=LOADER_TIMEOUT_S, check=False)
    text = log.read_text(errors="replace")
    if LOADER_MARK not in text.splitlines():
        raise BedError(
            f"The boot loader of {recipe.title} could not be installed. The last lines of the machine's console:\n"
            f"{last_lines(text)}\nThe whole log: {log}"
        )
