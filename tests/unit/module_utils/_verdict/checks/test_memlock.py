# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The promised memory can be locked in login and desktop."""

from __future__ import annotations

import pytest

from ansible_collections.nspa.proaudio.plugins.module_utils._host.attempt import Promise

ROW = "Max locked memory"


def test_locked_memory_is_compared_in_bytes_and_shown_in_the_settings_unit(studio):
    studio.limit(ROW, "1048576", "1048576")
    assert studio.ask(rt_limits_memlock="1024")["memlock"]["status"] == "pass"
    assert studio.ask(rt_limits_memlock="1024")["memlock"]["evidence"] == "ada: login 1024 kB, desktop 1024 kB"
    assert studio.ask(rt_limits_memlock="1025")["memlock"]["status"] == "fail"
    assert studio.ask()["memlock"]["status"] == "fail"  # unlimited is wanted


def test_a_service_of_the_users_manager_is_asked_too(studio):
    """A file in user.conf.d that is read later: PipeWire gets 64 kB, the login all."""
    studio.limit(ROW, "unlimited", "65536")
    row = studio.ask()["memlock"]
    assert (row["status"], row["evidence"]) == ("fail", "ada: login unlimited, desktop 64 kB")
    assert "grep -rsi memlock /etc/systemd" in row["remedy"]


@pytest.mark.parametrize("place", ["login", "desktop"])
def test_a_number_is_no_proof(studio, place):
    getattr(studio.ada, place).locks = "locking 65536 kB was refused"
    row = studio.ask()["memlock"]
    assert row["status"] == "fail"
    assert f"yet in the {place}: locking 65536 kB was refused" in row["evidence"]


def test_the_session_is_looked_at_with_what_was_promised(studio):
    studio.ask(rt_limits_memlock="1024", rt_limits_rtprio=90)
    assert studio.looks == [("ada", Promise(90, 1024, -20, 1048576))]
