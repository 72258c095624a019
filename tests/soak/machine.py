# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine in a folder: a root of its own in a mount namespace of its own, where real programs run.

/etc, /boot, /var, /run and /tmp are its own; /usr is this machine's below a writable layer, all else is this
machine's and read-only. dpkg and apt, shadow's programs and grub-mkconfig are the real ones. Beside the folder's own
files it has a stand-in for grub-probe, which needs disks, and files for what the kernel would say.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional

from support.debian import Debian
from support.host import LAUNCHER, Host, tree

from soak import tracer
from soak.tracer import Aim, Run

PLACE = Path("/dev/shm")
"""Where machines are made: in memory, since they write to the disk all the time. Not below a folder of `FOLDERS`."""
USERS = ("ada", "bela", "clara")
KERNEL, MODULES, STOCK = "9.9-soak", "soak-modules", "6.1-stock"
DEVICE = "/dev/soak-root"
MANIFEST = "/var/lib/nspa-proaudio/manifest.json"
#: Where the machine's own files are, as its processes see them.
FOLDERS = ("/boot", "/etc", "/opt", "/proc/sys", "/run", "/sys", "/tmp", "/usr", "/var")
_OWN = {"boot", "etc", "media", "mnt", "opt", "proc", "run", "sys", "tmp", "usr", "var"}
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": "/opt/python", "LC_ALL": "C.UTF-8"}

# Mounts all that the machine has, says so, and holds it until its standard input closes.
_HOLDER = """
set -e
mount --rbind /dev "$1/dev"; mount --rbind /proc "$1/proc"; mount --rbind /sys "$1/sys"
mount -t overlay -o "lowerdir=$2/programs:/usr,upperdir=$2/upper,workdir=$2/work" soak "$1/usr"
mount --bind "$2/python" "$1/opt/python"; mount --bind "$2/repository" "$1/opt/archive"
for name in $3; do mount --rbind "/$name" "$1/$name"; mount -o remount,bind,ro "$1/$name"; done
mount --bind "$2/sys/cpu" "$1/sys/devices/system/cpu"
if [ -d /sys/firmware ]; then mount --bind "$2/sys/firmware" "$1/sys/firmware"; fi
cd "$2/proc"
find . -type f | while read -r file; do mount --bind "$file" "$1/proc/$file"; done
exec chroot "$1" sh -c 'echo ready; exec cat'
"""
_PROBE = f"""#!/bin/sh
case "$*" in
*--target=device*) echo {DEVICE} ;;
*fs_uuid*) echo 3f0c7c3a-5d0e-4c8e-9a54-0d9f2f1b7a11 ;;
*--target=fs*) echo ext2 ;;
*--target=drive*) echo "(hd0)" ;;
esac
"""
_APT = """
APT::Sandbox::User "root";
Acquire::Languages "none";
"""
# What Debian's kernels do by the scripts in /etc/kernel.
_KERNEL_COMES = f"""
[ "$1" = configure ] || exit 0
cp /boot/vmlinuz-{KERNEL} /boot/initrd.img-{KERNEL}.new
mv /boot/initrd.img-{KERNEL}.new /boot/initrd.img-{KERNEL}
grub-mkconfig -o /boot/grub/grub.cfg"""
_KERNEL_GOES = f"""
rm -f /boot/initrd.img-{KERNEL} /boot/initrd.img-{KERNEL}.new
case "$1" in remove|purge) grub-mkconfig -o /boot/grub/grub.cfg ;; esac"""
_WINE_COMES = """
mkdir -p /var/lib/soak-wine
rm -f /var/lib/soak-wine/fonts.new
for word in one two three; do echo "$word" >> /var/lib/soak-wine/fonts.new; sync /var/lib/soak-wine; done
mv /var/lib/soak-wine/fonts.new /var/lib/soak-wine/fonts"""
_WINE_GOES = 'if [ "$1" = purge ]; then rm -rf /var/lib/soak-wine; fi'

