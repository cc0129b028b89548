# SPDX-License-Identifier: MIT
"""Runs a program in which io_uring_setup fails: seccomp.py ERRNO PROGRAM [ARGUMENT]..."""

import ctypes
import errno
import os
import struct
import sys

PR_SET_NO_NEW_PRIVS = 38
PR_SET_SECCOMP = 22
SECCOMP_MODE_FILTER = 2
IO_URING_SETUP = 425  # the same on every architecture with the new numbers
LOAD_WORD, JUMP_EQUAL, RETURN = 0x20, 0x15, 0x06
RETURN_ERRNO, RETURN_ALLOW = 0x00050000, 0x7FFF0000


class Program(ctypes.Structure):
    _fields_ = [("count", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def deny(number):
    """From here on, io_uring_setup returns -number in this process and its children."""
    rows = [(LOAD_WORD, 0, 0, 0), (JUMP_EQUAL, 0, 1, IO_URING_SETUP),
            (RETURN, 0, 0, RETURN_ERRNO | number), (RETURN, 0, 0, RETURN_ALLOW)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *row) for row in rows))
    program = Program(len(rows), ctypes.cast(code, ctypes.c_void_p))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
                      (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0)):
        if libc.prctl(*arguments) != 0:
            sys.exit(f"seccomp.py: prctl: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    deny(getattr(errno, sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])
