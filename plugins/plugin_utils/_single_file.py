# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make one Python file that runs on its own from a file in module_utils and all that it imports from there.

    python3 plugins/plugin_utils/_single_file.py > nspa-check

The parts stand in the result word for word, each a module of its own, so that it reads and behaves like its sources.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

_PACKAGE = "ansible_collections.nspa.proaudio.plugins.module_utils"
_SOURCES = Path(__file__).resolve().parent.parent / "module_utils"
#: What a file of module_utils imports from another. A syntax tree would take a tenth of a second for each host.
_IMPORT = re.compile(
    rf"^[ \t]*from {re.escape(_PACKAGE)}\.([\w.]+) import (?:\((?: *#.*)?([\w\s,]+)\)|([\w ,]+))", re.MULTILINE
)

_HEAD = '''\
#!/usr/bin/env python3
# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""{name}, of the Ansible collection nspa.proaudio. Made from its plugins/module_utils: do not edit it here."""

import sys
import types

_PACKAGE = "{package}"


def _part(name, source):
    """Define a module, and the packages it is in, as if it were imported from the collection."""
    module = types.ModuleType(_PACKAGE + "." + name)
    module.__file__ = __file__
    _define(module)
    exec(compile(source, name + ".py", "exec"), module.__dict__)


def _define(module):
    sys.modules[module.__name__] = module
    package, dot, last = module.__name__.rpartition(".")
    if not dot:
        return
    if package not in sys.modules:
        outer = types.ModuleType(package)
        outer.__path__ = []
        _define(outer)
    setattr(sys.modules[package], last, module)

'''

_TAIL = """
if __name__ == "__main__":
    sys.exit(sys.modules[_PACKAGE + ".{entry}"].main())
"""


def compose(entry: str = "_command.nspa_check", name: str = "nspa-check", sources: Path = _SOURCES) -> str:
    """The text of a program that runs `main` of that module. ValueError for a source that cannot be quoted."""
    parts: dict[str, str] = {}
    _collect(entry, sources, parts)
    text = _HEAD.format(name=name, package=_PACKAGE)
    for part, source in parts.items():
        if "'''" in source or not source.endswith("\n"):
            raise ValueError(f"{part} cannot be part of a single file: it must end with a newline and have no '''")
        text += f"\n_part(\"{part}\", r'''{source}''')\n"
    return text + _TAIL.format(entry=entry)


def answer() -> str:
    """The text of the program through which a host answers preflight."""
    return compose("_command.answer", "answer")


def _collect(name: str, sources: Path, parts: dict[str, str]) -> None:
    """Add the module to `parts`, behind those that it imports."""
    if name in parts:
        return
    source = sources.joinpath(*name.split(".")).with_suffix(".py").read_text(encoding="utf-8")
    for origin, several, one in _IMPORT.findall(source):
        if sources.joinpath(*origin.split(".")).is_dir():
            for imported in (several or one).split(","):
                if imported.strip():
                    _collect(f"{origin}.{imported.split()[0]}", sources, parts)
        else:
            _collect(origin, sources, parts)
    parts[name] = source


if __name__ == "__main__":
    sys.stdout.write(compose())
