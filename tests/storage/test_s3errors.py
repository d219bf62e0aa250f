"""What S3 says, as what is to be done about it; and never in its own words."""

from __future__ import annotations

import ssl

from twisted.trial.unittest import SynchronousTestCase

from hoopx.storage.errors import CredentialsRefused, NotStored, StorageConflict, StorageRefused, StorageUnavailable
from hoopx.storage.s3errors import CREDENTIALS, DIGEST, REFUSED, UNAVAILABLE, codeOf, explained


class Answered(Exception):
    """Has the look of botocore's ClientError."""

    def __init__(self, code: object, status: object = 400, message: str = "AKIA-secret said") -> None:
        super().__init__(message)
        self.response = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}


class CodeTests(SynchronousTestCase):
    def kind(self, code: object, status: object = 400) -> type:
        found = explained(Answered(code, status), "s3:b: put a")
        self.assertNotIn("AKIA", str(found))
        self.assertTrue(str(found).startswith("s3:b: put a: "))
        return type(found)

    def test_codes(self) -> None:
        for codes, kind in ((CREDENTIALS, CredentialsRefused), (REFUSED, StorageRefused), (UNAVAILABLE | DIGEST, StorageUnavailable)):
            for code in codes:
                self.assertIs(self.kind(code), kind, code)
        for code in ("NoSuchKey", "NoSuchVersion"):
            self.assertIs(self.kind(code, 404), NotStored)
        self.assertIs(self.kind("PreconditionFailed", 412), StorageConflict)
        self.assertIs(self.kind("NoSuchBucket", 404), StorageRefused)

    def test_statuses(self) -> None:
        """Servers that have no codes, or codes that nobody has heard of."""
        for status, kind in [
            (500, StorageUnavailable), (502, StorageUnavailable), (503, StorageUnavailable), (504, StorageUnavailable),
            (507, StorageUnavailable), (408, StorageUnavailable), (429, StorageUnavailable), (409, StorageUnavailable),
            (400, StorageRefused), (401, StorageRefused), (403, StorageRefused), (412, StorageConflict),
            ("?", StorageUnavailable),
        ]:  # fmt: skip
            for code in ("", "Strange", 17, None):
                self.assertIs(self.kind(code, status), kind, (status, code))

    def test_absent(self) -> None:
        """An answer without a body says no more than its number; another code speaks of something else that is not there."""
        for code in ("", "404", "NoSuchKey", "NotFound", None):
            self.assertIs(self.kind(code or "", 404), NotStored)
        self.assertIs(self.kind("MethodNotAllowed", 405), NotStored)
        for code in ("NoSuchUser", "XAdminUserNotFound", "NoSuchBucket"):
            self.assertTrue(issubclass(self.kind(code, 404), StorageRefused))

    def test_harmless(self) -> None:
        """A code is shown only if it has the look of one."""
        for code in ("a b", "x" * 65, "\x1b[31m", "AKIA secret", ""):
            error = Answered(code, 400)
            self.assertEqual(codeOf(error), "")
            self.assertIn("(400)", str(explained(error, "x")))
        self.assertEqual(codeOf(ValueError()), "")

    def test_expired(self) -> None:
        self.assertIn("expired", str(explained(Answered("ExpiredToken"), "x")))


class WayTests(SynchronousTestCase):
    def test_boto(self) -> None:
        """The exceptions of the library itself, by the names that they really have."""
        from botocore import exceptions as boto

        url = {"endpoint_url": "http://user:hunter2@x/"}
        for error, kind in [
            (boto.EndpointConnectionError(**url), StorageUnavailable),
            (boto.ConnectTimeoutError(**url), StorageUnavailable),
            (boto.ReadTimeoutError(**url), StorageUnavailable),
            (boto.ConnectionClosedError(**url), StorageUnavailable),
            (boto.IncompleteReadError(actual_bytes=1, expected_bytes=2), StorageUnavailable),
            (boto.ProxyConnectionError(proxy_url="http://hunter2@p"), StorageUnavailable),
            (boto.SSLError(**url, error="x"), StorageRefused),
            (boto.NoCredentialsError(), StorageRefused),
            (boto.PartialCredentialsError(provider="env", cred_var="x"), StorageRefused),
            (boto.ProfileNotFound(profile="x"), StorageRefused),
            (boto.ParamValidationError(report="x"), StorageRefused),
            (boto.FlexibleChecksumError(error_msg="x"), StorageConflict),
            (OSError(5, "x"), StorageUnavailable),
            (ssl.SSLError("x"), StorageRefused),
            (StorageConflict("s3:b: other"), StorageConflict),
        ]:
            found = explained(error, "s3:b: put a")
            self.assertIs(type(found), kind, error)
            self.assertNotIn("hunter2", str(found))
