# -*- test-case-name: tests.peers.test_harness -*-
"""
Loopback ports.
"""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path
from typing import IO

RANGE = (20_000, 32_000)
"""Below what the kernel takes for connections that were not bound: while a server is away between two starts, nobody gets its port."""

_given: list[IO] = []


def freePort() -> int:
    """@return: a loopback port that nobody listens on, kept for this process as long as it lives."""
    folder = Path(tempfile.gettempdir(), f"hoopx-ports-{os.geteuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    while True:
        port = random.randrange(*RANGE)
        lock = (folder / str(port)).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
        except OSError:
            lock.close()
            continue
        _given.append(lock)
        return port


def answers(port: int) -> bool:
    """@return: whether somebody accepts connections there."""
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except OSError:
        return False
    return True
