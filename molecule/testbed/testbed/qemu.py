# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""QEMU: how the processor is emulated or used, and the command line of a machine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from .common import BedError

FIRMWARE = (
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
)


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


def firmware() -> tuple[str, str]:
    """The UEFI firmware's code and its empty variables."""
    for code, variables in FIRMWARE:
        if Path(code).exists() and Path(variables).exists():
            return code, variables
    raise BedError("A machine with UEFI needs the OVMF firmware, and it is not here. On Debian: apt-get install ovmf")


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

    def command(self, accelerator: str) -> list[str]:
        """QEMU's command line. SSH is forwarded on the loopback only; PORT 0 forwards nothing."""
        command = ["qemu-system-x86_64", "-name", f"guest=nspa-bed-{self.name}", "-nodefaults", "-no-user-config"]
        command += ["-display", "none", "-machine", "q35", "-m", str(self.memory_mib), "-smp", str(self.cpus)]
        if accelerator == "kvm":
            command += ["-accel", "kvm", "-cpu", "host"]
        else:
            # With the 16-byte compare-and-exchange of QEMU 7.2's emulation, Debian's kernels panic within minutes.
            # Without "enhanced rep movsb" they copy by words: emulated, that takes a quarter less time.
            command += ["-accel", "tcg,thread=multi,tb-size=1024", "-cpu", "max,cx16=off,erms=off"]
        command += ["-chardev", f"file,id=serial,append=on,path={self.log}", "-serial", "chardev:serial"]
        # A machine that is thrown away need not survive the host's power cut: unsafe leaves out every flush.
        command += ["-drive", f"if=none,id=disk,format=qcow2,cache=unsafe,discard=unmap,file={self.disk}"]
        command += ["-device", "virtio-blk-pci,drive=disk,bootindex=1", "-device", "virtio-rng-pci"]
        forward = f",hostfwd=tcp:127.0.0.1:{self.port}-:22" if self.port else ""
        command += ["-netdev", f"user,id=net{forward}", "-device", "virtio-net-pci,netdev=net,romfile="]
        if self.firmware_vars:
            command += ["-drive", f"if=pflash,format=raw,readonly=on,file={firmware()[0]}"]
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
