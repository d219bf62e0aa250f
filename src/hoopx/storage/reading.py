# -*- test-case-name: tests.recording.test_elsewhere -*-
"""
Stored objects for a command that has no reactor: everything happens at once, and blocks.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python.failure import Failure

from hoopx.storage.names import checked
from hoopx.values import Receipt

COPY: Final = 1 << 20


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

    def names(self) -> list[str]:
        """
        @return: of all objects. Of one with several versions the oldest is read afterwards: it is the one that was written first.
        @raise hoopx.storage.errors.StorageError:
        """
        for receipt in _now(self._backend.list("")):
            if not receipt.deleted:  # a marker that hides what is below it, and is there
                self._oldest[receipt.name] = receipt
        return sorted(self._oldest)

    def fetch(self, name: str, path: str, told: Callable[[int], object] = lambda count: None) -> None:
        """
        Write an object to a new file, which is the user's alone.

        @param told: callable(bytes that have come).
        @raise hoopx.storage.errors.StorageError:
        """
        receipt = self._oldest.get(name) or Receipt(checked(name), None, "", None)
        with _now(self._backend.open(receipt)) as source:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(descriptor, "wb", buffering=0) as target:
                while data := source.read(COPY):
                    target.write(data)
                    told(len(data))


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
