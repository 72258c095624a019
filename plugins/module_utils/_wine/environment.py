# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment that each series of Wine-NSPA reads."""

from __future__ import annotations

import re
import reprlib
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

LONGEST_NAME = 64
LONGEST_VALUE = 512
"""Characters; pam_env reads lines of 1024 bytes before Linux-PAM 1.5."""
MOST = 100
"""Variables; every program that anybody starts carries them."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Characters that the shells, systemd and pam_env each read in their own way.
_UNSAFE = re.compile(r"[\"'\\$`#]")
#: What the priority plan sets: as a further variable it would go round the plan's rules.
_PLANNED = {"WINE_RT_PRIO": "wine_env_rt_prio", "WINE_RT_POLICY": "wine_env_rt_policy"}
# What shells keep for themselves. Some cannot be set: dash, zsh and bash then stop reading the file, or the whole of
# /etc/profile. (dash(1), bash(1) "Shell Variables", zshparam(1), zshmodules(1) "zsh/parameter")
_SHELLS = re.compile(
    r"BASH.*|ZSH.*|ZDOTDIR|ZLE_.*|COMP_.*|COMPREPLY|HIST.*|SAVEHIST|PS[0-9]|.*PROMPT[0-9]?|PROMPT_.*|SPROMPT|"
    r"_|IFS|ENV|PATH|CDPATH|FPATH|MANPATH|MODULE_PATH|MAIL.*|PWD|OLDPWD|SHELL|SHELLOPTS|SHLVL|TERM|TMOUT|"
    r"U?ID|E?[UG]ID|GROUPS|PPID|USERNAME|HOST|HOSTNAME|HOSTTYPE|MACHTYPE|OSTYPE|CPUTYPE|VENDOR|TTY|TTYIDLE|STTY|"
    r"ARGC|OPTARG|OPTERR|OPTIND|REPLY|LINENO|RANDOM|SRANDOM|SECONDS|EPOCH.*|FUNCNAME|FUNCNEST|DIRSTACK|PIPESTATUS|"
    r"POSIXLY_CORRECT|GLOBIGNORE|FIGNORE|FCEDIT|IGNOREEOF|INPUTRC|CHILD_MAX|EXECIGNORE|TIMEFORMAT|TIMEFMT|COLUMNS|LINES|"
    r"KEYBOARD_HACK|KEYTIMEOUT|LISTMAX|NULLCMD|READNULLCMD|PSVAR|TMPPREFIX|TRY_BLOCK_.*|WATCH|WORDCHARS|"
    r"argv|status|pipestatus|path|cdpath|fpath|manpath|mailpath|module_path|fignore|psvar|watch|prompt|histchars|signals|"
    r"zsh_.*|zle_.*|epochtime|options|parameters|modules|commands|aliases|[gs]aliases|dis_.*|builtins|functions|functions_source|"
    r"func.*|history|historywords|dirstack|nameddirs|userdirs|usergroups|reswords|patchars|job(?:dirs|states|texts)|"
    r"terminfo|termcap|widgets|keymaps"
)
# What decides who somebody is, where a session lives, or what is loaded into each program, those of root included.
_SESSIONS = re.compile(
    r"HOME|USER|LOGNAME|LD_.*|GLIBC_.*|GCONV_PATH|LOCPATH|MALLOC_CHECK_|XDG_.*|DBUS_.*|DISPLAY|WAYLAND_.*|XAUTHORITY|"
    r"SSH_.*|SUDO_.*|SYSTEMD_.*|NOTIFY_SOCKET|LISTEN_.*|INVOCATION_ID|JOURNAL_STREAM|MANAGERPID|"
    r"PYTHON.*|PERL.*|RUBY.*|NODE_.*"
)


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


def problems(extra: Mapping[Any, Any]) -> List[str]:
    """Say what is wrong with variables that a user adds, each to stand behind the setting's name.

    What is allowed is read as the same text by the shells (profile.d), systemd (environment.d) and PAM
    (/etc/environment), and nobody's login depends on it.
    """
    found = []
    if len(extra) > MOST:
        found.append(f"has {len(extra)} variables: wanted {MOST} at the most, as every program carries all of them")
    for name, value in extra.items():
        problem = _problem_of_name(name) or _problem_of_value(value)
        if problem:
            found.append(f"sets {_short(name)} to {_short(value)}: {problem}")
    return found


def _problem_of_name(name: Any) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return "the name is wrong; wanted letters, digits and _, not first a digit"
    if len(name) > LONGEST_NAME:
        return f"the name is too long; wanted {LONGEST_NAME} characters at the most"
    if name in _PLANNED:
        return f"that belongs to the priority plan; use the setting {_PLANNED[name]}"
    if _SHELLS.fullmatch(name):
        return "a shell keeps that name for itself, and a login could break; set it in a launcher script"
    if _SESSIONS.fullmatch(name):
        return (
            "every login and every program depends on that variable, those of root too; set it in a launcher script "
            "for the program that needs it"
        )
    return ""


def _problem_of_value(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return "wanted a text; put what you mean in quotes, as YAML reads yes, 1.10 and nothing at all in its own way"
    if isinstance(value, int):
        return "" if abs(value) < 10**18 else "the number is too large; put it in quotes"
    if not value:
        return "systemd passes over a variable that is empty; leave it out, or set it in a launcher script"
    if len(value) > LONGEST_VALUE:
        return f"the value has {len(value)} characters; wanted {LONGEST_VALUE} at the most"
    if not value.isprintable():
        return "the value has a line end or another character that is not printable; wanted one line of text"
    if _UNSAFE.search(value):
        return (
            "quotes, backslashes, $, ` and # mean different things to the shell, systemd and PAM; leave them out, or "
            "set this variable in a launcher script"
        )
    return ""


def _short(value: Any) -> str:
    """A value as a message shows it."""
    try:
        return reprlib.repr(value)
    except (ValueError, RecursionError):  # a number of more than 4300 digits has no decimal text
        return "something too long to be shown"
