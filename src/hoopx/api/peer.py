# -*- test-case-name: tests.api.test_socket -*-
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
    return Peer(pid, uid, said(uid))


def said(uid: int) -> str:
    """A user id with its name, where it has one."""
    try:
        return f"uid {uid} ({pwd.getpwuid(uid).pw_name})"
    except KeyError:
        return f"uid {uid}"


def myself() -> str:
    """The user of this process, for the audit."""
    return said(os.getuid())
