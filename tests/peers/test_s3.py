"""
The backend C{s3:} with a real server: the contract, Object Lock, and everything that goes wrong on the way.
"""

from __future__ import annotations

import itertools
import time
from typing import Any

from twisted.internet.defer import fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from hoopx.errors import TargetFailed
from hoopx.storage import s3, s3login
from hoopx.storage.errors import NotStored, StorageConflict, StorageRefused, StorageUnavailable
from hoopx.storage.s3 import S3Backend
from hoopx.values import Reference
from tests.peers.harness.faults import FaultProxy, TokenProxy
from tests.peers.harness.finding import requireModule
from tests.peers.harness.s3server import ACCESS, LOCKED, PLAIN, SECRET
from tests.peers.harness.seaweedfs import READER, READER_SECRET, SeaweedFS, seaweedfs
from tests.recording.rig import Now
from tests.storage.contract import CONTENT, DIGEST, NAME, Contract

_numbers = itertools.count(int(time.time()))


class Secrets:
    """
    @ivar fetched: how often somebody asked.
    """

    def __init__(self, access: str = ACCESS, secret: str = SECRET) -> None:
        self.known = {"access": access, "secret": secret}
        self.fetched = 0

    def fetch(self, reference: Any, identity: Any, target: Any) -> Any:
        self.fetched += 1
        found = self.known.get(reference.name)
        return succeed(found.encode()) if found else fail(TargetFailed(f"the secret file:{reference.name} can not be had"))


class Hurry:
    """For botocore's waits between tries."""

    def __init__(self) -> None:
        self.waited: list[float] = []
        self.time = time.time

    def sleep(self, seconds: float) -> None:
        self.waited.append(seconds)


class S3Case(SynchronousTestCase):
    """A prefix in a bucket, and a backend for it."""

    bucket = LOCKED
    lock = "COMPLIANCE"

    def setUp(self) -> None:
        requireModule("boto3")
        self.server = seaweedfs()
        self.prefix = f"t{next(_numbers)}/"
        self.secrets = Secrets()
        self.backend = self.made()
        import botocore.endpoint

        self.hurry = Hurry()
        self.patch(botocore.endpoint, "time", self.hurry)

    def made(self, secrets: Any = None, port: int | None = None, bucket: str = "", server: Any = None, **more: Any) -> S3Backend:
        more.setdefault("objectLock", self.lock)
        settings = (server or self.server).settings(port, **more)
        return S3Backend(bucket or self.bucket, self.prefix, settings, Now(), secrets or self.secrets)

    def file(self) -> str:
        path: str = self.mktemp()
        with open(path, "wb") as file:
            file.write(CONTENT)
        return path


class ComplianceTests(Contract, S3Case):
    def test_mode(self) -> None:
        """Locked as the configuration says, for as long as is asked, before anybody can be quicker."""
        until = float(int(time.time()) + 3600)
        receipt = self.get(self.put(until=until))
        said = self.server.client().get_object_retention(
            Bucket=self.bucket, Key=self.prefix + NAME, VersionId=receipt.version
        )["Retention"]
        self.assertEqual((said["Mode"], said["RetainUntilDate"].timestamp()), (self.lock, until))

    def test_hidden(self) -> None:
        """Who deletes without a version lays a marker: it is listed, the version below can be read, and put makes another one."""
        receipt = self.get(self.put())
        self.server.client().delete_object(Bucket=self.bucket, Key=self.prefix + NAME)
        found = self.get(self.backend.list(""))
        self.assertEqual(sorted(each.deleted for each in found), [False, True])
        self.assertIn(receipt.version, [each.version for each in found])
        self.assertEqual(self.read(receipt), CONTENT)
        self.assertEqual(self.get(self.backend.stat(receipt)).checksum, DIGEST)
        self.assertNotEqual(self.get(self.put()).version, receipt.version)

    def test_many(self) -> None:
        """A listing of several pages."""
        self.patch(s3, "PAGE", 3)
        names = [f"gw1/{number:03d}.hxr" for number in range(10)]
        for name in names:
            self.get(self.put(name, content=b"x"))
        self.assertEqual(self.names(), names)

    def test_bypass(self) -> None:
        """Nobody, not even who may do everything, shortens or removes what COMPLIANCE keeps."""
        receipt = self.get(self.put(until=time.time() + 3600))
        from botocore.exceptions import ClientError

        everything = self.server.client()
        where = {"Bucket": self.bucket, "Key": self.prefix + NAME, "VersionId": receipt.version}
        self.assertRaises(ClientError, everything.delete_object, **where, BypassGovernanceRetention=True)
        self.assertEqual(self.read(receipt), CONTENT)


class GovernanceTests(Contract, S3Case):
    lock = "GOVERNANCE"


