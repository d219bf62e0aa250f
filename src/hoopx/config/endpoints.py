# -*- test-case-name: tests.config.test_loader -*-
"""
Whether a Twisted endpoint description can be understood, found out without opening anything.

Twisted's endpoints bring TLS, DNS and HTTP with them, a third of a second that each C{hoopx sessions list} would wait: they are asked
only about what is not plainly right.
"""

from __future__ import annotations

import re
from typing import Any, Final

EXAMPLE_SERVER: Final = "tcp:15432:interface=127.0.0.1"
EXAMPLE_CLIENT: Final = "tcp:db.internal:5432"
PLAIN_SERVER: Final = re.compile(r"tcp:[0-9]{1,5}(?::interface=[0-9.]+)?", re.ASCII)
PLAIN_CLIENT: Final = re.compile(r"tcp:[A-Za-z0-9.-]+:[0-9]{1,5}", re.ASCII)
"""What Twisted takes as it is, once its port is known to be one."""


class _Nowhere:
    """What endpoints want to know of a reactor before they are used."""

    nameResolver: Any = None

    def installNameResolver(self, resolver: Any) -> Any:
        raise RuntimeError("nothing is ever resolved here")

    def callLater(self, *arguments: Any) -> None:
        raise RuntimeError("nothing is ever scheduled here")


def serverProblem(description: str) -> str | None:
    """@return: what is wrong with it, and what it should be like; or C{None}."""
    port = re.match(r"tcp6?:(?:port=)?([^:]*)", description)
    if port and not (re.fullmatch("[0-9]{1,5}", port.group(1)) and int(port.group(1)) < 65536):
        return f'expected a port, such as "{EXAMPLE_SERVER}"'
    return None if PLAIN_SERVER.fullmatch(description) else _problem("serverFromString", description, EXAMPLE_SERVER)


def clientProblem(description: str) -> str | None:
    """@return: like L{serverProblem}."""
    parts = re.match(r"(?:tcp|tls):(?:host=)?((?:\\.|[^:\\])*)(?::(?:port=)?([^:]*))?(?:$|:)", description)
    if parts and not (parts.group(1) and re.fullmatch("[0-9]{1,5}", parts.group(2) or "") and 0 < int(parts.group(2)) < 65536):
        return f'expected a host and a port, such as "{EXAMPLE_CLIENT}"'
    return None if PLAIN_CLIENT.fullmatch(description) else _problem("clientFromString", description, EXAMPLE_CLIENT)


def _problem(parse: str, description: str, example: str) -> str | None:
    from twisted.internet import endpoints
    from twisted.internet.interfaces import IReactorPluggableNameResolver
    from zope.interface import directlyProvides

    nowhere = _Nowhere()
    directlyProvides(nowhere, IReactorPluggableNameResolver)
    try:
        getattr(endpoints, parse)(nowhere, description)
    except Exception as error:
        # Endpoints are checked by calling them: a wrong count of parts is a TypeError whose text says nothing to a reader.
        reason = f" ({error})" if isinstance(error, (ValueError, OSError)) else ""
        return f'is no endpoint{reason}; it is like "{example}"'
    return None
