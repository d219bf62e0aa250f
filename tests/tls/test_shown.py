"""
L{hoopx.tls.shown}: certificates that are shown to targets, from memory, against OpenSSL itself.
"""

from __future__ import annotations

import gc
import os
import ssl
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID
from twisted.trial.unittest import SynchronousTestCase

from hoopx.errors import HoopxError, TargetFailed
from hoopx.tls import shown
from hoopx.tls.contexts import ClientOptions
from hoopx.values import Credential, Target
from tests.tls.certificates import DAY, NOW, Peer, TestAuthority


class ShownTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.authority = TestAuthority(self.mktemp())
        self.people = TestAuthority(self.mktemp(), "people")
        self.options = ClientOptions()
        self.target = Target("orders", "postgres", "tcp:db:5432", authorities=self.authority.pem)
        self.server = self.authority.issue("db")
        self.pair = self.user()

    def user(self, authority: TestAuthority | None = None, **options) -> tuple[bytes, bytes]:
        options = {"common": "app", "use": ExtendedKeyUsageOID.CLIENT_AUTH, **options}
        certificate, key = (authority or self.people).issue(**options)
        return Path(certificate).read_bytes(), Path(key).read_bytes()

    def credential(self, certificate: bytes, key: bytes | None = None, username: str = "app") -> Credential:
        return Credential(username, {"certificate": certificate} | ({"private_key": key} if key else {}))

    def attempt(self, credential: Credential | None, tls13: bool = True) -> tuple[bytes | None, HoopxError | None]:
        """@return: what the target was shown (DER), and what the gateway makes of the end."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.server)
        context.load_verify_locations(self.people.pem)
        context.verify_mode = ssl.CERT_REQUIRED
        if not tls13:
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        peer = Peer(context, True)
        terms = self.options.terms(self.target, None, credential)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = terms.open(incoming, outgoing)
        done = False
        for _ in range(10):
            try:
                if not done:
                    tls.do_handshake()
                    done = True
                tls.read(1)
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                return None, terms.explain(error, tls)
            peer.feed(outgoing.read())
            incoming.write(peer.outgoing.read())
        assert peer.done
        return peer.tls.getpeercert(True), None

    def test_shown(self) -> None:
        """The target sees it, in either version; with the key in a text of its own, or behind the certificate."""
        certificate, key = self.pair
        der = ssl.PEM_cert_to_DER_cert(certificate.decode())
        for tls13 in (True, False):
            for credential in (self.credential(certificate, key), self.credential(certificate + key)):
                self.assertEqual(self.attempt(credential, tls13), (der, None))

    def test_newline(self) -> None:
        """A secret comes without the newline at its end."""
        certificate, key = (text.rstrip(b"\n") for text in self.pair)
        self.assertIsNone(self.attempt(self.credential(certificate, key))[1])

    def test_none(self) -> None:
        """Other accounts of the target show nothing, before and after."""
        for _ in range(2):
            der, error = self.attempt(Credential("other", {"password": b"x"}))
            self.assertIsNone(der)
            self.assertIn("demands a client certificate", str(error))
            self.attempt(self.credential(*self.pair))

    def test_refused(self) -> None:
        """A target that does not accept it says so by an alert."""
        strangers = TestAuthority(self.mktemp(), "strangers")
        for tls13 in (True, False):
            for pair in (self.user(strangers), self.user(end=NOW - DAY / 2), self.user(use=ExtendedKeyUsageOID.SERVER_AUTH)):
                der, error = self.attempt(self.credential(*pair), tls13)
                self.assertIsInstance(error, TargetFailed)
                self.assertIn("does not accept the certificate of its account", str(error))
                self.assertIn("alert", error.reason)

    def test_unusable(self) -> None:
        """What is wrong is for the log; neither text holds anything of the secret."""
        certificate, key = self.pair
        other = self.user()[1]
        loaded = serialization.load_pem_private_key(key, None)
        locked = loaded.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
        )
        for pair, reason in [
            ((certificate, other), "belongs to another certificate"),
            ((certificate, None), "no usable PEM"),
            ((b"garbage-garbage", key), "no usable PEM"),
            ((certificate, b"garbage-garbage"), "no usable PEM"),
            ((key, certificate), "no usable PEM"),
            ((certificate, locked), "is encrypted"),
        ]:
            error = self.assertRaises(TargetFailed, self.options.terms, self.target, None, self.credential(*pair))
            self.assertEqual(str(error), 'target "orders": the certificate of its account can not be used')
            self.assertIn(reason, error.reason)
            self.assertNotIn("garbage", error.reason + error.hint)
            self.assertIsNone(error.__cause__)
        self.assertEqual(len(self.options._shown), 0)

    def test_kept(self) -> None:
        """Made once for each account; a rotated certificate and changed authorities are in use at once, in place of the old."""
        made = []
        self.patch(shown, "load", lambda context, certificate, key: made.append(certificate))
        for _ in range(2):
            self.options.terms(self.target, None, self.credential(b"one", b"key"))
        self.assertEqual(made, [b"one"])
        self.options.terms(self.target, None, self.credential(b"two", b"key"))
        self.options.terms(self.target, None, self.credential(b"two", b"yek"))
        # No two pairs are the same by running together.
        self.options.terms(self.target, None, self.credential(b"twoy", b"ek"))
        self.assertEqual((len(made), len(self.options._shown)), (4, 1))
        self.options.terms(self.target, None, self.credential(b"twoy", b"ek", "other"))
        self.assertEqual((len(made), len(self.options._shown)), (5, 2))
        os.utime(self.authority.pem, (1, 1))
        self.options.terms(self.target, None, self.credential(b"twoy", b"ek"))
        self.assertEqual((len(made), len(self.options._shown)), (6, 2))

    def test_bounded(self) -> None:
        """The account that was not used for the longest time goes."""
        made = []
        self.patch(shown, "MAX_CONTEXTS", 2)
        self.patch(shown, "load", lambda context, certificate, key: made.append(certificate))
        for username in ("a", "b", "a", "c", "a", "b"):
            self.options.terms(self.target, None, self.credential(username.encode(), None, username))
        self.assertEqual((made, len(self.options._shown)), ([b"a", b"b", b"c", b"b"], 2))

    def test_nothingLeft(self) -> None:
        """No descriptor stays open, whatever becomes of it, and no file is made."""
        gc.collect()  # what earlier tests have left to it is not closed in between
        before = len(os.listdir("/proc/self/fd"))
        opened = []
        real = os.open
        self.patch(os, "open", lambda *arguments, **options: opened.append(arguments) or real(*arguments, **options))
        self.options.terms(self.target, None, self.credential(*self.pair))
        self.assertRaises(TargetFailed, self.options.terms, self.target, None, self.credential(b"x", b"y"))
        self.assertEqual((len(os.listdir("/proc/self/fd")), opened), (before, []))

    def test_noMemory(self) -> None:
        def full(*arguments: object) -> int:
            raise OSError(12, "Cannot allocate memory")

        self.patch(os, "memfd_create", full)
        error = self.assertRaises(TargetFailed, self.options.terms, self.target, None, self.credential(*self.pair))
        self.assertEqual(error.reason, "Cannot allocate memory")
