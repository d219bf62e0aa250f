# -*- test-case-name: tests.secrets.test_broker -*-
"""
One place to ask for any secret.
"""

from __future__ import annotations

from typing import Any, Final, Mapping

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from hoopx.errors import TargetFailed
from hoopx.interfaces import ICredentialSource
from hoopx.values import Identity, Reference, Target

LARGEST: Final = 64 * 1024
"""Bytes of a secret: PostgreSQL takes passwords of this length; keys and tokens are far shorter."""


class Secrets:
    """
    @param sources: scheme -> L{ICredentialSource}
    """

    log = Logger()

    def __init__(self, sources: Mapping[str, Any]) -> None:
        for source in sources.values():
            if not ICredentialSource.providedBy(source):
                raise TypeError(f"{source!r} is no credential source")
        self._sources = dict(sources)

    @property
    def schemes(self) -> list[str]:
        """Kinds of references that can be fetched."""
        return list(self._sources)

    def fetch(self, reference: Reference, identity: Identity, target: Target) -> Deferred[bytes]:
        """
        @return: Deferred[bytes]; fails with L{TargetFailed}, whose text holds the reference and nothing else of the secret.
        """
        source = self._sources.get(reference.scheme)
        if source is None:
            return _failed(reference, f'there is no source of the kind "{reference.scheme}"')
        asked: Deferred[Any] = maybeDeferred(source.fetch, reference, identity, target)
        return asked.addCallbacks(self._checked, self._explained, callbackArgs=(reference,), errbackArgs=(reference,))

    def _checked(self, secret: Any, reference: Reference) -> bytes:
        if not isinstance(secret, bytes) or not secret:
            raise refused(reference, "it is empty")
        if len(secret) > LARGEST:
            raise refused(reference, f"it is longer than {LARGEST} bytes")
        return secret

    def _explained(self, failure: Failure, reference: Reference) -> Failure:
        if failure.check(TargetFailed):
            return failure
        # Its text and traceback may hold the secret: only its type is told.
        kind = getattr(failure.type, "__name__", "?")
        self.log.error("secret {reference} can not be fetched: {kind}", reference=said(reference), kind=kind)
        return Failure(refused(reference, "its source has failed"))


def said(reference: Reference) -> str:
    """A reference as text, like C{file:/etc/hoopx/secrets/orders}."""
    return f"{reference.scheme}:{reference.name}"


def refused(reference: Reference, reason: str) -> TargetFailed:
    """The error for a secret that is not to be had."""
    return TargetFailed(
        f"the secret {said(reference)} can not be had: {reason}", "Whoever runs the gateway can mend this: hoopx check."
    )


def _failed(reference: Reference, reason: str) -> Deferred[bytes]:
    failed: Deferred[bytes] = Deferred()
    failed.errback(refused(reference, reason))
    return failed
