# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a playbook has to know of this machine before it starts, in one answer.

It is put together from these files by plugin_utils/_single_file.py and installed, so that a playbook need not send
them to the machine each time. By hand: a question of these keys on standard input, the answer on standard output.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Dict, Mapping

from ansible_collections.nspa.proaudio.plugins.module_utils._core.errors import HostError
from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import Manifest
from ansible_collections.nspa.proaudio.plugins.module_utils._host import concerns, machine
from ansible_collections.nspa.proaudio.plugins.module_utils._verdict import registry

#: What is asked, as a module's argument_spec.
QUESTION: Dict[str, Dict[str, Any]] = {
    "settings": {"type": "dict"},
    "users": {"type": "list", "elements": "str", "default": []},
    "packages": {"type": "list", "elements": "str", "default": []},
    "kernels": {"type": "list", "elements": "str"},
    "absent": {"type": "list", "elements": "str", "default": []},
}


def answer(asked: Mapping[str, Any]) -> Dict[str, Any]:
    """A module's result: the fact ``nspa_host``, or why this machine cannot become what is wanted.

    :param asked: the keys of QUESTION; ``settings``, the roles' variables, where the verdict is wanted in the same
        answer if all that was wanted last still stands.
    """
    try:
        question = machine.Question(asked["users"], asked["packages"], asked["kernels"])
        problems, host = machine.examine(question)
        if not problems:
            manifest = Manifest.load()
            host["standing"] = concerns.standing(manifest, asked["absent"])
            same = asked["settings"] is not None and concerns.all_stand(manifest, host["standing"])
            host["report"] = registry.verdict(asked["settings"]) if same else None
    except HostError as error:
        return {"failed": True, "msg": str(error)}
    if problems:
        lines = "\n".join(f"- {item}" for item in problems)
        message = f"Nothing was changed. This machine is not ready yet:\n{lines}"
        return {"failed": True, "msg": message, "problems": problems}
    return {"changed": False, "ansible_facts": {"nspa_host": host}}


def main() -> int:
    """Answer what standard input asks; returns the exit status: 0, or 1 where this machine cannot be what is wanted."""
    asked = {name: option.get("default") for name, option in QUESTION.items()}
    found = answer({**asked, **json.load(sys.stdin)})
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    return 1 if found.get("failed") else 0