class UnlockedTests(S3Case):
    """Buckets without Object Lock."""

    bucket = PLAIN

    def test_refused(self) -> None:
        """Who wants a lock does not get an object without one."""
        error = self.failureResultOf(self.backend.put(NAME, self.file(), time.time() + 3600), StorageRefused).value
        self.assertIn("Object Lock", str(error))

    def test_without(self) -> None:
        """object_lock = "none": kept without versions; holds and dates are the gateway's own affair."""
        backend = self.made(objectLock="none")
        receipt = self.successResultOf(backend.put(NAME, self.file(), time.time() + 3600))
        self.assertEqual((receipt.version, receipt.retainUntil), (None, None))
        self.successResultOf(backend.hold(receipt, True))
        self.successResultOf(backend.retain(receipt, time.time() + 3600))
        (found,) = self.successResultOf(backend.list(""))
        self.assertEqual((found.version, found.name), (None, NAME))
        self.successResultOf(backend.delete(found))
        self.assertEqual(self.successResultOf(backend.list("")), [])


class CredentialCase(S3Case):
    def refused(self, backend: S3Backend, said: str) -> None:
        for asked in (backend.list(""), backend.put(NAME, self.file(), None)):
            text = str(self.failureResultOf(asked, StorageRefused).value)
            self.assertIn(said, text)
            for secret in (SECRET, READER_SECRET, ACCESS, "wrong-secret"):
                self.assertNotIn(secret, text)

    def test_wrong(self) -> None:
        self.refused(self.made(Secrets(secret="wrong-secret")), "the secret key is wrong")
        self.refused(self.made(Secrets(access="nobody")), "the access key is not known")
        self.refused(self.made(Secrets(access="")), "the secret file:access can not be had")
        self.refused(self.made(Secrets(secret="wröng")), "is no key of S3")

    def test_rotated(self) -> None:
        """A new secret is used without a restart, once the old one is refused: looked for each time, and by nobody who has no need."""
        secrets = Secrets()
        backend = self.made(secrets)
        self.assertEqual(self.successResultOf(backend.list("")), [])
        secrets.known["secret"] = "wrong-secret"
        self.assertEqual(self.successResultOf(backend.list("")), [])
        self.assertEqual(secrets.fetched, 2)
        backend = self.made(secrets)
        self.failureResultOf(backend.list(""), StorageRefused)
        secrets.known["secret"] = SECRET
        self.successResultOf(backend.put(NAME, self.file(), None))
        self.assertEqual(len(self.successResultOf(backend.list(""))), 1)
        self.assertEqual(secrets.fetched, 8)

    def test_noBucket(self) -> None:
        backend = self.made(bucket="nobody-made-this")
        for asked in (backend.list(""), backend.put(NAME, self.file(), None)):
            self.assertIn("no such bucket", str(self.failureResultOf(asked, StorageRefused).value))


class CredentialTests(CredentialCase):
    def test_forbidden(self) -> None:
        backend = self.made(Secrets(READER, READER_SECRET))
        self.assertEqual(self.successResultOf(backend.list("")), [])
        text = str(self.failureResultOf(backend.put(NAME, self.file(), None), StorageRefused).value)
        self.assertIn("forbidden", text)


class TokenTests(S3Case):
    """Temporary credentials."""

    def test_expired(self) -> None:
        """They end, and others take their place: not noticed. While there are none, refused, in words, and nothing is stored."""
        proxy = TokenProxy(self.server.port, ACCESS, SECRET)
        self.addCleanup(proxy.stop)
        proxy.known = {("ASIA1", "token 1")}
        secrets = Secrets("ASIA1", "secret 1")
        secrets.known["token"] = "token 1"
        backend = self.made(secrets, proxy.port, sessionToken=Reference("file", "token"))
        first = self.successResultOf(backend.put(NAME, self.file(), time.time() + 3600))
        proxy.known = {("ASIA2", "token 2")}
        second = NAME.replace("000000.hxr", "000001.hxr")
        for _ in range(2):
            text = str(self.failureResultOf(backend.put(second, self.file(), None), StorageRefused).value)
            self.assertIn("the credentials have expired (ExpiredToken)", text)
            self.assertNotIn("token 1", text)
        self.assertEqual(len(self.successResultOf(self.made().list(""))), 1)
        secrets.known.update(access="ASIA2", secret="secret 2", token="token 2")
        before = secrets.fetched
        self.successResultOf(backend.put(second, self.file(), None))
        with self.successResultOf(backend.open(first)) as file:
            self.assertEqual(file.read(), CONTENT)
        self.assertEqual([each.name for each in self.successResultOf(backend.list(""))], [NAME, second])
        self.assertEqual(secrets.fetched, before + 3)


