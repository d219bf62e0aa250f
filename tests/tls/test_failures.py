"""
L{hoopx.tls.failures}: what is not seen in a handshake of the other tests.
"""

from __future__ import annotations

import ssl

from twisted.trial.unittest import SynchronousTestCase

from hoopx.errors import ConfigurationError, ProtocolViolation, TargetFailed
from hoopx.tls import failures


def sslError(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, f"[SSL: {reason}] text of OpenSSL (_ssl.c:1006)")
    error.reason = reason
    return error


class TargetTests(SynchronousTestCase):
    def test_reasons(self) -> None:
        for reason, said in [
            ("WRONG_VERSION_NUMBER", "does not speak TLS"),
            ("TLSV1_ALERT_PROTOCOL_VERSION", "no TLS version from 1.2 on"),
            ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "demands a client certificate"),
            ("SSLV3_ALERT_HANDSHAKE_FAILURE", "no cipher or key in common"),
            ("TLSV1_ALERT_INTERNAL_ERROR", "tlsv1 alert internal error"),
        ]:
            error = failures.ofTarget(sslError(reason), None, "orders", "db")
            self.assertIsInstance(error, TargetFailed)
            self.assertIn(said, str(error))
            self.assertIn('"orders"', str(error))
            self.assertTrue(error.hint)
            self.assertNotIn("_ssl.c", str(error))

    def test_unknownCode(self) -> None:
        """A verdict of OpenSSL that has no words of its own here is told in OpenSSL's."""
        error = ssl.SSLCertVerificationError(1, "x")
        error.verify_code, error.verify_message = 999, "odd thing"
        self.assertIn("odd thing", str(failures.ofTarget(error, None, "orders", "db")))

    def test_unseen(self) -> None:
        """Where the refused certificate can not be looked at, the text does without it."""
        for code, said in [(62, 'does not bear the name "db"'), (10, "expired"), (20, "not trusted"), (66, "too weak")]:
            error = ssl.SSLCertVerificationError(1, "x")
            error.verify_code, error.verify_message = code, "said by OpenSSL"
            self.assertIn(said, str(failures.ofTarget(error, object(), "orders", "db")))

    def test_own(self) -> None:
        """Our own errors pass."""
        mine = TargetFailed("mine")
        self.assertIs(failures.ofTarget(mine, None, "orders", "db"), mine)
        self.assertIs(failures.ofClient(mine), mine)


class ClientTests(SynchronousTestCase):
    def test_reasons(self) -> None:
        for reason, said in [
            ("HTTP_REQUEST", "does not speak TLS"),
            ("UNSUPPORTED_PROTOCOL", "no TLS version from 1.2 on"),
            ("TLSV1_ALERT_UNKNOWN_CA", "does not trust"),
            ("NO_SHARED_CIPHER", "no shared cipher"),
        ]:
            error = failures.ofClient(sslError(reason))
            self.assertIsInstance(error, ProtocolViolation)
            self.assertIn(said, str(error))


class FileTests(SynchronousTestCase):
    def test_reasons(self) -> None:
        for cause, said in [
            (FileNotFoundError(2, "x"), "no such file"),
            (PermissionError(13, "x"), "may not read"),
            (sslError("KEY_VALUES_MISMATCH"), "another certificate"),
            (sslError("NO_START_LINE"), "not a usable PEM file"),
            (ValueError("encrypted"), "encrypted"),
        ]:
            error = failures.ofFiles(cause, "certificate a.pem", "tls")
            self.assertIsInstance(error, ConfigurationError)
            self.assertIn(said, str(error))
            self.assertIn("a.pem", str(error))
