# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's settings as the inventory gives them, checked before any host is touched.

The argument specs of the roles, and `PLAYBOOKS` here for the playbooks' own, are the only lists of settings.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, Mapping

import yaml

from ansible_collections.nspa.proaudio.plugins.module_utils._host import priority_plan
from ansible_collections.nspa.proaudio.plugins.plugin_utils import _setting_rules
from ansible_collections.nspa.proaudio.plugins.plugin_utils._setting_types import Unusable, convert, line, plain, shown

#: The roles in the order of the signal chain.
ROLES = ("linux_nspa", "boot_params", "rt_limits", "sched_tuning", "wine_nspa", "wine_env", "readiness")

#: The settings of the playbooks themselves, as options of an argument spec.
PLAYBOOKS: Dict[str, Dict[str, Any]] = {
    "nspa_hosts": {"type": "raw", "default": "all"},
    "nspa_reboot": {"type": "str", "choices": ["false", "true", "ask"], "default": "false"},
}

#: Settings that may be null, which leaves alone what they set. Any other null is a line that was left unfinished.
NULLABLE = (
    "sched_tuning_swappiness",
    "sched_tuning_rr_timeslice_ms",
    "sched_tuning_inotify_watches",
    "sched_tuning_dirty_bytes",
    "sched_tuning_dirty_background_bytes",
    "sched_tuning_timer_frequency",
    "sched_tuning_hda_power_save",
)
#: Problems of one setting that are told; a list of a thousand wrong names says no more.
MOST = 5
#: How alike a name must be to count as a slip of the pen: two letters of fifteen.
_ALIKE = 0.92

_COLLECTION = Path(__file__).resolve().parent.parent.parent


class SettingsError(Exception):
    """Settings are wrong; ``problems`` has one sentence each, with what to do."""

    def __init__(self, problems: List[str]) -> None:
        lines = "\n".join(f"- {item}" for item in problems)
        super().__init__(f"Nothing was changed. Please mend these settings:\n{lines}")
        self.problems = problems


def _read_specs() -> Dict[str, Dict[str, Any]]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found = {"nspa": PLAYBOOKS}
    for role in ROLES:
        text = (_COLLECTION / "roles" / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8")
        found[role] = yaml.load(text, Loader=loader)["argument_specs"]["main"]["options"]
    return found


#: The options of every role, and of the playbooks as "nspa", by variable. Read when Ansible loads the first of our
#: plugins, before it starts a process for each task: what a task's process reads is gone with it.
SPECS: Dict[str, Dict[str, Any]] = _read_specs()


def effective(variables: Mapping[str, Any], template: Callable[[Any], Any]) -> Dict[str, Any]:
    """Return every setting: the inventory's value where there is one, else the default.

    :param variables: the host's variables, as an action plugin gets them.
    :param template: resolves a value's Jinja expressions.
    :raises SettingsError: when an expression cannot be resolved.
    """
    values, found = {}, []
    for options in SPECS.values():
        for name, option in options.items():
            if name not in variables:
                values[name] = plain(option.get("default"))
                continue
            try:
                values[name] = plain(template(variables[name]))
            except Unusable as error:
                found.append(f"{name} {error}: write it plainly, or leave it out")
            except Exception as error:  # whatever the expressions and filters of an inventory raise
                found.append(f"{name} cannot be resolved; mend the expression, or what it refers to: {error}")
    if found:
        raise SettingsError([line(item) for item in found])
    return values


def checked(
    variables: Mapping[str, Any], template: Callable[[Any], Any], given: Mapping[str, Any] = ()
) -> Dict[str, Any]:
    """Return every setting as `effective` does, each in its own type.

    :param given: settings that earlier roles of the play were given on their entries; they win.
    :raises SettingsError: when something is wrong with them.
    """
    values = {**effective(variables, template), **dict(given)}
    found = problems(variables, values)
    if found:
        raise SettingsError(found)
    return values


def problems(variables: Mapping[str, Any], values: Dict[str, Any]) -> List[str]:
    """Return everything that is wrong with the settings, one sentence each, short and printable.

    Values of a type that converts (``"95"`` for a number) are converted in *values*.
    """
    return [line(item) for item in _problems(variables, values)]


def _problems(variables: Mapping[str, Any], values: Dict[str, Any]) -> List[str]:
    found = _unknown(variables)
    values["nspa_reboot"] = _word(values["nspa_reboot"])
    for options in SPECS.values():
        for name, option in options.items():
            found += _some(name, _typed(name, option, values))
    if found:
        return found  # the rules below rely on the types
    for name, rule in _setting_rules.RULES.items():
        if values[name] is not None:
            found += _some(name, (f"{name} {problem}" for problem in rule(values[name])))
    return found + priority_plan.problems(values) + _setting_rules.together(values)


def _typed(name: str, option: Mapping[str, Any], values: Dict[str, Any]) -> List[str]:
    """Bring a value into its type, in *values*; return what is wrong with it."""
    if values[name] is None:
        if name in NULLABLE:
            return []
        return [f"{name} has no value (null): give it one, or leave the line out for the default"]
    values[name], found = convert(name, option, values[name])
    return found


def _some(name: str, found: Iterable[str]) -> List[str]:
    """The first few problems of a setting, and how many more there are."""
    told = list(found)
    more = len(told) - MOST
    return told[:MOST] + ([f"{name} has {more} more problems of this kind"] if more > 0 else [])


def _word(value: Any) -> Any:
    """Yes and no in every spelling of YAML and of the command line, as ``true`` and ``false``."""
    if not isinstance(value, (str, bool)) and value not in (0, 1):
        return value
    word = str(value).lower()
    return {"yes": "true", "on": "true", "1": "true", "no": "false", "off": "false", "0": "false"}.get(word, word)


def _unknown(variables: Mapping[str, Any]) -> List[str]:
    """Names that nobody reads: those with a prefix of ours, and those that are nearly a setting's."""
    found = []
    known = [name for options in SPECS.values() for name in options]
    facts = variables.get("ansible_facts") or {}  # Ansible repeats them as variables: readiness_report is one
    for name in sorted(variables):
        if name in known or name in facts or name.startswith(("_", "ansible_")):
            continue
        role = next((role for role in SPECS if name.startswith(role + "_")), "")
        if role:
            near = difflib.get_close_matches(name, SPECS[role], n=1)
            who = "the playbooks know" if role == "nspa" else f"the role {role} knows"
            hint = f"did you mean {near[0]}?" if near else f"{who}: {', '.join(SPECS[role])}"
        else:
            near = difflib.get_close_matches(name.lower(), _neighbours(name, known), n=1, cutoff=_ALIKE)
            if not near:
                continue
            hint = f"did you mean {near[0]}?"
        value = shown(variables[name])
        found.append(f"{line(name)[:60]} (value {value}) is not a setting of this collection; {hint}")
    return found


def _neighbours(name: str, known: List[str]) -> List[str]:
    """The settings that a name can be nearly equal to: looking at letters takes time, and hosts have many variables."""
    return [other for other in known if other[0] == name[:1].lower() and abs(len(other) - len(name)) <= 2]
