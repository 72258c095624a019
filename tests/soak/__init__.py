# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill modules, let the disk fail below them, let them run into each other - and see that nothing is lost.

A machine in a folder is asked for something, disturbed at one system call that writes, asked again, and compared.
`python tests/soak --help` has the options, and each problem that is found is printed with the words that repeat it.
"""
