# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Extended attributes as the kernel keeps them, for tests that have no setfacl and no setcap."""

from __future__ import annotations

import struct

ACL = "system.posix_acl_access"
DEFAULT_ACL = "system.posix_acl_default"
#: cap_sys_nice=ep (VFS_CAP_REVISION_2 and its effective bit; include/uapi/linux/capability.h).
CAPABILITY = struct.pack("<5I", 0x02000001, 1 << 23, 0, 0, 0)
_NOBODY = 0xFFFFFFFF


def acl(daemon: int) -> bytes:
    """u::rw-,u:daemon:<daemon>,g::r--,m::rw-,o::r-- (include/uapi/linux/posix_acl_xattr.h)."""
    entries = [(0x01, 6, _NOBODY), (0x02, daemon, 1), (0x04, 4, _NOBODY), (0x10, 6, _NOBODY), (0x20, 4, _NOBODY)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
