# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""host_files as a playbook uses it: templates rendered on the controller, one call on the host.

Runs the ansible-playbook of the Python that runs the tests, so that each supported ansible-core can be tried.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

import pytest
from support import CHECKOUT
from support.host import tree

PLAYBOOK = str(Path(sys.executable).parent / "ansible-playbook")
# A private /var/lib, so that the machine that runs the tests keeps its own.
SHELL = 'mount --bind "$STATE" /var/lib && exec "$@"'

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a private /var/lib"),
    pytest.mark.skipif(not shutil.which("unshare"), reason="needs unshare"),
]


class Play(NamedTuple):
    """What a playbook did."""

    code: int
    output: str
    changed: int
    calls: int


class Project:
    """A playbook with one role, and a host that counts how often Python is started on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.etc = folder / "etc"
        self.templates = folder / "roles" / "tuning" / "templates"
        self.state = folder / "state"
        self.calls = folder / "calls"
        for path in (self.etc, self.templates, self.state, folder / "roles" / "tuning" / "tasks"):
            path.mkdir(parents=True)
        python = folder / "python"
        python.write_text(f'#!/bin/sh\necho call >> {self.calls}\nexec {sys.executable} "$@"\n')
        python.chmod(0o755)

    def template(self, name: str, text: str) -> None:
        (self.templates / name).parent.mkdir(exist_ok=True)
        (self.templates / name).write_text(text)

    def play(
        self, tasks: List[dict], *options: str, variables: Optional[Dict[str, Any]] = None, **environment: str
    ) -> Play:
        """Run these tasks in the role."""
        (self.folder / "roles/tuning/tasks/main.yml").write_text(json.dumps(tasks))
        play = {"hosts": "all", "gather_facts": False, "roles": ["tuning"], "vars": variables or {}}
        (self.folder / "site.yml").write_text(json.dumps([play]))
        self.calls.write_text("")
        done = subprocess.run(
            [
                *("unshare", "--mount", "--propagation", "private", "sh", "-c", SHELL, "sh", PLAYBOOK),
                *("-i", "host,", "-c", "local", "-e", f"ansible_python_interpreter={self.folder / 'python'}"),
                *(*options, str(self.folder / "site.yml")),
            ],
            env={
                **os.environ,
                "STATE": str(self.state),
                "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / "collections"),
                "ANSIBLE_PIPELINING": "1",
                "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_LOCAL_TEMP": str(self.folder / "tmp"),
                "ANSIBLE_REMOTE_TEMP": str(self.folder / "tmp"),
                **environment,
            },
            cwd=self.folder,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        counts = [word for word in done.stdout.split() if word.startswith("changed=")]
        changed = int(counts[-1].partition("=")[2]) if counts else -1
        return Play(done.returncode, done.stdout + done.stderr, changed, len(self.calls.read_text().splitlines()))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def host_files(**options: Any) -> dict:
    return {"name": "Write the files", "nspa.proaudio.host_files": {"role": "tuning", **options}}


def test_templates_are_rendered_and_sent_in_one_call(project: Project) -> None:
    project.template("a.conf.j2", "# {{ ansible_managed }}\n{% for item in items %}\n{{ item }}\n{% endfor %}\n")
    project.template("b.conf.j2", "{% include 'parts/c.j2' %}{{ nested.text | upper }} {{ template_destpath }}\n")
    project.template("parts/c.j2", "part of {{ inventory_hostname }}: ")
    project.template("number.conf.j2", "{{ items | length }}\n")
    project.template("list.conf.j2", "{{ items }}\n")
    variables = {"items": ["rtprio", 95], "nested": {"text": "{{ items[0] }}"}}
    task = host_files(
        templates=[
            {"src": f"{name}.conf.j2", "dest": f"{project.etc}/deep/{name}.conf", "mode": "0600"}
            for name in ("a", "b", "number", "list")
        ],
        files=[{"path": f"{project.etc}/plain.conf", "content": "{{ nested.text }}\n"}],
    )
    start = tree(project.etc)
    predicted = project.play([task], "--check", "--diff", variables=variables)
    assert (predicted.code, predicted.changed, predicted.calls) == (0, 1, 1), predicted.output
    assert "+rtprio\n" in predicted.output
    assert (tree(project.etc), tree(project.state)) == (start, {})

    done = project.play([task], variables=variables)
    assert (done.code, done.changed, done.calls) == (0, 1, 1), done.output
    texts = {path.name: path.read_text() for path in project.etc.rglob("*.conf")}
    managed = "# Written by nspa.proaudio (role tuning): change the role's variables, not this file.\n"
    assert texts == {
        "a.conf": f"{managed}rtprio\n95\n",
        "b.conf": f"part of host: RTPRIO {project.etc}/deep/b.conf\n",
        "number.conf": "2\n",
        "list.conf": "['rtprio', 95]\n",
        "plain.conf": "rtprio\n",
    }

    again = project.play([task], variables={**variables, "ansible_managed": "{{ managed }}", "managed": "mine"})
    assert (project.etc / "deep/a.conf").read_text() == "# mine\nrtprio\n95\n"
    again = project.play([task], variables={**variables, "ansible_managed": "{{ managed }}", "managed": "mine"})
    assert (again.code, again.changed, again.calls) == (0, 0, 1)

    # Neither the variables nor the templates have to be there to give the host back.
    shutil.rmtree(project.templates)
    gone = project.play([{**task, "nspa.proaudio.host_files": {"role": "tuning", "state": "absent"}}])
    assert (gone.code, gone.changed, gone.calls) == (0, 1, 1), gone.output
    assert (tree(project.etc), tree(project.state)) == (start, {})


def test_absent_looks_at_no_template(project: Project) -> None:
    task = host_files(state="absent", templates=[{"src": "nowhere.j2", "dest": f"{project.etc}/x"}])
    done = project.play([task])
    assert (done.code, done.changed) == (0, 0), done.output


def test_a_template_may_be_wanted_nowhere(project: Project) -> None:
    """As the file in each user's home, where there are no users."""
    project.template("a.conf.j2", "rtprio\n")
    project.template("b.conf.j2", "nice\n")
    wanted = [{"src": "a.conf.j2", "dest": []}, {"src": "b.conf.j2", "dest": [f"{project.etc}/b.conf"]}]
    done = project.play([host_files(templates=wanted)])
    assert (done.code, done.changed) == (0, 1), done.output
    assert [path.name for path in project.etc.iterdir()] == ["b.conf"]


