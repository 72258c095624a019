# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the checkout importable as ansible_collections.nspa.proaudio."""

from __future__ import annotations

import sys
from pathlib import Path

import hypothesis

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "collections"))

# Test machines are slow and shared: a test that takes long is not a test that fails.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")
