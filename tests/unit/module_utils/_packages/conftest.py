# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts with the real apt and dpkg."""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import threading
from pathlib import Path
from typing import Any, Callable, Iterator, List

import pytest
from support.debian import Debian


@pytest.fixture
def bare(memory: Path) -> Debian:
    """A host without a package; its archive is empty."""
    if os.geteuid() != 0:
        pytest.skip("needs root, for dpkg")
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        pytest.skip("needs apt and dpkg")
    return Debian(memory)


@pytest.fixture
def debian(bare: Debian) -> Debian:
    """A host with a tool and its library; the archive has a kernel behind a metapackage, and more."""
    bare.publish("library")
    bare.publish("tool", Depends="library")
    bare.publish("linux-image-rt", Depends="linux-image-6.1-rt", Recommends="firmware")
    bare.publish("linux-image-6.1-rt", files={"boot/vmlinuz-6.1-rt": "kernel"}, Depends="kmod (>= 1), linux-base")
    bare.publish("linux-base")
    bare.publish("kmod", "3.0")
    bare.publish("firmware")
    bare.publish("player", Depends="kmod | busybox")
    bare.apt("update")
    bare.apt("install", "tool")
    (bare.root / "boot/vmlinuz-6.1-generic").write_text("the kernel of the distribution")
    return bare


@pytest.fixture
def here(debian: Debian, monkeypatch: pytest.MonkeyPatch) -> Debian:
    """The host, for functions that are called in this process."""
    for name, value in debian.environment.items():
        monkeypatch.setenv(name, value)
    return debian


@pytest.fixture
def server(debian: Debian) -> Iterator[str]:
    """The address of a web server that has the built packages; what is asked of it is in `debian.requests`."""
    (debian.folder / "built").mkdir(exist_ok=True)
    requests: List[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: Any) -> None:
            requests.append(self.path)

    handler = functools.partial(Handler, directory=str(debian.folder / "built"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        debian.requests = requests  # type: ignore[attr-defined]
        debian.httpd = httpd  # type: ignore[attr-defined]
        yield f"http://127.0.0.1:{httpd.server_address[1]}"
        httpd.shutdown()


@pytest.fixture
def stop_server(debian: Debian, server: str) -> Callable[[], None]:
    """Ends the web server: nobody answers at its address any more."""

    def stop() -> None:
        debian.httpd.shutdown()  # type: ignore[attr-defined]
        debian.httpd.server_close()  # type: ignore[attr-defined]

    return stop
