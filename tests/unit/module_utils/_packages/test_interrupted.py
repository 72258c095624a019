# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever is killed, and whenever: nothing is forgotten, and the next run brings it to its end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Callable

import pytest
from support.debian import Debian, files
from support.host import Run

ONCE = 'if [ "$1" = {word} ] && [ ! -e {marker} ]; then touch {marker}; {what}; fi'


def publish(debian: Debian, script: str, word: str, what: str, where: str = "kernel") -> Path:
    """A kernel with what it depends on; at one point, one of them does something. The mark says that it was reached."""
    marker = debian.folder / "marker"
    scripts = {where: {script: ONCE.format(word=word, marker=marker, what=what)}}
    debian.publish("kernel", Depends="modules", scripts=scripts.get("kernel"))
    debian.publish("modules", Depends="aaa-base", scripts=scripts.get("modules"))
    debian.publish("aaa-base", scripts=scripts.get("aaa-base"))
    debian.apt("update")
    return marker


def kill_at(marker: Path, kill: Callable[[], None], debian: Debian, **arguments: Any) -> None:
    """Run the module, and kill when the mark is there."""

    def wait() -> None:
        while not marker.exists():
            time.sleep(0.02)
        kill()

    killer = threading.Thread(target=wait)
    killer.start()
    with pytest.raises(IndexError):
        debian.run(**arguments)
    killer.join()


def absent_ends(debian: Debian, start: Any) -> Run:
    """One run of absent puts all back: packages, marks, and dpkg's own records."""
    done = debian.run(state="absent")
    assert done.code == 0, done.result
    debian.wait()
    assert debian.state() == start
    assert not list((debian.root / "var/lib/dpkg/updates").glob("[0-9]*"))
    assert not debian.host.manifest.parent.exists()
    assert debian.stands(state="absent")
    debian.apt("check")
    return done


GOING = [
    ("kernel", "prerm", "remove"),
    ("kernel", "postrm", "remove"),
    ("kernel", "postrm", "purge"),
    ("modules", "postrm", "remove"),
    ("aaa-base", "prerm", "remove"),
    ("aaa-base", "postrm", "purge"),
]


@pytest.mark.parametrize(("where", "script", "word"), GOING)
def test_dpkg_is_killed_while_packages_are_put_back(debian: Debian, where: str, script: str, word: str) -> None:
    start = debian.state()
    publish(debian, script, word, "kill -9 $PPID", where)
    debian.run(names=["kernel"])
    failed = debian.run(state="absent")
    assert failed.code != 0
    assert "dpkg was stopped half-way. Run again" in failed.message
    left = set(debian.installed()) - set(start["packages"])
    assert left, "nothing was interrupted"
    assert left <= set(owned(debian))
    absent_ends(debian, start)


@pytest.mark.parametrize(("where", "script", "word"), GOING)
def test_everything_is_killed_while_packages_are_put_back(debian: Debian, where: str, script: str, word: str) -> None:
    start = debian.state()
    marker = publish(debian, script, word, "sleep 60", where)
    debian.run(names=["kernel"])
    kill_at(marker, debian.kill, debian, state="absent")
    assert set(debian.installed()) - set(start["packages"]) <= set(owned(debian))
    absent_ends(debian, start)


@pytest.mark.parametrize("then", ["present", "absent"])
def test_a_package_that_was_left_without_what_it_depends_on_gets_it(debian: Debian, then: str) -> None:
    start = debian.state()
    publish(debian, "preinst", "install", "exit 1", "modules")
    failed = debian.run(names=["kernel"])
    assert failed.code != 0
    there = debian.installed()
    assert "kernel" in there and "modules" not in there, "nothing was left half-way"
    if then == "present":
        done = debian.run(names=["kernel"])
        assert done.code == 0, done.result
        assert {"kernel", "modules", "aaa-base"} <= set(debian.installed())
        debian.apt("check")
    absent_ends(debian, start)


