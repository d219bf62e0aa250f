# -*- test-case-name: tests.test_door -*-
"""
From a claim to a session: verify, record, authorise, fetch the credential, connect.

Nothing is forgotten when the client leaves in between: each step looks whether the door is still open.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, inlineCallbacks, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from hoopx import leg
from hoopx.errors import LATER, UNRECORDABLE, RecordingFailed, Refusal, TargetFailed, Unauthorized
from hoopx.session import Session
from hoopx.values import Claim, Credential, Grant, Identity, Target


class Admission:
    """
    One attempt to open a session.

    @param door: the L{hoopx.door.Door}.
    @param claim: what the client claims.
    """

    __slots__ = ("_claim", "_door")

    log = Logger()

    def __init__(self, door: Any, claim: Claim) -> None:
        self._door = door
        self._claim = claim

    @inlineCallbacks
    def run(self) -> Any:
        """@return: Deferred[None]; fails with a L{Refusal} for the client. Success has called C{conversation.targetReady}."""
        door, claim, broker = self._door, self._claim, self._door.mitm.broker
        self._room()
        identity = yield self._identify()
        if door.closing:
            return
        target = broker.targets.get(claim.target)
        if target is not None and target.protocol != door.mitm.protocol.name:
            target = None
        self._room()  # others have come in the meantime
        access = broker.access
        grant, refusal = self._authorise(identity, target)
        target = target or Target(claim.target, door.mitm.protocol.name, "")
        broker.beginning += 1
        try:
            recording = yield self._record(identity, target, grant)
        finally:
            broker.beginning -= 1
        if door.closing:
            yield recording.close("client-left")
            return
        if broker.draining:
            yield recording.close("shutdown")
            raise _noRoom()
        if grant is not None and broker.access is not access:
            refusal = self._changed(identity, grant)
        session = Session(broker, door, recording, identity, claim, target, grant or Grant("", None))  # type: ignore[arg-type]
        door.session = session
        broker.began(session)
        if refusal is not None:
            session.note("policy", verdict="refused", code=refusal.code)
            raise refusal
        session.note("policy", verdict="admitted", grant=grant.name)
        if grant.approval is not None:
            # Asking a second person for a whole session needs an approver that this build does not have: refuse.
            raise Refusal("denied", f'grant "{grant.name}" asks for an approval, which can not be given here')
        opened = self._opened(session)
        try:
            credential = yield self._credential(session)
            yield opened
        finally:
            opened.addErrback(lambda failure: None)
            opened.cancel()
        if session.ending is not None:
            return
        session.note("connect", endpoint=target.endpoint)
        door.leg = yield leg.connect(broker.clock, target, door)
        if session.ending is not None:
            door.leg.abort()
            return
        session.note("connected")
        broker.tell("admitted", session=session.id, user=identity.name, target=target.name, account=grant.account.name)
        try:
            door.conversation.targetReady(session, credential)
        except Exception:
            door.failed(Failure())

    def _room(self) -> None:
        broker = self._door.mitm.broker
        obstacle = broker.recordings.obstacle()
        if obstacle:
            self.log.warn("refused a session: {why}", why=obstacle)
            raise Refusal("unrecordable", UNRECORDABLE, LATER)
        if len(broker.sessions) + broker.beginning >= broker.limits.maxSessions or broker.draining:
            raise _noRoom()

    def _identify(self) -> Deferred:
        door, claim = self._door, self._claim

        def unknown(failure: Failure) -> Failure:
            if failure.check(Unauthorized):
                door.mitm.broker.audit.failedLogin(claim.address, claim.protocol)
            return failure

        return door.mitm.broker.identity.verify(claim).addErrback(unknown)

    def _authorise(self, identity: Identity, target: Target | None) -> tuple[Grant | None, Refusal | None]:
        try:
            return self._door.mitm.broker.access.admit(identity, self._claim, target), None
        except Refusal as refusal:
            return None, refusal

    def _changed(self, identity: Identity, grant: Grant) -> Refusal | None:
        """The configuration was read again while the recording began: its HEAD names a grant that may be gone."""
        again, refusal = self._authorise(identity, self._door.mitm.broker.targets.get(self._claim.target))
        if again is not None and again != grant:
            return Refusal("denied", "the gateway's configuration has changed in this moment", "Connect again.")
        return refusal

    def _record(self, identity: Identity, target: Target, grant: Grant | None) -> Deferred:
        door, claim, broker = self._door, self._claim, self._door.mitm.broker
        head = {
            "identity": {
                "issuer": identity.issuer, "subject": identity.subject, "name": identity.name, "groups": list(identity.groups),
                "kind": identity.kind, "credential": identity.credential,
            },
            "actor": identity.actor,
            "target": _text(target.name),
            "account": _text(grant.account.name if grant else claim.account),
            "database": _text(grant.database if grant else claim.database),
            "grant": grant.name if grant else None,
            "protocol": door.mitm.protocol.name,
            "client": claim.address,
            "labels": {_text(name): _text(value) for name, value in claim.labels.items()},
            "policy": broker.policyDigest,
        }  # fmt: skip

        def failed(failure: Failure) -> None:
            failure.trap(RecordingFailed)
            self.log.error("no recording: {why}", why=failure.getErrorMessage())
            broker.tell("alarm", alarm="recording-failed", why=failure.getErrorMessage())
            raise Refusal("unrecordable", UNRECORDABLE, LATER)

        return broker.recordings.open(head).addErrback(failed)

    def _opened(self, session: Session) -> Deferred:
        """The OPEN leaf: it is in the ledger before anything connects, so that a session that is removed later is missed."""
        ledger = self._door.mitm.broker.ledger
        if ledger is None:
            return succeed(None)

        def failed(failure: Failure) -> None:
            if failure.check(CancelledError):
                return
            self.log.error("no leaf in the ledger for {session}: {why}", session=session.id, why=failure.getErrorMessage())
            session.broker.tell("alarm", session=session.id, alarm="unrecordable", why=failure.getErrorMessage())
            raise Refusal("unrecordable", UNRECORDABLE, LATER)

        opened: Deferred = ledger.opened(session.recording)
        return opened.addErrback(failed)

    @inlineCallbacks
    def _credential(self, session: Session) -> Any:
        account = session.grant.account
        secrets = {}
        for option, reference in account.secrets.items():
            try:
                secrets[option] = yield self._door.mitm.broker.secrets.fetch(reference, session.identity, session.target)
            except TargetFailed as failure:
                # Where the secret lies is the operator's business, not the client's.
                self.log.error("no credential for {target}: {why}", target=session.target.name, why=failure.message)
                session.note("note", text=failure.message)
                raise TargetFailed(
                    f'target "{session.target.name}": its credential can not be had',
                    "Whoever runs the gateway can mend this: hoopx check.",
                ) from None
        session.note("credential", username=account.username, secrets=sorted(account.secrets))
        return Credential(account.username, secrets)


def _text(said: str | None) -> str | None:
    """What a client has said, as text that everybody can write: what stands for undecodable bytes is written out."""
    return None if said is None else said.encode("utf-8", "backslashreplace").decode("utf-8")


def _noRoom() -> Refusal:
    return Refusal("limit", "the gateway takes no more sessions", "Try again later.")
