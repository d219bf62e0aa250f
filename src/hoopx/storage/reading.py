# -*- test-case-name: tests.recording.test_elsewhere -*-
"""
Stored objects for a command that has no reactor: everything happens at once, and blocks.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python.failure import Failure

from hoopx.ledger.tiles import WIDTH
from hoopx.storage.errors import NotStored, StorageError, StorageRefused, StorageUnavailable
from hoopx.storage.names import checked, isName, ledgerName
from hoopx.values import Receipt

COPY: Final = 1 << 20
LARGEST: Final = 20 << 20
"""Bytes of a file of a ledger: a bundle has 256 entries of at most 64 KiB."""
HUGE: Final = 1 << 30
"""Bytes of an object that is fetched: twice the largest segment there can be. Somebody else may have put it there, and disks end."""
PAUSES: Final = (1.0, 2.0, 4.0, 8.0, 15.0)
"""Seconds between two tries: half a minute, which a restart of a store takes."""
SIZED: Final = 12
"""Digits of the size in the name of a checkpoint."""
_CHECKPOINT: Final = re.compile(rf"checkpoint/[0-9]{{{SIZED}}}")


class Here:
    """Stands where a backend wants threads: what is called is done when it returns."""

    def call(self, work: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        return maybeDeferred(work, *arguments)


class StoredObjects:
    """
    @param backend: L{hoopx.interfaces.IStorageBackend}, made with L{Here} for its threads.
    """

    def __init__(self, backend: Any) -> None:
        self._backend = backend
        self._oldest: dict[str, Receipt] = {}

    def names(self, prefix: str = "") -> list[str]:
        """
        @return: of all objects that begin so and can be a gateway's. Of one with several versions the oldest is read afterwards: it is
            the one that was written first.
        @raise hoopx.storage.errors.StorageError:
        """
        # A marker hides what is below it, which is there.
        found = {receipt.name: receipt for receipt in _now(self._backend.list(prefix)) if not receipt.deleted and isName(receipt.name)}
        for name in [name for name in self._oldest if name.startswith(prefix)]:
            del self._oldest[name]  # what is gone by now is not told again
        self._oldest.update(found)
        return sorted(found)

    def read(self, name: str, limit: int) -> bytes:
        """
        @return: a small object, or as much of it.
        @raise hoopx.storage.errors.StorageError:
        """
        with _now(self._backend.open(self._oldest.get(name) or Receipt(checked(name), None, "", None))) as source:
            data: bytes = source.read(limit)
            return data

    def fetch(self, name: str, path: str, told: Callable[[int], object] = lambda count: None) -> None:
        """
        Write an object to a new file, which is the user's alone.

        @param told: callable(bytes that have come).
        @raise hoopx.storage.errors.StorageError:
        @raise ValueError: it is larger than any of ours.
        """
        receipt = self._oldest.get(name) or Receipt(checked(name), None, "", None)
        with _now(self._backend.open(receipt)) as source:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(descriptor, "wb", buffering=0) as target:
                left = HUGE
                while data := source.read(COPY):
                    left -= len(data)
                    if left < 0:
                        raise ValueError(f"{name} is larger than any segment")
                    target.write(data)
                    told(len(data))


class Patient:
    """
    A store that may be away for a while: what it can not give is asked for again. Whoever has waited in vain does not wait a second
    time: with thousands of objects to come there would be no end.

    @param store: has C{fetch}, as L{StoredObjects}.
    @param sleep: callable(seconds).
    @ivar gave: why nothing more is asked for, or C{None}.
    """

    def __init__(self, store: Any, sleep: Callable[[float], object] = time.sleep) -> None:
        self._store = store
        self._sleep = sleep
        self.gave: StorageError | None = None

    def fetch(self, name: str, path: str, told: Callable[[int], object] = lambda count: None) -> None:
        """@raise hoopx.storage.errors.StorageError:"""
        if self.gave is not None:
            raise self.gave
        for pause in PAUSES:
            try:
                return self._fetch(name, path, told)
            except StorageUnavailable:
                self._sleep(pause)
        try:
            self._fetch(name, path, told)
        except (StorageUnavailable, StorageRefused) as error:
            self.gave = error
            raise

    def _fetch(self, name: str, path: str, told: Callable[[int], object]) -> None:
        try:
            self._store.fetch(name, path, told)
        except BaseException:
            try:
                os.unlink(path)  # what came before it broke off
            except FileNotFoundError:
                pass
            raise


class StoredLedger:
    """
    A ledger as it lies in a store: callable(name of its file) -> bytes or C{None}, for L{hoopx.ledger.reader.LedgerReader}.

    @param objects: L{StoredObjects}.
    @param names: of all its objects.
    @param node: whose ledger it is.
    """

    def __init__(self, objects: Any, names: Sequence[str], node: str) -> None:
        self._objects = objects
        self._node = node
        self._names = {name for name in names if name.startswith(f"{node}/ledger/")}
        points = sorted(name for name in self._names if _CHECKPOINT.fullmatch(name.removeprefix(f"{node}/ledger/")))
        self._newest = points[-1] if points else None
        self._points = points[:-1]

    def __call__(self, name: str) -> bytes | None:
        """@raise hoopx.storage.errors.StorageError:"""
        there = self._newest if name == "checkpoint" else ledgerName(self._node, name)
        return self._objects.read(there, LARGEST) if there in self._names else None


    def earlier(self) -> Iterator[tuple[str, bytes]]:
        """
        @return: name and bytes of the checkpoints before the newest, as far back as the last full tile: what came before that, the tile
            tells. So there are fewer than one has hashes.
        """
        if self._newest is None:
            return
        full = int(self._newest[-SIZED:]) // WIDTH * WIDTH
        for name in self._points:
            if int(name[-SIZED:]) > full:
                try:
                    yield name, self._objects.read(name, LARGEST)
                except (StorageRefused, NotStored):  # what we put there can be read
                    continue


def ledgers(names: Iterable[str]) -> list[str]:
    """@return: the nodes whose ledgers are among the objects of a store."""
    return sorted({name.partition("/")[0] for name in names if name.split("/")[1:2] == ["ledger"]})


class StoredFiles:
    """A folder in which a store's objects lie by their names: a copy of a bucket, or a C{file:} store."""

    def __init__(self, root: str) -> None:
        self._root = os.path.abspath(root)

    def fetch(self, name: str, path: str, told: Callable[[int], object] = lambda count: None) -> None:
        """@raise FileNotFoundError: it is not there."""
        source = os.path.join(self._root, checked(name))
        os.stat(source)
        os.symlink(source, path)


def _now(waited: Deferred[Any]) -> Any:
    found: list[Any] = []
    waited.addBoth(found.append)
    if not found:
        raise RuntimeError("the backend waits for something")
    if isinstance(found[0], Failure):
        found[0].raiseException()
    return found[0]
