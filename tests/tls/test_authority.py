"""
L{hoopx.tls.authority}.
"""

from __future__ import annotations

import os
import ssl
import stat
import time

from cryptography import x509
from twisted.trial.unittest import SynchronousTestCase

from hoopx.errors import ConfigurationError
from hoopx.tls import authority as module
from hoopx.tls.authority import DAY, GATEWAY_LIFE, LOOK_EVERY, RENEW_BEFORE, Authority
from tests.tls.certificates import Peer


class AuthorityTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = os.path.join(self.mktemp(), "tls")
        self.now = time.time()

    def make(self, *names: str) -> Authority:
        return Authority(self.directory, names, lambda: self.now)

    def read(self, name: str) -> bytes:
        with open(os.path.join(self.directory, name), "rb") as file:
            return file.read()

    def test_made(self) -> None:
        """Four files, with their modes from the start; a second look makes nothing."""
        modes = []
        real = os.open
        self.patch(
            os,
            "open",
            lambda path, flags, mode=0o777, **more: modes.append((path, flags, mode)) or real(path, flags, mode, **more),
        )
        self.assertTrue(self.make().renew())
        self.assertEqual(sorted(os.listdir(self.directory)), ["ca.key", "ca.pem", "gateway.key", "gateway.pem"])
        self.assertEqual(stat.S_IMODE(os.stat(self.directory).st_mode), 0o700)
        for path, flags, mode in modes:
            if ".key." in path:
                self.assertEqual(mode, 0o600)
                self.assertTrue(flags & os.O_EXCL)
        self.assertEqual(len([path for path, _, _ in modes if ".key." in path]), 2)
        for name in ("ca.key", "gateway.key"):
            self.assertEqual(stat.S_IMODE(os.stat(os.path.join(self.directory, name)).st_mode), 0o600)
        self.assertFalse(self.make().renew())

    def test_names(self) -> None:
        """Verified, strictly, under every name that it should bear, and under no other."""
        authority = self.make("node-7", "gw.example.com", "192.0.2.1", "not a host name!", "")
        authority.renew()
        for name, fine in [
            ("localhost", True), ("127.0.0.1", True), ("::1", True), ("node-7", True), ("gw.example.com", True),
            ("192.0.2.1", True), ("other", False), ("192.0.2.2", False),
        ]:  # fmt: skip
            server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            server.load_cert_chain(authority.certificate, authority.privateKey)
            client = ssl.create_default_context(cafile=authority.authority)
            client.verify_flags |= ssl.VERIFY_X509_STRICT
            one, two = Peer(server, True), Peer(client, False, name)
            for _ in range(3):
                two.feed(one.outgoing.read())
                one.feed(two.outgoing.read())
            self.assertEqual(two.done, fine, (name, two.error))

    def test_renewed(self) -> None:
        """A new certificate in time; the same authority, so that clients need nothing."""
        authority = self.make()
        authority.renew()
        ca, pem = self.read("ca.pem"), self.read("gateway.pem")
        self.now += GATEWAY_LIFE - RENEW_BEFORE - DAY
        self.assertFalse(authority.renew())
        self.now += 2 * DAY
        self.assertTrue(authority.renew())
        self.assertNotEqual(self.read("gateway.pem"), pem)
        self.assertEqual(self.read("ca.pem"), ca)

    def test_authorityRenewed(self) -> None:
        """When the authority itself comes to its end it goes on with its key: old copies of it verify the new certificate."""
        authority = self.make()
        authority.renew()
        old, key = x509.load_pem_x509_certificate(self.read("ca.pem")), self.read("ca.key")
        self.now += module.AUTHORITY_LIFE - RENEW_BEFORE + DAY
        self.assertTrue(authority.renew())
        self.assertEqual(self.read("ca.key"), key)
        new = x509.load_pem_x509_certificate(self.read("ca.pem"))
        self.assertGreater(new.not_valid_after_utc, old.not_valid_after_utc)
        self.assertEqual(new.subject, old.subject)
        x509.load_pem_x509_certificate(self.read("gateway.pem")).verify_directly_issued_by(old)

    def test_looksSeldom(self) -> None:
        """Every client's handshake asks; the disk is looked at once an hour."""
        authority = self.make()
        authority.renew()
        os.unlink(authority.certificate)
        self.assertFalse(authority.renew())
        self.now += LOOK_EVERY
        self.assertTrue(authority.renew())

    def test_namesChanged(self) -> None:
        self.make().renew()
        self.assertTrue(self.make("other").renew())
        self.assertFalse(self.make("other").renew())

    def test_damaged(self) -> None:
        """What is torn, or belongs to something else, is made anew."""
        for name, content in [
            ("gateway.pem", b""), ("gateway.pem", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            ("gateway.key", b"x"), ("gateway.key", None), ("gateway.pem", None), ("gateway.key", self.otherKey()),
            ("ca.pem", None),
        ]:  # fmt: skip
            self.make().renew()
            path = os.path.join(self.directory, name)
            if content is None:
                os.unlink(path)
            else:
                with open(path, "wb") as file:
                    file.write(content)
            self.assertTrue(self.make().renew(), (name, content))
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(os.path.join(self.directory, "gateway.pem"), os.path.join(self.directory, "gateway.key"))

    def otherKey(self) -> bytes:
        other = Authority(self.mktemp())
        other.renew()
        with open(other.privateKey, "rb") as file:
            return file.read()

    def test_keyAway(self) -> None:
        """An authority's key that is kept elsewhere is missed only when it is needed, and then it is said."""
        self.make().renew()
        os.unlink(os.path.join(self.directory, "ca.key"))
        self.assertFalse(self.make().renew())
        self.now += GATEWAY_LIFE
        error = self.assertRaises(ConfigurationError, self.make().renew)
        self.assertIn("ca.key is missing", str(error))

    def test_noDirectory(self) -> None:
        """A directory that can not be made is a matter of the configuration."""
        with open(self.mktemp(), "w") as file:
            self.directory = os.path.join(file.name, "tls")
        self.assertRaises(ConfigurationError, self.make().renew)

    def test_interrupted(self) -> None:
        """A write that fails leaves what was there, and no half of a new file."""
        self.make().renew()
        before = self.read("gateway.pem")

        def rename(*paths: str) -> None:
            raise OSError(28, "No space left on device")

        self.patch(os, "rename", rename)
        error = self.assertRaises(ConfigurationError, self.make("other").renew)
        self.assertIn("No space left", str(error))
        self.assertEqual(self.read("gateway.pem"), before)
        self.assertEqual(len(os.listdir(self.directory)), 4)
