# -*- test-case-name: tests.peers.test_harness -*-
"""
Certificates for one run: an authority, servers, client users.
"""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_PEM = serialization.Encoding.PEM


class Authority:
    """
    @ivar path: its certificate.
    @param folder: where everything is written.
    """

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"test authority {name}")])
        self.path = folder / f"{name}.crt"
        certificate = (
            _begin(self._name, self._name, self._key)
            .add_extension(x509.BasicConstraints(True, None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .add_extension(
                x509.KeyUsage(True, False, False, False, False, True, True, False, False),
                critical=True,
            )
            .sign(self._key, hashes.SHA256())
        )
        self.path.write_bytes(certificate.public_bytes(_PEM))

    def server(self, name: str, host: str = "localhost") -> tuple[Path, Path]:
        """@return: paths of a certificate for C{host} and 127.0.0.1, and of its key."""
        names = [x509.DNSName(host), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        return self._issue(name, host, ExtendedKeyUsageOID.SERVER_AUTH, names)

    def elsewhere(self, name: str) -> tuple[Path, Path]:
        """@return: like L{server}, for a host that is not this one."""
        return self._issue(name, "elsewhere.example.com", ExtendedKeyUsageOID.SERVER_AUTH, [x509.DNSName("elsewhere.example.com")])

    def user(self, name: str) -> tuple[Path, Path]:
        """@return: paths of a client certificate whose common name is C{name}, and of its key."""
        return self._issue(name, name, ExtendedKeyUsageOID.CLIENT_AUTH, [x509.RFC822Name(f"{name}@example.com")])

    def _issue(self, name: str, common: str, usage: x509.ObjectIdentifier, names: list) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
        certificate = (
            _begin(subject, self._name, key)
            .add_extension(x509.BasicConstraints(False, None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        paths = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        paths[0].write_bytes(certificate.public_bytes(_PEM))
        paths[1].write_bytes(key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        paths[1].chmod(0o600)
        return paths


def _begin(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=2))
    )
