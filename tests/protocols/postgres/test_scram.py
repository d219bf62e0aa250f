"""
L{hoopx.protocols.postgres.scram}: the examples of the RFCs, a server of the test's own, and garbage.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
from base64 import b64decode, b64encode

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hoopx.errors import ProtocolViolation, TargetFailed
from hoopx.protocols.postgres import scram
from hoopx.protocols.postgres.scram import PLAIN, PLUS, Known, ScramClient, endPoint, saltedPassword, saslprep

NONCE = b"rOprNGfwEbeRWgbNEkqO"
FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


SHA256 = hashes.SHA256()


def certificate(key=None, algorithm=SHA256, **options) -> bytes:
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "db")])
    now = datetime.datetime(2026, 1, 1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(1))
    return builder.sign(key, algorithm, **options).public_bytes(serialization.Encoding.DER)


class Server:
    """A server's side of the exchange, for what the client must be happy with."""

    def __init__(self, password: bytes, iterations: int = 4096, binding: bytes = b"", salt: bytes = b"0123456789abcdef") -> None:
        self.salted = hashlib.pbkdf2_hmac("sha256", password, salt, iterations)
        self.salt, self.iterations, self.binding = salt, iterations, binding

    def first(self, clientFirst: bytes) -> bytes:
        self.header = b",".join(clientFirst.split(b",", 2)[:2]) + b","
        self.bare = clientFirst.split(b",", 2)[2]
        self.nonce = self.bare.split(b"r=")[1] + b"server"
        self.message = b"r=%b,s=%b,i=%d" % (self.nonce, b64encode(self.salt), self.iterations)
        return self.message

    def final(self, clientFinal: bytes) -> bytes:
        bare, proof = clientFinal.split(b",p=")
        assert bare == b"c=%b,r=%b" % (b64encode(self.header + self.binding), self.nonce), bare
        message = b",".join((self.bare, self.message, bare))
        clientKey = hmac.digest(self.salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(clientKey).digest(), message, "sha256")
        assert bytes(a ^ b for a, b in zip(signature, b64decode(proof))) == clientKey, "wrong password"
        return b"v=" + b64encode(hmac.digest(hmac.digest(self.salted, b"Server Key", "sha256"), message, "sha256"))


