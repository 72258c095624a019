# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a base image is made of. All of it is data, and its hash names the image: another recipe is another image."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

from .common import BedError

SUITES = ("bullseye", "bookworm", "trixie")
LOADERS = ("bios-grub", "uefi-grub", "uefi-systemd-boot")
KINDS = ("vm", "container")
DEFAULT_KERNELS = ("linux-image-cloud-amd64",)

DISK_MIB = 12 * 1024
ESP_MIB = 512

# A bare server: minbase, and what every installed Debian has. No python3-apt, no acl, nothing for comfort.
BASE_PACKAGES = (
    "systemd-sysv",
    "udev",
    "dbus",
    "libpam-systemd",
    "openssh-server",
    "python3",
    "sudo",
    "ca-certificates",
    "iproute2",
    "netbase",
    "procps",
    "kmod",
    "tzdata",
)
VM_PACKAGES = ("initramfs-tools", "zstd", "e2fsprogs")
LOADER_PACKAGES = {
    ("bios-grub", "any"): ("grub-pc",),
    ("uefi-grub", "any"): ("grub-efi-amd64", "efibootmgr"),
    ("uefi-systemd-boot", "any"): ("systemd-boot", "efibootmgr"),
    # There, bootctl and the loader are in the package systemd.
    ("uefi-systemd-boot", "bullseye"): ("efibootmgr",),
}

# Services that would work against a test by themselves (apt's timers take its lock), and in a container
# those that would touch the network, which is the host's.
MASKED = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "dpkg-db-backup.timer",
    "man-db.timer",
)
MASKED_IN_CONTAINER = (
    "systemd-networkd.service",
    "systemd-networkd.socket",
    "systemd-resolved.service",
    "systemd-timesyncd.service",
    "systemd-udevd.service",
    "getty.target",
    "console-getty.service",
)

# An initramfs for QEMU's devices only: installing another kernel builds one, and emulation makes that slow.
INITRAMFS_MODULES = ("virtio_pci", "virtio_blk", "ext4")

FILES = {
    "/etc/sudoers.d/studio": "studio ALL=(ALL) NOPASSWD: ALL\n",
    "/etc/apt/apt.conf.d/90testbed": 'Acquire::Languages "none";\n',
    # A test machine is thrown away; after a power cut nobody mends it.
    "/etc/dpkg/dpkg.cfg.d/testbed": "force-unsafe-io\n",
}
VM_FILES = {
    "/etc/hostname": "debian\n",
    "/etc/hosts": "127.0.0.1 localhost\n127.0.1.1 debian\n::1 localhost\n",
    "/etc/resolv.conf": "nameserver 10.0.2.3\n",
    "/etc/systemd/network/50-testbed.network": "[Match]\nName=en* eth*\n\n[Network]\nDHCP=ipv4\n",
}
CONTAINER_FILES = {
    "/etc/ssh/sshd_config.d/testbed.conf": "ListenAddress 127.0.0.1\n",
}
# In place before the kernel's package is installed.
EARLY_VM_FILES = {
    "/etc/initramfs-tools/conf.d/testbed": "MODULES=list\nBUSYBOX=n\n",
    "/etc/initramfs-tools/modules": "".join(f"{module}\n" for module in INITRAMFS_MODULES),
}
GRUB_FILE = {
    "/etc/default/grub.d/10-testbed.cfg": (
        "GRUB_TIMEOUT=1\n"
        'GRUB_CMDLINE_LINUX_DEFAULT=""\n'
        'GRUB_CMDLINE_LINUX="console=ttyS0"\n'
        'GRUB_TERMINAL="serial"\n'
        'GRUB_SERIAL_COMMAND="serial --unit=0 --speed=115200"\n'
    )
}
SYSTEMD_BOOT_FILES = {"/etc/kernel/cmdline": "root=UUID=@ROOT_UUID@ rw console=ttyS0\n"}

LOADER_MARK = "nspa-testbed: the boot loader is installed"
# Runs once in the new machine, as its first process, started with QEMU's -kernel: a boot loader is best installed by
# the machine itself, on its own disk and with its own firmware variables.
LOADER_SCRIPT = """#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
install_loader() (
    set -ex
    mountpoint -q /proc || mount -t proc proc /proc
    mountpoint -q /sys || mount -t sysfs sysfs /sys
    mountpoint -q /run || mount -t tmpfs tmpfs /run
    mount -o remount,rw /
    @COMMANDS@
)
install_loader && echo "@MARK@"
# A new shell, because the file system cannot be closed while this file is open and removed.
exec sh -c 'rm /nspa-testbed-loader; sync; mount -o remount,ro /; systemctl poweroff --force --force'
"""
MOUNT_ESP = "mount /boot/efi; mount -t efivarfs efivarfs /sys/firmware/efi/efivars"
LOADER_COMMANDS = {
    "bios-grub": ("grub-install --target=i386-pc /dev/vda", "update-grub"),
    "uefi-grub": (
        MOUNT_ESP,
        "grub-install --target=x86_64-efi --efi-directory=/boot/efi --bootloader-id=debian",
        "update-grub",
        "umount /boot/efi",
    ),
    "uefi-systemd-boot": (
        MOUNT_ESP,
        "export SYSTEMD_RELAX_ESP_CHECKS=1",
        "bootctl install",
        'for kernel in $(ls /lib/modules); do kernel-install add "$kernel" /boot/vmlinuz-$kernel'
        " /boot/initrd.img-$kernel; done",
        "umount /boot/efi",
    ),
}


