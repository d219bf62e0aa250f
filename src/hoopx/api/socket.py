# -*- test-case-name: tests.api.test_socket -*-
"""
The control socket: the gateway's API for its own user and root.
"""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path
from typing import Any, Callable, Final

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.unix import Port

from hoopx.api.address import SOCKET, reachable
from hoopx.api.app import makeResource
from hoopx.api.peer import Peer, peerOf
from hoopx.errors import ConfigurationError

LOCK: Final = "control.lock"


class PrivatePort(Port):
    """A Unix socket that is never anybody else's."""

    def createInternetSocket(self) -> Any:
        created = super().createInternetSocket()
        # Linux gives the file that bind makes the mode of the socket: there is no moment at which others can connect, and no
        # umask to change under other threads.
        os.fchmod(created.fileno(), 0o600)
        return created


class ControlSocket:
    """
    C{control.sock} in the data directory. C{control.lock} is locked as long as the gateway runs, so that a socket that was left
    behind by a dead gateway is told from a living one's.

    @param reactor: L{twisted.internet.interfaces.IReactorUNIX} and C{IReactorTime}.
    @param data: the data directory.
    @param gateway: L{hoopx.api.control.IControl}
    @param tail: callable(session id) -> L{hoopx.api.control.ITail}, or C{None} for a session that does not live.
    """

    def __init__(self, reactor: Any, data: Path, gateway: Any, tail: Callable[[str], Any]) -> None:
        self.path = data / SOCKET
        self._reactor = reactor
        self._gateway = gateway
        self._tail = tail
        self._lock: int | None = None
        self._folder: int | None = None
        self._port: Port | None = None

    def start(self) -> None:
        """
        Listen.

        @raise ConfigurationError: another gateway runs on this data directory, or something else has the socket's name.
        """
        self._lock = _locked(self.path.with_name(LOCK))
        try:
            self._clear()
            self._folder, path = reachable(self.path)
            resource = makeResource(self._gateway, self._reactor, self._tail, _peer)
            self._port = PrivatePort(os.fsencode(path), _site(resource, self._reactor), mode=0o600, reactor=self._reactor)
            self._port.startListening()
        except BaseException:
            self._port = None
            self._release()
            raise

    def stop(self) -> Deferred[None]:
        """@return: fires when the socket is gone."""
        port, self._port = self._port, None
        stopped: Deferred[Any] = maybeDeferred(lambda: port and port.stopListening())

        def gone(result: Any) -> Any:
            self._release()
            return result

        return stopped.addBoth(gone)

    def _clear(self) -> None:
        """Take away what a dead gateway has left: we hold its lock."""
        try:
            found = self.path.lstat()
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(found.st_mode):
            raise ConfigurationError(f"{self.path} is not a socket: move it away", key="gateway.data")
        self.path.unlink()

    def _release(self) -> None:
        for descriptor in (self._folder, self._lock):
            if descriptor is not None:
                os.close(descriptor)
        self._folder = self._lock = None


def _locked(path: Path) -> int:
    """@return: a descriptor that holds the lock until it is closed."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise ConfigurationError(
            f"another gateway runs on {path.parent}: stop it, or give this one a data directory of its own", key="gateway.data"
        ) from None
    return descriptor


def _peer(request: Any) -> Peer:
    return peerOf(request.channel.transport.socket)


def _site(resource: Any, reactor: Any) -> Any:
    from twisted.web.server import Site

    from hoopx.api.app import MAX_BODY
    from hoopx.site import BoundedRequest

    class ControlSite(Site):
        displayTracebacks = False
        noisy = False
        longest = 16 * MAX_BODY  # whoever sends a little too much is told so

        def log(self, request: Any) -> None:
            """The audit says it."""

    return ControlSite(resource, requestFactory=BoundedRequest, reactor=reactor)
