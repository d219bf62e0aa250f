# -*- test-case-name: tests.api.test_socket -*-
"""
The API's routes. Requests and answers are JSON; an error is C{{"error": text, "hint": text}}.
"""

from __future__ import annotations

import json
import os
from typing import Any, Callable, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from hoopx.api.control import IControl
from hoopx.api.peer import Peer
from hoopx.api.stream import Stream
from hoopx.errors import ConfigurationError, HoopxError
from hoopx.identity.tokens import TokenError

# The largest request is a token with its groups.
MAX_BODY: Final = 64 * 1024

log = Logger()


class Problem(HoopxError):
    """A request that is answered with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def makeResource(gateway: Any, clock: Any, tail: Callable[[str], Any], peerOf: Callable[[Any], Peer]) -> Any:
    """
    @param gateway: L{IControl}
    @param clock: L{twisted.internet.interfaces.IReactorTime}
    @param tail: callable(session id) -> L{hoopx.api.control.ITail}, or C{None} for a session that does not live.
    @param peerOf: callable(request) -> L{Peer}.
    @return: an L{twisted.web.resource.IResource}.
    """
    from klein import Klein  # imports the reactor
    from werkzeug.exceptions import HTTPException

    gateway = IControl(gateway)
    app = Klein()

    def audited(request: Any, action: str, subject: str = "", always: bool = False, **details: Any) -> Deferred[Any]:
        """
        Nothing is answered or done before it stands in the audit.

        @param always: go on without, say so in the log, and write it later: what is needed to see and stop trouble when the disk is
            full.
        """
        peer = peerOf(request)
        if peer.uid not in (0, os.geteuid()):
            raise Problem(403, "only the gateway's own user and root may use the control socket")
        said = (peer.name, action, subject, {"pid": peer.pid, **details})
        written: Deferred[Any] = gateway.audit(*said)

        def without(why: Failure) -> None:
            lacking = "{action} {subject} by {peer} is not in the audit, which can not be written"
            log.failure(lacking, why, action=action, subject=subject, peer=peer.name)
            gateway.unaudited(*said)

        return written.addErrback(without) if always else written

    def answer(request: Any, value: Any, status: int = 200) -> bytes:
        request.setResponseCode(status)
        request.setHeader(b"content-type", b"application/json")
        return json.dumps(value).encode("utf-8") + b"\n"

    @app.route("/status", methods=["GET"])
    async def status(request: Any) -> bytes:
        await audited(request, "status", always=True)
        return answer(request, gateway.status())

    @app.route("/sessions", methods=["GET"])
    async def sessions(request: Any) -> bytes:
        await audited(request, "sessions.live")
        return answer(request, gateway.liveSessions())

    @app.route("/sessions/<session>/kill", methods=["POST"])
    async def kill(request: Any, session: str) -> bytes:
        reason = fields(request, reason=str).get("reason", "")
        await audited(request, "session.kill", session[:256], always=True, reason=reason)
        if not gateway.kill(session, reason, peerOf(request).name):
            raise Problem(404, f"there is no live session {session}")
        return answer(request, {"killed": session})

    @app.route("/sessions/<session>/tail", methods=["GET"])
    async def follow(request: Any, session: str) -> Any:
        await audited(request, "session.tail", session[:256])
        source = tail(session)
        if source is None:
            raise Problem(404, f"there is no live session {session}")
        request.setHeader(b"content-type", b"application/x-ndjson")
        await Stream(request, source, clock).start()
        return None

    @app.route("/reload", methods=["POST"])
    async def reload(request: Any) -> bytes:
        await audited(request, "reload")
        return answer(request, {"messages": await gateway.reload()})

    @app.route("/retention", methods=["POST"])
    async def retention(request: Any) -> bytes:
        asked = fields(request, mode=str, clock=str)
        dry, confirm = asked.get("mode") == "dry-run", asked.get("clock") == "right"
        await audited(request, "retention.run", dry=dry)
        try:
            return answer(request, await gateway.runRetention(peerOf(request).name, dry, confirm))
        except HoopxError as error:
            raise Problem(409, str(error)) from None

    @app.route("/tokens", methods=["GET"])
    async def tokens(request: Any) -> bytes:
        await audited(request, "token.list")
        return answer(request, await gateway.listTokens())

    @app.route("/tokens", methods=["POST"])
    async def issue(request: Any) -> bytes:
        asked: dict[str, Any] = {"groups": [], "kind": "human", "actor": None, "targets": None, "ttl": None, "note": ""}
        asked |= fields(request, user=str, groups=list, kind=str, actor=str, targets=list, ttl=(int, float), note=str)
        if "user" not in asked:
            raise Problem(400, "say whose token: user")
        if asked["targets"] == []:
            # A script's list that came out empty must not become a token for everything.
            raise Problem(400, "a token for no target is of no use: leave targets out for one that is not restricted")
        await audited(request, "token.issue", asked["user"][:256], **{name: asked[name] for name in asked if name != "user"})
        token, id = await gateway.issueToken(**asked)
        return answer(request, {"token": token, "id": id}, 201)

    @app.route("/tokens/revoke", methods=["POST"])
    async def revoke(request: Any) -> bytes:
        asked = {"id": None, "user": None} | fields(request, id=str, user=str)
        await audited(request, "token.revoke", str(asked["id"] or asked["user"])[:256], **asked)
        return answer(request, {"revoked": await gateway.revokeTokens(**asked)})

    @app.handle_errors(Exception)  # type: ignore[arg-type]
    def failed(request: Any, why: Failure) -> Any:
        error = why.value
        if request.startedWriting:  # a stream that broke: an end without its last chunk is the only way to say so
            log.failure("an answer of the control socket broke off", why)
            request.channel.transport.abortConnection()
            return None
        if isinstance(error, Problem):
            return answer(request, {"error": str(error)}, error.status)
        if isinstance(error, HTTPException):
            asked = b" ".join((request.method, request.path)).decode("ascii", "replace")
            return answer(request, {"error": f"{asked}: {error.name}"}, error.code or 500)
        if isinstance(error, TokenError):
            return answer(request, {"error": str(error)}, 400)
        if isinstance(error, ConfigurationError):
            each = [str(one) for one in getattr(error, "errors", None) or [error]]
            return answer(request, {"error": "the configuration is wrong, nothing has changed", "errors": each}, 409)
        log.failure("a request to the control socket failed", why)
        return answer(request, {"error": "a fault in the gateway: its log says more"}, 500)

    return app.resource()


def fields(request: Any, **types: Any) -> dict[str, Any]:
    """
    The fields of a JSON request, checked.

    @param types: name -> type or tuple of types; a list is one of str.
    @return: those that were given and are not null.
    """
    body = request.content.read(MAX_BODY + 1)
    if len(body) > MAX_BODY:
        raise Problem(413, f"a request has at most {MAX_BODY} bytes")
    try:
        given = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise Problem(400, "the request is not JSON") from None
    if not isinstance(given, dict):
        raise Problem(400, "the request is not a JSON object")
    for name, value in given.items():
        if name not in types:
            raise Problem(400, f"unknown field {name!r}: there are {', '.join(types)}")
        if value is None:
            continue
        right = isinstance(value, types[name]) and not isinstance(value, bool)
        if not right or (isinstance(value, list) and not all(isinstance(one, str) for one in value)):
            raise Problem(400, f"the field {name!r} has the wrong type")
    return {name: value for name, value in given.items() if value is not None}
