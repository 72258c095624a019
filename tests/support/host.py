# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the foundation modules share: look at a tree, kill a change half way, run a module as a process."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, NamedTuple, Optional

import ansible

from support import CHECKOUT

KILLED = 137
#: Python that runs the modules, as on a managed host; any 3.8 to 3.14.
HOST_PYTHON = os.environ.get("NSPA_TEST_PYTHON", sys.executable)

LAUNCHER = """
import json, runpy, sys
from ansible.module_utils import basic
from ansible_collections.nspa.proaudio.plugins.module_utils._core import manifest
name, path, arguments = sys.argv[1:]
manifest.DEFAULT_PATH = path
basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": json.loads(arguments)}).encode()
basic._ANSIBLE_PROFILE = "legacy"
runpy.run_module("ansible_collections.nspa.proaudio.plugins.modules." + name, run_name="__main__")
"""


def tree(folder: Path) -> Dict[str, Any]:
    """Everything below a folder that a restore has to bring back."""
    seen: Dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        info = path.lstat()
        owner = (stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid)
        name = str(path.relative_to(folder))
        if path.is_symlink():
            seen[name] = ("link", os.readlink(path), info.st_mtime_ns)
        elif path.is_dir():
            seen[name] = ("directory", *owner)
        else:
            attributes = {key: os.getxattr(path, key) for key in os.listxattr(path)}
            seen[name] = ("file", *owner, info.st_mtime_ns, path.read_bytes(), attributes)
    return seen


def killed_at(step: int, work: Callable[[], Any]) -> bool:
    """Do some work in a process of its own, and kill it at its n-th access to the file system.

    Returns whether it was killed; False means that it came to its end before.
    """
    child = os.fork()
    if child == 0:
        count = 0

        def hook(event: str, _arguments: Any) -> None:
            nonlocal count
            if event == "open" or event.startswith(("os.", "fcntl.")):
                count += 1
                if count >= step:
                    os._exit(KILLED)

        sys.addaudithook(hook)
        try:
            work()
        except BaseException as error:
            os.write(2, f"{error!r}\n".encode())
            os._exit(1)
        os._exit(0)
    _pid, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, KILLED), f"step {step} failed by itself"
    return code == KILLED


class Run(NamedTuple):
    """What a module answered."""

    code: int
    result: Dict[str, Any]

    @property
    def changed(self) -> bool:
        return bool(self.result.get("changed"))

    @property
    def message(self) -> str:
        return str(self.result["msg"])


class Host:
    """Runs modules as processes of their own, with a manifest of their own."""

    def __init__(self, folder: Path, environment: Optional[Dict[str, str]] = None) -> None:
        self.manifest = folder / "state" / "nspa-proaudio" / "manifest.json"
        self.environment = environment or {}
        # Only ansible itself and the collection: a managed host has nothing else.
        packages = folder / "python"
        packages.mkdir(exist_ok=True)
        for name, target in (
            ("ansible", Path(ansible.__file__).parent),
            ("ansible_collections", CHECKOUT / "collections" / "ansible_collections"),
        ):
            if not (packages / name).exists():
                (packages / name).symlink_to(target)
        self.packages = packages

    def run(self, module: str, check: bool = False, **arguments: Any) -> Run:
        """Run a module with these options; a traceback is a failure of the test."""
        arguments.update(_ansible_check_mode=check, _ansible_diff=True)
        done = subprocess.run(
            [HOST_PYTHON, "-B", "-c", LAUNCHER, module, str(self.manifest), json.dumps(arguments)],
            env={**os.environ, **self.environment, "PYTHONPATH": str(self.packages)},
            capture_output=True,
            encoding="utf-8",
            start_new_session=True,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Run(done.returncode, json.loads(done.stdout.splitlines()[-1]))
