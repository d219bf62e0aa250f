"""The backend C{s3:} without a server: what it asks for, and what it does with answers that real servers seldom give."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Iterator
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import succeed
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hoopx.interfaces import IStorageBackend
from hoopx.storage import s3
from hoopx.storage.errors import StorageConflict, StorageRefused, StorageUnavailable
from hoopx.storage.s3 import S3Backend
from hoopx.storage.s3login import Without
from hoopx.values import Receipt, Reference
from tests.recording.rig import Later, Now
from tests.storage.contract import CONTENT, DIGEST, NAME
from tests.storage.test_s3errors import Answered

SUM = b64encode(bytes.fromhex(DIGEST)).decode()
DAY = 86_400.0


class Client:
    """
    A client that notes what is asked and answers what the test says.

    @ivar answers: operation -> dict, exception, or list of them.
    """

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, operation: str) -> Any:
        def ask(**arguments: Any) -> Any:
            self.asked.append((operation, arguments))
            answer = self.answers.get(operation, {})
            if isinstance(answer, list):
                answer = answer.pop(0)
            if isinstance(answer, BaseException):
                raise answer
            return answer

        return ask


class Body(io.BytesIO):
    pass


class AskTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.client = Client(put_object={"ChecksumSHA256": SUM})
        self.now = 1_000_000_000.0
        self.path = self.mktemp()
        with open(self.path, "wb") as file:
            file.write(CONTENT)

    def backend(self, threads: Any = None, **more: Any) -> S3Backend:
        settings = Without(**more)
        backend = S3Backend(
            "bucket", "pre/", settings, threads or Now(), None, lambda *_: self.client, lambda: self.now
        )
        verifyObject(IStorageBackend, backend)
        return backend

    def put(self, until: float | None = None, checksum: str | None = DIGEST, **more: Any) -> Any:
        return self.backend(**more).put(NAME, self.path, until, checksum)

    def head(self, **more: Any) -> dict[str, Any]:
        return {"VersionId": "v1", "ChecksumSHA256": SUM, "ContentLength": len(CONTENT), **more}

    def test_put(self) -> None:
        """One call: nothing overwritten, checked by the server, locked from its first moment."""
        self.client.answers["put_object"] = {"VersionId": "v1", "ChecksumSHA256": SUM}
        self.client.answers["head_object"] = self.head(ObjectLockRetainUntilDate=datetime.fromtimestamp(self.now + DAY, timezone.utc))
        receipt = self.successResultOf(self.put(self.now + DAY - 0.5))
        self.assertEqual(receipt, Receipt(NAME, "v1", DIGEST, self.now + DAY - 0.5, len(CONTENT)))
        operation, asked = self.client.asked[0]
        asked.pop("Body")
        self.assertEqual(
            (operation, asked),
            (
                "put_object",
                {
                    "Bucket": "bucket", "Key": "pre/" + NAME, "IfNoneMatch": "*", "ChecksumSHA256": SUM, "ChecksumAlgorithm": "SHA256",
                    "ContentType": "application/octet-stream", "ObjectLockMode": "COMPLIANCE",
                    "ObjectLockRetainUntilDate": datetime.fromtimestamp(self.now + DAY, timezone.utc),
                },
            ),
        )  # fmt: skip

    def test_unlocked(self) -> None:
        """No lock where none is wanted, and none that would be over at once."""
        for until, lock in ((None, "COMPLIANCE"), (self.now + 5, "COMPLIANCE"), (self.now + DAY, "none")):
            receipt = self.successResultOf(self.put(until, objectLock=lock))
            self.assertEqual(receipt.retainUntil, None)
            self.assertNotIn("ObjectLockMode", self.client.asked[-1][1])

    def test_forEver(self) -> None:
        """S3 can say no date after the year 9999: who keeps things for longer, such as 8000 years, gets the last one."""
        last = datetime(9999, 12, 31, tzinfo=timezone.utc)
        for until in (last.timestamp() + 2 * DAY, 1e12, 1e300):
            self.client.answers["head_object"] = self.head(ObjectLockRetainUntilDate=last)
            receipt = self.successResultOf(self.put(until))
            self.assertEqual(receipt.retainUntil, last.timestamp())
            asked = dict(self.client.asked)["put_object"]
            self.assertEqual(asked["ObjectLockRetainUntilDate"], last)
            self.client.answers["head_object"] = [self.head(), self.head(ObjectLockRetainUntilDate=last)]
            self.successResultOf(self.backend().retain(receipt, until))
            retention = dict(self.client.asked)["put_object_retention"]["Retention"]
            self.assertEqual(retention["RetainUntilDate"], last)

    def test_listWithoutEnd(self) -> None:
        """A list that says the same again and again has no end: the store is not well. One that tells a few things twice has one."""

        def pages(count: int, fresh: bool) -> Iterator[dict[str, Any]]:
            for number in range(count):
                yield {"IsTruncated": True, "Versions": [{"Key": f"pre/n/{number if fresh else number % 3}", "VersionId": "v"}]}
            yield {"IsTruncated": False}

        def listed(count: int, fresh: bool) -> Any:
            backend = self.backend()
            self.patch(self.client, "get_paginator", lambda _: SimpleNamespace(paginate=lambda **_: pages(count, fresh)))
            return backend.list("n/")

        self.assertIn("in a circle", str(self.failureResultOf(listed(10 * s3.STALE, False), StorageUnavailable).value))
        self.assertEqual(len(self.successResultOf(listed(s3.STALE, False))), 3)
        self.assertEqual(len(self.successResultOf(listed(2 * s3.STALE, True))), 2 * s3.STALE)

    def test_moreThanSaid(self) -> None:
        """An object without a checksum is read to compare it: as much as there is said to be. What is larger than any of ours is not."""

        class Endless(Body):
            taken = 0

            def read(self, size: int | None = -1) -> bytes:
                self.taken += 1 << 16
                assert self.taken <= 1 << 24, "nobody stops reading"
                return bytes(1 << 16)

        self.client.answers["get_object"] = {"Body": Endless()}
        self.client.answers["head_object"] = {"ContentLength": len(CONTENT)}
        receipt = Receipt(NAME, None, "", None)
        self.failureResultOf(self.backend().stat(receipt), StorageUnavailable)
        self.patch(s3, "HUGE", 1 << 20)
        self.client.answers["head_object"] = {}
        self.failureResultOf(self.backend().stat(receipt), StorageUnavailable)
        self.client.answers["head_object"] = {"ContentLength": (1 << 20) + 1}
        self.client.answers["get_object"] = AssertionError("read")
        self.failureResultOf(self.backend().stat(receipt), StorageConflict)

    def test_notHashedTwice(self) -> None:
        """The digest that packing has made is believed; the server checks it against what comes."""
        self.patch(s3, "_digest", lambda file: self.fail("hashed"))
        self.successResultOf(self.put())

    def test_locksNothing(self) -> None:
        """A store that takes the headers of Object Lock and does not know them is found out at the first object."""
        self.client.answers["head_object"] = self.head()
        error = self.failureResultOf(self.put(self.now + DAY), StorageRefused).value
        self.assertIn("does not lock", str(error))
        self.client.answers["put_object"] = Answered("PreconditionFailed", 412)
        self.failureResultOf(self.put(self.now + DAY), StorageRefused)

    def test_lookedOnce(self) -> None:
        locked = self.head(ObjectLockRetainUntilDate=datetime.fromtimestamp(self.now + DAY, timezone.utc))
        self.client.answers["head_object"] = locked
        backend = self.backend()
        for _ in range(3):
            self.successResultOf(backend.put(NAME, self.path, self.now + DAY, DIGEST))
        self.assertEqual([operation for operation, _ in self.client.asked].count("head_object"), 1)

    def test_otherBytesArrived(self) -> None:
        self.client.answers["put_object"] = {"VersionId": "v1", "ChecksumSHA256": b64encode(bytes(32)).decode()}
        self.failureResultOf(self.put(), StorageConflict)

    def test_acknowledged(self) -> None:
        """An answer without a checksum is no store's word: what is there is compared, and where that is not it, it is tried again."""
        self.client.answers["put_object"] = {}
        missing = Answered("404", 404)
        for head, page, kind in [
            (self.head(), b"", None),
            (self.head(ChecksumSHA256=None), CONTENT, None),
            (self.head(ChecksumSHA256=None), CONTENT[::-1], StorageUnavailable),
            ({"ContentLength": 9}, b"<html>200", StorageUnavailable),  # and so says a proxy to everything
            (missing, b"", StorageUnavailable),
            (Answered("AccessDenied", 403), b"", StorageRefused),
        ]:
            self.client.answers.update(head_object=head, get_object={"Body": Body(page)})
            if kind is None:
                self.assertEqual(self.successResultOf(self.put()).checksum, DIGEST)
            else:
                self.failureResultOf(self.put(), kind)
        self.client.answers["head_object"] = missing
        self.assertIn("is said to be stored, and is not there", str(self.failureResultOf(self.put(), StorageUnavailable).value))

    def test_taken(self) -> None:
        self.client.answers["put_object"] = Answered("PreconditionFailed", 412)
        for head, kind in [
            (self.head(), None),
            (self.head(ContentLength=1), StorageConflict),
            (self.head(ChecksumSHA256=b64encode(bytes(32)).decode()), StorageConflict),
            (Answered("SlowDown", 503), StorageUnavailable),
        ]:
            self.client.answers["head_object"] = head
            if kind is None:
                self.assertEqual(self.successResultOf(self.put()).version, "v1")
            else:
                self.failureResultOf(self.put(), kind)

    def test_takenWithoutChecksum(self) -> None:
        """Stored by something that kept no checksum: the bytes themselves are compared."""
        self.client.answers["put_object"] = Answered("PreconditionFailed", 412)
        self.client.answers["head_object"] = self.head(ChecksumSHA256=None)
        for content, kind in ((CONTENT, None), (CONTENT[::-1], StorageConflict)):
            self.client.answers["get_object"] = {"Body": Body(content)}
            if kind is None:
                self.assertEqual(self.successResultOf(self.put()).checksum, DIGEST)
            else:
                self.failureResultOf(self.put(), kind)

    def test_localGone(self) -> None:
        self.failureResultOf(self.backend().put(NAME, self.mktemp(), None), StorageConflict)
        self.assertEqual(self.client.asked, [])

    def test_delete(self) -> None:
        """Always a version: without one it would only be hidden."""
        for version, said in (("v1", "v1"), (None, "null")):
            self.successResultOf(self.backend().delete(Receipt(NAME, version, DIGEST, None)))
            self.assertEqual(self.client.asked[-1][1]["VersionId"], said)
        self.client.answers["delete_object"] = Answered("NoSuchVersion", 404)
        self.successResultOf(self.backend().delete(Receipt(NAME, "v1", DIGEST, None)))
        self.client.answers["delete_object"] = Answered("AccessDenied", 403)
        self.failureResultOf(self.backend().delete(Receipt(NAME, "v1", DIGEST, None)), StorageRefused)

    def test_deleted(self) -> None:
        """S3 says nothing when it has deleted something; who says more, such as a proxy, is not believed."""
        for status, head, kind in ((204, self.head(), None), (200, Answered("404", 404), None), (200, self.head(), StorageUnavailable)):
            self.client.answers.update(delete_object={"ResponseMetadata": {"HTTPStatusCode": status}}, head_object=head)
            asked = self.backend().delete(Receipt(NAME, None, DIGEST, None))
            if kind is None:
                self.successResultOf(asked)
            else:
                self.assertIn("is there", str(self.failureResultOf(asked, kind).value))

    def test_neverShorter(self) -> None:
        until = datetime.fromtimestamp(self.now + DAY, timezone.utc)
        self.client.answers["head_object"] = self.head(ObjectLockRetainUntilDate=until)
        self.successResultOf(self.backend().retain(Receipt(NAME, "v1", DIGEST, None), self.now))
        self.assertNotIn("put_object_retention", [operation for operation, _ in self.client.asked])

    def test_held(self) -> None:
        """Who says that something is held, or not any more, is believed when it is so: a proxy says yes to everything."""
        receipt = Receipt(NAME, "v1", DIGEST, None)
        for on, status, good in ((True, "ON", True), (True, "OFF", False), (True, None, False), (False, None, True), (False, "ON", False)):
            self.client.answers["head_object"] = self.head(**({"ObjectLockLegalHoldStatus": status} if status else {}))
            asked = self.backend().hold(receipt, on)
            if good:
                self.successResultOf(asked)
            else:
                self.assertIn("and is not", str(self.failureResultOf(asked, StorageUnavailable).value))

    def test_retained(self) -> None:
        """Likewise of who says that something is kept for longer."""
        receipt, day = Receipt(NAME, "v1", DIGEST, None), datetime.fromtimestamp(self.now + DAY, timezone.utc)
        self.client.answers["head_object"] = [self.head(), self.head(ObjectLockRetainUntilDate=day)]
        self.successResultOf(self.backend().retain(receipt, self.now + DAY - 0.5))
        self.client.answers["head_object"] = [self.head(ObjectLockRetainUntilDate=day)] * 2
        error = self.failureResultOf(self.backend().retain(receipt, self.now + 2 * DAY), StorageUnavailable).value
        self.assertIn("is said to be kept for longer, and is not", str(error))

    def test_noList(self) -> None:
        """A page of a proxy's, with status 200, is no empty bucket."""
        self.client.get_paginator = lambda operation: SimpleNamespace(paginate=lambda **_: [{}])
        self.assertIn("no list of its objects", str(self.failureResultOf(self.backend().list(""), StorageUnavailable).value))

    def test_readingFails(self) -> None:
        class Broken:
            def read(self, size: int) -> bytes:
                raise OSError(104, "reset")

            def close(self) -> None:
                pass

        self.client.answers["get_object"] = {"Body": Broken()}
        with self.successResultOf(self.backend().open(Receipt(NAME, "v1", DIGEST, None))) as file:
            self.assertRaises(StorageUnavailable, file.read)

    def test_threads(self) -> None:
        """Nothing is done on the caller's thread."""
        threads = Later()
        asked = self.backend(threads).put(NAME, self.path, None)
        self.assertEqual(self.client.asked, [])
        threads.runAll()
        self.successResultOf(asked)

    def test_noClient(self) -> None:
        from botocore.exceptions import ProfileNotFound

        def connect(*_: Any) -> Any:
            raise ProfileNotFound(profile="x")

        backend = S3Backend("bucket", "", Without(), Now(), None, connect)
        self.failureResultOf(backend.list(""), StorageRefused)

    def test_renewed(self) -> None:
        """Temporary credentials have ended, and there are others: the call is made again with them, once, and nobody hears of it."""
        known = [b"1"]

        class Secrets:
            def fetch(self, reference: Reference, identity: Any, target: Any) -> Any:
                return succeed(reference.name.encode() + known[0] + b"\n")

        made = []

        settings = Without(accessKey=Reference("file", "a"), secretKey=Reference("file", "s"), sessionToken=Reference("file", "t"))
        clients = [self.client, Client(head_object=self.head())]
        backend = S3Backend("bucket", "", settings, Now(), Secrets(), lambda _, *keys: made.append(keys) or clients[len(made) - 1])
        receipt = Receipt(NAME, "v1", DIGEST, None)
        self.client.answers["head_object"] = [
            Answered("AccessDenied", 403), Answered("ExpiredToken"), Answered("ExpiredToken"),
        ]  # fmt: skip
        for _ in range(2):  # a mere no; then they have ended, and there are no others
            self.failureResultOf(backend.stat(receipt), StorageRefused)
        self.assertEqual(made, [("a1", "s1", "t1")])
        known[0] = b"2"
        self.assertEqual(self.successResultOf(backend.stat(receipt)).checksum, DIGEST)
        self.assertEqual(made, [("a1", "s1", "t1"), ("a2", "s2", "t2")])

    def test_otherAccount(self) -> None:
        """The files have held the credentials of somebody who may not write: when they hold the right ones again, these are taken."""
        known = [b"reader"]

        class Secrets:
            def fetch(self, reference: Reference, identity: Any, target: Any) -> Any:
                return succeed(known[0])

        reader = Client(head_object=self.head(), put_object=Answered("AccessDenied", 403))
        clients = {"reader": reader, "writer": self.client}
        settings = Without(accessKey=Reference("file", "a"), secretKey=Reference("file", "s"))
        backend = S3Backend("bucket", "pre/", settings, Now(), Secrets(), lambda _, access, secret, token: clients[access])
        self.successResultOf(backend.stat(Receipt(NAME, "v1", DIGEST, None)))
        for _ in range(2):
            self.failureResultOf(backend.put(NAME, self.path, None, DIGEST), StorageRefused)
        self.assertEqual([operation for operation, _ in reader.asked].count("put_object"), 2)
        known[0] = b"writer"
        self.assertEqual(self.successResultOf(backend.put(NAME, self.path, None, DIGEST)).checksum, DIGEST)

    def test_hiddenAndTaken(self) -> None:
        """A store for which a marker takes the name, too: what is below it counts; and where nothing is, it is asked again later."""
        self.client.answers["put_object"] = Answered("PreconditionFailed", 412)
        self.client.answers["head_object"] = [Answered("404", 404), self.head()]
        versions: list[dict[str, Any]] = [{"IsTruncated": False, "Versions": [{"Key": "pre/" + NAME, "VersionId": "v1", "Size": len(CONTENT)}]}]
        self.client.answers["get_paginator"] = SimpleNamespace(paginate=lambda **_: versions)
        self.client.get_paginator = lambda operation: self.client.answers["get_paginator"]
        self.assertEqual(self.successResultOf(self.put()).version, "v1")
        self.client.answers["head_object"] = [Answered("404", 404), self.head(ContentLength=1)]
        self.failureResultOf(self.put(), StorageConflict)
        versions[0] = {"IsTruncated": False, "DeleteMarkers": [{"Key": "pre/" + NAME, "VersionId": "v2"}]}
        self.client.answers["head_object"] = Answered("404", 404)
        self.failureResultOf(self.put(), StorageUnavailable)

    def test_toldTwice(self) -> None:
        """What stands at the end of one page of a listing and at the beginning of the next is one."""
        one = {"Key": "pre/" + NAME, "VersionId": "v1", "Size": 5}
        marker = {"Key": "pre/" + NAME, "VersionId": "v2"}
        self.client.get_paginator = lambda operation: SimpleNamespace(
            paginate=lambda **_: [
                {"IsTruncated": more, "Versions": [one], "DeleteMarkers": [marker]} for more in (True, False)
            ]
        )
        self.assertEqual(len(self.successResultOf(self.backend().list(""))), 2)
