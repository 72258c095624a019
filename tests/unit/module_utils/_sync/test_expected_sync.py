# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of what real kernels must show: complete, and asked for in full by the scenario that boots them."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from support import CHECKOUT

from ansible_collections.nspa.proaudio.plugins.module_utils._sync import probe, wine

KERNELS: list[dict[str, Any]] = yaml.safe_load((CHECKOUT / "tests/expected_sync.yml").read_text())["sync_kernels"]
MOLECULE = yaml.safe_load((CHECKOUT / "molecule/kernels/molecule.yml").read_text())

RELEASES = {
    "5.10": "5.10.0-46-amd64",
    "6.1": "6.1.0-56-amd64",
    "6.1 RT": "6.1.0-56-rt-amd64",
    "6.12 RT": "6.12.57+deb13-rt-amd64",
    "7.3": "7.3.4+deb13-amd64",
    "7.3 RT": "7.3.4+deb13-rt-amd64",
}


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel["name"])
def test_a_row_is_complete(kernel: dict[str, Any]) -> None:
    for expected in (kernel, {**kernel, **kernel.get("loaded", {})}):
        assert set(expected["interfaces"]) <= set(probe.INTERFACES)
        assert set(expected["wine_series"]) == set(wine.SERIES)
    assert (kernel["module"] == "available") == ("loaded" in kernel)


@pytest.mark.parametrize(("name", "release"), RELEASES.items())
def test_a_release_belongs_to_one_row(name: str, release: str) -> None:
    assert [kernel["name"] for kernel in KERNELS if re.search(kernel["release"], release)] == [name]


def test_the_scenario_boots_every_kernel_of_the_table() -> None:
    asked = {}
    for platform in MOLECULE["platforms"]:
        host = MOLECULE["provisioner"]["inventory"]["host_vars"][platform["name"]]
        packages = [*platform.get("kernels", []), host.get("kernel_package")]
        asked.update(dict.fromkeys(host["kernels_to_ask"], (platform["suite"], packages)))
    assert set(asked) == {kernel["name"] for kernel in KERNELS}
    for kernel in KERNELS:
        suite, packages = asked[kernel["name"]]
        assert suite == kernel["suite"]
        assert kernel["package"] in packages
