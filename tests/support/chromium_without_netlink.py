#!/usr/bin/env python3
"""Run the program that REELAY_CHROMIUM names, without netlink sockets.

Chromium learns of new network addresses over netlink and then drops its connections
(ERR_NETWORK_CHANGED). Docker adds addresses whenever a stack starts. A seccomp filter makes
`socket(AF_NETLINK, …)` fail, and Chromium then assumes that addresses never change.
"""

import ctypes
import errno
import os
import platform
import socket
import struct
import sys
from typing import Final

# linux/prctl.h, linux/seccomp.h, linux/bpf_common.h
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _FAIL = 0x7FFF0000, 0x00050000
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data

# The AUDIT_ARCH of linux/audit.h, and the number of socket(2).
_MACHINES: Final = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def forbid_netlink() -> None:
    """Make netlink sockets fail in this process and its children. Raises OSError, KeyError."""
    architecture, socket_call = _MACHINES[platform.machine()]
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_JUMP_IF_EQUAL, 0, 5, architecture),
        (_LOAD, 0, 0, _NUMBER),
        (_JUMP_IF_EQUAL, 0, 3, socket_call),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_JUMP_IF_EQUAL, 0, 1, socket.AF_NETLINK),
        (_RETURN, 0, 0, _FAIL | errno.EAFNOSUPPORT),
        (_RETURN, 0, 0, _ALLOW),
    ]
    code = b"".join(struct.pack("=HBBI", *step) for step in steps)
    program = _Program(len(steps), code)
    libc = ctypes.CDLL(None, use_errno=True)
    settings = (
        (_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0),
    )
    for arguments in settings:
        if libc.prctl(*arguments) != 0:
            raise OSError(ctypes.get_errno(), "the kernel refuses the filter")


if __name__ == "__main__":
    if sys.platform == "linux" and platform.machine() in _MACHINES:
        forbid_netlink()
    os.execv(os.environ["REELAY_CHROMIUM"], ["chromium", *sys.argv[1:]])  # noqa: S606 # as Playwright does
