# -*- test-case-name: tests.storage.test_contract -*-
"""
A store in memory, for tests: it has versions, locks and delete markers, and is away when a test says so.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import IO, Any

from attrs import define, evolve
from twisted.internet.defer import Deferred, maybeDeferred
from zope.interface import implementer

from hoopx.interfaces import IStorageBackend
from hoopx.storage.errors import NotStored, StorageConflict, StorageError, StorageRefused
from hoopx.storage.names import checked
from hoopx.values import Receipt


@define
class _Version:
    receipt: Receipt
    content: bytes


@implementer(IStorageBackend)
class MemoryBackend:
    """
    @ivar trouble: what every call fails with, or C{None}.
    @ivar puts: names, in the order in which they were put, repeated ones too.
    """

    scheme = "memory"

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self.trouble: StorageError | None = None
        self.puts: list[str] = []
        self._wall = wall
        self._count = 0
        self._names: dict[str, list[_Version]] = {}

    def put(self, name: str, path: str, retainUntil: float | None, checksum: str | None = None) -> Deferred[Receipt]:
        return maybeDeferred(self._put, checked(name), path, retainUntil, checksum)

    def _put(self, name: str, path: str, retainUntil: float | None, checksum: str | None) -> Receipt:
        self._work()
        self.puts.append(name)
        with open(path, "rb") as file:
            content = file.read()
        digest = sha256(content).hexdigest()
        if checksum is not None and checksum != digest:
            raise StorageConflict(f"{path} is not what it was")
        versions = self._names.setdefault(name, [])
        if versions and not versions[-1].receipt.deleted:
            last = versions[-1]
            if last.receipt.checksum != digest:
                raise StorageConflict(f"{name} is taken by other bytes")
            last.receipt = evolve(last.receipt, retainUntil=_later(last.receipt.retainUntil, retainUntil))
            return last.receipt
        receipt = Receipt(name, self._version(), digest, retainUntil, len(content))
        versions.append(_Version(receipt, content))
        return receipt

    def open(self, receipt: Receipt) -> Deferred[IO[bytes]]:
        return maybeDeferred(lambda: io.BufferedReader(io.BytesIO(self._find(receipt).content)))  # type: ignore[arg-type]

    def stat(self, receipt: Receipt) -> Deferred[Receipt]:
        return maybeDeferred(lambda: self._find(receipt).receipt)

    def delete(self, receipt: Receipt) -> Deferred[None]:
        return maybeDeferred(self._delete, receipt)

    def _delete(self, receipt: Receipt) -> None:
        self._work()
        versions = self._names.get(receipt.name, [])
        for version in versions:
            if version.receipt.version == receipt.version:
                if version.receipt.held or (version.receipt.retainUntil or 0) > self._wall():
                    raise StorageRefused(f"{receipt.name} is locked")
                versions.remove(version)
                return

    def hold(self, receipt: Receipt, on: bool) -> Deferred[None]:
        return maybeDeferred(self._change, receipt, lambda found: evolve(found, held=on))

    def retain(self, receipt: Receipt, until: float) -> Deferred[None]:
        return maybeDeferred(
            self._change, receipt, lambda found: evolve(found, retainUntil=_later(found.retainUntil, until))
        )

    def list(self, prefix: str) -> Deferred[Any]:
        return maybeDeferred(self._list, prefix)

    def _list(self, prefix: str) -> Sequence[Receipt]:
        self._work()
        return [
            version.receipt for name in sorted(self._names) if name.startswith(prefix) for version in reversed(self._names[name])
        ]

    def hide(self, name: str) -> None:
        """Lay a delete marker over a name, as somebody who deletes without a version does."""
        self._names.setdefault(name, []).append(_Version(Receipt(name, self._version(), "", None, deleted=True), b""))

    def _change(self, receipt: Receipt, change: Callable[[Receipt], Receipt]) -> None:
        version = self._find(receipt)
        version.receipt = change(version.receipt)

    def _find(self, receipt: Receipt) -> _Version:
        self._work()
        for version in self._names.get(receipt.name, []):
            if version.receipt.version == receipt.version and not version.receipt.deleted:
                return version
        raise NotStored(f"{receipt.name} is not stored in this version")

    def _work(self) -> None:
        if self.trouble is not None:
            raise self.trouble

    def _version(self) -> str:
        self._count += 1
        return f"v{self._count}"


def _later(one: float | None, other: float | None) -> float | None:
    return max(one or 0.0, other or 0.0) or None


def make(place: str, settings: Any, threads: Any, secrets: Any) -> MemoryBackend:
    """The backend of C{store = "memory:"}."""
    return MemoryBackend()
