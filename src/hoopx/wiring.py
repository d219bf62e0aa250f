# -*- test-case-name: tests.test_service -*-
"""
Puts a gateway's parts together, in the order in which they need each other, and takes them apart again.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any, Final

from attrs import asdict, evolve
from twisted.internet.defer import inlineCallbacks, maybeDeferred
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool

from hoopx import __version__, registry
from hoopx.api.socket import ControlSocket
from hoopx.broker import Broker
from hoopx.computing import Computing
from hoopx.config.errors import ConfigurationErrors
from hoopx.config.targets import ConfiguredTargets
from hoopx.config.unsupported import references as allReferences
from hoopx.config.unsupported import unsupported
from hoopx.config.words import keyOf
from hoopx.curator.pipes import spawner
from hoopx.curator.process import Curator
from hoopx.curator.settings import curatorSettings, dump, secretReferences, withSecrets
from hoopx.curator.trail import AuditTrail
from hoopx.identity.revocation import Revocations
from hoopx.identity.tokens import Tokens
from hoopx.identity.verifier import Verifier
from hoopx.metrics.figures import Figures
from hoopx.policy.access import AccessPolicy, Grants
from hoopx.recording.settings import RecordingSettings
from hoopx.recording.store import Recordings
from hoopx.recording.threads import Threads
from hoopx.retention.holding import HoldsTold
from hoopx.retention.running import MYSELF, Retention
from hoopx.secrets.declared import startSources
from hoopx.state.alarms import AuditedAlarms
from hoopx.state.aside import Aside
from hoopx.state.audit import Audit, FailedLogins
from hoopx.state.lapse import Lapse
from hoopx.state.marks import Marks
from hoopx.state.store import Store
from hoopx.state.thread import StateThread
from hoopx.tls.contexts import serverOptions
from hoopx.tls.ends import Ends

THREADS: Final = 8
"""For files and keys: enough that one slow disk call does not hold up the next, few enough for two cores."""
COMPUTING: Final = 2
"""For passwords that targets want hashed a million times: half a second of a core each, and not the disk's threads."""

EARLY: Final = 100
"""Alarms from before there is anybody to be told: recoveries have a line of the log each besides."""


def checkSupported(settings: Any) -> None:
    """@raise ConfigurationErrors: the settings ask for what this version can not do."""
    errors = unsupported(settings, registry.protocols())
    if errors:
        raise ConfigurationErrors(errors)