#: What is nobody's loss, nor a leftover: caches, logs, locks and backups of dpkg, apt and shadow; the empty folder of a
#: package, which dpkg forgets when it is killed between making it and its records.
_NOT_OURS = re.compile(
    r"var/(cache|log|lib/apt)($|/)|var/lib/dpkg/(tmp\.ci(/.*)?|status-old|available|lock|lock-frontend|triggers/.*|cmethopt"
    r"|alternatives|status|updates|info/format|info/triggers)$"
    r"|etc/(passwd|group|shadow|gshadow|subuid|subgid)(-|\+|\.lock|\.[0-9]+)$|etc/\.pwd\.lock$"
    r"|boot/grub/grubenv$|opt/(archive|python)$"
    r"|usr/share/soak-\w+$"
)
#: What programs write anew, so that only its content can be as before.
_WRITTEN_ANEW = re.compile(r"etc/(group|gshadow)$|boot/grub/grub\.cfg$")


def unavailable() -> str:
    """Why there cannot be such a machine here, on which programs are disturbed; empty if there can."""
    programs = ("apt-get", "dpkg-deb", "groupadd", "gpasswd", "grub-mkconfig", "nsenter", "unshare")
    lacking = [name for name in programs if not shutil.which(name, path=_ENVIRONMENT["PATH"])]
    if lacking:
        return f"{', '.join(lacking)}: not on this machine (testbed/packages.txt)"
    return tracer.unavailable() or ("" if os.access(PLACE, os.W_OK) else f"{PLACE} is not there")