class TroubleTests(S3Case):
    """Between us and the store."""

    def setUp(self) -> None:
        super().setUp()
        self.proxy = FaultProxy(self.server.port)
        self.addCleanup(self.proxy.stop)
        self.backend = self.made(port=self.proxy.port)

    def put(self) -> Any:
        return self.backend.put(NAME, self.file(), time.time() + 3600, DIGEST)

    def stored(self) -> int:
        return len(self.successResultOf(self.made().list("")))

    def test_passing(self) -> None:
        """What passes within a call's tries is not noticed; it is stored once."""
        for faults in ([(503, "SlowDown")], [(500, "InternalError"), "cut"], ["cut"], ["lose"], [(503, "ServiceUnavailable"), "lose"]):
            self.prefix = f"t{next(_numbers)}/"
            self.backend = self.made(port=self.proxy.port)
            self.proxy.next(*faults)
            receipt = self.successResultOf(self.put())
            self.assertEqual((receipt.checksum, self.stored()), (DIGEST, 1), faults)
        self.assertTrue(self.hurry.waited)

    def test_lasting(self) -> None:
        """What does not pass is told after a bounded number of tries, and as what it is; afterwards the next call succeeds."""
        for fault, kind in [
            ((500, "InternalError"), StorageUnavailable),
            ((503, "SlowDown"), StorageUnavailable),
            ((502, ""), StorageUnavailable),
            ((504, ""), StorageUnavailable),
            ((429, "TooManyRequests"), StorageUnavailable),
            ((409, "ConditionalRequestConflict"), StorageUnavailable),
            ((403, "AccessDenied"), StorageRefused),
            ((400, "ExpiredToken"), StorageRefused),
            ((403, "RequestTimeTooSkewed"), StorageRefused),
            ((400, "Nonsense"), StorageRefused),
            ((501, "NotImplemented"), StorageRefused),
            ("cut", StorageUnavailable),
        ]:
            self.proxy.always(fault)
            before = self.proxy.requests
            error = self.failureResultOf(self.put(), kind).value
            self.assertLessEqual(self.proxy.requests - before, s3login.ATTEMPTS)
            self.assertNotIn("rootpass", str(error))
            if fault == (400, "ExpiredToken"):
                self.assertIn("expired", str(error))
        self.proxy.always(None)
        self.assertEqual(self.stored(), 0)
        self.successResultOf(self.put())
        self.assertEqual(self.stored(), 1)

    def test_lost(self) -> None:
        """Every answer is lost: told as unavailable, and the next put finds what arrived."""
        self.proxy.always("lose")
        self.failureResultOf(self.put(), StorageUnavailable)
        self.proxy.always(None)
        self.assertEqual(self.stored(), 1)
        receipt = self.successResultOf(self.put())
        self.assertEqual((receipt.checksum, self.stored()), (DIGEST, 1))
        self.assertIsNotNone(receipt.retainUntil)

    def test_stalled(self) -> None:
        """A peer that says nothing is given up in time."""
        self.patch(s3login, "READ", 0.5)
        self.backend = self.made(port=self.proxy.port)
        self.proxy.always("stall")
        before, began = self.proxy.requests, time.monotonic()
        error = self.failureResultOf(self.put(), StorageUnavailable).value
        self.assertLess(time.monotonic() - began, 60)
        self.assertLessEqual(self.proxy.requests - before, s3login.ATTEMPTS)
        self.assertIn("no answer in time", str(error))

    def test_reading(self) -> None:
        receipt = self.successResultOf(self.put())
        self.proxy.always((503, "SlowDown"))
        self.failureResultOf(self.backend.open(receipt), StorageUnavailable)
        self.proxy.always((404, "NoSuchKey"))
        self.failureResultOf(self.backend.open(receipt), NotStored)
        self.proxy.always(None)
        with self.successResultOf(self.backend.open(receipt)) as file:
            self.assertEqual(file.read(), CONTENT)

    def test_damagedOnTheWay(self) -> None:
        """The server compares the checksum; and what is not ours to send is not sent."""
        self.proxy.always((400, "BadDigest"))
        self.failureResultOf(self.put(), StorageUnavailable)
        self.failureResultOf(self.backend.put(NAME, self.file(), None, "00" * 32), StorageConflict)


class OutageTests(S3Case):
    def test_outage(self) -> None:
        """The server goes and comes back: what was stored is there, and what failed is stored then."""
        server = SeaweedFS()
        self.addCleanup(server.stop)
        server.start()
        backend = self.made(server=server)
        first = self.successResultOf(backend.put(NAME, self.file(), time.time() + 3600))
        server.stop()
        second = NAME.replace("000000.hxr", "000001.hxr")
        for asked in (backend.put(second, self.file(), None), backend.list(""), backend.open(first), backend.delete(first)):
            self.failureResultOf(asked, StorageUnavailable)
        server.start()
        self.successResultOf(backend.put(second, self.file(), None))
        self.assertEqual(self.successResultOf(backend.put(NAME, self.file(), None)).version, first.version)
        self.assertEqual([each.name for each in self.successResultOf(backend.list(""))], [NAME, second])
        with self.successResultOf(backend.open(first)) as file:
            self.assertEqual(file.read(), CONTENT)
