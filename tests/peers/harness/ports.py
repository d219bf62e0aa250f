# -*- test-case-name: tests.peers.test_harness -*-
"""
Loopback ports.
"""

from __future__ import annotations

import socket

_given: set[int] = set()


def freePort() -> int:
    """@return: a loopback port that nobody listens on, and that was not given before."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port not in _given:
            _given.add(port)
            return port


def answers(port: int) -> bool:
    """@return: whether somebody accepts connections there."""
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except OSError:
        return False
    return True