class Machine:
    """
    Everything with a life of its own: threads, files, timers, the control socket.

    @param reactor: time, connections, threads.
    @param settings: L{hoopx.config.settings.Settings}.
    @param parts: replacements for parts of the broker.
    """

    log = Logger()

    def __init__(self, reactor: Any, settings: Any, parts: dict) -> None:
        self._reactor = reactor
        self._settings = settings
        self._data = settings.gateway.data
        self._parts = parts
        self._undo: list = []
        self.tokens: Any = None
        self.audit: Any = None
        self.revocations: Any = None
        self.broker: Any = None
        self.curator: Any = None
        self.retention: Any = None
        self._failures: Any = None
        self._early: list[tuple[str, Any]] = []

    @inlineCallbacks
    def start(self, gateway: Any) -> Any:
        """@return: Deferred[L{Broker}]. What was begun before a failure is undone by L{stop}."""
        settings, reactor = self._settings, self._reactor
        data = Path(settings.gateway.data)
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        pool = ThreadPool(0, THREADS, "hoopx files")
        pool.start()
        self._undo.append(pool.stop)
        threads = Threads(reactor, pool)

        computing = ThreadPool(0, COMPUTING, "hoopx computing")
        computing.start()
        self._undo.append(computing.stop)

        protocols = registry.protocols()
        secrets = self._parts.get("secrets") or startSources(registry.credentialSources(), threads, references(settings))
        self.curator = self._parts.get("curator") or (None if "recordings" in self._parts else self._curator(secrets))
        recordings = self._parts.get("recordings") or (yield self._recordings(threads, protocols))
        stateThread = StateThread(reactor)
        stateThread.start()
        self._undo.append(stateThread.stop)
        store = yield stateThread.patiently(Store.open, settings.state.url, data)
        stateThread.stuck = store.interrupt
        self._undo.append(lambda: stateThread.patiently(store.close))
        away = lambda: self.revocations is not None and self.revocations.trouble is not None
        aside = Aside(data, self._alarm)
        lapse = Lapse(store, stateThread, reactor, time.time, self._alarm, away, aside)
        self._undo.append(lapse.stop)
        self.audit = Audit(store, stateThread, time.time, lapse)
        failures = self._failures = FailedLogins(store, stateThread, reactor, time.time, lapse.failed)
        failures.start()
        self._undo.append(failures.stop)
        alarms = AuditedAlarms(store, stateThread, reactor, time.time, lapse.failed, aside)
        self._undo.append(alarms.stop)
        self.tokens = Tokens(store, stateThread, time.time, settings.identity.tokens.maxAge)
        server = yield threads.call(serverOptions, settings.tls, str(data), [settings.gateway.name])

        self.broker = broker = Broker(
            clock=reactor,
            limits=settings.gateway,
            identity=self._parts.get("identity") or Verifier(self.tokens),
            access=self._parts.get("access") or AccessPolicy(Grants(settings.grants)),
            targets=self._parts.get("targets") or ConfiguredTargets(settings.targets),
            secrets=secrets,
            recordings=recordings,
            ledger=self.curator,
            tls=Ends(server),
            audit=failures,
            policy=self._parts.get("policy"),
            approver=self._parts.get("approver"),
            sinks=(*self._parts.get("sinks", ()), alarms),
            compute=Computing(Threads(reactor, computing)),
            policyDigest=keepPolicy(settings, data),
            protocols=protocols,
        )
        self.revocations = Revocations(store, stateThread, reactor, self._revoked, self._alarm)
        yield self.revocations.start()
        self._undo.append(self.revocations.stop)
        if self.curator is not None:
            self._keep(store, stateThread)
        control = ControlSocket(reactor, data, gateway, gateway.tail)
        control.start()
        self._undo.append(control.stop)
        reactor.callLater(0, self._tellEarly)
        return broker

    def _curator(self, secrets: Any) -> Curator:
        curator = Curator(spawner(self._reactor), self._reactor, lambda: curatorConfiguration(self._settings, secrets), self._alarm)
        self._undo.append(curator.stop)
        return curator

    @inlineCallbacks
    def _recordings(self, threads: Threads, protocols: dict) -> Any:
        settings = self._settings
        recording = settings.recording
        durability = RecordingSettings(
            recording.durability, recording.segmentSize, recording.segmentAge, settings.gateway.diskReserve,
            settings.gateway.diskRefuseBelow, _auditors(recording),
        )  # fmt: skip
        journal = ThreadPool(0, 1, "hoopx journal")
        journal.start()
        self._undo.append(journal.stop)
        recordings = Recordings(
            settings.gateway.data,
            node=settings.gateway.name,
            version=__version__,
            plugins=plugins(protocols),
            clock=self._reactor,
            threads=threads,
            journalThreads=Threads(self._reactor, journal),
            settings=durability,
            alarm=self._alarm,
            curator=self.curator,
        )
        yield recordings.start()
        self._undo.append(recordings.stop)
        return recordings

    def _keep(self, store: Store, stateThread: StateThread) -> None:
        """The audit goes into the ledger, and what need not be kept any longer is erased."""
        trail = AuditTrail(self._reactor, lambda row, limit: stateThread.call(store.auditAfter, row, limit), self.curator, self._alarm)
        marks = Marks(store, MYSELF, time.time)
        self.retention = Retention(
            self._reactor, self.curator, lambda: stateThread.call(marks.holding), self.audit.write, self._alarm, trail.caughtUp
        )
        holds = HoldsTold(self._reactor, lambda: stateThread.call(marks.holding), self.curator)
        for part in (trail, holds, self.retention):
            part.start()
            self._undo.append(part.stop)

    def figures(self, gateway: Any) -> Figures:
        """@return: what metrics tell; it is told of events from here on."""
        broker = self.broker
        stored = getattr(broker.recordings, "figures", dict)  # an embedder's own recordings may have none
        figures = Figures(gateway.status, stored, broker.traffic, lambda: self._failures.total)
        broker.sinks = (*broker.sinks, figures)
        if isinstance(broker.recordings, Recordings):
            broker.recordings.took = figures.took
        return figures

    def _alarm(self, alarm: str, fields: Any) -> None:
        if self.broker is not None:
            self.broker.tell("alarm", alarm=alarm, **fields)
        elif len(self._early) < EARLY:
            self._early.append((alarm, fields))

    def _tellEarly(self) -> None:
        """What the curator found before there was anybody to be told."""
        early, self._early = self._early, []
        for alarm, fields in early:
            self._alarm(alarm, fields)

    def _revoked(self, credentials: list[str]) -> None:
        revoked = frozenset(credentials)
        self.broker.endWhere(lambda session: session.identity.credential in revoked, "revoked")

    def apply(self, settings: Any) -> list[str]:
        """
        Put new settings in force for what comes, and end sessions whose grant is gone.

        @return: sentences that say what changed, and what needs a restart.
        """
        old, self._settings = self._settings, settings
        said = []
        broker = self.broker
        broker.access = AccessPolicy(Grants(settings.grants))
        broker.targets = ConfiguredTargets(settings.targets)
        broker.limits = settings.gateway
        if broker.tls.reload():
            said.append("certificates were read again")
        auditors = _auditors(settings.recording)
        if auditors != _auditors(old.recording) and isinstance(broker.recordings, Recordings):
            broker.recordings.keepOriginals(auditors)
            kept = f"sealed to {len(auditors)} auditors" if auditors else "no longer"
            said.append(f"unmasked bytes of new sessions are kept {kept}")
        ended = broker.endWhere(lambda session: not _stillGranted(broker, session), "grant-lost")
        try:
            broker.policyDigest = keepPolicy(settings, Path(self._data))
        except OSError as error:
            # Who loses a grant loses it also on a full disk; there nobody is admitted under rules that are not kept.
            broker.policyDigest = digestOf(settings)[0]
            said.append(f"the rules could not be kept under {self._data}/policies: {error.strerror}")
        said.append(f"{len(settings.targets)} targets and {len(settings.grants)} grants are in force")
        if ended:
            said.append(f"{ended} sessions ended because their grant is gone")
        if self.curator is not None:
            told = self.curator.reload()
            told.addErrback(lambda failure: self.log.warn("the curator: {why}", why=failure.getErrorMessage()))
        for name in ("name", "data", "diskReserve", "diskRefuseBelow"):
            if getattr(old.gateway, name) != getattr(settings.gateway, name):
                said.append(f"[gateway] {keyOf(name)} has changed: that takes a restart")
        old = evolve(old, recording=evolve(old.recording, original=settings.recording.original))
        for name in ("listeners", "recording", "state", "index", "tls", "metrics"):
            if getattr(old, name) != getattr(settings, name):
                said.append(f"[{name}] has changed: that takes a restart")
        return said

    @inlineCallbacks
    def stop(self) -> Any:
        """Undo, last first. One failure does not keep the rest."""
        while self._undo:
            undo = self._undo.pop()
            try:
                yield maybeDeferred(undo)
            except Exception:
                self.log.failure("a part of the gateway did not stop properly")


