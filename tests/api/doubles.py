"""
A gateway that remembers what it was asked.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from hoopx.api.control import IControl, ITail
from hoopx.errors import ConfigurationError, HoopxError
from hoopx.identity.tokens import TokenError


@implementer(IControl)
class FakeGateway:
    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.audited: list[tuple[str, str, str, dict[str, Any]]] = []
        self.live = {"01ARZ3NDEKTSV4RRFFQ69G5FAV"}
        self.wrong = False
        self.auditFails = False
        self.unauditedActs: list[tuple[str, str, str, dict[str, Any]]] = []

    def status(self) -> dict[str, Any]:
        self.calls.append("status")
        return {"version": "1", "sessions": len(self.live)}

    def liveSessions(self) -> list[dict[str, Any]]:
        return [{"session": one} for one in self.live]

    def kill(self, session: str, reason: str, by: str) -> bool:
        self.calls.append(("kill", session, reason, by))
        return session in self.live

    def reload(self) -> Deferred[list[str]]:
        if self.wrong:
            error = ConfigurationError("2 errors")
            error.errors = [ConfigurationError("bad", "hoopx.toml", "a.b", 3), ConfigurationError("worse")]  # type: ignore[attr-defined]
            return fail(error)
        return succeed(["1 grant added"])

    def issueToken(
        self, user: str, groups: Any, kind: str, actor: Any, targets: Any, ttl: Any, note: str
    ) -> Deferred[tuple[str, str]]:
        token = {"user": user, "groups": groups, "kind": kind, "actor": actor, "targets": targets, "ttl": ttl, "note": note}
        self.calls.append(("issue", token))
        if kind == "god":
            return fail(TokenError("\"god\" is no kind"))
        return succeed(("hx_secret", "id1"))

    def listTokens(self) -> Deferred[list[dict[str, Any]]]:
        return succeed([{"id": "id1", "user": "alice", "groups": ["g"]}])

    def revokeTokens(self, id: str | None, user: str | None) -> Deferred[list[str]]:
        self.calls.append(("revoke", id, user))
        return succeed(["id1"])

    def runRetention(self, by: str, dry: bool, confirm: bool) -> Any:
        if self.wrong:
            raise HoopxError("nothing is erased: the clock was set forward by 86400 s")
        done = "would be erased" if dry else "erased"
        return succeed([{"session": "S", "target": "t", "ended": 1.0, "keep": 86400.0, "done": done, "why": "confirmed" if confirm else ""}])

    def audit(self, actor: str, action: str, subject: str, details: dict[str, Any]) -> Deferred[None]:
        if self.auditFails:
            return fail(OSError(28, "No space left on device"))
        self.audited.append((actor, action, subject, details))
        return succeed(None)

    def unaudited(self, actor: str, action: str, subject: str, details: dict[str, Any]) -> None:
        self.unauditedActs.append((actor, action, subject, details))


@implementer(ITail)
class FakeTail:
    """Gives its batches one by one; a Deferred or a Failure among them is given as it is."""

    def __init__(self, *batches: Any) -> None:
        self.batches = list(batches)
        self.reads = 0
        self.closed = 0
        self.behind = False

    def read(self) -> Any:
        self.reads += 1
        return self.batches.pop(0) if self.batches else []

    def close(self) -> None:
        self.closed += 1
