# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever asked for what, in any order: in the end the host has what it had, and what its user asked for.

The package manager is a model here, so that hundreds of histories can be tried; test_packages.py has the real one.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Set, Tuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ansible_collections.nspa.proaudio.plugins.module_utils._core.change import Purpose
from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import Manifest
from ansible_collections.nspa.proaudio.plugins.module_utils._packages import packages
from ansible_collections.nspa.proaudio.plugins.module_utils._packages.model import (
    Archive,
    Asked,
    Outcome,
    Package,
    PackageError,
    Transaction,
)
from ansible_collections.nspa.proaudio.plugins.module_utils._packages.owners import needed, reachable


class Model:
    """A package manager: `archive` says what each package depends on. It can be stopped half-way."""

    name = "model"
    repair = "Mend it."
    suffix = ".package"
    root = Path("/nowhere")

    def __init__(self, archive: Dict[str, List[str]]) -> None:
        self.archive = archive
        self.there: Set[str] = set()
        self.auto: Set[str] = set()
        self.torn: Set[str] = set()
        self.stop_after: Optional[int] = None

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

    def read(self, text: str) -> Asked:
        return Asked(text)

    def installed(self) -> Dict[str, Package]:
        return {
            name: package._replace(configured=name not in self.torn, torn=name in self.torn)
            for name, package in self._packages(self.there, configured=True).items()
        }

    def automatic(self) -> Set[str]:
        return set(self.auto)

    def kernels(self, names: Iterable[str], depends: bool = False) -> Dict[str, str]:
        return {}

    def known(self, asked: Sequence[Asked]) -> Dict[Asked, str]:
        return {item: "1" for item in asked if item.name in self.archive}

    def satisfies(self, asked: Asked, version: str) -> bool:
        return True

    def describe(self, versions: Mapping[str, str], archives: Sequence[Archive]) -> Dict[str, Package]:
        return self._packages(versions, configured=False)

    def read_file(self, path: str, sha256: str) -> Archive:
        raise NotImplementedError

    def download(self, url: str, target: str) -> None:
        raise NotImplementedError

    def unreachable(self, asked: Sequence[Asked], timeout: int) -> List[Tuple[str, str]]:
        return []

    def simulate(self, transaction: Transaction) -> Outcome:
        coming = self.closure([item.name for item in transaction.install])
        purge = {*transaction.purge, *transaction.remove}
        if coming & purge:
            raise PackageError(f"{coming & purge} cannot come and go")
        going = set(purge)
        while True:
            broken = {name for name in self.there - going if set(self.archive[name]) & going}
            if not broken:
                return Outcome(dict.fromkeys(sorted(coming - self.there), "1"), {}, sorted(going & self.there))
            going |= broken

    def refresh(self, asked: Sequence[Asked], max_age: float) -> str:
        return ""

    def transact(self, transaction: Transaction) -> None:
        outcome = self.simulate(transaction)
        # As apt does: the marks first, then one package after the other, each before what it depends on goes.
        self.auto |= set(outcome.installed)
        self.auto -= {*outcome.removed, *[item.name for item in transaction.install]}
        coming = sorted({*outcome.installed, *(self.torn & {item.name for item in transaction.install})}, reverse=True)
        for number, name in enumerate([*coming, *sorted(outcome.removed)]):
            self.there.add(name)
            self.torn.add(name)
            if number == self.stop_after:
                raise PackageError("stopped half-way")
            self.torn.discard(name)
            if name in outcome.removed:
                self.there.discard(name)

    def keep(self, names: Sequence[str]) -> None:
        """It removes at once, and has no list of what is to go."""

    def mark(self, names: Sequence[str], automatic: bool) -> None:
        self.auto = self.auto | set(names) if automatic else self.auto - set(names)

    def busy(self) -> bool:
        return False

    def wait(self) -> None:
        pass

    def interrupted(self) -> bool:
        return False

    def finish(self, going: Sequence[str] = ()) -> None:
        self.there -= set(going)
        self.torn -= set(going)

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
# Who does what; before that the power fails, if it does: while the same was done or all was put back, and after how
# many packages.
steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(ROLES), some, st.none() | st.tuples(st.booleans(), st.integers(0, 4))),
        st.tuples(st.just("user"), some.filter(bool), st.none()),
    ),
    max_size=8,
)