@dataclass(frozen=True)
class Recipe:
    """One base image: a suite, and for a virtual machine its kernels and boot loader.

    KERNELS are packages of the suite, or of its backports when written NAME/SUITE-backports.
    """

    suite: str = "trixie"
    kind: str = "vm"
    loader: str = "bios-grub"
    kernels: tuple[str, ...] = DEFAULT_KERNELS
    packages: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        """Refuse what no image can be made of."""
        for what, value, known in (
            ("suite", self.suite, SUITES),
            ("kind", self.kind, KINDS),
            ("loader", self.loader, LOADERS),
        ):
            if value not in known:
                raise BedError(f"Wanted the {what} {value!r}; the test bed knows {', '.join(known)}.")
        if self.kind == "vm" and not self.kernels:
            raise BedError("A virtual machine needs at least one kernel package; none was named.")
        for kernel in self.kernels:
            if "/" in kernel and not kernel.endswith(f"/{self.suite}-backports"):
                raise BedError(
                    f"Wanted the kernel {kernel!r} in Debian {self.suite}; a kernel comes from the suite itself "
                    f"(NAME) or from its backports (NAME/{self.suite}-backports)."
                )

    @property
    def uefi(self) -> bool:
        """Whether the machine starts from UEFI firmware."""
        return self.kind == "vm" and self.loader.startswith("uefi")

    @property
    def backports(self) -> bool:
        """Whether a package comes from backports."""
        return any("/" in package for package in self.install)

    @property
    def install(self) -> tuple[str, ...]:
        """Every package that mmdebstrap is told to install."""
        if self.kind == "container":
            return BASE_PACKAGES + self.packages
        loader = LOADER_PACKAGES.get((self.loader, self.suite)) or LOADER_PACKAGES[self.loader, "any"]
        return BASE_PACKAGES + VM_PACKAGES + loader + self.kernels + self.packages

    @property
    def early_files(self) -> dict[str, str]:
        """Files, by path, that must be there before packages are installed."""
        return dict(EARLY_VM_FILES) if self.kind == "vm" else {}

    @property
    def files(self) -> dict[str, str]:
        """Files, by path, written when the packages are installed."""
        if self.kind == "container":
            return {**FILES, **CONTAINER_FILES}
        return {**FILES, **VM_FILES, **(SYSTEMD_BOOT_FILES if self.loader == "uefi-systemd-boot" else GRUB_FILE)}

    @property
    def masked(self) -> tuple[str, ...]:
        """Units of systemd that are masked."""
        return MASKED + (MASKED_IN_CONTAINER if self.kind == "container" else ())

    @property
    def loader_script(self) -> str:
        """The program that installs the boot loader; empty for a container."""
        if self.kind == "container":
            return ""
        commands = "\n    ".join(LOADER_COMMANDS[self.loader])
        return LOADER_SCRIPT.replace("@COMMANDS@", commands).replace("@MARK@", LOADER_MARK)

    def content(self, archive: str, public_key: str) -> dict[str, object]:
        """Everything that makes the image what it is, as plain data. ARCHIVE is the mirror's address."""
        return {
            "suite": self.suite,
            "kind": self.kind,
            "packages": self.install,
            "early_files": self.early_files,
            "files": self.files,
            "masked": self.masked,
            "loader_script": self.loader_script,
            "disk_mib": (DISK_MIB, ESP_MIB),
            "archive": archive,
            "public_key": public_key,
        }

    def name(self, archive: str, public_key: str) -> str:
        """The image's name in the cache: what it is, in words, and the hash of its content."""
        content = json.dumps(self.content(archive, public_key), sort_keys=True)
        digest = hashlib.sha256(content.encode()).hexdigest()[:12]
        return f"{self.title}-{digest}"

    @property
    def title(self) -> str:
        """What it is, in words that are good in a file's name."""
        return f"{self.suite}-{'container' if self.kind == 'container' else self.loader}"
