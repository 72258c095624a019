# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A /proc of our own, with processes in it as proc(5) shows them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Mapping, Sequence

LIMITS = """\
Limit                     Soft Limit           Hard Limit           Units     
Max open files            1024                 1048576              files     
Max locked memory         {memlock:<20} {memlock:<20} bytes     
Max nice priority         40                   40                   
Max realtime priority     {rtprio:<20} {rtprio:<20} 
Max realtime timeout      {rttime:<20} {rttime:<20} us        
"""  # noqa: W291


def add_process(
    root: Path,
    pid: int,
    command: Sequence[str],
    cgroup: str = "/",
    uid: int = 1000,
    groups: Sequence[int] = (1000,),
    program: str = "/bin/true",
    name: str = "true",
    environment: Mapping[str, str] = {},
    memlock: str = "unlimited",
    rtprio: str = "95",
    rttime: str = "unlimited",
    locked_kb: int = 0,
    policy: int = 0,
    priority: int = 0,
    started: int = 1 << 40,
    no_new_privs: int = 0,
    bounding: int = (1 << 41) - 1,
    effective: int = 0,
    nice: int = 0,
    files: Mapping[int, str] = {},
) -> Path:
    """Put a process into ROOT/proc and return its folder. `started`: in ticks since the boot."""
    folder = root / "proc" / str(pid)
    folder.mkdir(parents=True)
    (folder / "cmdline").write_bytes(b"".join(word.encode() + b"\0" for word in command))
    (folder / "environ").write_bytes(b"".join(f"{key}={value}".encode() + b"\0" for key, value in environment.items()))
    (folder / "comm").write_text(f"{name}\n")
    (folder / "limits").write_text(LIMITS.format(memlock=memlock, rtprio=rtprio, rttime=rttime))
    (folder / "cgroup").write_text(f"2:cpu:/elsewhere\n1:name=systemd:{cgroup}\n0::{cgroup}\n")
    numbers = " ".join(str(number) for number in groups)
    (folder / "status").write_text(
        f"Name:\t{name}\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\nGid:\t{uid}\t{uid}\t{uid}\t{uid}\nGroups:\t{numbers} \n"
        f"VmLck:\t{locked_kb:>8} kB\nCapEff:\t{effective:016x}\nCapBnd:\t{bounding:016x}\nNoNewPrivs:\t{no_new_privs}\n"
    )
    # Each field that is not set holds its own number, negative, so that a wrong one is seen.
    fields = [str(-number) for number in range(1, 53)]
    fields[0], fields[1], fields[2] = str(pid), f"({name})", "S"
    fields[19 - 1], fields[22 - 1] = str(nice), str(started)
    fields[40 - 1], fields[41 - 1] = str(priority), str(policy)
    for place in (folder, folder / "task" / str(pid)):
        place.mkdir(parents=True, exist_ok=True)
        (place / "stat").write_text(" ".join(fields) + "\n")
    (folder / "fd").mkdir()
    for number, target in files.items():
        (folder / "fd" / str(number)).symlink_to(target)
    (folder / "exe").symlink_to(program)
    return folder


def remove_process(root: Path, pid: int) -> None:
    """It ends."""
    shutil.rmtree(root / "proc" / str(pid))
