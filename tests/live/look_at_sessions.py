# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The look at sessions on a machine that systemd runs, with start files that lie, hang and leave things behind.

Run as root on a machine to throw away, with the collection importable:

    PYTHONPATH=FOLDER_WITH_ansible_collections python3 look_at_sessions.py [case ...]

It makes a user, looks at that user's sessions in each case, and removes the user. It ends with status 1 if a case is
not as it should be.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, Dict, Iterator, List

from ansible_collections.nspa.proaudio.plugins.module_utils._host import sessions
from ansible_collections.nspa.proaudio.plugins.module_utils._host.attempt import Promise
from ansible_collections.nspa.proaudio.plugins.module_utils._host.sessions import Session

USER = "nspa-live"
#: What every machine here may promise: a sandbox gives no more memory, and no real-time priority at all.
RTPRIO, MEMLOCK_KB = 7, 4096
PROMISE = Promise(RTPRIO, MEMLOCK_KB, 0, 1024)
#: Seconds for start files that hang; less than what is meant for slow machines.
WAIT = 6.0


def sh(command: str) -> str:
    return subprocess.run(command, shell=True, capture_output=True, text=True, check=False).stdout


def look(wait: float = sessions.WAIT) -> Session:
    return sessions.look(USER, PROMISE, wait=wait)


def home() -> Path:
    return Path(pwd.getpwnam(USER).pw_dir)