class Machine:
    """One machine; `close` ends it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.debian = Debian(folder)
        self.root = self.debian.root
        Host(folder)  # whose folder `python` has what a managed host has
        self._make_folders()
        self._make_etc()
        self._make_files()
        self._make_packages()
        self._holder = self._hold()
        try:
            for command in (["apt-get", "update"], ["apt-get", "-y", "install", "tool", f"linux-image-{STOCK}"]):
                self.command(*command)
            self.command("apt-mark", "manual", "library")
            self.command("apt-mark", "auto", "library")
            self.command("grub-mkconfig", "-o", "/boot/grub/grub.cfg")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End it, with all its processes; the folder stays."""
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if os.path.samefile(process / "root", self.root):
                    os.kill(int(process.name), 9)
        self._holder.kill()
        self._holder.communicate()

    # -- making it

    def _make_folders(self) -> None:
        names = [*_OWN, "dev", "boot/grub", "etc/default/grub.d", "etc/grub.d", "etc/security", "etc/ld.so.conf.d"]
        for name in [*names, "opt/python", "opt/archive", "opt/nspa", "var/tmp", "var/lib/misc"]:
            (self.root / name).mkdir(parents=True, exist_ok=True)
        for name in ("tmp", "var/tmp"):
            (self.root / name).chmod(0o1777)
        for name in ("upper", "work", "programs/sbin", "proc/sys/vm", "proc/sys/kernel", "proc/1", "sys/firmware"):
            (self.folder / name).mkdir(parents=True)
        self._shared = []
        for path in Path("/").iterdir():
            if path.is_symlink():
                (self.root / path.name).symlink_to(os.readlink(path))
            elif path.is_dir() and path.name not in {*_OWN, "dev", "lost+found"}:
                (self.root / path.name).mkdir(exist_ok=True)
                self._shared.append(path.name)

    def _make_etc(self) -> None:
        etc = self.root / "etc"
        for name in ("login.defs", "ld.so.cache", "ld.so.conf", "nsswitch.conf", "os-release", "pam.d", "alternatives"):
            source = Path("/etc") / name
            if source.is_dir():
                shutil.copytree(source, etc / name, symlinks=True)
            elif source.exists():
                shutil.copy2(source, etc / name, follow_symlinks=False)
        people = "".join(f"{user}:x:{1000 + n}:{1000 + n}::/:/bin/sh\n" for n, user in enumerate(USERS))
        groups = "".join(f"{user}:x:{1000 + n}:\n" for n, user in enumerate(USERS))
        secrets = "".join(f"{user}:!::\n" for user in USERS)
        (etc / "passwd").write_text(f"root:x:0:0::/root:/bin/sh\n{people}")
        (etc / "shadow").write_text("root:*:1:0:99999:7:::\n" + "".join(f"{user}:!:1::::::\n" for user in USERS))
        (etc / "group").write_text(f"root:x:0:\naudio:x:29:ada\nlast:x:900:\n{groups}")
        (etc / "gshadow").write_text(f"root:*::\naudio:*::ada\nlast:!::\n{secrets}")
        for name in ("shadow", "gshadow"):
            (etc / name).chmod(0o640)
        (etc / "default/grub").write_text(
            'GRUB_DEFAULT=0\nGRUB_DISTRIBUTOR=Debian\nGRUB_CMDLINE_LINUX_DEFAULT="quiet"\nGRUB_CMDLINE_LINUX=""\n'
        )
        for script in ("00_header", "10_linux"):
            shutil.copy2(Path("/etc/grub.d") / script, etc / "grub.d")
        (etc / "apt/apt.conf.d/soak").write_text(_APT)
        self.debian.sources.write_text("deb [trusted=yes] copy:/opt/archive ./\n")

    def _make_files(self) -> None:
        probe = self.folder / "programs/sbin/grub-probe"
        probe.write_text(_PROBE)
        probe.chmod(0o755)
        # Of others, and ours for a time.
        etc = self.root / "etc"
        (etc / "environment").write_text('PATH="/usr/bin"\nEDITOR=vi\n')
        (etc / "environment").chmod(0o640)
        (etc / "crlf.conf").write_bytes(b"[one]\r\nkey = value\r\n")
        (etc / "security/somebodys.conf").write_text("# somebody's\n" * 40)
        (etc / "security/somebodys.conf").chmod(0o600)
        os.chown(etc / "security/somebodys.conf", 1000, 1001)
        os.setxattr(etc / "security/somebodys.conf", "user.note", b"mine")
        (etc / "link.conf").symlink_to("security/somebodys.conf")
        for name in ("wineserver", "jackd", "mixer"):
            shutil.copy("/bin/true", self.root / "opt/nspa" / name)
        # struct vfs_cap_data: revision 2, cap_net_raw permitted and effective.
        old = (0x02000001).to_bytes(4, "little") + (1 << 13).to_bytes(4, "little") + bytes(12)
        os.setxattr(self.root / "opt/nspa/jackd", "security.capability", old)
        # What the kernel says.
        proc, cpus = self.folder / "proc", self.folder / "sys/cpu"
        (proc / "cmdline").write_text(f"BOOT_IMAGE=/boot/vmlinuz-{STOCK} root={DEVICE} ro quiet\n")
        (proc / "sys/kernel/osrelease").write_text(f"{STOCK}\n")
        (proc / "sys/vm/swappiness").write_text("60\n")
        (proc / "sys/vm/dirty_ratio").write_text("20\n")
        (proc / "1/environ").write_text("")
        for number in range(2):
            cpu = cpus / f"cpu{number}/cpufreq"
            cpu.mkdir(parents=True)
            (cpu / "scaling_governor").write_text("schedutil\n")
            (cpu / "scaling_available_governors").write_text("performance schedutil\n")

    def _make_packages(self) -> None:
        publish = self.debian.publish
        publish("library")
        publish("tool", Depends="library")
        publish(f"linux-image-{STOCK}", files={f"boot/vmlinuz-{STOCK}": "s", f"boot/initrd.img-{STOCK}": "s"})
        publish(MODULES, files={f"usr/lib/modules/{KERNEL}/modules.dep": "modules"}, scripts={"postrm": "sync /boot"})
        publish(
            f"linux-image-{KERNEL}",
            files={f"boot/vmlinuz-{KERNEL}": "kernel"},
            scripts={"postinst": _KERNEL_COMES, "postrm": _KERNEL_GOES, "prerm": "sync /boot"},
            Depends=MODULES,
        )
        publish("soak-fonts", scripts={"preinst": "sync /etc", "postinst": "sync /etc", "postrm": "sync /etc"})
        publish(
            "soak-wine",
            files={"etc/soak-wine.conf": "setting\n", "opt/soak-wine/wine": "wine" * 4000},
            scripts={"postinst": _WINE_COMES, "postrm": _WINE_GOES, "prerm": "sync /var"},
            conffiles="/etc/soak-wine.conf",
            Depends="soak-fonts, library",
        )
        publish("soak-plugins", Depends="soak-wine")

    def _hold(self) -> subprocess.Popen[str]:
        options = ["--mount", "--propagation=private"]
        shell = ["sh", "-c", _HOLDER, "soak", str(self.root), str(self.folder), " ".join(self._shared)]
        holder = subprocess.Popen(
            ["unshare", *options, *shell], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=_ENVIRONMENT
        )
        assert holder.stdout is not None
        if holder.stdout.readline() != "ready\n":
            holder.communicate()
            raise RuntimeError("the machine in the folder cannot be made: see above")
        return holder

    # -- working on it

    def _inside(self, *command: str) -> List[str]:
        return ["nsenter", "-t", str(self._holder.pid), "-m", "-r", "-w", "--", *command]

    def command(self, *command: str) -> str:
        """Somebody at the keyboard."""
        done = subprocess.run(
            self._inside(*command), env=_ENVIRONMENT, capture_output=True, encoding="utf-8", check=False
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self, module: str, arguments: Mapping[str, Any], aim: Optional[Aim] = None) -> Run:
        """Start a module, as Ansible does on a managed host."""
        # The virtual environment's interpreter is a link out of our root, and the managed host's own is wanted.
        command = [os.path.realpath(sys.executable), "-B", "-c", LAUNCHER, module, MANIFEST, json.dumps(arguments)]
        # A descriptor's file has its name outside. What is written to a file of the kernel is not met: opening it
        # empties only the stand-in.
        outside = [f"{self.root}{name}" for name in FOLDERS if not name.startswith(("/proc", "/sys"))]
        return Run(self._inside(*command), _ENVIRONMENT, [*FOLDERS, *outside, f"{self.folder}/upper"], aim)

    # -- what is there

    def look(self) -> Dict[str, Any]:
        """All that has to be as before when everything has been put back."""
        found = {}
        for name, entry in tree(self.root).items():
            if _NOT_OURS.search(name):
                continue
            found[name] = _without_time(entry) if _WRITTEN_ANEW.search(name) else entry
        found.update(
            {
                f"/usr/{name}": entry
                for name, entry in tree(self.folder / "upper").items()
                if not _NOT_OURS.search(f"usr/{name}")
                and ("link" in entry or "file" in entry or not (Path("/usr") / name).is_dir())
            }
        )
        for place in ("proc", "sys/cpu"):
            seen = tree(self.folder / place)
            found.update({f"/{place}/{name}": _without_time(entry) for name, entry in seen.items()})
        found.update({f"package {name}": state for name, state in self.packages().items()})
        return found

    def packages(self) -> Dict[str, Any]:
        """State and version of each package that dpkg knows, and whether it is marked as a dependency."""
        states = _paragraphs(self.root / "var/lib/apt/extended_states")
        marks = {fields["Package"] for fields in states if fields.get("Auto-Installed") == "1"}
        return {
            fields["Package"]: (fields["Status"], fields.get("Version"), fields["Package"] in marks)
            for fields in _paragraphs(self.root / "var/lib/dpkg/status")
        }

    def interrupted(self) -> str:
        """What dpkg says of packages that are not as they should be, and of its own journal."""
        journal = sorted(path.name for path in (self.root / "var/lib/dpkg/updates").iterdir())
        return self.command("dpkg", "--audit") + (f"journal: {', '.join(journal)}" if journal else "")


