# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines to test the collection on: virtual machines and containers, made from Debian's own packages."""
