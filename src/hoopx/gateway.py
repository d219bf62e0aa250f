# -*- test-case-name: tests.test_service -*-
"""
The running gateway as its operator sees it: what the control socket serves.
"""

from __future__ import annotations

import json
from typing import Any, Final

from twisted.internet.defer import Deferred, maybeDeferred
from zope.interface import implementer

from hoopx import __version__
from hoopx.api.control import IControl, ITail
from hoopx.config.loader import load
from hoopx.errors import HoopxError
from hoopx.recording import catalogue
from hoopx.recording.stored import Encrypted
from hoopx.telling import heard, tell
from hoopx.values import Notice

TAILED: Final = 64 * 1024
"""Bytes of a recording that are read and understood in one turn for somebody who watches: some 10 ms."""


@implementer(IControl)
class Gateway:
    """
    @param service: the L{hoopx.service.ProxyService}.
    """

    def __init__(self, service: Any) -> None:
        self._service = service
        self._began = service.reactor.seconds()

    @property
    def _broker(self) -> Any:
        return self._service.broker

    def status(self) -> dict[str, Any]:
        broker, settings = self._broker, self._service.settings
        return {
            "version": __version__,
            "node": settings.gateway.name,
            "uptime": self._service.reactor.seconds() - self._began,
            "sessions": len(broker.sessions),
            "listeners": [
                {"protocol": listener.protocol, "endpoint": listener.endpoint, "address": addressOf(port)}
                for listener, port in zip(settings.listeners, self._service.ports)
            ],
            "draining": broker.draining,
            "disk": broker.recordings.obstacle(),
            "state": getattr(getattr(self._service.machine, "revocations", None), "trouble", None),
            "audit": getattr(getattr(self._service.machine, "audit", None), "trouble", None),
            "recordings": f"{settings.gateway.data}/recordings",
            "counters": dict(broker.counters),
            "curator": None if broker.ledger is None else broker.ledger.status(),
        }

    def liveSessions(self) -> list[dict[str, Any]]:
        now, wall = self._service.reactor.seconds(), self._broker.wall()
        return [_line(session, wall - (now - session.started)) for session in reversed(list(self._broker.sessions.values()))]

    def kill(self, session: str, reason: str, by: str) -> bool:
        found = self._broker.sessions.get(session)
        if found is None:
            return False
        found.note("killed", by=by, reason=reason)
        found.end("killed", f"an operator ended the session{': ' + reason if reason else ''}")
        return True

    def reload(self) -> Deferred:
        def read() -> Any:
            settings = load(self._service.settings.path)
            return self._service.apply(settings)

        return maybeDeferred(read)

    # Tokens.

    def issueToken(self, user: str, groups: Any, kind: str, actor: Any, targets: Any, ttl: Any, note: str) -> Deferred:
        return self._service.machine.tokens.issue(user, groups, kind, actor, targets, ttl, note)

    def listTokens(self) -> Deferred:
        return self._service.machine.tokens.issued()

    def revokeTokens(self, id: str | None, user: str | None) -> Deferred:
        def told(ids: list[str]) -> list[str]:
            self._service.machine.revocations.told(ids)
            return ids

        return self._service.machine.tokens.revoke(id, user).addCallback(told)

    def audit(self, actor: str, action: str, subject: str, details: Any) -> Deferred:
        return self._service.machine.audit.write(actor, action, subject, details)

    def unaudited(self, actor: str, action: str, subject: str, details: Any) -> None:
        self._service.machine.audit.late(actor, action, subject, details)

    def runRetention(self, by: str, dry: bool, confirm: bool) -> Deferred:
        retention = self._service.machine.retention
        if retention is None:
            raise HoopxError("this gateway has no curator")
        return retention.run(by, dry, confirm)

    def tail(self, session: str) -> Any:
        """@return: L{ITail}, or C{None} for a session that does not live."""
        found = self._broker.sessions.get(session)
        if found is None:
            return None
        view = self._broker.protocols[found.target.protocol].view()
        return Tail(catalogue.follow(self._service.settings.gateway.data, session), view)


@implementer(ITail)
class Tail:
    """
    A live session's objects.

    @param follower: C{step(most) -> list of frames, or None at the end}, C{behind}, C{close()}.
    @param view: L{hoopx.interfaces.ISessionView}
    """

    def __init__(self, follower: Any, view: Any) -> None:
        self._follower = follower
        self._view = view
        self._over = False
        self._blind = False

    @property
    def behind(self) -> bool:
        return bool(self._follower.behind)

    def read(self) -> list[str] | None:
        if self._blind:
            return None
        try:
            frames = self._follower.step(TAILED)
        except Encrypted as error:
            # What the session said before is sealed to the auditors: no key of the gateway's opens it.
            self._blind = True
            reason = f"{error}: hoopx sessions show, on the recording"
            return [json.dumps(tell(Notice(0.0, 0, "undecodable", {"reason": reason})))]
        if frames is None:
            return None if self._over else self._end()
        return [json.dumps(tell(item)) for frame in frames if heard(frame) for item in self._view.feed(frame)]

    def _end(self) -> list[str]:
        """What the view still holds, once."""
        self._over = True
        return [json.dumps(tell(item)) for item in self._view.finish()]

    def close(self) -> None:
        self._follower.close()


def _line(session: Any, started: float) -> dict[str, Any]:
    totals = session.recording.totals()
    return {
        "session": session.id,
        "user": session.identity.name,
        "kind": session.identity.kind,
        "actor": session.identity.actor,
        "target": session.target.name,
        "account": session.grant.account.name if session.grant.account else None,
        "protocol": session.target.protocol,
        "client": session.claim.address,
        "started": started,
        "ended": None,
        "state": "live",
        "reason": None,
        "bytes_from_client": totals.get("bytes_from_client", 0),
        "bytes_from_target": totals.get("bytes_from_target", 0),
    }


def addressOf(port: Any) -> str:
    """A listening port's address: C{host:port}, or the socket's path."""
    address = port.getHost()
    return f"{address.host}:{address.port}" if hasattr(address, "port") else str(getattr(address, "name", "?"))