# A dependency stays behind, marked as asked for, when its dependants have gone: nobody needs it; somebody does.
TWO: Dict[str, List[str]] = {name: [] for name in NAMES}
TWO.update(aa=["cc", "dd"], bb=["dd"])


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example(
    archive=TWO,
    start=[],
    loose=[],
    history=[("wine", ["aa", "bb"], None), ("wine", ["bb"], (False, 0)), ("wine", ["bb"], None)],
    stops=[],
)
@example(
    archive=TWO, start=[], loose=[], history=[("wine", ["aa", "ee"], None), ("wine", ["ee"], (False, 1))], stops=[]
)
@example(archive=TWO, start=[], loose=[], history=[("wine", ["aa", "bb"], None), ("wine", ["bb"], (True, 1))], stops=[])
@given(archive=archives, start=some, loose=some, history=steps, stops=st.lists(st.integers(0, 4), max_size=3))
def test_in_the_end_the_host_has_what_it_had_and_what_its_user_asked_for(
    tmp_path_factory: pytest.TempPathFactory,
    archive: Dict[str, List[str]],
    start: List[str],
    loose: List[str],
    history: list,
    stops: List[int],
) -> None:
    host = Model(archive)
    host.transact(Transaction(install=[Asked(name) for name in start]))
    # Packages that nobody needs any more, and that nobody has taken away.
    host.auto |= host.there & set(loose)
    there, auto = set(host.there), set(host.auto)
    path = str(tmp_path_factory.mktemp("owners") / "state" / "manifest.json")
    asked: Dict[str, List[str]] = {}
    users: Set[str] = set()
    ever: Set[str] = set()
    for who, names, stop in history:
        if who == "user":
            # Asking for what is there by name already leaves no trace that anybody could read.
            users |= {name for name in names if name not in host.there or name in host.auto}
            host.transact(Transaction(install=[Asked(name) for name in names]))
            continue
        if stop is not None:
            back, after = stop
            stopped(host, path, who, None if back else names, after)
        run(host, path, who, names)
        asked[who] = names
        for role, wanted in asked.items():
            assert host.closure(wanted) <= host.there - host.torn
            assert not set(wanted) & host.auto
            assert role == who or not changed(host, path, role, wanted), f"{who} disturbed {role}"
        assert not changed(host, path, who, names)
        assert there <= host.there
        ever |= set(names)
        assert host.there <= there | host.closure(users.union(*asked.values())), "something is left that nobody needs"
        assert host.there - there - users - ever <= host.auto, "a dependency would never be taken away"
    for place, role in enumerate(ROLES):
        if place < len(stops):
            stopped(host, path, role, None, stops[place])
        run(host, path, role, None)
    assert host.there == there | host.closure(users)
    assert not host.torn
    assert host.auto & there == auto - users
    assert not Path(path).exists()


def wanted(names: Optional[Sequence[str]]) -> Optional[Dict[str, Any]]:
    if names is None:
        return None
    return {"names": names, "files": [], "install_recommends": False, "lists_max_age": 86400}


def run(host: Model, path: str, role: str, names: Optional[Sequence[str]]) -> None:
    with Manifest.change(path) as manifest:
        change = packages.compare(manifest, role, wanted(names), Purpose.APPLY, host)
        if change.changed:
            change.apply(manifest)
            manifest.save()


def stopped(host: Model, path: str, role: str, names: Optional[Sequence[str]], after: int) -> None:
    host.stop_after = after
    with contextlib.suppress(PackageError):
        run(host, path, role, names)
    host.stop_after = None


def changed(host: Model, path: str, role: str, names: Sequence[str]) -> bool:
    answers = {
        packages.compare(Manifest.load(path), role, wanted(names), purpose, host).changed
        for purpose in (Purpose.JUDGE, Purpose.PREDICT, Purpose.APPLY)
    }
    assert len(answers) == 1
    return answers.pop()


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
