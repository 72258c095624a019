# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever asked for what, in any order: in the end the host has what it had, and what its user asked for.

The package manager is a model here, so that hundreds of histories can be tried; test_packages.py has the real one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Set

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import Manifest
from ansible_collections.nspa.proaudio.plugins.module_utils._packages import packages
from ansible_collections.nspa.proaudio.plugins.module_utils._packages.apt import Archive, Package, PackageError, Plan
from ansible_collections.nspa.proaudio.plugins.module_utils._packages.owners import needed, reachable


class Apt:
    """A package manager: `archive` says what each package depends on."""

    def __init__(self, archive: Dict[str, List[str]]) -> None:
        self.archive = archive
        self.there: Set[str] = set()
        self.auto: Set[str] = set()

    def closure(self, names: Iterable[str]) -> Set[str]:
        found: Set[str] = set()
        queue = list(names)
        while queue:
            name = queue.pop()
            if name not in found:
                found.add(name)
                queue += self.archive[name]
        return found

    # -- what _packages asks for

    def available(self) -> bool:
        return True

    def canonical(self, name: str) -> str:
        return name

    def installed(self) -> Dict[str, Package]:
        return self._packages(self.there, configured=True)

    def automatic(self) -> Set[str]:
        return set(self.auto)

    def known(self, names: Iterable[str], frugal: bool = False) -> Set[str]:
        return set(names) & set(self.archive)

    def lists_age(self) -> float:
        return 0

    def describe(self, versions: Mapping[str, str], archives: Sequence[Archive]) -> Dict[str, Package]:
        return self._packages(versions, configured=False)

    def kernels(self, names: Iterable[str]) -> List[str]:
        return []

    def simulate(
        self, install: Sequence[str], purge: Sequence[str], recommends: bool, options: Any, frugal: bool
    ) -> Plan:
        coming = self.closure(install)
        if coming & set(purge):
            raise PackageError(f"{coming & set(purge)} cannot come and go")
        going = set(purge)
        while True:
            broken = {name for name in self.there - going if set(self.archive[name]) & going}
            if not broken:
                return Plan(dict.fromkeys(sorted(coming - self.there), "1"), {}, sorted(going & self.there))
            going |= broken

    def transact(
        self, install: Sequence[str], purge: Sequence[str], recommends: bool = False, options: Any = ()
    ) -> None:
        plan = self.simulate(install, purge, recommends, options, False)
        self.auto |= set(plan.installed)
        self.there |= set(plan.installed)
        self.there -= set(plan.removed)
        self.auto -= {*plan.removed, *install}

    def mark(self, names: Sequence[str], automatic_: bool) -> None:
        self.auto = self.auto | set(names) if automatic_ else self.auto - set(names)

    def _packages(self, names: Iterable[str], configured: bool) -> Dict[str, Package]:
        return {
            name: Package(name, "1", configured, False, [[other] for other in self.archive[name]], [], [])
            for name in names
        }


NAMES = ("aa", "bb", "cc", "dd", "ee", "ff", "gg")
ROLES = ("wine", "kernel", "tuning")
# Each depends only on later ones, so that there are no circles.
archives = st.fixed_dictionaries(
    {
        name: st.lists(st.sampled_from(NAMES[place + 1 :]), max_size=2, unique=True) if place < 6 else st.just([])
        for place, name in enumerate(NAMES)
    }
)
some = st.lists(st.sampled_from(NAMES), max_size=3, unique=True)
steps = st.lists(
    st.one_of(st.tuples(st.sampled_from(ROLES), some), st.tuples(st.just("user"), some.filter(bool))), max_size=8
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(archive=archives, start=some, loose=some, history=steps)
def test_in_the_end_the_host_has_what_it_had_and_what_its_user_asked_for(
    tmp_path_factory: pytest.TempPathFactory,
    archive: Dict[str, List[str]],
    start: List[str],
    loose: List[str],
    history: list,
) -> None:
    apt = Apt(archive)
    apt.transact(start, [])
    # Packages that nobody needs any more, and that nobody has taken away.
    apt.auto |= apt.there & set(loose)
    there, auto = set(apt.there), set(apt.auto)
    path = str(tmp_path_factory.mktemp("owners") / "state" / "manifest.json")
    asked: Dict[str, List[str]] = {}
    users: Set[str] = set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packages, "_apt", apt)
        for who, names in history:
            if who == "user":
                # Asking for what is there by name already leaves no trace that anybody could read.
                users |= {name for name in names if name not in apt.there or name in apt.auto}
                apt.transact(names, [])
                continue
            run(path, who, names, present=True)
            asked[who] = names
            for role, wanted in asked.items():
                assert apt.closure(wanted) <= apt.there
                assert not set(wanted) & apt.auto
                assert role == who or not changed(path, role, wanted), f"{who} disturbed {role}"
            assert not changed(path, who, names)
            assert there <= apt.there
        for role in ROLES:
            run(path, role, [], present=False)
    assert apt.there == there | apt.closure(users)
    assert apt.auto & there == auto - users
    assert not Path(path).exists()


def request(role: str, names: Sequence[str], present: bool) -> packages.Request:
    return packages.Request(role, names, present=present)


def run(path: str, role: str, names: Sequence[str], present: bool) -> None:
    with Manifest.change(path) as manifest:
        differences = packages.compare(manifest, request(role, names, present), "")
        if differences.any:
            packages.apply(manifest, differences)


def changed(path: str, role: str, names: Sequence[str]) -> Optional[Any]:
    differences = packages.compare(Manifest.load(path), request(role, names, True), "")
    return differences if differences.any else None


# -- what other packages need


relations = st.lists(st.lists(st.sampled_from(NAMES), min_size=1, max_size=2), max_size=3)


def host_of(depends: Dict[str, list]) -> Dict[str, Package]:
    return {
        name: Package(name, "1", configured=True, remains=False, depends=clauses, recommends=[], provides=[])
        for name, clauses in depends.items()
    }


@given(st.fixed_dictionaries(dict.fromkeys(NAMES, relations)), st.sets(st.sampled_from(NAMES)))
def test_what_is_not_needed_can_go_without_breaking_what_stays(depends: Dict[str, list], candidates: set) -> None:
    packages = host_of(depends)
    kept = needed(packages, candidates)
    assert kept <= candidates
    stays = set(packages) - (candidates - kept)
    for name in stays:
        assert all(set(clause) & stays for clause in packages[name].depends)
    # Nothing is kept for its own sake: with nobody else there, all can go.
    assert needed({name: packages[name] for name in candidates}, candidates) == set()


def test_a_provided_name_counts() -> None:
    packages = host_of({"a": [["mta"]], "b": []})
    packages["b"] = packages["b"]._replace(provides=["mta"])
    assert needed(packages, {"b"}) == {"b"}
    assert reachable(packages, ["a"]) == {"a", "b"}
    packages["c"] = packages["b"]._replace(name="c")
    assert needed(packages, {"b"}) == set()


def test_what_is_left_of_a_package_needs_and_provides_nothing() -> None:
    packages = host_of({"a": [["b"]], "b": []})
    assert needed({**packages, "a": packages["a"]._replace(remains=True)}, {"b"}) == set()
