# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text as it may be shown to an administrator, whoever it came from."""

from __future__ import annotations

LONGEST = 1000
"""Characters of one text in the report; an evidence of several users stays well below."""


def plain(text: str, longest: int = LONGEST) -> str:
    """`text` in one line of at most `longest` characters, with control characters replaced.

    What a session or a program of a user printed could otherwise write to the administrator's terminal, or draw rows
    of its own (escape sequences, line ends, signs that turn the direction of writing).
    """
    shown = "".join(letter if letter.isprintable() else "\ufffd" for letter in " ".join(text.split()))
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"
