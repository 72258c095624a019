# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one kind of error that a module answers with."""

from __future__ import annotations


class HostError(Exception):
    """The host cannot be brought to what is wanted; the message says what was wanted and found, and what to do."""
