# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small Debian in a folder: the real dpkg and apt, with a package archive made for the test."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Dict, List, Optional, Set

from support.host import Host, Run, tree

CONFIGURATION = """
Dir "{root}/";
Dir::State::status "{root}/var/lib/dpkg/status";
Dir::Log "{root}/var/log/apt";
DPkg::Options {{ "--root={root}"; "--force-script-chrootless"; "--force-not-root"; }};
APT::Sandbox::User "root";
APT::Architecture "amd64";
APT::Architectures {{ "amd64"; }};
Acquire::Languages "none";
#clear DPkg::Post-Invoke;
#clear DPkg::Pre-Install-Pkgs;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"""
FOLDERS = (
    *("etc/apt/apt.conf.d", "etc/apt/preferences.d", "etc/apt/sources.list.d", "etc/apt/trusted.gpg.d", "boot"),
    *("var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers", "var/lib/apt/lists/partial"),
    *("var/cache/apt/archives/partial", "var/log/apt"),
)


class Debian:
    """The folder `root` is the host; `repository` is the archive in its apt sources."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "root"
        self.repository = folder / "repository"
        self.repository.mkdir()
        for name in FOLDERS:
            (self.root / name).mkdir(parents=True)
        for name in ("status", "available"):
            (self.root / "var/lib/dpkg" / name).touch()
        (folder / "apt.conf").write_text(CONFIGURATION.format(root=self.root))
        self.sources = self.root / "etc/apt/sources.list"
        # Not file:, whose lists are those of the archive itself, so that nothing is ever out of date.
        self.sources.write_text(f"deb [trusted=yes] copy:{self.repository} ./\n")
        (self.repository / "Packages").touch()
        self.commands = folder / "commands"
        environment = {
            "APT_CONFIG": str(folder / "apt.conf"),
            "DPKG_ROOT": str(self.root),
            # for dpkg before 1.21, which does not know DPKG_ROOT
            "DPKG_ADMINDIR": str(self.root / "var/lib/dpkg"),
            "PATH": f"{self._spies()}:{os.environ['PATH']}",
        }
        self.environment = {**os.environ, **environment, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
        self.host = Host(folder, {**environment, "DEBIAN_FRONTEND": "readline"})

    def _spies(self) -> Path:
        """Commands in front of the real ones, which note how they were called."""
        spies = self.folder / "spies"
        spies.mkdir()
        for name in ("apt-get", "apt-cache", "apt-mark", "apt-config", "dpkg", "dpkg-query", "dpkg-deb"):
            note = f'printf "%s\\n" "{name} $*" >> {self.commands}'
            (spies / name).write_text(f'#!/bin/sh\n{note}\nexec /usr/bin/{name} "$@"\n')
            (spies / name).chmod(0o755)
        return spies

    # -- the archive

    def build(
        self,
        name: str,
        version: str = "1.0",
        files: Optional[Dict[str, str]] = None,
        scripts: Optional[Dict[str, str]] = None,
        conffiles: str = "",
        **fields: str,
    ) -> Path:
        """Make a package file; fields as Depends, Conflicts, Architecture."""
        work = self.folder / "build" / f"{name}_{version}"
        subprocess.run(["rm", "-rf", str(work)], check=True)
        (work / "DEBIAN").mkdir(parents=True)
        control = {"Package": name, "Version": version, "Architecture": "all", "Maintainer": "Test <test@example.org>"}
        control.update({"Description": "test", **fields})
        (work / "DEBIAN/control").write_text("".join(f"{key}: {value}\n" for key, value in control.items()))
        if conffiles:
            (work / "DEBIAN/conffiles").write_text(f"{conffiles}\n")
        for script, text in (scripts or {}).items():
            (work / "DEBIAN" / script).write_text(f"#!/bin/sh\nset -e\n{text}\n")
            (work / "DEBIAN" / script).chmod(0o755)
        for path, text in {f"usr/share/{name}/{version}": version, **(files or {})}.items():
            (work / path).parent.mkdir(parents=True, exist_ok=True)
            (work / path).write_text(text)
        target = self.folder / "built" / f"{name}_{version}_{control['Architecture']}.deb"
        target.parent.mkdir(exist_ok=True)
        subprocess.run(["/usr/bin/dpkg-deb", "-Znone", "-b", str(work), str(target)], check=True, capture_output=True)
        return target

    def publish(self, name: str, version: str = "1.0", suite: str = "", **options: Any) -> None:
        """Make a package and put it into the archive, or into that of a suite; apt learns of it by the next update."""
        built = self.build(name, version, **options)
        data = built.read_bytes()
        repository = self._suite(suite) if suite else self.repository
        (repository / built.name).write_bytes(data)
        control = subprocess.run(
            ["/usr/bin/dpkg-deb", "-f", str(built)], check=True, capture_output=True
        ).stdout.decode()
        with (repository / "Packages").open("a") as index:
            index.write(f"{control}Filename: ./{built.name}\nSize: {len(data)}\n")
            index.write(f"SHA256: {hashlib.sha256(data).hexdigest()}\n\n")
        if suite:
            self._sign_off(repository, suite)

    def _suite(self, suite: str) -> Path:
        """An archive whose packages are taken only when asked for, as those of backports are."""
        repository = self.folder / suite
        if not repository.exists():
            repository.mkdir()
            (repository / "Packages").touch()
            with self.sources.open("a") as sources:
                sources.write(f"deb [trusted=yes] copy:{repository} ./\n")
        return repository

    def _sign_off(self, repository: Path, suite: str) -> None:
        index = (repository / "Packages").read_bytes()
        (repository / "Release").write_text(
            f"Suite: {suite}\nCodename: {suite}\nNotAutomatic: yes\nButAutomaticUpgrades: yes\n"
            f"SHA256:\n {hashlib.sha256(index).hexdigest()} {len(index)} Packages\n"
        )

    # -- the host

    def apt(self, *arguments: str) -> str:
        """Somebody at the keyboard."""
        done = subprocess.run(
            ["/usr/bin/apt-get", "-y", *arguments],
            env=self.environment,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def mark(self, word: str, *names: str) -> None:
        subprocess.run(["/usr/bin/apt-mark", word, *names], env=self.environment, check=True, capture_output=True)

    def installed(self) -> Dict[str, str]:
        """Version and status of each package."""
        text = subprocess.run(
            ["/usr/bin/dpkg-query", "-W", "-f", "${Package} ${Version} ${db:Status-Abbrev}\n"],
            env=self.environment,
            check=False,
            capture_output=True,
            encoding="utf-8",
        ).stdout
        return {line.split()[0]: " ".join(line.split()[1:]) for line in text.splitlines()}

    def automatic(self) -> Set[str]:
        done = subprocess.run(
            ["/usr/bin/apt-mark", "showauto"], env=self.environment, check=True, capture_output=True, encoding="utf-8"
        )
        return set(done.stdout.split())

    def state(self) -> Dict[str, Any]:
        """All that "absent" has to bring back."""
        files = {
            name: entry
            for name, entry in tree(self.root).items()
            if not name.startswith(("var/lib/dpkg", "var/lib/apt", "var/cache", "var/log"))
        }
        return {"packages": self.installed(), "automatic": self.automatic(), "files": files}

    def everything(self) -> Dict[str, Any]:
        """Every file of the host, apt's caches and dpkg's locks too."""
        return tree(self.root)

    def run(self, check: bool = False, role: str = "linux_nspa", **arguments: Any) -> Run:
        """The module packages."""
        self.commands.write_text("")
        return self.host.run("packages", check=check, role=role, **arguments)

    def stands(self, **arguments: Any) -> bool:
        """Whether the module, run again, finds all as it is wanted; that it fails is no answer."""
        done = self.run(**arguments)
        assert done.code == 0, done.result
        return not done.changed

    def kill(self) -> None:
        """Every process that works on this host dies at once: the module, apt, dpkg and what they started."""
        for process in self._processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def wait(self) -> None:
        """Return when nobody works on this host any more."""
        while self._processes():
            time.sleep(0.05)

    def _processes(self) -> List[int]:
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if f"DPKG_ROOT={self.root}\0".encode() in (process / "environ").read_bytes():
                    found.append(int(process.name))
        return found

    def called(self) -> List[str]:
        """The commands that the last run of the module used."""
        return self.commands.read_text().splitlines()


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def files(*paths: Path) -> List[Dict[str, str]]:
    """Package files as the module takes them."""
    return [{"src": str(path), "sha256": sha256(path)} for path in paths]
