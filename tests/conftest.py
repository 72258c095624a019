# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the checkout importable as ansible_collections.nspa.proaudio."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "collections"))
