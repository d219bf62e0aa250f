"""
L{hoopx.tls.contexts}: who is believed, and what is said to whom is not.
"""

from __future__ import annotations

import datetime
import os
import ssl

import attrs
from cryptography.x509.oid import ExtendedKeyUsageOID
from twisted.trial.unittest import SynchronousTestCase

from hoopx.errors import ConfigurationError, ProtocolViolation, TargetFailed
from hoopx.tls.contexts import ClientOptions, ServerOptions, serverOptions
from hoopx.values import Target
from tests.tls.certificates import DAY, NOW, Peer, TestAuthority
from tests.tls.test_layer import Scene


@attrs.frozen
class Settings:
    certificate: str
    privateKey: str | None = None
    clientAuthorities: str | None = None


class Case(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = self.mktemp()
        self.authority = TestAuthority(self.directory)
        self.certificate, self.key = self.authority.issue("localhost")


class TargetTests(Case):
    def attempt(
        self, name: str, *issued: str, authorities: str | None = "", endpoint: str = "tcp:localhost:1", **options
    ) -> TargetFailed | None:
        """A handshake with a target that shows such a certificate. @return: why it failed."""
        certificate, key = self.authority.issue(*issued, file="target", **options)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        target = Target(
            "orders",
            "postgres",
            endpoint,
            serverName=name or None,
            authorities=self.authority.pem if authorities == "" else authorities,
        )
        terms = ClientOptions().terms(target)
        peer = Peer(context, True)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = terms.open(incoming, outgoing)
        for _ in range(4):
            try:
                tls.do_handshake()
                return None
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                return terms.explain(error, tls)
            peer.feed(outgoing.read())
            incoming.write(peer.outgoing.read())
        raise AssertionError

    def test_names(self) -> None:
        """Its name stands among the alternative names, as a name or as an address; a common name does not count."""
        for wanted, issued in [
            ("db.internal", ["db.internal"]),
            ("DB.internal", ["db.internal"]),
            ("db.internal.", ["db.internal"]),
            ("a.db.internal", ["x", "*.db.internal"]),
            ("10.0.0.7", ["10.0.0.7"]),
            ("::1", ["::1"]),
        ]:
            self.assertIsNone(self.attempt(wanted, *issued), (wanted, issued))
        for wanted, issued in [
            ("db.internal", ["other.internal", "10.0.0.7"]),
            ("a.b.db.internal", ["*.db.internal"]),
            ("db.internal.net", ["d*.internal.net"]),
            ("10.0.0.7", ["10.0.0.8"]),
        ]:
            error = self.attempt(wanted, *issued)
            self.assertIsInstance(error, TargetFailed, (wanted, issued))
            self.assertIn(f'does not bear the name "{wanted}"', str(error))
            self.assertIn(issued[0], str(error))
            self.assertIn("targets.orders.server_name", error.hint)
        error = self.attempt("db.internal", common="db.internal")
        self.assertIn("bears no name at all", str(error))

    def test_manyNames(self) -> None:
        """A certificate of a thousand names does not fill a client's screen."""
        error = self.attempt("db", *(f"host-{number}" for number in range(1000)))
        self.assertLess(len(str(error)), 400)

    def test_endpoint(self) -> None:
        """Without server_name the endpoint's host must be in it."""
        self.assertIsNone(self.attempt("", "db.internal", endpoint="tcp:db.internal:5432"))
        self.assertIsNone(self.attempt("", "::1", endpoint=r"tcp:\:\:1:5432"))
        self.assertIn("does not bear", str(self.attempt("", "other", endpoint="tcp:db.internal:5432")))

    def test_nameless(self) -> None:
        error = self.assertRaises(TargetFailed, ClientOptions().terms, Target("orders", "postgres", "unix:/run/db"))
        self.assertIn("server_name", error.hint)

    def test_times(self) -> None:
        error = self.attempt("db", "db", begin=NOW - 9 * DAY, end=NOW - 2 * DAY)
        self.assertIn("expired on " + f"{NOW - 2 * DAY:%Y-%m-%d}", str(error))
        error = self.attempt("db", "db", begin=NOW + DAY, end=NOW + 2 * DAY)
        self.assertIn("not valid yet", str(error))

    def test_trust(self) -> None:
        """Another authority, the system's authorities, self-signed, made for another purpose."""
        error = self.attempt("db", "db", authorities=TestAuthority(self.directory, "another").pem)
        self.assertIn("signed by an authority (CN=test authority) that is not trusted", str(error))
        self.assertIn("targets.orders.authorities", error.hint)
        error = self.attempt("db", "db", authorities=None)
        self.assertIn("not trusted", str(error))
        error = self.attempt("db", "db", selfSigned=True)
        self.assertIn("self-signed", str(error))
        error = self.attempt("db", "db", use=ExtendedKeyUsageOID.CLIENT_AUTH)
        self.assertIn("not made for this purpose", str(error))

    def test_pinned(self) -> None:
        """A self-signed certificate is fine when it is itself what authorities names."""
        certificate, _ = self.authority.issue("db", file="target", selfSigned=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, certificate.replace(".pem", ".key"))
        scene = Scene(self, False, context=context, name="db")
        self.assertIsNotNone(scene.run().results[0][0])
        self.authority.pem = certificate
        scene = Scene(self, False, context=context, name="db")
        self.assertIsNone(scene.run().results[0][0])

    def test_authoritiesUnreadable(self) -> None:
        for content in (None, b"", b"garbage"):
            path = self.mktemp()
            if content is not None:
                with open(path, "wb") as file:
                    file.write(content)
            error = self.assertRaises(
                TargetFailed, ClientOptions().terms, Target("orders", "postgres", "tcp:db:1", authorities=path)
            )
            self.assertNotIn(path, str(error))

    def test_shared(self) -> None:
        """Targets with the same authorities share a context, until the file changes."""
        options = ClientOptions()
        one = options.terms(Target("a", "raw", "tcp:a:1", authorities=self.authority.pem))
        two = options.terms(Target("b", "raw", "tcp:b:1", authorities=self.authority.pem))
        self.assertIs(one._context, two._context)
        self.assertIsNot(options.terms(Target("c", "raw", "tcp:c:1"))._context, one._context)
        os.utime(self.authority.pem, (1, 1))
        self.assertIsNot(options.terms(Target("a", "raw", "tcp:a:1", authorities=self.authority.pem))._context, one._context)


class ClientTests(Case):
    def attempt(self, certificates=None, *, old: bool = False) -> Scene:
        context = ssl.create_default_context(cafile=self.authority.pem)
        if old:
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        if certificates:
            context.load_cert_chain(*certificates)
        return Scene(self, context=context)

    def setUp(self) -> None:
        super().setUp()
        self.people = TestAuthority(self.directory, "people")
        self.settings = Settings(self.certificate, self.key, self.people.pem)
        self.patch(ServerOptions, "__init__", self.withPeople(ServerOptions.__init__))

    def withPeople(self, real):
        return lambda options, certificate, key: real(options, certificate, key, self.people.pem)

    def test_proved(self) -> None:
        """A client's certificate of the right authority is told; without one the client comes in and has proved nothing."""
        for old in (False, True):
            paths = self.people.issue(file="alice", use=ExtendedKeyUsageOID.CLIENT_AUTH, common="alice")
            scene = self.attempt(paths, old=old).run()
            with open(paths[0]) as file:
                self.assertEqual(scene.results, [(None, ssl.PEM_cert_to_DER_cert(file.read()))])
            self.assertEqual(self.attempt(old=old).run().results, [(None, None)])

    def test_refused(self) -> None:
        """Another authority's, an expired one, a server's: no session, and no certificate."""
        use = ExtendedKeyUsageOID.CLIENT_AUTH
        for paths in (
            self.authority.issue(file="a", use=use),
            self.people.issue(file="b", use=use, begin=NOW - 3 * DAY, end=NOW - DAY),
            self.people.issue(file="c"),
            self.people.issue(file="d", use=use, selfSigned=True),
        ):
            for old in (False, True):
                scene = self.attempt(paths, old=old).run()
                [(error, certificate)] = scene.results
                self.assertIsInstance(error, ProtocolViolation)
                self.assertIn("certificate does not hold", str(error))
                self.assertIsNone(certificate)


class DistrustTests(Case):
    def test_clientDistrusts(self) -> None:
        """A client that does not trust us says so, and the log says it in words."""
        context = ssl.create_default_context(cafile=TestAuthority(self.directory, "another").pem)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        scene = Scene(self, context=context).run()
        self.assertIn("does not trust", str(scene.results[0][0]))


class ServerOptionsTests(Case):
    changes = 0

    def touch(self, *paths: str) -> None:
        """The clock of files stands still for some milliseconds: two writes in that time are one."""
        for path in paths:
            self.changes += 1
            os.utime(path, (self.changes, self.changes))

    def issue(self) -> None:
        """A new certificate, with its key."""
        self.touch(*self.authority.issue("localhost"))

    def write(self, content: bytes) -> None:
        with open(self.key, "wb") as file:
            file.write(content)
        self.touch(self.key)

    def renewedByHalf(self) -> bytes:
        """A new certificate beside the key of the one before it. @return: the key that belongs to it."""
        with open(self.key, "rb") as file:
            key = file.read()
        self.issue()
        with open(self.key, "rb") as file:
            right = file.read()
        self.write(key)
        return right

    def served(self, options: ServerOptions) -> bytes:
        """The certificate that a client sees."""
        client = ssl.create_default_context()
        client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
        peer = Peer(client, False, "localhost")
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = options.terms().open(incoming, outgoing)
        for _ in range(2):
            peer.feed(outgoing.read())
            incoming.write(peer.outgoing.read())
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                pass
        return peer.tls.getpeercert(True)

    def test_changed(self) -> None:
        """New files are in use from the next connection on; files that do not fit change nothing until they do."""
        options = ServerOptions(self.certificate, self.key)
        first = self.served(options)
        self.assertEqual(self.served(options), first)
        right = self.renewedByHalf()
        self.assertEqual(self.served(options), first)
        self.assertFalse(options.refresh())
        os.unlink(self.key)
        self.assertEqual(self.served(options), first)
        self.write(right)
        self.assertTrue(options.refresh())
        self.assertNotEqual(self.served(options), first)

    def test_changedWhileRead(self) -> None:
        """The second of two files comes right after both were found not to fit: it is not taken for what was refused."""
        options = ServerOptions(self.certificate, self.key)
        right = self.renewedByHalf()
        load = options._load

        def slow(names: tuple) -> ssl.SSLContext:
            try:
                return load(names)
            finally:
                self.write(right)

        self.patch(options, "_load", slow)
        self.assertFalse(options.refresh())
        self.patch(options, "_load", load)
        self.assertTrue(options.refresh())

    def test_alpnChanged(self) -> None:
        """Contexts of every application protocol are read again."""
        options = ServerOptions(self.certificate, self.key)
        before = options.terms(["postgresql"])._context
        self.assertIs(options.terms([b"postgresql"])._context, before)
        self.issue()
        self.assertIsNot(options.terms(["postgresql"])._context, before)

    def test_unusable(self) -> None:
        """At the start unusable files are told, with what is wrong."""
        other, _ = self.authority.issue("localhost", file="other")
        garbage = self.mktemp()
        with open(garbage, "w") as file:
            file.write("garbage")
        for certificate, key, people, said in [
            ("missing.pem", self.key, None, "no such file"),
            (self.certificate, "missing.key", None, "no such file"),
            (other, self.key, None, "belongs to another certificate"),
            (garbage, self.key, None, "not a usable PEM file"),
            (self.certificate, None, None, "not a usable PEM file"),
            (self.certificate, self.key, "missing.pem", "no such file"),
            (self.certificate, self.key, garbage, "not a usable PEM file"),
        ]:
            error = self.assertRaises(ConfigurationError, serverOptions, Settings(certificate, key, people), self.directory)
            self.assertIn(said, str(error))
            self.assertIn("tls", error.key)

    def test_encryptedKey(self) -> None:
        """A key with a passphrase is refused; nobody is asked on a terminal."""
        from cryptography.hazmat.primitives import serialization as forms

        with open(self.key, "rb") as file:
            key = forms.load_pem_private_key(file.read(), None)
        with open(self.key, "wb") as file:
            file.write(key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.BestAvailableEncryption(b"pw")))
        error = self.assertRaises(ConfigurationError, ServerOptions, self.certificate, self.key)
        self.assertIn("without a passphrase", str(error))

    def test_oneFile(self) -> None:
        """Certificate and key may share a file."""
        with open(self.certificate, "ab") as certificate, open(self.key, "rb") as key:
            certificate.write(key.read())
        self.served(serverOptions(Settings(self.certificate), self.directory))

    def test_own(self) -> None:
        """Without settings: an authority of the gateway's own, renewed while the gateway runs."""
        now = [NOW.timestamp()]
        options = serverOptions(None, self.directory, ["node-7"], lambda: now[0])
        self.assertTrue(os.path.exists(os.path.join(self.directory, "tls", "ca.pem")))
        first = self.served(options)
        now[0] += datetime.timedelta(380).total_seconds()
        self.assertNotEqual(self.served(options), first)

    def test_noTickets(self) -> None:
        """Nothing is kept of a session that is over."""
        options = ServerOptions(self.certificate, self.key)
        self.assertEqual(options.terms()._context.num_tickets, 0)
        self.assertTrue(options.terms()._context.options & ssl.OP_NO_RENEGOTIATION)
