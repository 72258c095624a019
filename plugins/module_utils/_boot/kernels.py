# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the installed kernels is the newest."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, List, Sequence, Tuple

if TYPE_CHECKING:
    from ansible_collections.nspa.proaudio.plugins.module_utils._packages.manager import PackageManager


def newest(names: Sequence[str], manager: PackageManager, root: Path = Path("/")) -> str:
    """Return the release of the newest kernel that packages, or what they depend on, brought; empty if none did.

    A kernel whose image is not there (any more) does not count.
    :param names: packages, installed or not.
    """
    images = manager.kernels(names, depends=True)
    there = [release for release, image in images.items() if (root / image.lstrip("/")).exists()]
    return max(there, key=order) if there else ""


def order(release: str) -> List[Tuple[int, int, str]]:
    """What kernel releases are sorted by: numbers as numbers, and release candidates before their release."""
    parts = re.findall(r"[~-]rc|\d+|[^\d~]+?(?=[~-]rc|\d|$)|~", release)
    key = [
        (3, int(part), "") if part.isdigit() else (0 if part[0] == "~" or part == "-rc" else 2, 0, part)
        for part in parts
    ]
    return [*key, (1, 0, "")]
