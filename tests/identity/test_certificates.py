from __future__ import annotations

from datetime import datetime, timedelta, timezone

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from twisted.trial.unittest import SynchronousTestCase

from hoopx.errors import Unauthorized
from hoopx.identity.certificates import identify
from hoopx.values import Certificate


def made(*names: str, groups: tuple[str, ...] = ()) -> Certificate:
    key = Ed25519PrivateKey.generate()
    subject = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names]
        + [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    )
    now = datetime.now(timezone.utc)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, None)
    )
    return Certificate(built.public_bytes(Encoding.DER))


class CertificateTests(SynchronousTestCase):
    def test_identity(self) -> None:
        identity = identify(made("alice", groups=("sre", "analysts", "sre")))
        self.assertEqual(
            (identity.issuer, identity.subject, identity.name, identity.kind, identity.groups),
            ("certificate", "alice", "alice", "human", ("analysts", "sre")),
        )
        self.assertRegex(identity.credential or "", "^certificate:[0-9a-f]{64}$")

    def test_refused(self) -> None:
        for names in ((), ("alice", "bob"), ("service:batch",), ("a\nb",), (" ",)):
            self.assertRaises(Unauthorized, identify, made(*names))
        self.assertRaises(Unauthorized, identify, made("alice", groups=("a\x1b[2J",)))

    def test_rubbish(self) -> None:
        self.assertRaises(Unauthorized, identify, Certificate(b"\x30\x03rub"))
