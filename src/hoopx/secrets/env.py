# -*- test-case-name: tests.secrets.test_env -*-
"""
Secrets in environment variables: read once and taken out, so that no child and no crash report has them.
"""

from __future__ import annotations

import os
from typing import Final, Iterable, MutableMapping

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from hoopx.interfaces import ICredentialSource
from hoopx.secrets.broker import refused
from hoopx.values import Identity, Reference, Target

_TAKEN: Final[dict[str, bytes]] = {}
"""What was taken out of this process's environment, of which there is one, however many gateways run in it."""


def take(
    name: str, environ: MutableMapping[str, str] = os.environ, taken: MutableMapping[str, bytes] = _TAKEN
) -> bytes | None:
    """@return: the value of a variable, which is in the environment no longer; C{None} when it was never set."""
    found = environ.pop(name, None)
    if found:
        taken[name] = os.fsencode(found)
    return taken.get(name)


@implementer(ICredentialSource)
class EnvironmentSource:
    """
    @param names: variables to take out now; others are taken out when they are first asked for.
    """

    scheme = "env"

    def __init__(
        self,
        names: Iterable[str] = (),
        environ: MutableMapping[str, str] = os.environ,
        taken: MutableMapping[str, bytes] = _TAKEN,
    ) -> None:
        self._environ = environ
        self._taken = taken
        for name in names:
            self._take(name)

    def fetch(self, reference: Reference, identity: Identity, target: Target) -> Deferred[bytes]:
        self._take(reference.name)
        secret = self._taken.get(reference.name)
        if not secret:
            failed: Deferred[bytes] = Deferred()
            failed.errback(refused(reference, "the variable is not set"))
            return failed
        return succeed(secret)

    def _take(self, name: str) -> None:
        take(name, self._environ, self._taken)
