# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""QEMU: where it comes from, how the processor is emulated or used, and the command line of a machine."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from . import archive as debian
from .common import BedError, Cache, need, run

SUITE = "trixie"
PACKAGES = ("ovmf", "qemu-system-x86", "qemu-utils")


class Qemu:
    """Debian trixie's QEMU, unpacked in the cache and run from there: the same emulator on every host.

    Debian 12's own (7.2) takes twice the time, and runs instructions that the guest's kernel has patched away on
    another processor; the kernel then stops with "Oops: int3" or in cmpxchg16b.
    """

    def __init__(self, cache: Cache) -> None:
        """Name its place in CACHE; nothing is there yet."""
        self.cache = cache
        self.root = cache.root / f"qemu-{SUITE}"

    def ensure(self, archive: debian.Archive | None = None) -> bool:
        """Unpack it unless it is there; True when that was done. ARCHIVE is this machine's own unless given."""
        with self.cache.lock(self.root.name):
            if self.root.exists():
                return False
            need("mmdebstrap")
            archive = archive or debian.of_this_machine()
            work = self.root.with_name(f".making-{self.root.name}")
            # What an interrupted run left.
            shutil.rmtree(work, ignore_errors=True)
            command = ["mmdebstrap", "--mode=root", "--format=directory", "--variant=extract", "--architectures=amd64"]
            command += [f"--aptopt={option.rstrip(';')}" for option in archive.options]
            command += ['--aptopt=APT::Install-Recommends "false"', f"--include={','.join(PACKAGES)}", SUITE, str(work)]
            run([*command, *archive.sources(SUITE, False, debian.suite_exists)], log=self.cache.logs / "qemu.log")
            work.rename(self.root)
            return True

    def program(self, name: str) -> list[str]:
        """The words that start its program NAME, with its own loader and libraries instead of this machine's."""
        libraries = self.root / "usr/lib/x86_64-linux-gnu"
        start = [str(libraries / "ld-linux-x86-64.so.2"), "--argv0", name, "--library-path", str(libraries)]
        return [*start, str(self.root / "usr/bin" / name)]

    @property
    def firmware(self) -> tuple[Path, Path]:
        """The UEFI firmware's code and its empty variables."""
        place = self.root / "usr/share/OVMF"
        return place / "OVMF_CODE_4M.fd", place / "OVMF_VARS_4M.fd"

    @property
    def data(self) -> tuple[Path, Path]:
        """Where the BIOS and the option ROMs are."""
        return self.root / "usr/share/seabios", self.root / "usr/share/qemu"


def choose_accelerator(wanted: str | None, modules: Path = Path("/sys/module"), device: Path = Path("/dev/kvm")) -> str:
    """ "kvm" where it truly works, else "tcg" (emulation). WANTED, when given, decides.

    A /dev/kvm alone proves nothing: a KVM without kvm_intel or kvm_amd (kvm_pvm, for one) does not start a
    Debian guest.
    """
    if wanted:
        if wanted not in ("kvm", "tcg"):
            raise BedError(f"NSPA_BED_ACCEL is {wanted!r}; it must be kvm or tcg.")
        return wanted
    real = any((modules / name).exists() for name in ("kvm_intel", "kvm_amd"))
    return "kvm" if real and os.access(device, os.R_OK | os.W_OK) else "tcg"


@dataclass(frozen=True)
class Guest:
    """A virtual machine as QEMU needs to know it."""

    name: str
    disk: Path
    log: Path
    port: int = 0
    memory_mib: int = 2048
    cpus: int = 2
    firmware_vars: Path | None = None
    watchdog: bool = False
    seed: Path | None = None
    kernel: tuple[Path, Path, str] | None = None

    def command(self, emulator: Qemu, accelerator: str) -> list[str]:
        """QEMU's command line. SSH is forwarded on the loopback only; PORT 0 forwards nothing."""
        command = emulator.program("qemu-system-x86_64")
        command += [word for place in emulator.data for word in ("-L", str(place))]
        command += ["-name", f"guest=nspa-bed-{self.name}", "-nodefaults", "-no-user-config"]
        command += ["-display", "none", "-machine", "q35", "-m", str(self.memory_mib), "-smp", str(self.cpus)]
        if accelerator == "kvm":
            command += ["-accel", "kvm", "-cpu", "host"]
        else:
            command += ["-accel", "tcg,thread=multi,tb-size=1024", "-cpu", "max"]
        command += ["-chardev", f"file,id=serial,append=on,path={self.log}", "-serial", "chardev:serial"]
        # A machine that is thrown away need not survive the host's power cut: unsafe leaves out every flush.
        command += ["-drive", f"if=none,id=disk,format=qcow2,cache=unsafe,discard=unmap,file={self.disk}"]
        command += ["-device", "virtio-blk-pci,drive=disk,bootindex=1", "-device", "virtio-rng-pci"]
        forward = f",hostfwd=tcp:127.0.0.1:{self.port}-:22" if self.port else ""
        command += ["-netdev", f"user,id=net{forward}", "-device", "virtio-net-pci,netdev=net,romfile="]
        if self.firmware_vars:
            command += ["-drive", f"if=pflash,format=raw,readonly=on,file={emulator.firmware[0]}"]
            command += ["-drive", f"if=pflash,format=raw,file={self.firmware_vars}"]
        if self.watchdog:
            command += ["-device", "i6300esb", "-action", "watchdog=reset"]
        if self.seed:
            command += ["-drive", f"if=none,id=seed,format=raw,readonly=on,file={self.seed}"]
            command += ["-device", "virtio-blk-pci,drive=seed"]
        if self.kernel:
            kernel, initrd, arguments = self.kernel
            command += ["-kernel", str(kernel), "-initrd", str(initrd), "-append", arguments, "-no-reboot"]
        return command