def test_a_dependency_that_was_to_go_and_is_asked_for_now_is_ours_still(debian: Debian) -> None:
    """apt drops the mark of a dependency before it takes it away; that is nobody's wish to keep it."""
    start = debian.state()
    publish(debian, "prerm", "remove", "kill -9 $PPID", "modules")
    debian.run(names=["kernel"])
    assert debian.run(state="absent").code != 0
    there = debian.installed()
    assert "kernel" not in there and "modules" in there, "it was not interrupted between the two"
    done = debian.run(names=["modules"])
    assert done.code == 0, done.result
    assert debian.stands(names=["modules"])
    absent_ends(debian, start)


def test_a_package_that_was_to_go_and_stays_is_not_on_dpkgs_list_of_those_that_go(debian: Debian) -> None:
    """apt puts what it is about to remove on that list, and takes it off when it was not removed; killed, it cannot."""
    start = debian.state()
    publish(debian, "prerm", "never", "true")
    debian.run(names=["kernel"])
    subprocess.run(["dpkg", "--set-selections"], input="modules purge\n", text=True, env=debian.environment, check=True)
    assert debian.installed()["modules"] == "1.0 pi"
    assert not debian.stands(names=["kernel"])
    done = debian.run(names=["kernel"])
    assert done.code == 0, done.result
    assert {status.split()[1] for status in debian.installed().values()} == {"ii"}
    assert debian.stands(names=["kernel"])
    absent_ends(debian, start)


COMING = [("kernel", "preinst", "install"), ("kernel", "postinst", "configure"), ("modules", "postinst", "configure")]


@pytest.mark.parametrize("then", ["present", "absent"])
@pytest.mark.parametrize(("where", "script", "word"), COMING)
def test_everything_is_killed_while_packages_are_installed(
    debian: Debian, where: str, script: str, word: str, then: str
) -> None:
    start = debian.state()
    marker = publish(debian, script, word, "sleep 60", where)
    kill_at(marker, debian.kill, debian, names=["kernel"])
    if then == "present":
        predicted = debian.run(check=True, names=["kernel"])
        assert predicted.changed
        done = debian.run(names=["kernel"])
        assert done.code == 0, done.result
        assert {debian.installed()[name] for name in ("kernel", "modules", "aaa-base")} == {"1.0 ii"}
        assert debian.automatic() - start["automatic"] == {"modules", "aaa-base"}
        assert debian.stands(names=["kernel"])
    absent_ends(debian, start)


@pytest.mark.parametrize("where", ["kernel", "modules"])
def test_what_was_about_to_go_is_whole_again_and_a_dependency_when_it_is_wanted_again(
    debian: Debian, where: str
) -> None:
    start = debian.state()
    publish(debian, "postrm", "remove", "kill -9 $PPID", where)
    debian.run(names=["kernel"])
    assert debian.run(state="absent").code != 0
    assert debian.installed()[where] == "1.0 iH"
    assert "modules" not in debian.automatic(), "apt drops its marks first"
    predicted = debian.run(check=True, names=["kernel"])
    done = debian.run(names=["kernel"])
    assert done.code == 0, done.result
    assert done.result == predicted.result
    assert {debian.installed()[name] for name in ("kernel", "modules", "aaa-base")} == {"1.0 ii"}
    assert debian.automatic() - start["automatic"] == {"modules", "aaa-base"}
    assert debian.stands(names=["kernel"])
    absent_ends(debian, start)


@pytest.mark.parametrize("script", ["preinst", "postinst"])
def test_everything_is_killed_while_a_file_is_installed(debian: Debian, script: str) -> None:
    start = debian.state()
    marker = debian.folder / "marker"
    word = {"preinst": "install", "postinst": "configure"}[script]
    built = debian.build("own", scripts={script: ONCE.format(word=word, marker=marker, what="sleep 60")})
    kill_at(marker, debian.kill, debian, files=files(built))
    predicted = debian.run(check=True, files=files(built))
    done = debian.run(files=files(built))
    assert done.code == 0, done.result
    assert predicted.changed
    assert debian.installed()["own"] == "1.0 ii"
    marker.unlink()
    absent_ends(debian, start)
    kill_at(marker, debian.kill, debian, files=files(built))
    predicted = debian.run(check=True, state="absent")
    assert predicted.result == absent_ends(debian, start).result