class ExchangeTests(SynchronousTestCase):
    def client(self, **arguments) -> ScramClient:
        options = {"newNonce": lambda: NONCE, "known": Known(), "username": b"user", **arguments}
        return ScramClient(b"pencil", [PLAIN], **options)

    def test_example(self) -> None:
        """The exchange of RFC 7677 §3."""
        client = self.client()
        self.assertEqual(client.mechanism, PLAIN)
        self.assertEqual(client.first(), b"n,,n=user,r=" + NONCE)
        self.assertIsNone(client.prepare(FIRST))
        self.assertEqual(
            client.respond(FIRST),
            b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        )
        self.assertFalse(client.verified)
        client.verify(FINAL)
        self.assertTrue(client.verified)

    def test_server(self) -> None:
        """Bound, able to be bound, and not: the header says which, and the proof holds."""
        held = certificate()
        for mechanisms, der, header, binding in [
            ([PLUS, PLAIN], held, b"p=tls-server-end-point,,", hashlib.sha256(held).digest()),
            ([PLAIN], held, b"y,,", b""),
            ([PLUS, PLAIN], None, b"n,,", b""),
            ([PLAIN], None, b"n,,", b""),
        ]:
            client = ScramClient(b"secret", mechanisms, der, known=Known())
            server = Server(b"secret", binding=binding)
            self.assertEqual(client.mechanism, PLUS if binding else PLAIN)
            self.assertEqual(client.bound, bool(binding))
            self.assertTrue(client.first().startswith(header + b"n=,r="))
            client.verify(server.final(client.respond(server.first(client.first()))))
            self.assertTrue(client.verified)

    def test_nonces(self) -> None:
        """No two logins share a nonce."""
        self.assertNotEqual(ScramClient(b"x", [PLAIN]).first(), ScramClient(b"x", [PLAIN]).first())

    def test_nothingOffered(self) -> None:
        for mechanisms in ([], [PLUS], ["PLAIN"], ["OAUTHBEARER"]):
            self.assertRaises(TargetFailed, ScramClient, b"x", mechanisms)

    def test_impostor(self) -> None:
        """A server that does not know the password is not believed, and nothing is remembered."""
        known = Known()
        for final in (b"v=" + b64encode(b"\0" * 32), b"v=" + b64encode(b"\0"), b"v=" + b64encode(b"\0" * 33)):
            client = self.client(known=known)
            client.respond(FIRST)
            error = self.assertRaises(TargetFailed, client.verify, final)
            self.assertIn("impostor", str(error))
            self.assertFalse(client.verified)
            self.assertRaises(ProtocolViolation, client.verify, FINAL)
            self.assertFalse(client.verified)
        self.assertEqual(len(known), 0)

    def test_refused(self) -> None:
        client = self.client()
        client.respond(FIRST)
        error = self.assertRaises(TargetFailed, client.verify, b"e=invalid-proof")
        self.assertIn("invalid-proof", str(error))
        self.assertFalse(client.verified)

    def test_order(self) -> None:
        """Messages out of turn are violations."""
        self.assertRaises(ProtocolViolation, self.client().verify, FINAL)
        client = self.client()
        client.respond(FIRST)
        self.assertRaises(ProtocolViolation, client.respond, FIRST)
        client.verify(FINAL)
        self.assertRaises(ProtocolViolation, client.verify, FINAL)

    def test_malformedFirst(self) -> None:
        salt = b",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        for message in [
            b"",
            b"r=" + NONCE + salt,  # the server added nothing
            b"r=" + NONCE[:-1] + b"x" + salt,
            b"r=other" + NONCE + salt,
            b"r=" + NONCE + b"\xff" + salt,
            b"r=" + NONCE + b"x" + salt + b"\0",
            b"r=" + NONCE + b"x" + salt + b"\n",
            b"m=ext,r=" + NONCE + b"x" + salt,
            b"r=" + NONCE + b"x,s=,i=4096",
            b"r=" + NONCE + b"x,s=A,i=4096",
            b"r=" + NONCE + b"x,s=====,i=4096",
            b"r=" + NONCE + b"x,s=AAAA,i=",
            b"r=" + NONCE + b"x,s=AAAA,i=+4096",
            b"r=" + NONCE + b"x,s=AAAA,i=04096",
            b"r=" + NONCE + b"x,s=AAAA,i=99999999999999999999",
            b"r=" + NONCE + b"x" * 5000 + salt,
        ]:
            self.assertRaises(ProtocolViolation, self.client().respond, message)
            self.assertRaises(ProtocolViolation, self.client().prepare, message)

    def test_malformedFinal(self) -> None:
        for message in (b"", b"v=", b"v=*", b"x=AAAA", b"v=AAAA\0", FINAL + b" ", b"v=" + b"A" * 5000):
            client = self.client()
            client.respond(FIRST)
            self.assertRaises(ProtocolViolation, client.verify, message)
            self.assertFalse(client.verified)

    def test_extensions(self) -> None:
        """Optional extensions are passed over (RFC 5802 §5.1)."""
        client = self.client()
        client.respond(FIRST + b",x=more")

    def test_iterations(self) -> None:
        """Too few would give the password away, too many our time; both are said before anything is computed."""
        self.patch(scram, "saltedPassword", None)
        for count in (1, 4095, scram.MAX_ITERATIONS + 1, 2**31 - 1):
            error = self.assertRaises(TargetFailed, self.client().prepare, FIRST.replace(b"4096", b"%d" % count))
            self.assertIn(str(count), str(error))
            self.assertRaises(TargetFailed, self.client().respond, FIRST.replace(b"4096", b"%d" % count))
        self.assertRaises(TargetFailed, self.client().respond, FIRST.replace(b"4096", b"100001"))

    def test_prepared(self) -> None:
        """A large count can be computed elsewhere."""
        client, server = ScramClient(b"pw", [PLAIN], known=Known()), Server(b"pw", 20_000)
        first = server.first(client.first())
        derivation = client.prepare(first)
        self.assertEqual(derivation.iterations, 20_000)
        self.assertNotIn("pw", repr(derivation))
        salted = saltedPassword(*derivation)
        self.patch(scram, "saltedPassword", None)
        client.verify(server.final(client.respond(first, salted)))
        self.assertTrue(client.verified)

    def test_known(self) -> None:
        """The next login with the same password computes nothing; another password does."""
        known = Known()
        server = Server(b"pw", 20_000)
        client = ScramClient(b"pw", [PLAIN], known=known)
        client.verify(server.final(client.respond(server.first(client.first()))))
        self.assertEqual(len(known), 1)
        self.assertIsNotNone(
            ScramClient(b"pW", [PLAIN], newNonce=lambda: b"n", known=known).prepare(b"r=nx," + server.message.split(b",", 1)[1])
        )
        self.patch(scram, "saltedPassword", None)
        client = ScramClient(b"pw", [PLAIN], known=known)
        self.assertIsNone(client.prepare(server.first(client.first())))
        client.verify(server.final(client.respond(server.message)))
        self.assertTrue(client.verified)
        self.assertEqual(len(known), 1)


