# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Official cloud images: fetched by URL, held to their SHA-256, and told by a cloud-init seed who may log in."""

from __future__ import annotations

import hashlib
import os
import re
import urllib.error
import urllib.request
from pathlib import Path

from . import qemu
from .common import BedError, Cache, need, run

CHECKSUM = re.compile(r"^sha256:([0-9a-fA-F]{64})$")
QCOW2_MAGIC = b"QFI\xfb"
SEED_MIB = 4

USER_DATA = """#cloud-config
disable_root: false
ssh_pwauth: false
users:
  - name: root
    ssh_authorized_keys: ["@KEY@"]
  - name: studio
    uid: 1000
    shell: /bin/bash
    lock_passwd: true
    sudo: "ALL=(ALL) NOPASSWD: ALL"
    ssh_authorized_keys: ["@KEY@"]
"""


class CloudImage:
    """A cloud image (qcow2) in the cache, named by its checksum."""

    kind = "vm"
    # These images are as small as their content; cloud-init grows the file system into this.
    disk_size = "20G"

    def __init__(self, cache: Cache, url: str, checksum: str | None, loader: str) -> None:
        """Take the image at URL with CHECKSUM (sha256:HEX); LOADER only says whether the firmware is UEFI."""
        match = CHECKSUM.match(checksum or "")
        if not match:
            raise BedError(
                f"Wanted the image {url} with its checksum as sha256:HEX; found {checksum!r}. "
                "Whoever publishes the image publishes its SHA-256 beside it."
            )
        self.cache = cache
        self.url = url
        self.digest = match.group(1).lower()
        self.name = f"cloud-{self.digest[:12]}"
        self.path = cache.downloads / f"{self.digest}.qcow2"
        self.uefi = loader.startswith("uefi")

    @property
    def source(self) -> Path:
        """The disk that machines stand on."""
        return self.path

    @property
    def firmware_vars(self) -> Path | None:
        """The firmware's empty UEFI variables, if it starts by UEFI."""
        return qemu.Qemu(self.cache).firmware[1] if self.uefi else None

    def ensure(self) -> bool:
        """Fetch the image unless it is there; True when it was fetched."""
        with self.cache.lock(self.name):
            if self.path.exists():
                return False
            part = self.path.with_suffix(".part")
            digest = hashlib.sha256()
            try:
                with urllib.request.urlopen(self.url, timeout=60) as answer, open(part, "wb") as handle:
                    while block := answer.read(1 << 20):
                        digest.update(block)
                        handle.write(block)
                if digest.hexdigest() != self.digest:
                    raise BedError(
                        f"The image {self.url} has the SHA-256 {digest.hexdigest()}, and {self.digest} was wanted. "
                        "Either it was replaced by a newer one, or it is not what it says it is."
                    )
                with open(part, "rb") as handle:
                    if handle.read(4) != QCOW2_MAGIC:
                        raise BedError(f"The image {self.url} is not in the format qcow2, which the test bed needs.")
                os.rename(part, self.path)
            except (urllib.error.URLError, OSError, ValueError) as error:
                raise BedError(f"The image {self.url} could not be fetched: {error}") from error
            finally:
                part.unlink(missing_ok=True)
            return True

    def seed(self, directory: Path, name: str) -> Path:
        """Make the disk in DIRECTORY from which cloud-init learns the machine's NAME and who may log in."""
        need("mkfs.vfat", "mcopy")
        files = {
            "user-data": USER_DATA.replace("@KEY@", self.cache.public_key),
            "meta-data": f"instance-id: {name}\nlocal-hostname: {name}\n",
        }
        seed = directory / "seed.img"
        with open(seed, "wb") as handle:
            handle.truncate(SEED_MIB << 20)
        run(["mkfs.vfat", "-n", "CIDATA", seed])
        for file, text in files.items():
            (directory / file).write_text(text)
            run(["mcopy", "-i", seed, directory / file, f"::{file}"])
        return seed
