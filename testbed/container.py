# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers that boot: systemd-nspawn on an overlay of a root directory, reached by SSH on the loopback."""

from __future__ import annotations

from pathlib import Path

from .common import need

# The overlay is mounted in a mount namespace of its own, so that it goes with the container. Where the cache's file
# system cannot carry an overlay, the root is copied. Status 133 is how systemd-nspawn says that the container reboots.
SUPERVISOR = """
set -e
mkdir -p upper work root
if ! mount -t overlay -o "lowerdir=$1,upperdir=upper,workdir=work" nspa-testbed root 2>/dev/null; then
    cp -a --reflink=auto "$1/." root/
fi
mkdir -p root/etc/ssh/sshd_config.d
echo "Port $2" > root/etc/ssh/sshd_config.d/testbed-port.conf
echo "$3" > root/etc/hostname
printf '127.0.0.1 localhost %s\n::1 localhost\n' "$3" > root/etc/hosts
shift 3
status=133
while [ "$status" -eq 133 ]; do
    status=0
    "$@" || status=$?
done
exit "$status"
"""


def command(directory: Path, source: Path, name: str, port: int) -> list[str]:
    """The command that runs container NAME on an overlay of SOURCE until it powers off.

    The network is the host's, and systemd-nspawn gives no right to configure it; sysctls are read-only inside.
    """
    need("systemd-nspawn", "unshare", "ssh")
    nspawn = ["systemd-nspawn", "--boot", "--register=no", f"--directory={directory}/root", f"--machine={name}"]
    # What a login on a real machine can have: limits raised by PAM and systemd, memory locked.
    nspawn.append("--capability=CAP_SYS_RESOURCE,CAP_IPC_LOCK")
    nspawn += ["--console=read-only", "--resolv-conf=copy-host", "--kill-signal=SIGKILL"]
    if not Path("/run/systemd/system").exists():
        # Without systemd on the host nobody can make a scope for the container: it stays where it is started.
        nspawn.append("--keep-unit")
    supervisor = ["sh", "-c", f"cd {directory}/\n{SUPERVISOR}", "nspa-testbed", str(source), str(port), name]
    return ["unshare", "--mount", "--propagation=private", *supervisor, *nspawn]