def test_what_an_upgrade_of_ours_brought_is_not_forgotten_either(debian: Debian) -> None:
    start = debian.state()
    marker = publish(debian, "postrm", "remove", "sleep 60")
    debian.run(names=["kernel"])
    debian.publish("kernel", "2.0", Depends="modules-2", scripts={"postrm": f"touch {marker}; sleep 60"})
    debian.publish("modules-2")
    debian.apt("update")
    debian.apt("dist-upgrade")
    kill_at(marker, debian.kill, debian, state="absent")
    assert "modules-2" in debian.installed()
    # By now it does not sleep any more.
    (debian.root / "var/lib/dpkg/info/kernel.postrm").write_text("#!/bin/sh\n")
    absent_ends(debian, start)


def kill_module(debian: Debian) -> None:
    """The connection breaks: the module dies with all that belongs to it. apt goes on by itself."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str(debian.host.manifest).encode() in (process / "cmdline").read_bytes().split(b"\0"):
                os.killpg(int(process.name), signal.SIGKILL)


@pytest.mark.parametrize("then", ["present", "absent"])
@pytest.mark.parametrize("script", ["preinst", "postinst"])
def test_the_module_is_killed_alone(debian: Debian, script: str, then: str) -> None:
    start = debian.state()
    word = {"preinst": "install", "postinst": "configure"}[script]
    marker = publish(debian, script, word, "sleep 1", "aaa-base")
    kill_at(marker, lambda: kill_module(debian), debian, names=["kernel"])
    if then == "present":
        assert debian.run(names=["kernel"]).code == 0
        assert {"kernel", "modules", "aaa-base"} <= set(debian.installed())
    absent_ends(debian, start)


def test_what_is_still_coming_is_waited_for(debian: Debian) -> None:
    """The module dies, and apt has yet to bring the first package when absent looks."""
    start = debian.state()
    publish(debian, "postinst", "configure", "true")
    marker = debian.folder / "hook"
    hook = f"test -e {marker} || {{ touch {marker}; sleep 2; }}"
    (debian.root / "etc/apt/apt.conf.d/hook").write_text(f'DPkg::Pre-Invoke {{"{hook}";}};\n')
    start["files"] = debian.state()["files"]
    kill_at(marker, lambda: kill_module(debian), debian, names=["kernel"])
    assert debian.installed() == start["packages"]
    absent_ends(debian, start)


def test_two_runs_at_once_wait_for_each_other(debian: Debian) -> None:
    start = debian.state()
    marker = publish(debian, "postinst", "configure", "sleep 2", "aaa-base")
    answers = []
    first = threading.Thread(target=lambda: answers.append(debian.run(role="one", names=["kernel"])))
    first.start()
    while not marker.exists():
        time.sleep(0.02)
    second = debian.run(role="two", names=["kmod", "modules"])
    first.join()
    assert [second.code, answers[0].code] == [0, 0], (second.result, answers[0].result)
    assert {"kernel", "kmod"} <= set(debian.installed())
    assert debian.stands(role="one", names=["kernel"])
    assert debian.stands(role="two", names=["kmod", "modules"])
    debian.run(role="one", state="absent")
    debian.run(role="two", state="absent")
    assert debian.state() == start


def test_an_upgrade_of_ours_by_others_is_killed(debian: Debian) -> None:
    start = debian.state()
    publish(debian, "prerm", "never", "true")
    debian.run(names=["kernel"])
    marker = debian.folder / "upgrade"
    scripts = {"preinst": ONCE.format(word="upgrade", marker=marker, what="sleep 60")}
    debian.publish("modules", "2.0", Depends="aaa-base", scripts=scripts)
    cut_short(debian, marker, "dist-upgrade")
    assert debian.installed()["modules"] == "1.0 iHR"
    predicted = debian.run(check=True, names=["kernel"])
    assert predicted.changed
    done = debian.run(names=["kernel"])
    assert done.code == 0, done.result
    assert debian.installed()["modules"] == "2.0 ii"
    assert debian.automatic() - start["automatic"] == {"modules", "aaa-base"}
    assert debian.stands(names=["kernel"])
    absent_ends(debian, start)


# -- what others left unfinished


def cut_short(debian: Debian, marker: Path, *arguments: str) -> None:
    """Somebody at the keyboard runs apt, and all is killed when the mark is there."""
    debian.apt("update")

    def wait() -> None:
        while not marker.exists():
            time.sleep(0.02)
        debian.kill()

    killer = threading.Thread(target=wait)
    killer.start()
    with pytest.raises(AssertionError):
        debian.apt(*arguments)
    killer.join()


def interrupt_somebody_else(debian: Debian) -> None:
    marker = debian.folder / "marker"
    debian.publish("editor", scripts={"postinst": ONCE.format(word="configure", marker=marker, what="sleep 60")})
    cut_short(debian, marker, "install", "editor")
    assert list((debian.root / "var/lib/dpkg/updates").glob("[0-9]*")), "dpkg was not interrupted"


def test_what_others_left_unfinished_is_named_and_left_to_them(debian: Debian) -> None:
    debian.run(names=["kmod"])
    interrupt_somebody_else(debian)
    assert debian.stands(names=["kmod"])
    start = debian.state()
    for arguments in ({"names": ["kmod", "firmware"]}, {"state": "absent"}):
        refused = debian.run(**arguments)
        assert refused.code != 0
        assert "An installation of editor, which is none of this collection's, was interrupted" in refused.message
        assert "Run 'dpkg --configure -a' on this machine, then run again." in refused.message
        assert debian.state() == start


def test_a_journal_with_nothing_unfinished_is_written_down(debian: Debian) -> None:
    debian.run(names=["kmod"])
    # What dpkg leaves in there when it is killed at its very end.
    (debian.root / "var/lib/dpkg/updates/0001").write_text("")
    assert debian.run(check=True, names=["kmod"]).changed
    assert (debian.root / "var/lib/dpkg/updates/0001").exists()
    done = debian.run(names=["kmod"])
    assert (done.code, done.changed) == (0, True)
    assert not (debian.root / "var/lib/dpkg/updates/0001").exists()
    assert debian.stands(names=["kmod"])


def test_a_package_that_nothing_completes_is_named(debian: Debian) -> None:
    """It comes without an error, and is never complete: a package manager that says yes is not believed."""
    debian.run(names=["kmod"])
    (debian.folder / "spies/apt-get").write_text(
        '#!/bin/sh\ncase " $* " in *" -y "*) exit 0;; esac\nexec /usr/bin/apt-get "$@"\n'
    )
    refused = debian.run(names=["kmod", "firmware"])
    assert "firmware did not get installed completely although the package manager reported no" in refused.message
    refused = debian.run(state="absent")
    assert "kmod did not go completely although the package manager reported no error" in refused.message
    assert "kmod" in owned(debian)


def test_what_one_transaction_leaves_another_one_finishes(debian: Debian) -> None:
    first = debian.folder / "first"
    skip = f'case " $* " in *" -y "*) test -e {first} || {{ touch {first}; exit 0; }};; esac'
    (debian.folder / "spies/apt-get").write_text(f'#!/bin/sh\n{skip}\nexec /usr/bin/apt-get "$@"\n')
    assert debian.run(names=["kmod"]).result["installed"] == {"kmod": "3.0"}
    first.unlink()
    assert debian.run(state="absent").result["removed"] == ["kmod"]
    assert not debian.host.manifest.parent.exists()


def owned(debian: Debian) -> Any:

    return json.loads(debian.host.manifest.read_text())["owned"]["packages"]


def test_a_package_that_fails_to_install_can_be_taken_away(debian: Debian) -> None:
    start = debian.state()
    debian.publish("broken", scripts={"postinst": "echo no sound card >&2; exit 1"}, Depends="kmod")
    done = debian.run(names=["broken"])
    assert done.code != 0
    assert "broken" in done.message
    assert "installed" in done.message
    assert debian.installed()["kmod"] == "3.0 ii"
    again = debian.run(names=["broken"])
    assert again.code != 0
    gone = debian.run(state="absent")
    assert gone.code == 0, gone.result
    assert debian.state() == start
    assert not debian.host.manifest.parent.exists()
