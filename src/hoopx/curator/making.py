# -*- test-case-name: tests.curator.test_main -*-
"""
Makes the curator's parts of what is installed: plugins, threads, clients.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.python.threadpool import ThreadPool

from hoopx import registry
from hoopx.config.settings import FilePath, GatewaySettings, Name, RecordingSettings, S3Settings, Settings
from hoopx.curator.apart import Apart
from hoopx.curator.parts import Niced, Parts
from hoopx.curator.settings import CuratorSettings
from hoopx.curator.workshop import Workshop
from hoopx.recording.threads import Threads
from hoopx.values import Reference

BENCH = 2
REMOTE = 6
RENEW = 20.0
"""Seconds for the gateway to fetch the store's credentials anew: the store is asked again later in any case."""


def configured(settings: CuratorSettings) -> Settings:
    """@return: what a backend may look at, with references into L{Given} in place of the secrets."""
    s3 = None
    if settings.s3 is not None:
        given: dict[str, Any] = {name[3:]: Reference("given", name) for name in settings.secrets if name.startswith("s3.")}
        s3 = S3Settings(**settings.s3, **given)
    return Settings(
        gateway=GatewaySettings(name=Name(settings.node), data=FilePath(settings.data)),
        recording=RecordingSettings(store=settings.store, s3=s3),
    )


class Given:
    """
    The secrets that the gateway has fetched for the curator. Who asks for one a second time has had no luck with the first: then the
    gateway is asked whether there are others by now.

    @param secrets: name -> secret; others are put in when they come.
    @param renew: callable() -> Deferred, fired when those that there are now have come.
    """

    def __init__(self, secrets: Mapping[str, bytes], renew: Callable[[], Deferred[Any]] = lambda: succeed(None)) -> None:
        self._secrets = secrets
        self._renew = renew
        self._had: set[str] = set()
        self._waiting: list[tuple[str, Deferred[bytes]]] | None = None

    def fetch(self, reference: Reference, identity: Any, target: Any) -> Deferred[bytes]:
        """@return: Deferred[bytes]"""
        name = reference.name
        if name not in self._had:
            self._had.add(name)
            return maybeDeferred(self._secrets.__getitem__, name)
        asked: Deferred[bytes] = Deferred()
        if self._waiting is not None:
            self._waiting.append((name, asked))
        else:
            self._waiting = [(name, asked)]
            self._renew().addBoth(self._renewed)
        return asked

    def _renewed(self, _: Any) -> None:
        """Also when it could not be: then they are what they were."""
        waiting, self._waiting = self._waiting or [], None
        for name, asked in waiting:
            maybeDeferred(self._secrets.__getitem__, name).chainDeferred(asked)


class Maker:
    """
    @param reactor: time, connections, threads.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._pools: list[ThreadPool] = []
        self._workshop: Workshop | None = None

    def start(self) -> None:
        """The reactor is about to run."""
        for pool in self._pools:
            pool.start()

    def workshop(self, alarm: Any, progress: Any, renew: Callable[[], Deferred[Any]]) -> Workshop:
        """@return: L{Workshop}."""
        reactor = self._reactor
        self._renew = lambda: renew().addTimeout(RENEW, reactor)

        def fromThread(function: Any, *arguments: Any) -> None:
            reactor.callFromThread(function, *arguments)

        self._remote = Threads(reactor, self._pool("store", REMOTE))
        parts = Parts(
            ledger=Threads(reactor, self._pool("ledger", 1)),
            book=Threads(reactor, self._pool("book", 1)),
            bench=Niced(reactor, self._pool("bench", BENCH)),
            fromThread=fromThread,
            backend=self._backend,
            index=self._index,
            submit=self._submit,
        )
        made = self._workshop = Workshop(reactor, parts, alarm, lambda done, count: fromThread(progress, done, count))
        return made

    def close(self) -> None:
        """The reactor has stopped."""
        if self._workshop is not None:
            self._workshop.close()

    def _pool(self, name: str, count: int) -> ThreadPool:
        pool = ThreadPool(0, count, f"hoopx curator {name}")
        self._pools.append(pool)
        return pool

    def _backend(self, settings: Any) -> Any:
        from hoopx.storage.select import backend

        return maybeDeferred(
            backend, settings.store, configured(settings), self._remote, Given(settings.secrets, self._renew), registry.storageBackends()
        )

    def _index(self, settings: Any) -> Any:
        return Apart(settings)

    def _submit(self, url: str, vkey: str, checkpoint: bytes, proofFor: Any, old: int) -> Any:
        from hoopx.witness.calling import agent
        from hoopx.witness.client import submit

        if not hasattr(self, "_agent"):
            self._agent = agent(self._reactor)
        return submit(self._agent, url, vkey, checkpoint, proofFor, clock=self._reactor, old=old)