class KnownTests(SynchronousTestCase):
    def test_bounded(self) -> None:
        """The one not used for the longest time goes."""
        known = Known(2)
        one, two, three = (scram.Derivation(b"pw", salt, 4096) for salt in (b"1", b"2", b"3"))
        known.add(one, b"a")
        known.add(two, b"b")
        self.assertEqual(known.get(one), b"a")
        known.add(three, b"c")
        self.assertEqual([known.get(each) for each in (one, two, three)], [b"a", None, b"c"])
        known.clear()
        self.assertEqual(len(known), 0)

    def test_distinct(self) -> None:
        """No two derivations share a name by running together."""
        known = Known()
        known.add(scram.Derivation(b"bc", b"a", 4096), b"x")
        self.assertIsNone(known.get(scram.Derivation(b"c", b"ab", 4096)))
        self.assertIsNone(known.get(scram.Derivation(b"bc", b"a", 4097)))


class SaslprepTests(SynchronousTestCase):
    def test_examples(self) -> None:
        """RFC 4013 §3, as far as PostgreSQL agrees."""
        for given_, wanted in [
            ("I\u00adX", "IX"),
            ("user", "user"),
            ("USER", "USER"),
            ("\u00aa", "a"),
            ("\u2168", "IX"),
            ("a\u00a0b", "a b"),
            ("", ""),
        ]:
            self.assertEqual(saslprep(given_.encode()), wanted.encode())

    def test_raw(self) -> None:
        """What is forbidden, is nothing, or is not UTF-8, is used as it is."""
        for raw in (
            b"\x07",
            "\u0627\u0031".encode(),
            b"\xff\xfe",
            "\u00ad".encode(),
            "\u0221\u00a0".encode(),
            "\u0340\u00a0".encode(),
        ):
            self.assertEqual(saslprep(raw), raw)

    @given(st.one_of(st.binary(max_size=40), st.text(max_size=40).map(lambda text: text.encode("utf-8", "replace"))))
    def test_anything(self, password: bytes) -> None:
        self.assertIsInstance(saslprep(password), bytes)


class EndPointTests(SynchronousTestCase):
    def test_hashes(self) -> None:
        """The hash of the signature; SHA-256 in place of the broken ones."""
        key = rsa.generate_private_key(65537, 2048)
        for algorithm, name in [(hashes.SHA256(), "sha256"), (hashes.SHA384(), "sha384"), (hashes.SHA512(), "sha512")]:
            der = certificate(key, algorithm)
            self.assertEqual(endPoint(der), hashlib.new(name, der).digest())
        der = certificate(key, hashes.SHA384(), rsa_padding=padding.PSS(padding.MGF1(hashes.SHA384()), 48))
        self.assertEqual(endPoint(der), hashlib.sha384(der).digest())

    def test_old(self) -> None:
        """SHA-1 and MD5 can no longer be signed with here: their object identifiers are put in place of SHA-256's."""
        der = certificate(rsa.generate_private_key(65537, 2048))
        for old in (b"\x05", b"\x04"):  # sha1WithRSAEncryption, md5WithRSAEncryption
            changed = der.replace(bytes.fromhex("2a864886f70d01010b"), bytes.fromhex("2a864886f70d0101") + old)
            self.assertEqual(endPoint(changed), hashlib.sha256(changed).digest())

    def test_undefined(self) -> None:
        """Ed25519 has no hash: no binding, and the login does not pretend that it could."""
        der = certificate(ed25519.Ed25519PrivateKey.generate(), None)
        self.assertIsNone(endPoint(der))
        self.assertIsNone(endPoint(b"garbage"))
        client = ScramClient(b"x", [PLUS, PLAIN], der)
        self.assertEqual(client.mechanism, PLAIN)
        self.assertTrue(client.first().startswith(b"n,,"))


class GarbageTests(SynchronousTestCase):
    """Whatever a target says: a violation or a refusal, never another exception, never a login."""

    pieces = st.lists(
        st.one_of(
            st.binary(max_size=8),
            st.sampled_from([b"r=", NONCE, b",", b"s=", b"i=", b"4096", b"QUJD", b"=", b"e=", b"v=", b"m=", b"c="]),
        ),
        max_size=12,
    ).map(b"".join)

    @settings(max_examples=200)
    @given(pieces, pieces)
    def test_garbage(self, first: bytes, final: bytes) -> None:
        client = ScramClient(b"x", [PLAIN], newNonce=lambda: NONCE, known=Known())
        for method, message in ((client.prepare, first), (client.respond, first), (client.verify, final)):
            try:
                method(message)
            except (ProtocolViolation, TargetFailed):
                pass
        self.assertFalse(client.verified)
