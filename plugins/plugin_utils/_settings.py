# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's settings as the inventory gives them, checked before any host is touched.

The argument specs of the roles, and `PLAYBOOKS` here for the playbooks' own, are the only lists of settings.
"""

from __future__ import annotations

import difflib
import re
import reprlib
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping

import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.nspa.proaudio.plugins.module_utils._boot import cmdline
from ansible_collections.nspa.proaudio.plugins.module_utils._host import priority_plan
from ansible_collections.nspa.proaudio.plugins.module_utils._wine import environment

#: The roles in the order of the signal chain.
ROLES = ("linux_nspa", "boot_params", "rt_limits", "sched_tuning", "wine_nspa", "wine_env", "readiness")

#: The settings of the playbooks themselves, as options of an argument spec.
PLAYBOOKS: Dict[str, Dict[str, Any]] = {
    "nspa_hosts": {"type": "raw", "default": "all"},
    "nspa_reboot": {"type": "str", "choices": ["false", "true", "ask"], "default": "false"},
}

_COLLECTION = Path(__file__).resolve().parent.parent.parent
_SHA256 = re.compile(r"^[0-9a-fA-F]{64}$")


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
    """
    values = {}
    for options in SPECS.values():
        for name, option in options.items():
            values[name] = template(variables[name]) if name in variables else option.get("default")
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
    """Return everything that is wrong with the settings, one sentence each.

    Values of a type that converts (``"95"`` for a number) are converted in *values*.
    """
    found = _unknown(variables)
    values["nspa_reboot"] = _word(values["nspa_reboot"])
    for role, options in SPECS.items():
        given = {name: values[name] for name in options if values[name] is not None}
        validated = ArgumentSpecValidator(options).validate(given)
        found += [f"{role}: {message}" for message in validated.error_messages]
        if not validated.error_messages:
            values.update({name: validated.validated_parameters[name] for name in given})
    if found:
        return found  # the rules below rely on the types
    found += priority_plan.problems(values)
    found += _memlock(values)
    found += _parameters(values)
    found += _kernel_files(values)
    found += environment.problems(values["wine_env_extra"])
    return found


def _word(value: Any) -> Any:
    """Yes and no in every spelling of YAML and of the command line, as ``true`` and ``false``."""
    word = str(value).lower()
    return {"yes": "true", "on": "true", "1": "true", "no": "false", "off": "false", "0": "false"}.get(word, word)


def _unknown(variables: Mapping[str, Any]) -> List[str]:
    found = []
    facts = variables.get("ansible_facts") or {}  # Ansible repeats them as variables: readiness_report is one
    for role, options in SPECS.items():
        for name in sorted(variables):
            if name.startswith(role + "_") and name not in options and name not in facts:
                near = difflib.get_close_matches(name, options, n=1)
                who = "the playbooks know" if role == "nspa" else f"the role {role} knows"
                hint = f"did you mean {near[0]}?" if near else f"{who}: {', '.join(options)}"
                value = reprlib.repr(variables[name])
                found.append(f"{name} (value {value}) is not a setting of this collection; {hint}")
    return found


def _memlock(values: Mapping[str, Any]) -> List[str]:
    memlock = values["rt_limits_memlock"]
    if memlock == "unlimited" or re.match(r"^[0-9]+$", memlock):
        return []
    return [f"rt_limits_memlock is {memlock!r}: wanted a number of kB, such as 8388608 for 8 GB, or unlimited"]


def _parameters(values: Mapping[str, Any]) -> List[str]:
    found = []
    for parameter in values["boot_params_parameters"]:
        problem = cmdline.problem(parameter)
        if problem:
            found.append(f"boot_params_parameters has '{parameter}': {problem}")
    return found


def _kernel_files(values: Mapping[str, Any]) -> List[str]:
    """Every kernel package that is fetched or copied must be known by its checksum."""
    if values["linux_nspa_source"] != "packages":
        return []
    if not values["linux_nspa_packages"]:
        return [
            "linux_nspa_source is 'packages', but linux_nspa_packages is empty: list the kernel's package files, "
            "each with src (a path on the host or an http(s) address) and sha256"
        ]
    found = []
    for item in values["linux_nspa_packages"]:
        digest = item.get("sha256") or ""
        if not _SHA256.match(digest):
            found.append(
                f"linux_nspa_packages: {item.get('src')} has the checksum {digest!r}: wanted sha256 with "
                "64 hexadecimal digits, as 'sha256sum FILE' prints it; a kernel is never installed unchecked"
            )
    return found
