"""Answers of S3 that do not end, through botocore itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hoopx.storage.errors import StorageUnavailable
from hoopx.storage.s3answers import LONGEST
from hoopx.storage.s3login import Without, client
from tests.peers.harness.finding import requireModule

LIST = b"<ListVersionsResult><IsTruncated>false</IsTruncated><Version><Key>a</Key><VersionId>v</VersionId></Version></ListVersionsResult>"


class Raw:
    """What comes, as urllib3 hands it over. @ivar taken: bytes of it so far."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self.taken = 0
        self.closed = False

    def stream(self, amount: int = 1 << 16, decode_content: Any = None) -> Iterator[bytes]:
        for piece in self._pieces:
            self.taken += len(piece)
            assert self.taken <= 4 * LONGEST, "nobody stops reading"
            yield piece

    def read(self, amount: int | None = None) -> bytes:
        return next(self._pieces, b"")

    def close(self) -> None:
        self.closed = True


def endless() -> Iterator[bytes]:
    while True:
        yield bytes(1 << 20)


class AnswersTests(SynchronousTestCase):
    def setUp(self) -> None:
        requireModule("boto3")
        self.s3 = client(Without(endpoint="http://127.0.0.1:1", region="us-east-1"), "access", "secret")
        self.answers: list[tuple[int, Any]] = []
        self.asked = 0
        session = self.s3._endpoint.http_session
        session._session.send = self.send
        self.patch(__import__("time"), "sleep", lambda seconds: None)  # between botocore's own tries

    def send(self, request: Any) -> Any:
        """As C{URLLib3Session.send}: what is no stream is read to its end in there."""
        from botocore.awsrequest import AWSResponse

        status, raw = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        found = AWSResponse(request.url, status, {}, raw)
        if not request.stream_output:
            found.content  # noqa: B018
        return found

    def test_endless(self) -> None:
        """Whatever was asked for, and whatever the status is: so much is read, and it is not asked for again at once."""
        asks = [
            lambda: self.s3.put_object(Bucket="bucket", Key="a", Body=b"x"),
            lambda: self.s3.delete_object(Bucket="bucket", Key="a"),
            lambda: self.s3.head_object(Bucket="bucket", Key="a"),
            lambda: self.s3.list_object_versions(Bucket="bucket"),
        ]
        refused = [*asks, lambda: self.s3.get_object(Bucket="bucket", Key="a")]
        for status, which in ((200, asks), (404, refused), (500, refused)):
            for ask in which:
                raw = Raw(endless())
                self.answers, self.asked = [(status, raw)], 0
                self.assertRaises(StorageUnavailable, ask)
                self.assertEqual((self.asked, raw.closed), (1, True))
                self.assertLessEqual(raw.taken, LONGEST + (1 << 20))

    def test_list(self) -> None:
        self.answers = [(200, Raw(iter([LIST[:50], LIST[50:]])))]
        self.assertEqual([each["Key"] for each in self.s3.list_object_versions(Bucket="bucket")["Versions"]], ["a"])

    def test_object(self) -> None:
        """An object stays where it is, however long it is, until it is read."""
        raw = Raw(endless())
        self.answers = [(200, raw)]
        self.assertEqual(len(self.s3.get_object(Bucket="bucket", Key="a")["Body"].read(1 << 20)), 1 << 20)
        self.assertEqual(raw.taken, 0)

    def test_brokenOff(self) -> None:
        """What breaks off on its way is asked for again."""

        def broken() -> Iterator[bytes]:
            yield LIST[:50]
            raise OSError("cut")

        self.answers = [(200, Raw(broken())), (200, Raw(iter([LIST])))]
        self.assertEqual(len(self.s3.list_object_versions(Bucket="bucket")["Versions"]), 1)
        self.assertEqual(self.asked, 2)