@contextlib.contextmanager
def file(path: Path, text: str) -> Iterator[None]:
    """A file that is there for one case; the user's in the user's home."""
    before = path.read_text() if path.exists() else None
    made = [folder for folder in path.parents if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    if home() in path.parents:
        account = pwd.getpwnam(USER)
        for item in (path, *made):
            os.chown(item, account.pw_uid, account.pw_gid)
    try:
        yield
    finally:
        path.unlink()
        if before is not None:
            path.write_text(before)


@contextlib.contextmanager
def shell(path: str) -> Iterator[None]:
    sh(f"usermod --shell {path} {USER}")
    try:
        yield
    finally:
        sh(f"usermod --shell /bin/bash {USER}")


def seen(session: Session) -> None:
    """Both places were seen, with the user's own groups and limits."""
    assert not session.login.problem, session.login.problem
    assert not session.desktop.problem, session.desktop.problem
    assert USER in session.groups
    for place in (session.login, session.desktop):
        assert place.environment["HOME"] == str(home()), place.environment
        assert place.limits[sessions.MEMLOCK][0] not in ("", "0")
        assert not place.locks and place.locked_kb >= MEMLOCK_KB, place.locks
        assert not place.opens and not place.nices, (place.opens, place.nices)
        assert not place.capabilities, place.capabilities


def plain() -> None:
    session = look()
    seen(session)
    assert not session.manager_was_running


def profile_sets_a_variable() -> None:
    with file(home() / ".bash_profile", "export WINEFSYNC=0\n"):
        session = look()
    seen(session)
    assert session.login.environment["WINEFSYNC"] == "0"
    assert "WINEFSYNC" not in session.desktop.environment


def other_shells() -> None:
    for path, start, line in (
        ("/bin/dash", ".profile", "export A=1"),
        ("/bin/zsh", ".zprofile", "export A=1"),
        ("/bin/tcsh", ".login", "setenv A 1"),
        ("/usr/bin/fish", ".config/fish/config.fish", "set -x A 1"),
        ("/bin/ksh", ".profile", "export A=1"),
    ):
        if os.path.exists(path):
            with shell(path), file(home() / start, f"{line}\n"):
                session = look()
            seen(session)
            assert session.login.environment.get("A") == "1", (path, session.login.environment)


def profile_prints_limits_and_escape_sequences() -> None:
    rows = "Max realtime priority     99                   99                   \\n"
    forged = f"printf '--nspa-proaudio--\\n{rows}\\033]0;owned\\007\\033[2J'\n"
    forged += "export A=$(printf 'x\\033[2Jy\\nWINEFSYNC=1')\n"
    with file(home() / ".profile", forged):
        session = look()
    seen(session)
    assert "WINEFSYNC" not in session.login.environment
    assert "\x1b" not in repr(session) and "\\x1b" not in repr(session)


def profile_leaves_something_in_the_background() -> None:
    with file(home() / ".profile", "sleep 100000 &\nsetsid sleep 100001 &\n(sleep 100002 &)\n"):
        session = look()
    seen(session)


def profile_never_ends() -> None:
    for text, words in (
        ("while :; do :; done\n", "did not get through its start files"),
        ("exec cat /dev/zero\n", "cat /dev/zero"),
        ("sleep 100000\n", "sleep 100000"),
        ("trap '' HUP INT TERM\nwhile :; do sleep 1 & done\n", "did not get through its start files"),
        ("exec -a \"$(printf 'a\\033[2Jb')\" sleep 100000\n", "a\N{REPLACEMENT CHARACTER}[2Jb"),
        ("kill -STOP $$\n", "did not get through its start files"),
    ):
        with file(home() / ".profile", text):
            session = look(WAIT)
        assert words in session.login.problem, session.login.problem
        assert session.login.fifo and session.login.locks, "what was not seen is green"
        assert not session.desktop.problem, session.desktop.problem
        nothing_is_left()


def profile_ends_the_shell() -> None:
    for text, words in (
        ("exit 3\n", "with status 3"),
        ("sleep 100000 & exit 0\n", "without an error"),
        ("kill -9 $$\n", "signal"),
    ):
        with file(home() / ".profile", text):
            session = look()
        assert words in session.login.problem, session.login.problem
        nothing_is_left()
    with shell("/usr/sbin/nologin"):
        session = look()
    assert "/usr/sbin/nologin ended with status 1" in session.login.problem, session.login.problem
    assert not session.desktop.problem, session.desktop.problem


def profile_plays_the_attempt() -> None:
    with file(home() / ".profile", "exec -a python3 /bin/sleep 100000\n"):
        session = look(WAIT)
    assert "did not get through its start files" in session.login.problem, session.login.problem


def profile_moves_into_the_manager() -> None:
    with file(
        home() / ".profile",
        'systemd-run --user --scope sleep 100000 &\n[ -n "$A" ] || A=1 exec systemd-run --user --scope bash -l\n',
    ):
        session = look(WAIT)
    assert session.login.problem


def users_manager_hangs() -> None:
    units = home() / ".config/systemd/user"
    unit = "[Unit]\nDefaultDependencies=no\n[Service]\nType=oneshot\nExecStart=/bin/sleep 100000\n"
    with file(units / "basic.target.d/x.conf", "[Unit]\nRequires=hang.service\nAfter=hang.service\n"), file(
        units / "hang.service", unit
    ):
        session = look(WAIT)
        nothing_is_left()
    assert session.login.problem and session.desktop.problem, session


def users_manager_will_not_stop() -> None:
    unit = "[Service]\nExecStart=/bin/sh -c \"trap '' TERM; while :; do sleep 1; done\"\nTimeoutStopSec=infinity\n"
    units = home() / ".config/systemd/user"
    with file(units / "stays.service", unit), file(units / "default.target.d/x.conf", "[Unit]\nWants=stays.service\n"):
        session = look()
        seen(session)
        nothing_is_left()


def users_manager_is_halted() -> None:
    with lingering() as manager:
        sh(f"kill -STOP {manager}")
        began = time.monotonic()
        session = look(WAIT)
        assert time.monotonic() - began < WAIT + 2 * sessions.ENDING
        assert "started no service" in session.desktop.problem, session.desktop.problem
        # Older versions of logind wait for the manager before they let anybody in.
        assert "was not opened" in session.login.problem or not session.login.problem, session.login.problem
        sh(f"kill -CONT {manager}")


def users_services_never_start() -> None:
    drop_in = home() / ".config/systemd/user/service.d/live.conf"
    with file(drop_in, "[Service]\nExecStartPre=/bin/sleep 100000\nExecStopPost=/bin/sleep 100000\n"):
        session = look(WAIT)
        nothing_is_left()
    assert not session.login.problem, session.login.problem
    assert session.desktop.problem and session.desktop.fifo


def later_user_conf() -> None:
    with file(Path("/etc/systemd/user.conf.d/99-live.conf"), "[Manager]\nDefaultLimitMEMLOCK=64K\n"):
        session = look()
    assert session.desktop.limits[sessions.MEMLOCK] == ("65536", "65536"), session.desktop
    assert "64 kB, not up to 4096 kB" in session.desktop.locks
    assert not session.login.locks


def manager_variable() -> None:
    with file(Path("/etc/systemd/system.conf.d/99-live.conf"), "[Manager]\nDefaultEnvironment=LEAKED=1\n"):
        sh("systemctl daemon-reexec")
        session = look()
    sh("systemctl daemon-reexec")
    seen(session)
    assert "LEAKED" not in session.login.environment, "the environment of PID 1 is no login's"
    assert session.desktop.environment["LEAKED"] == "1"


def drop_ins_of_the_manager() -> None:
    """The kernel refuses what a drop-in forbids, whatever the limits are: with the capability it would be allowed."""
    system, own = Path("/etc/systemd/system"), home() / ".config/systemd/user"
    grant = "[Service]\nAmbientCapabilities=CAP_SYS_NICE\n"
    with contextlib.ExitStack() as stack:
        # systemd's names for drop-ins: the part of a unit's name up to a dash.
        for folder in (system / "nspa-proaudio-login-.service.d", own / "nspa-proaudio-desktop-.service.d"):
            stack.enter_context(file(folder / "live.conf", grant))
        for text, fifo, capabilities in (
            ("", "", ""),
            ("RestrictRealtime=yes\n", "Operation not permitted", None),
            ("NoNewPrivileges=yes\n", "", "NoNewPrivileges"),
            ("CapabilityBoundingSet=~CAP_SYS_NICE\n", "Operation not permitted", "bounding set"),
        ):
            with file(system / "user@.service.d/live.conf", grant + text):
                sh("systemctl daemon-reload")
                session = look()
            assert not session.login.fifo, session.login.fifo
            place = session.desktop
            assert (fifo in place.fifo) if fifo else not place.fifo, (text, place.fifo)
            if capabilities is not None:  # RestrictRealtime= brings no_new_privs in some versions of systemd
                assert (capabilities in place.capabilities) if capabilities else not place.capabilities, (text, place)
    sh("systemctl daemon-reload")


def manager_that_runs_already() -> None:
    with lingering() as manager:
        session = look()
        seen(session)
        assert session.manager_was_running
        assert running_manager() == manager, "the user's own manager was ended"


def running_manager() -> str:
    """The process of the user's manager; 0 where none runs."""
    return sh(f"systemctl show user@{pwd.getpwnam(USER).pw_uid}.service --property=MainPID --value").strip()


@contextlib.contextmanager
def lingering() -> Iterator[str]:
    """The user's manager runs without a session; its process."""
    sh(f"loginctl enable-linger {USER}")
    try:
        until = time.monotonic() + 30
        unit = f"user@{pwd.getpwnam(USER).pw_uid}.service"
        while sh(f"systemctl is-active {unit}").strip() != "active" and time.monotonic() < until:
            time.sleep(0.2)
        yield running_manager()
    finally:
        sh(f"loginctl disable-linger {USER}; loginctl terminate-user {USER}")
        while running_manager() != "0":
            time.sleep(0.2)


def tmpdir_of_the_caller() -> None:
    os.environ["TMPDIR"] = "/root/nobody-else-gets-in"
    try:
        seen(look())
    finally:
        del os.environ["TMPDIR"]


def expired_account() -> None:
    sh(f"usermod --expiredate 1 {USER}")
    try:
        session = look()
    finally:
        sh(f"usermod --expiredate '' {USER}")
    assert "PAM does not let" in session.login.problem, session.login.problem


def nothing_is_left() -> None:
    uid = pwd.getpwnam(USER).pw_uid
    left = sh(f"ps -u {uid} -o pid,args --no-headers").strip()
    assert not left, left
    assert f" {USER} " not in sh("loginctl list-sessions --no-legend").replace("\t", " "), sh("loginctl")
    units = sh("systemctl list-units --all --no-legend 'nspa-proaudio-*'") + sh("systemctl --failed --no-legend")
    assert f"user@{uid}" not in units and "nspa-proaudio" not in units, units


CASES: List[Callable[[], None]] = [
    plain,
    profile_sets_a_variable,
    other_shells,
    profile_prints_limits_and_escape_sequences,
    profile_leaves_something_in_the_background,
    profile_never_ends,
    profile_ends_the_shell,
    profile_plays_the_attempt,
    profile_moves_into_the_manager,
    users_manager_hangs,
    users_manager_will_not_stop,
    users_manager_is_halted,
    users_services_never_start,
    later_user_conf,
    manager_variable,
    drop_ins_of_the_manager,
    manager_that_runs_already,
    tmpdir_of_the_caller,
    expired_account,
]


def main(wanted: List[str]) -> int:
    failed: Dict[str, str] = {}
    sh(f"useradd --create-home --shell /bin/bash --user-group {USER}")
    for start in home().glob(".*"):  # what a distribution puts there may print or take its time
        if start.is_file():
            start.unlink()
    try:
        for case in CASES:
            if wanted and case.__name__ not in wanted:
                continue
            began = time.monotonic()
            try:
                case()
                nothing_is_left()
            except Exception as error:  # whatever it was, the other cases are of interest too
                failed[case.__name__] = f"{type(error).__name__}: {error}"
            print(f"{time.monotonic() - began:6.1f} s  {case.__name__}: {failed.get(case.__name__, 'ok')}", flush=True)
    finally:
        sh(f"userdel --force --remove {USER}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
