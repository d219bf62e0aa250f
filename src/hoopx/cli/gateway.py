# -*- test-case-name: tests.cli.test_tokens -*-
"""
How commands reach the gateway: through its control socket, or, where that is enough, straight in its state store.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Iterator

from hoopx.api.client import Client

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from hoopx.cli.place import Place


def client(place: Place) -> Client:
    """The running gateway. Its absence is told by the first question: L{hoopx.api.client.NoGateway}."""
    return Client(place.data, place.path)


class OfflineTokens:
    """
    The tokens of a gateway that does not run: the same questions as L{Client}'s, answered by the state store itself. A gateway
    that begins to run meanwhile sees what is done here within a second.
    """

    def __init__(self, tokens: Any, audit: Any, actor: str) -> None:
        self._tokens = tokens
        self._audit = audit
        self._actor = actor

    def issue(self, **token: Any) -> tuple[str, str]:
        details = {name: token[name] for name in token if name != "user"}
        self._write("token.issue", token["user"], details)
        issued: tuple[str, str] = _result(self._tokens.issue(**token))
        return issued

    def tokens(self) -> list[dict[str, Any]]:
        self._write("token.list", "", {})
        found: list[dict[str, Any]] = _result(self._tokens.issued())
        return found

    def revoke(self, id: str | None = None, user: str | None = None) -> list[str]:
        self._write("token.revoke", str(id or user), {"id": id, "user": user})
        revoked: list[str] = _result(self._tokens.revoke(id, user))
        return revoked

    def _write(self, action: str, subject: str, details: dict[str, Any]) -> None:
        _result(self._audit.write(self._actor, action, subject[:256], {"offline": True, **details}))


@contextmanager
def tokens(place: Place) -> Iterator[Any]:
    """
    @return: context manager of something with C{issue}, C{tokens} and C{revoke}: the running gateway, or its state store.
    """
    running = client(place)
    if running.runs():
        yield running
    else:
        with _offline(place) as store:
            yield store


@contextmanager
def _offline(place: Place) -> Iterator[OfflineTokens]:
    from hoopx.api.peer import myself
    from hoopx.identity.tokens import Tokens
    from hoopx.state.audit import Audit
    from hoopx.state.store import Store
    from hoopx.state.thread import Directly

    settings = place.settings
    store = Store.open(settings.state.url, place.data)
    try:
        here = Tokens(store, Directly(), time.time, settings.identity.tokens.maxAge)
        yield OfflineTokens(here, Audit(store, Directly(), time.time), myself())
    finally:
        store.close()


def _result(fired: Deferred[Any]) -> Any:
    """What a Deferred that has fired has to say."""
    got: list[Any] = []
    failed: list[Any] = []
    fired.addCallbacks(got.append, failed.append)
    if failed:
        raise failed[0].value
    return got[0]
