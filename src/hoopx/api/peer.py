# -*- test-case-name: tests.api.test_peer -*-
"""
Who is at the other end of a Unix socket.
"""

from __future__ import annotations

import os
import pwd
import socket
import struct
from typing import Final

from attrs import frozen

from hoopx.state.rows import AS

NOBODY: Final = 0xFFFFFFFF
"""What the kernel says of a process that no login has led to."""
LONGEST: Final = 20
"""Bytes of a number."""
_UCRED: Final = struct.Struct("3i")  # unix(7): pid, uid, gid


@frozen
class Peer:
    """
    A process on this machine, as the kernel names it.

    @ivar name: for the audit, such as C{"uid 1000 (alice)"}.
    """

    pid: int
    uid: int
    name: str


def peerOf(connection: socket.socket) -> Peer:
    """@param connection: a connected Unix socket. (The credentials are those of the connect call.)"""
    pid, uid, _ = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return Peer(pid, uid, who(uid, f"/proc/{pid}/loginuid"))


def said(uid: int) -> str:
    """A user id with its name, where it has one."""
    try:
        return f"uid {uid} ({pwd.getpwuid(uid).pw_name})"
    except KeyError:
        return f"uid {uid}"


def who(uid: int, login: str) -> str:
    """
    Whoever becomes another user, as with sudo, is still the one who has logged in: the kernel keeps that (C{proc(5)}, loginuid).

    @param login: the file that says so.
    @return: C{"uid 1000 (alice)"}, or C{"uid 1000 (alice) as uid 0 (root)"}.
    """
    try:
        with open(login, "rb") as file:
            person = int(file.read(LONGEST))
    except (OSError, ValueError):
        person = NOBODY
    return said(uid) if person in (uid, NOBODY) else f"{said(person)}{AS}{said(uid)}"


def myself() -> str:
    """The user of this process, for the audit."""
    return who(os.getuid(), "/proc/self/loginuid")