def references(settings: Any) -> list:
    """Every secret reference of the configuration."""
    return [reference for _, reference in allReferences(settings)]


def _auditors(recording: Any) -> tuple[str, ...]:
    """To whom unmasked bytes are sealed; without one they are not kept."""
    return tuple(recording.encryptTo) if recording.original == "sealed" else ()


@inlineCallbacks
def curatorConfiguration(settings: Any, secrets: Any) -> Any:
    """@return: Deferred[bytes]: what the curator is told, with its secrets, which are not kept here."""
    fetched = {}
    for name, reference in secretReferences(settings).items():
        fetched[name] = yield secrets.fetch(reference, None, None)
    return dump(withSecrets(curatorSettings(settings), fetched))


def plugins(protocols: dict) -> dict:
    """Which plugins are in use, for HEAD: name -> distribution, version and hash."""
    return {name: asdict(registry.identity(recorder)) for name, recorder in protocols.items()}


def _stillGranted(broker: Any, session: Any) -> bool:
    if session.grant.account is None:
        return True  # not admitted yet, or refused: admission decides
    target = broker.targets.get(session.target.name)
    try:
        grant = broker.access.admit(session.identity, session.claim, target)
    except Exception:
        return False
    had = session.grant
    same = grant.account.name == had.account.name and grant.database == had.database
    # What has been permitted is not asked for again while the session lives.
    return same and grant.approval is None and set(had.permit) <= set(grant.permit)


def digestOf(settings: Any) -> tuple[str, bytes]:
    """@return: the SHA-256 of the rules, and the rules as they are kept."""
    rules = {"grants": [asdict(grant) for grant in settings.grants]}
    text = json.dumps(rules, sort_keys=True, default=str, separators=(",", ":")).encode()
    return hashlib.sha256(text).hexdigest(), text


def keepPolicy(settings: Any, data: Path) -> str:
    """Keep the rules in force under data/policies, named by their SHA-256, so that a recording's digest can be looked up."""
    digest, text = digestOf(settings)
    folder = data / "policies"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{digest}.json"
    if not path.exists():
        fresh = path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(text)
        os.rename(fresh, path)
    return digest
