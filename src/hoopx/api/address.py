# -*- test-case-name: tests.api.test_socket -*-
"""
The control socket's name, for both sides of it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

SOCKET: Final = "control.sock"
"""In the data directory."""

# sockaddr_un has room for 107 bytes and a zero.
MAX_PATH: Final = 107


def reachable(path: Path) -> tuple[int | None, str]:
    """
    A name of the socket that fits into an address, however deep it lies.

    @return: the descriptor to keep open while the name is used (or C{None}), and the name.
    """
    if len(os.fsencode(path)) <= MAX_PATH:
        return None, str(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    return folder, f"/proc/self/fd/{folder}/{path.name}"
