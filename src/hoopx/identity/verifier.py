# -*- test-case-name: tests.identity.test_verifier -*-
"""
Finds out who somebody is, by the kind of proof they bring.
"""

from __future__ import annotations

from typing import Any, Callable, Final

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hoopx.errors import Refusal, Unauthorized
from hoopx.identity import certificates
from hoopx.identity.tokens import SERVICE, Tokens
from hoopx.interfaces import IIdentityVerifier
from hoopx.values import Certificate, Claim, Identity, Listener, Token

LISTENER: Final = "listener"


@implementer(IIdentityVerifier)
class Verifier:
    """
    The local identities.

    @param tokens: L{hoopx.identity.tokens.Tokens}
    """

    log = Logger()

    def __init__(self, tokens: Tokens) -> None:
        self._ways: dict[type, Callable[[Any], Any]] = {
            Token: lambda proof: tokens.verify(proof.secret),
            Certificate: certificates.identify,
            Listener: service,
        }

    def verify(self, claim: Claim) -> Deferred[Identity]:
        """
        @return: fails with L{Unauthorized}, or with another L{Refusal} when it can not be found out.
        """
        return maybeDeferred(self._verify, claim.proof).addErrback(self._failed)

    def _verify(self, proof: Any) -> Any:
        way = self._ways.get(type(proof))
        if way is None:
            raise Unauthorized()
        return way(proof)

    def _failed(self, why: Failure) -> Failure:
        if isinstance(why.value, Refusal):
            return why
        self.log.failure("an identity could not be checked", why)
        hint = "The gateway's log says why: ask its operator."
        return Failure(Refusal("unavailable", "identities can not be checked at this moment", hint))


def service(proof: Listener) -> Identity:
    """The service that a listener speaks for (C{identity = "service:name"})."""
    name = proof.name if proof.name.startswith(SERVICE) else SERVICE + proof.name
    return Identity(issuer=LISTENER, subject=name, name=name, kind="service")
