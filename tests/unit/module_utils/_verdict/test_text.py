# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody else's program printed cannot reach the administrator's terminal as it is."""

from __future__ import annotations

import hypothesis
import pytest
from hypothesis import strategies

from ansible_collections.nspa.proaudio.plugins.module_utils._verdict.text import LONGEST, plain


@pytest.mark.parametrize(
    "text",
    [
        "\x1b[2J\x1b]0;title\x07",
        "\x9b31m",  # an escape sequence that starts with one character
        "\u202egreen",  # right to left from here on
        "\ud800",  # half a character, as surrogateescape makes it
        "\x7f",
        "\u200b",
    ],
    ids=["escape", "C1", "direction", "surrogate", "delete", "no width"],
)
def test_what_is_no_letter_is_replaced(text):
    shown = plain(text)
    assert "\ufffd" in shown
    assert shown.isprintable() or set(shown) - {"\ufffd"} <= set(text)


def test_a_text_is_one_line():
    assert plain("pass  Kernel\n\r\x0b\x85\u2028fail\tWine") == "pass Kernel fail Wine"


def test_words_of_people_stay():
    assert plain("Ünïcødé: 95 µs, 日本語") == "Ünïcødé: 95 µs, 日本語"


def test_a_text_is_bounded():
    assert plain("x" * 100000, 10) == "x" * 9 + "…"
    assert len(plain("x" * 100000)) == LONGEST
    assert plain("x" * 10, 10) == "x" * 10


@hypothesis.given(strategies.text())
def test_no_text_has_a_control_character_left(text):
    assert all(letter.isprintable() for letter in plain(text))
