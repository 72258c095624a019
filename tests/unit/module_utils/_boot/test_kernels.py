# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The newest of the kernels that were asked for, and that are there."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List

import pytest

from ansible_collections.nspa.proaudio.plugins.module_utils._boot import kernels


class Packages:
    """A package manager to which some packages brought kernels."""

    def __init__(self, images: Dict[str, str]) -> None:
        self.images = images
        self.asked: List[Any] = []

    def kernels(self, names: Iterable[str], depends: bool = False) -> Dict[str, str]:
        self.asked.append((list(names), depends))
        return self.images


def test_the_newest_image_that_is_there_counts(tmp_path):
    packages = Packages({release: f"/boot/vmlinuz-{release}" for release in ("6.12.9-rt", "6.12.10-rt", "6.13.0-rt")})
    (tmp_path / "boot").mkdir()
    for release in ("6.12.9-rt", "6.12.10-rt"):
        (tmp_path / f"boot/vmlinuz-{release}").touch()
    assert kernels.newest(["linux-image-rt"], packages, tmp_path) == "6.12.10-rt"
    assert packages.asked == [(["linux-image-rt"], True)], "metapackages too"


def test_an_image_may_lie_among_the_modules(tmp_path):
    image = tmp_path / "usr/lib/modules/7.3.0-rt-amd64/vmlinuz"
    image.parent.mkdir(parents=True)
    image.touch()
    packages = Packages({"7.3.0-rt-amd64": "/usr/lib/modules/7.3.0-rt-amd64/vmlinuz"})
    assert kernels.newest(["linux-image-rt"], packages, tmp_path) == "7.3.0-rt-amd64"


def test_without_any_there_is_none(tmp_path):
    assert kernels.newest(["a"], Packages({}), tmp_path) == ""


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("6.12.9-rt-amd64", "6.12.10-rt-amd64"),
        ("6.12.48+deb13-rt-amd64", "6.12.117+deb13-rt-amd64"),
        ("9.1.0-rt", "10.0.0-rt"),
        ("6.1.0-9-rt-amd64", "6.1.0-44-rt-amd64"),
        ("6.13~rc6-rt", "6.13-rt"),
        ("6.13-rc6", "6.13"),
        ("6.13-rc6", "6.13-rc10"),
        ("6.12", "6.12.1"),
    ],
)
def test_releases_are_ordered_by_their_numbers(older, newer):
    assert max([older, newer], key=kernels.order) == newer
    assert max([newer, older], key=kernels.order) == newer
