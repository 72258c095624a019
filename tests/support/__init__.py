# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests share."""

from __future__ import annotations

from pathlib import Path

#: The folder that this file's repository is checked out in.
CHECKOUT = Path(__file__).resolve().parents[2]
