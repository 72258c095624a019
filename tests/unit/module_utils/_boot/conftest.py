# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine with GRUB in a folder: the menu is made by the real grub-mkconfig and its real scripts."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional

import pytest
from support import readers

from ansible_collections.nspa.proaudio.plugins.module_utils._boot import wanted
from ansible_collections.nspa.proaudio.plugins.module_utils._boot.grub import Grub
from ansible_collections.nspa.proaudio.plugins.module_utils._core.change import Change, Purpose
from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import Manifest

RT, STOCK = "6.12.9-rt-amd64", "6.12.9-amd64"
UUID = "3f0c7c3a-5d0e-4c8e-9a54-0d9f2f1b7a11"
ROOT = "/dev/nspa-root"
#: Debian's, and what it says of itself.
SETTINGS = 'GRUB_DEFAULT=0\nGRUB_DISTRIBUTOR=Debian\nGRUB_CMDLINE_LINUX_DEFAULT="quiet"\nGRUB_CMDLINE_LINUX=""\n'
MADE: List[str] = []
# In a mount namespace of its own the machine's folders are where GRUB looks for them.
MKCONFIG = """#!/bin/sh
exec unshare {options} sh -c '
for folder in etc/default etc/grub.d boot; do mount --bind "{root}/$folder" "/$folder"; done
mount --bind "{root}/programs/grub-probe" /usr/sbin/grub-probe
export PATH="{root}/programs:$PATH"
exec /usr/sbin/grub-mkconfig "$@"' grub-mkconfig "$@"
"""
PROBE = f"""#!/bin/sh
case "$*" in
*--target=device*) echo {ROOT} ;;
*fs_uuid*) echo {UUID} ;;
*--target=fs*) echo ext2 ;;
*--target=drive*) echo "(hd0)" ;;
esac
"""


class Packages:
    """A package manager that knows which package brought which kernels."""

    def __init__(self, packages: Mapping[str, List[str]]) -> None:
        self.packages = packages

    def kernels(self, names: Iterable[str], depends: bool = False) -> Dict[str, str]:
        return {release: f"/boot/vmlinuz-{release}" for name in names for release in self.packages.get(name, [])}


class Machine:
    """The folder `root` is the machine."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("boot/grub", "etc/default/grub.d", "etc/grub.d", "programs", "proc/sys/kernel", "var/lib"):
            (root / name).mkdir(parents=True)
        for script in ("00_header", "10_linux", "20_linux_xen", "30_os-prober", "40_custom", "41_custom"):
            shutil.copy2(Path("/etc/grub.d") / script, root / "etc/grub.d")
        self.menu = root / "boot/grub/grub.cfg"
        self.environment = root / "boot/grub/grubenv"
        self.settings = root / "etc/default/grub"
        self.drop_ins = root / "etc/default/grub.d"
        self.manifest = root / "var/lib/nspa-proaudio/manifest.json"
        self.settings.write_text(SETTINGS)
        self.program("grub-probe", PROBE)
        options = "-m" if os.geteuid() == 0 else "-rm"
        self.program("grub-mkconfig", MKCONFIG.format(root=root, options=options))
        self.packages = Packages({"linux-image-rt-amd64": [RT], "linux-image-amd64": [STOCK]})
        for release in (RT, STOCK):
            self.kernel(release)
        self.runs(f"BOOT_IMAGE=/boot/vmlinuz-{STOCK} root={ROOT} ro quiet")
        self._first_menu()

    def _first_menu(self) -> None:
        """What update-grub makes of it, made once for all tests."""
        if not MADE:
            self.update_grub()
            MADE.append(self.menu.read_text().replace(str(self.root), "@ROOT@"))
        self.menu.write_text(MADE[0].replace("@ROOT@", str(self.root)))

    def program(self, name: str, text: str) -> None:
        path = self.root / "programs" / name
        path.write_text(text)
        path.chmod(0o755)

    def script(self, name: str, text: str) -> None:
        """A script in /etc/grub.d."""
        path = self.root / "etc/grub.d" / name
        path.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\n")
        path.chmod(0o755)

    def kernel(self, release: str) -> None:
        for name in ("vmlinuz", "initrd.img"):
            (self.root / f"boot/{name}-{release}").write_text("")

    def runs(self, line: str, release: str = STOCK) -> None:
        """What the running kernel says of itself."""
        (self.root / "proc/cmdline").write_text(f"{line}\n")
        (self.root / "proc/sys/kernel/osrelease").write_text(f"{release}\n")

    def update_grub(self) -> None:
        """Somebody at the keyboard."""
        done = subprocess.run(
            [self.root / "programs/grub-mkconfig", "-o", self.menu],
            env={"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def files(self) -> Dict[str, str]:
        return {path.name: path.read_text() for path in self.drop_ins.iterdir()}

    def lines(self) -> List[str]:
        """The kernel's arguments in the menu, as GRUB's own words for them, behind root= and ro."""
        found = [line.split() for line in self.menu.read_text().splitlines() if line.lstrip().startswith("linux\t")]
        return [" ".join(words[4:]) for words in found]

    def grub(self) -> Grub:
        return Grub(self.root)

    def compare(
        self, concern: str, options: Optional[Dict[str, Any]], purpose: Purpose = Purpose.APPLY, role: str = "a_role"
    ) -> Change:
        return self._compare(Manifest.load(str(self.manifest)), concern, options, purpose, role)

    def _compare(
        self, manifest: Manifest, concern: str, options: Optional[Dict[str, Any]], purpose: Purpose, role: str
    ) -> Change:
        if concern == "parameters":
            return wanted.compare_parameters(manifest, role, options, purpose, self.root)
        if options is not None:
            options = {"trial": "never", "retry": False, **options}
        return wanted.compare_default(manifest, role, options, purpose, self.root, lambda: self.packages)

    def run(self, concern: str, options: Optional[Dict[str, Any]], role: str = "a_role") -> Change:
        """As the module does it: compare, and apply what differs."""
        change = self.compare(concern, options, role=role)
        if change.changed:
            with Manifest.change(str(self.manifest)) as manifest:
                change = self._compare(manifest, concern, options, Purpose.APPLY, role)
                change.apply(manifest)
                manifest.save()
        return change

    def settles(self, concern: str, options: Optional[Dict[str, Any]], role: str = "a_role") -> Change:
        """Run, and see that a second run finds nothing to do."""
        change = self.run(concern, options, role)
        for purpose in Purpose:
            assert not self.compare(concern, options, purpose, role).changed, purpose
        return change

    def parameters(self, *parameters: str) -> Change:
        return self.settles("parameters", {"parameters": list(parameters)})

    def choose(self, *packages: str) -> Change:
        return self.settles("default", {"packages": list(packages)})


@pytest.fixture
def emulated() -> Callable[[Path, str], List[str]]:
    return readers.grub


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    if not Path("/usr/sbin/grub-mkconfig").exists():
        pytest.skip("grub-common and grub2-common (testbed/packages.txt) are not installed")
    machine = Machine(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}/programs:{os.environ['PATH']}")
    yield machine
