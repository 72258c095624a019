# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was wanted of a host when it was last asked, kept in the manifest.

With it the host can say by itself whether all of that still stands, in one call, so that a run that changes nothing
asks it once. The record is only a question to ask again: whether the answer is still yes, `Concern.compare` decides.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Dict, List, Mapping, Tuple

from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import Manifest

KIND = "wants"


def digest(concern: str, arguments: Mapping[str, Any]) -> str:
    """What tells one want from another: the SHA-256 of a module's name and its validated arguments.

    Where nothing is wanted, the other options say nothing.
    """
    return hashlib.sha256(_text(concern, arguments)).hexdigest()


def differs(manifest: Manifest, concern: str, arguments: Mapping[str, Any]) -> bool:
    """Whether this is not what was wanted last."""
    entry = manifest.get(KIND, _key(concern, arguments))
    if entry is None or arguments["state"] == "absent":
        return bool((entry is None) != (arguments["state"] == "absent"))
    return bool(entry["arguments"]["blob"] != digest(concern, arguments))


def record(manifest: Manifest, concern: str, arguments: Mapping[str, Any]) -> None:
    """Note what is wanted from now on; wanting nothing leaves no note, so that nothing of ours stays on the host."""
    key = _key(concern, arguments)
    manifest.forget(KIND, key)
    if arguments["state"] != "absent":
        manifest.record(KIND, key, arguments["role"], None, arguments=manifest.keep(_text(concern, arguments)))


def recorded(manifest: Manifest) -> List[Tuple[str, str, Dict[str, Any]]]:
    """All that was wanted last: digest, concern and arguments of each."""
    found = []
    for entry in manifest.entries(KIND).values():
        blob = entry["arguments"]["blob"]
        concern, arguments = json.loads(manifest.blob(blob).decode("utf-8"))
        found.append((blob, concern, arguments))
    return found


def _key(concern: str, arguments: Mapping[str, Any]) -> str:
    return f"{concern}/{arguments['role']}"


def _text(concern: str, arguments: Mapping[str, Any]) -> bytes:
    if arguments["state"] == "absent":
        arguments = {name: arguments[name] for name in ("role", "state")}
    return json.dumps([concern, arguments], sort_keys=True, ensure_ascii=True).encode("ascii")