def test_what_a_host_says_is_not_a_template(project: Project) -> None:
    project.template("a.conf.j2", "{{ said.stdout }}\n")
    evil = "{{ 7 * 7 }} {{ lookup('pipe', 'id') }}"
    (project.folder / "said").write_text(evil)
    said = {"name": "Ask", "ansible.builtin.command": f"cat {project.folder}/said", "register": "said"}
    done = project.play([said, host_files(templates=[{"src": "a.conf.j2", "dest": f"{project.etc}/a.conf"}])])
    assert done.code == 0, done.output
    assert (project.etc / "a.conf").read_text() == f"{evil}\n"


def test_native_types_do_not_leak_into_files(project: Project) -> None:
    project.template("a.conf.j2", "{{ flag }}")
    project.template("b.conf.j2", "0644\n")
    task = host_files(templates=[{"src": f"{name}.conf.j2", "dest": f"{project.etc}/{name}.conf"} for name in "ab"])
    done = project.play([task], variables={"flag": True}, ANSIBLE_JINJA2_NATIVE="1")
    assert done.code == 0, done.output
    assert {path.name: path.read_text() for path in project.etc.iterdir()} == {"a.conf": "True", "b.conf": "0644\n"}


@pytest.mark.parametrize(
    ("templates", "words"),
    [
        (
            [{"src": "a.conf.j2", "dest": "/x"}, {"src": "undefined.j2", "dest": "/y"}],
            ["undefined.j2", "/y", "nowhere"],
        ),
        ([{"src": "missing.j2", "dest": "/x"}], ["missing.j2", "/x"]),
        ([{"src": "syntax.j2", "dest": "/x"}], ["syntax.j2", "/x"]),
        ([{"src": "a.conf.j2"}], ["templates", "lacks dest"]),
        ([{"src": "a.conf.j2", "dest": "/x", "colour": "red"}], ["colour"]),
        ("a.conf.j2", ["templates: a list of dictionaries"]),
    ],
)
def test_a_bad_template_stops_with_its_name_before_anything_is_changed(
    project: Project, templates: Any, words: List[str]
) -> None:
    project.template("a.conf.j2", "a\n")
    project.template("undefined.j2", "{{ nowhere }}\n")
    project.template("syntax.j2", "{% if %}\n")
    if isinstance(templates, list):
        templates = [
            {**item, **({"dest": f"{project.etc}{item['dest']}"} if "dest" in item else {})} for item in templates
        ]
    done = project.play([host_files(templates=templates)])
    assert done.code != 0
    text = " ".join(done.output.split())
    assert [word for word in words if word not in text] == [], done.output
    assert (tree(project.etc), tree(project.state)) == ({}, {})
