from __future__ import annotations

import shutil
import ssl
import tempfile
from pathlib import Path

from attrs import evolve
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.trial.unittest import SynchronousTestCase

from hoopx.cli.route import Route, find, listening, verified
from hoopx.config.settings import ListenerSettings, Settings, TlsSettings
from hoopx.errors import HoopxError
from tests.identity.test_certificates import made

OWN = Settings()


class ListeningTests(SynchronousTestCase):
    def test_endpoints(self) -> None:
        for endpoint, expected in (
            ("tcp:15432:interface=127.0.0.1", ("127.0.0.1", 15432)),
            ("tcp:15432", ("localhost", 15432)),
            ("tcp:port=15432:interface=0.0.0.0:backlog=5", ("localhost", 15432)),
            ("tcp6:interface=\\:\\:1:port=1", ("::1", 1)),
            ("tcp:0:interface=\\:\\:", ("localhost", 0)),
            ("unix:/run/x", None),
            ("systemd:domain=INET:index=0", None),
            ("tcp:", None),
        ):
            self.assertEqual(listening(endpoint), expected, endpoint)


class FindTests(SynchronousTestCase):
    def test_pinned(self) -> None:
        """A listener for another target, or another protocol, leads nowhere."""
        settings = evolve(
            OWN,
            listeners=(
                ListenerSettings("raw", "tcp:1"),
                ListenerSettings("postgres", "tcp:2", target="other"),
                ListenerSettings("postgres", "tcp:3", target="orders"),
            ),
        )
        self.assertEqual(find(settings, "postgres", "orders"), ("localhost", 3, False))
        error = self.assertRaises(HoopxError, find, settings, "postgres", "third")
        self.assertIn("--gateway", str(error))

    def test_direct(self) -> None:
        """TLS from the first byte is the second choice, and is told."""
        both = ListenerSettings("postgres", "tcp:1", tls=True), ListenerSettings("postgres", "tcp:2")
        self.assertEqual(find(evolve(OWN, listeners=both), "postgres", "orders"), ("localhost", 2, False))
        self.assertEqual(find(evolve(OWN, listeners=both[:1]), "postgres", "orders"), ("localhost", 1, True))

    def test_realPort(self) -> None:
        settings = evolve(OWN, listeners=(ListenerSettings("postgres", "tcp:0:interface=\\:\\:1"),))
        status = [{"protocol": "postgres", "endpoint": "tcp:0:interface=\\:\\:1", "address": "::1:40123"}]
        self.assertEqual(find(settings, "postgres", "orders", status), ("::1", 40123, False))


class VerifiedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.data = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.data)

    def own(self) -> str:
        (self.data / "tls").mkdir()
        (self.data / "tls" / "ca.pem").touch()
        return str(self.data / "tls" / "ca.pem")

    def test_ownAuthority(self) -> None:
        own = self.own()
        self.assertEqual(verified(OWN, self.data, "localhost", 1, None, True), Route("localhost", 1, None, own))
        self.assertEqual(verified(OWN, self.data, "10.0.0.1", 1, None, True), Route("10.0.0.1", 1, None, own))
        self.assertEqual(verified(OWN, self.data, "gw.example.com", 1, None, False), Route("gw.example.com", 1, None, own))

    def test_given(self) -> None:
        self.own()
        self.assertEqual(verified(OWN, self.data, "gw", 1, "/ca.pem", False).authorities, "/ca.pem")
        self.assertEqual(verified(OWN, self.data, "localhost", 1, "/ca.pem", True).authorities, "/ca.pem")

    def test_withoutTLS(self) -> None:
        """On this machine alone."""
        self.assertEqual(verified(OWN, self.data, "127.0.0.1", 1, None, True), Route("127.0.0.1", 1, None, None))
        self.assertRaises(HoopxError, verified, OWN, self.data, "10.0.0.1", 1, None, True)
        self.patch(ssl, "get_default_verify_paths", lambda: type("None", (), {"cafile": None}))
        self.assertRaises(HoopxError, verified, OWN, self.data, "localhost", 1, None, False)

    def test_configured(self) -> None:
        """The name in the certificate is verified, wherever the socket is."""
        path = self.data / "gateway.pem"
        path.write_bytes(x509.load_der_x509_certificate(made("gw").der).public_bytes(Encoding.PEM))
        settings = evolve(OWN, tls=TlsSettings(str(path)))
        self.assertEqual(verified(settings, self.data, "127.0.0.1", 1, None, True), Route("127.0.0.1", 1, None, str(path)))
        path.write_bytes(b"rubbish")
        self.assertRaises(HoopxError, verified, settings, self.data, "127.0.0.1", 1, None, True)
