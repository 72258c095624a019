# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment that each series of Wine-NSPA reads."""

from __future__ import annotations

import re
from typing import Any, Dict, List, Mapping

#: Fixed variables by series. 5.x: the README of 2020. It names WINESYNC, which no code reads; WINEFSYNC is the
#: variable of the fsync patches (getenv in ntdll and the server), so both are set.
SERIES: Dict[str, Dict[str, str]] = {
    "5.x": {
        "WINEFSYNC": "1",
        "WINESYNC": "1",
        "WINEFSYNC_SPINCOUNT": "128",
        "STAGING_SHARED_MEMORY": "1",
        "STAGING_WRITECOPY": "1",
        "WINEDEBUG": "-all",
    },
}

_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
# Characters that the shell, systemd and pam_env each read in their own way.
_UNSAFE = re.compile(r"[\"'\\$`\n\r#]")


def environment(series: str, rt_prio: int, rt_policy: str, extra: Mapping[str, Any]) -> Dict[str, str]:
    """Return the variables of a session by name, sorted.

    :param series: a key of :data:`SERIES`.
    :param rt_prio: Wine's ceiling, 1 to 98.
    :param rt_policy: ``RR`` or ``FF``; the patches take no other spelling, and want both variables.
    :param extra: further variables; they win over those of the series.
    """
    found = dict(SERIES[series], WINE_RT_PRIO=str(rt_prio), WINE_RT_POLICY=rt_policy)
    found.update({name: str(value) for name, value in extra.items()})
    return {name: found[name] for name in sorted(found)}


def problems(extra: Mapping[str, Any]) -> List[str]:
    """Say what is wrong with variables that a user adds, one sentence each."""
    found = []
    for name, value in extra.items():
        if not _NAME.match(str(name)):
            found.append(f"wine_env_extra has the name '{name}': wanted letters, digits and _, not first a digit")
        if _UNSAFE.search(str(value)):
            found.append(
                f"wine_env_extra sets {name} to {value!r}: quotes, backslashes, $, ` and # mean different things "
                "to the shell, systemd and PAM; leave them out, or set this variable in a launcher script"
            )
    return found
