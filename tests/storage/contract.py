"""
What every backend promises, as tests: mixed into one case a backend.
"""

from __future__ import annotations

import os
import time
from hashlib import sha256
from typing import Any

from zope.interface.verify import verifyObject

from hoopx.interfaces import IStorageBackend
from hoopx.storage.errors import NotStored, StorageConflict, StorageRefused
from hoopx.values import Receipt

NAME = "gw1/2026/01/02/01KE0000000000000000000000/000000.hxr"
OTHER = "gw1/2026/01/03/01KE1111111111111111111111/000000.hxr"
NEIGHBOUR = "gw2/2026/01/02/01KE2222222222222222222222/000000.hxr"
CONTENT = b"what was recorded" * 1000
DIGEST = sha256(CONTENT).hexdigest()


class Contract:
    """
    Mixed into a synchronous test case that has C{backend} after its C{setUp}.

    @cvar versions: the store names versions.
    """

    versions = True
    backend: Any

    def get(self, deferred: Any) -> Any:
        return self.successResultOf(deferred)  # type: ignore[attr-defined]

    def failed(self, deferred: Any, kind: type) -> Exception:
        return self.failureResultOf(deferred, kind).value  # type: ignore[attr-defined]

    def file(self, content: bytes = CONTENT) -> str:
        path: str = self.mktemp()  # type: ignore[attr-defined]
        with open(path, "wb") as file:
            file.write(content)
        return path

    def read(self, receipt: Receipt) -> bytes:
        with self.get(self.backend.open(receipt)) as file:
            data: bytes = file.read()
            return data

    def names(self, prefix: str = "") -> list[str]:
        return [each.name for each in self.get(self.backend.list(prefix))]

    def put(self, name: str = NAME, content: bytes = CONTENT, until: float | None = None, checksum: str | None = None) -> Any:
        return self.backend.put(name, self.file(content), until, checksum)

    def test_seam(self: Any) -> None:
        verifyObject(IStorageBackend, self.backend)

    def test_put(self: Any) -> None:
        receipt = self.get(self.put())
        self.assertEqual((receipt.name, receipt.checksum, receipt.size), (NAME, DIGEST, len(CONTENT)))
        self.assertEqual((receipt.retainUntil, receipt.deleted, receipt.held), (None, False, False))
        self.assertEqual(receipt.version is not None, self.versions)
        self.assertEqual(self.read(receipt), CONTENT)
        self.assertEqual(self.get(self.backend.stat(receipt)), receipt)

    def test_empty(self: Any) -> None:
        self.assertEqual(self.read(self.get(self.put(content=b""))), b"")

    def test_large(self: Any) -> None:
        content = os.urandom(3 << 20)
        receipt = self.get(self.put(content=content, checksum=sha256(content).hexdigest()))
        self.assertEqual(self.read(receipt), content)

    def test_again(self: Any) -> None:
        """Whoever does not know whether his put arrived puts again: that is one object, and success."""
        first = self.get(self.put())
        self.assertEqual(self.get(self.put()), first)
        self.assertEqual(self.get(self.put(checksum=DIGEST)), first)
        self.assertEqual(len(self.names()), 1)

    def test_conflict(self: Any) -> None:
        """A name is taken once."""
        first = self.get(self.put())
        for other in (CONTENT + b"x", CONTENT[:-1], CONTENT[:-1] + b"x", b""):
            error = self.failed(self.put(content=other), StorageConflict)
            self.assertIn("taken", str(error))
        self.assertEqual(self.read(first), CONTENT)
        self.assertEqual(len(self.names()), 1)

    def test_checksum(self: Any) -> None:
        """A file that is not what it was is not stored."""
        error = self.failed(self.put(content=CONTENT + b"!", checksum=DIGEST), StorageConflict)
        self.assertIn("not what it was", str(error))
        self.assertEqual(self.names(), [])

    def test_badName(self: Any) -> None:
        for name in ("", "/a", "a/", "a//b", "../a", "a/../b", ".a", "a/.b", "a b", "a\n", "a" * 600, "ä"):
            self.assertRaises(ValueError, self.put, name)
        self.assertEqual(self.names(), [])

    def test_list(self: Any) -> None:
        for name in (OTHER, NEIGHBOUR, NAME):
            self.get(self.put(name))
        self.assertEqual(self.names(), [NAME, OTHER, NEIGHBOUR])
        self.assertEqual(self.names("gw1/"), [NAME, OTHER])
        self.assertEqual(self.names("gw1/2026/01/02/"), [NAME])
        self.assertEqual(self.names("gw1/2026/01/02/01KE0"), [NAME])
        self.assertEqual(self.names(NAME), [NAME])
        self.assertEqual(self.names("gw3/"), [])
        (found,) = self.get(self.backend.list("gw2/"))
        self.assertEqual(found.size, len(CONTENT))
        self.assertEqual(self.read(found), CONTENT)
        self.assertEqual(self.get(self.backend.stat(found)).checksum, DIGEST)

    def test_delete(self: Any) -> None:
        receipt = self.get(self.put())
        self.get(self.backend.delete(receipt))
        self.assertEqual(self.names(), [])
        self.failed(self.backend.open(receipt), NotStored)
        self.failed(self.backend.stat(receipt), NotStored)
        self.get(self.backend.delete(receipt))
        self.assertEqual(self.read(self.get(self.put(content=b"new"))), b"new")

    def test_missing(self: Any) -> None:
        self.get(self.put(OTHER))
        nothing = Receipt(NAME, None, DIGEST, None)
        for asked in (self.backend.open(nothing), self.backend.stat(nothing)):
            self.failed(asked, NotStored)

    def test_hold(self: Any) -> None:
        receipt = self.get(self.put())
        self.get(self.backend.hold(receipt, True))
        self.assertTrue(self.get(self.backend.stat(receipt)).held)
        self.failed(self.backend.delete(receipt), StorageRefused)
        self.get(self.backend.hold(receipt, True))
        self.get(self.backend.hold(receipt, False))
        self.assertFalse(self.get(self.backend.stat(receipt)).held)
        self.get(self.backend.delete(receipt))
        self.assertEqual(self.names(), [])

    def test_retain(self: Any) -> None:
        """Kept until then, longer when somebody says so, never shorter."""
        soon = float(int(time.time()) + 3600)
        receipt = self.get(self.put(until=soon))
        self.assertEqual(receipt.retainUntil, soon)
        self.failed(self.backend.delete(receipt), StorageRefused)
        for until, then in ((soon + 3600, soon + 3600), (soon, soon + 3600)):
            self.get(self.backend.retain(receipt, until))
            self.assertEqual(self.get(self.backend.stat(receipt)).retainUntil, then)
        self.assertEqual(self.get(self.put(until=soon + 7200)).retainUntil, soon + 7200)
        self.assertEqual(self.get(self.backend.stat(receipt)).retainUntil, soon + 7200)
        self.assertEqual(self.read(receipt), CONTENT)

    def test_retainLater(self: Any) -> None:
        """What was stored without is kept from when somebody says so."""
        receipt = self.get(self.put())
        until = float(int(time.time()) + 3600)
        self.get(self.backend.retain(receipt, until))
        self.failed(self.backend.delete(receipt), StorageRefused)
        self.assertEqual(self.get(self.backend.stat(receipt)).retainUntil, until)
