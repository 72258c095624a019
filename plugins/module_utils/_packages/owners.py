# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packages a role puts back, and which of them stay because others need them. Reads nothing, changes nothing.

An entry of the manifest says of a package: ``owner``; ``before`` (None: it was not there; else ``version``,
``remains``: only its settings were there, ``auto``: it was marked as a dependency); ``asked``: by name, not as a
dependency; ``also``: other roles that asked for it since; ``marked``: no dependency any more since one of them did;
``leaving``: it was about to be taken away, or to be unpacked again. A package manager may drop the mark of a
dependency before that: with ``leaving``, that is not taken for somebody's wish to keep it.
"""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Set

from ansible_collections.nspa.proaudio.plugins.module_utils._packages.model import Package

Entries = Mapping[str, Dict[str, Any]]
Packages = Mapping[str, Package]


class PutBack(NamedTuple):
    """`purge`, `remove` (what had left its settings before we came): these go. `automatic`: dependencies from now on.

    `hand_over`: new owners by name. `forget`: entries to drop, with why the package stays (empty: it is gone).
    """

    purge: List[str]
    remove: List[str]
    automatic: List[str]
    hand_over: Dict[str, str]
    forget: Dict[str, str]


NOTHING = PutBack([], [], [], {}, {})


def dropped(entries: Entries, role: str, names: Iterable[str]) -> List[str]:
    """The packages that a role asked for once and does not ask for any more, and what went with them half-way."""
    return [
        name
        for name, entry in entries.items()
        if entry["owner"] == role and (entry.get("asked") or entry.get("leaving")) and name not in set(names)
    ]


def adopted(entry: Mapping[str, Any], automatic: bool) -> bool:
    """Whether somebody asked by name for a package that came as a dependency of ours; it is theirs from then on."""
    return not (entry.get("asked") or entry.get("marked") or entry.get("leaving") or automatic)


def gone(entry: Mapping[str, Any], package: Optional[Package]) -> bool:
    """Whether nothing is left of a package but what was there before us; one that stopped half-way is not gone."""
    return package is None or (package.remains and entry["before"] is not None)


def put_back(
    entries: Entries, role: str, names: Set[str], there: Packages, automatic: Set[str], earlier: Optional[Set[str]]
) -> PutBack:
    """What a role puts back that from now on asks for `names` only.

    entries: the manifest's, of all roles. there: the packages of the host, with those that are about to come.
    automatic: names marked as dependencies. earlier: what was there before the role's first transaction (None: never).
    """
    if names and not dropped(entries, role, names):
        return NOTHING
    back = PutBack([], [], [], {}, {})
    ours: Set[str] = set()
    for name, entry in entries.items():
        if entry["owner"] != role or name in names:
            continue
        package, before = there.get(name), entry["before"]
        if package is None or gone(entry, package):
            back.forget[name] = ""
        elif entry.get("also"):
            back.hand_over[name] = entry["also"][0]
        elif before is not None and not before["remains"]:
            back.forget[name] = f"it was there before, in version {before['version']}"
            if before.get("auto") and name not in automatic:
                back.automatic.append(name)
        elif adopted(entry, name in automatic) and not package.remains:
            back.forget[name] = "somebody asked for it by name since"
        else:
            ours.add(name)
    candidates = ours | _came_later(entries, there, automatic, earlier, ours)
    kept = needed(there, candidates)
    for name in sorted(candidates - kept):
        before = entries[name]["before"] if name in entries else None
        (back.remove if before else back.purge).append(name)
    owners: Dict[str, str] = {name: back.hand_over.get(name) or entry["owner"] for name, entry in entries.items()}
    of_all_roles = candidates | {name for name, entry in entries.items() if entry["before"] is None}
    by_somebody_else = needed(there, of_all_roles)
    still_ours = reachable(there, names)
    for name in sorted(kept & ours):
        if name in still_ours:
            if entries[name].get("asked") or entries[name].get("leaving"):
                back.automatic.append(name)
            continue
        heir = None if name in by_somebody_else else _heir(owners, role, name, there)
        if heir is None:
            back.forget[name] = "other packages need it"
        else:
            # From now on it is a dependency of the other role's packages.
            back.hand_over[name] = heir
            if name not in automatic:
                back.automatic.append(name)
    return back


def needed(packages: Packages, candidates: Set[str]) -> Set[str]:
    """Those of `candidates` that an installed package outside of them depends on, directly or through others."""
    providers = _providers(packages)
    queue = [package for package in packages.values() if package.name not in candidates and not package.remains]
    kept: Set[str] = set()
    while queue:
        for clause in queue.pop().depends:
            able = [name for word in clause for name in providers.get(word, ())]
            if able and all(name in candidates and name not in kept for name in able):
                kept.add(able[0])
                queue.append(packages[able[0]])
    return kept


def reachable(packages: Packages, roots: Iterable[str]) -> Set[str]:
    """`roots` and all that they depend on or recommend, directly or through others, as far as installed."""
    providers = _providers(packages)
    found: Set[str] = set()
    queue = [name for name in roots if name in packages]
    while queue:
        name = queue.pop()
        if name not in found:
            found.add(name)
            clauses = packages[name].depends + packages[name].recommends
            queue += [other for clause in clauses for word in clause for other in providers.get(word, ())]
    return found


def lacking(packages: Packages, roots: Iterable[str]) -> List[str]:
    """What `roots`, as far as they are half-way installed, depend on and nothing fulfils: the first of each choice."""
    providers = _providers(packages)
    half = [packages[name] for name in roots if name in packages]
    return sorted(
        {
            clause[0]
            for package in half
            if not package.configured and not package.remains
            for clause in package.depends
            if not any(providers.get(word) for word in clause)
        }
    )


def _providers(packages: Packages) -> Dict[str, List[str]]:
    """The installed packages that fulfil each name; versions are left to the package manager."""
    providers: Dict[str, List[str]] = {}
    for package in packages.values():
        if not package.remains:
            for word in (package.name.split(":")[0], *package.provides):
                providers.setdefault(word, []).append(package.name)
    return providers


def _came_later(
    entries: Entries, there: Packages, automatic: Set[str], earlier: Optional[Set[str]], ours: Set[str]
) -> Set[str]:
    """What an upgrade of our packages brought since, as a newer kernel that a metapackage of ours depends on."""
    if earlier is None:
        return set()
    return (reachable(there, ours) & automatic & set(there)) - earlier - set(entries)


def _heir(owners: Mapping[str, str], role: str, name: str, there: Packages) -> Optional[str]:
    """Another role whose packages need this one."""
    for other in sorted(set(owners.values()) - {role}):
        if name in reachable(there, [item for item, owner in owners.items() if owner == other]):
            return other
    return None
