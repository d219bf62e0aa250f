# -*- test-case-name: tests.witness.test_client -*-
"""
Asks witnesses for their cosignatures.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from io import BytesIO
from typing import Any, Final

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from hoopx.ledger.note import COSIGNATURE, NoteError, Verifier, openNote, parseCheckpoint, signatures, split
from hoopx.witness.errors import WitnessRefused, WitnessUnavailable
from hoopx.witness.exchange import PATH, Request, encode

TIMEOUT: Final = 15.0
"""Seconds for one request; witnesses fsync before they answer."""

MAX_ANSWER: Final = 64 * 1024
"""Bytes; a dozen post-quantum signatures."""

TRIES: Final = 4
"""Requests for one cosignature: the first may guess the size, and others may submit for the same ledger meanwhile."""

ProofFor = Callable[[int], "list[bytes] | Deferred[list[bytes]]"]


def witnessKey(vkey: str) -> Verifier:
    """
    @param vkey: of a witness; one of type Ed25519 is taken as that of its cosignatures.
    @raise ValueError: it is none.
    """
    found = Verifier.parse(vkey)
    return found if found.kind == COSIGNATURE else Verifier(found.name, COSIGNATURE, found.public)


def submit(
    agent: Any, url: str, vkey: str, checkpoint: bytes, proofFor: ProofFor, *, clock: Any, old: int = 0
) -> Deferred[bytes]:
    """
    Have one checkpoint cosigned. One at a time for each witness.

    @param agent: L{twisted.web.iweb.IAgent}
    @param url: of the witness; C{add-checkpoint} is below it.
    @param vkey: its key.
    @param checkpoint: the ledger's signed note.
    @param proofFor: callable(old size) -> the consistency proof from there to the checkpoint, or a Deferred of it.
    @param clock: L{twisted.internet.interfaces.IReactorTime}
    @param old: the size that the witness is thought to know; a wrong one costs one more request.
    @return: a Deferred of the cosignature's line, with its newline.
    @raise WitnessRefused: it has seen another ledger under this name: an alarm.
    @raise WitnessUnavailable: to be tried again later.
    """
    return Deferred.fromCoroutine(_submit(agent, url, witnessKey(vkey), checkpoint, proofFor, clock, old))


async def _submit(agent: Any, url: str, verifier: Verifier, checkpoint: bytes, proofFor: ProofFor, clock: Any, old: int) -> bytes:
    text = split(checkpoint)[0]
    size = parseCheckpoint(text).size
    old = min(old, size)
    for _ in range(TRIES):
        proof: Any = await maybeDeferred(proofFor, old)
        body = encode(Request(old, tuple(proof), checkpoint))
        status, answer = await _post(agent, f"{url.rstrip('/')}/{PATH}", body, clock).addErrback(_unavailable, url)
        if status == 200:
            return _cosignature(text, answer, verifier, url)
        if status == 422:
            raise WitnessRefused("fork", url, f"it has not grown out of the {old} leaves that were witnessed")
        known = re.fullmatch(rb"(0|[1-9][0-9]{0,18})\n", answer)
        if status != 409 or known is None:
            raise WitnessUnavailable(url, f"answered {status}: {_harmless(answer)}", status)
        if int(known[1]) > size:
            raise WitnessRefused("rollback", url, f"it has witnessed {int(known[1])} leaves, and the ledger has {size}")
        if int(known[1]) == old:
            raise WitnessRefused("fork", url, f"it has witnessed {old} other leaves")
        old = int(known[1])
    raise WitnessUnavailable(url, "names another size each time: somebody else submits for this ledger", 409)


def _cosignature(text: bytes, answer: bytes, verifier: Verifier, url: str) -> bytes:
    try:
        signatures(answer)
        _, found = openNote(text + b"\n" + answer, [verifier])
    except NoteError as error:
        raise WitnessUnavailable(url, f"did not cosign with the key {verifier.vkey}: {error}", 200) from None
    return found[0].line


def _post(agent: Any, url: str, body: bytes, clock: Any) -> Deferred[Any]:
    """@return: a Deferred of status and body."""
    from twisted.web.client import FileBodyProducer
    from twisted.web.http_headers import Headers

    headers = Headers({b"content-type": [b"text/plain; charset=utf-8"], b"user-agent": [b"hoopx"]})
    # The bodies are small: no need to hand them over piece by piece on a cooperator of the real reactor.
    producer = FileBodyProducer(BytesIO(body), cooperator=_Now())
    asked: Deferred[Any] = agent.request(b"POST", url.encode(), headers, producer)
    asked.addCallback(_collect)
    asked.addTimeout(TIMEOUT, clock)
    return asked


def _unavailable(why: Failure, url: str) -> Any:
    raise WitnessUnavailable(url, f"can not be asked: {why.type.__name__}: {_harmless(why.getErrorMessage().encode())}") from None


def _collect(response: Any) -> Deferred[Any]:
    body = _Body(response.code)
    response.deliverBody(body)
    return body.done


class _Body(Protocol):
    def __init__(self, status: int) -> None:
        self._status = status
        self._data = bytearray()
        self.done: Deferred[Any] = Deferred(lambda _: self.transport.abortConnection())  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        self._data += data
        if len(self._data) > MAX_ANSWER:
            self.transport.abortConnection()  # type: ignore[union-attr]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        from twisted.web.client import ResponseDone
        from twisted.web.http import PotentialDataLoss

        if self.done.called:
            return
        if len(self._data) > MAX_ANSWER:
            self.done.errback(ValueError(f"the answer has more than {MAX_ANSWER} bytes"))
        elif reason.check(ResponseDone, PotentialDataLoss):
            self.done.callback((self._status, bytes(self._data)))
        else:
            self.done.errback(reason)


class _Now:
    """Does cooperative work at once."""

    def cooperate(self, work: Any) -> Any:
        for _ in work:
            pass
        return self

    def whenDone(self) -> Deferred[None]:
        done: Deferred[None] = Deferred()
        done.callback(None)
        return done

    def stop(self) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...


def _harmless(answer: bytes) -> str:
    return re.sub(r"[^ -~]", "?", answer[:200].decode("ascii", "replace").strip())
