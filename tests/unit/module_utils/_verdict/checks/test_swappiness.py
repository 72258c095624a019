# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The swappiness of the running kernel, and of the next boot."""

from __future__ import annotations

import pytest

OURS, OTHER = "/etc/sysctl.d/50-nspa-proaudio.conf", "/etc/sysctl.conf"


@pytest.mark.parametrize(
    ("wanted", "live", "coming", "status", "named"),
    [
        (10, "10", ("10", OURS), "pass", ""),
        (30, "30", ("30", OURS), "pass", ""),
        (30, "10", ("30", OURS), "fail", ""),
        (10, "60", ("10", OURS), "fail", ""),
        (10, "10", ("60", OTHER), "fail", OTHER),  # lost at the next boot
        (10, "60", ("60", OTHER), "fail", OTHER),
        (10, "10", None, "fail", ""),  # nothing sets it
    ],
)
def test_now_and_at_the_next_boot(studio, wanted, live, coming, status, named):
    studio.write("/proc/sys/vm/swappiness", live)
    studio.boot = {"vm.swappiness": coming} if coming else {}
    row = studio.ask(sched_tuning_swappiness=wanted)["swappiness"]
    assert row["status"] == status
    assert row["evidence"].startswith(live)
    assert (OTHER in row["remedy"]) == bool(named)


def test_the_file_that_wins_is_what_to_mend(studio):
    studio.boot["vm.swappiness"] = ("60", OTHER)
    row = studio.ask()["swappiness"]
    assert row["evidence"] == "10; /etc/sysctl.conf sets it to 60 at the next boot"
    assert row["remedy"].startswith("Take vm.swappiness out of /etc/sysctl.conf, or set it to 10 there")


def test_what_is_left_alone_or_a_containers_is_vacuous(studio):
    assert studio.ask(sched_tuning_swappiness=None)["swappiness"]["evidence"] == "left to the kernel"
    studio.write("/run/systemd/container", "docker")
    assert studio.ask()["swappiness"]["status"] == "vacuous"