def shape(look: Mapping[str, Any]) -> Dict[str, Any]:
    """A look without times and without the record of what is ours: what two machines have in common that were
    brought to the same state."""
    found = {name: _without_time(item) for name, item in look.items() if not name.startswith("var/lib/nspa-proaudio")}
    for name in ("etc/group", "etc/gshadow"):
        # In which order users joined a group is chance.
        entry = list(found[name])
        # What stands for "no password opens it" depends on which program wrote the line (gshadow(5)).
        lines = re.sub(rb"^([^:]*):[!*x]:", rb"\1:!:", entry[5], flags=re.MULTILINE).splitlines()
        entry[5] = sorted(b",".join(sorted(re.split(b"[:,]", line))) for line in lines)
        found[name] = tuple(entry)
    return found


def _without_time(entry: Any) -> Any:
    """An entry of `tree` without the time of change."""
    place = {"link": 2, "file": 4}.get(entry[0])
    return entry if place is None else (*entry[:place], 0, *entry[place + 1 :])


def _paragraphs(path: Path) -> List[Dict[str, str]]:
    if not path.exists():
        return []
    found = []
    for paragraph in path.read_text().split("\n\n"):
        fields = dict(re.findall(r"^([A-Za-z-]+): (.*)$", paragraph, re.MULTILINE))
        if "Package" in fields:
            found.append(fields)
    return found
