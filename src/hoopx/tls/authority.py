# -*- test-case-name: tests.tls.test_authority -*-
"""
A certificate authority of the gateway's own, for when none is configured: C{ca.pem}, C{ca.key}, C{gateway.pem} (with the
authority's certificate after it) and C{gateway.key} under C{data/tls}. Clients verify the gateway with C{ca.pem}.

All of it takes a few milliseconds: keys are on P-256.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import re
import socket
import time
from collections.abc import Callable, Sequence
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hoopx.errors import ConfigurationError

DAY: Final = 86400.0
AUTHORITY_LIFE: Final = 3650 * DAY
GATEWAY_LIFE: Final = 397 * DAY
"""No longer than what strict clients accept of a server's certificate."""
RENEW_BEFORE: Final = 60 * DAY
EARLY: Final = DAY
"""How much earlier certificates begin: other machines' clocks."""
LOOK_EVERY: Final = 3600.0
"""Seconds between two looks at the files while the gateway runs."""

_HOST: Final = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,62}))*\Z")


class Authority:
    """
    @param directory: C{data/tls}; made when it is not there.
    @param names: host names and addresses by which clients call the gateway, beside localhost and this host's name. What can
        not stand in a certificate is passed over.
    @param clock: seconds since the epoch.
    """

    def __init__(self, directory: str, names: Sequence[str] = (), clock: Callable[[], float] = time.time) -> None:
        self.directory = directory
        self.authority = os.path.join(directory, "ca.pem")
        self.certificate = os.path.join(directory, "gateway.pem")
        self.privateKey = os.path.join(directory, "gateway.key")
        self._authorityKey = os.path.join(directory, "ca.key")
        self._names = _generalNames(["localhost", "127.0.0.1", "::1", socket.gethostname(), *names])
        self._clock = clock
        self._next = 0.0

    def renew(self) -> bool:
        """
        Make what is missing, damaged or about to expire. Looks at most once in L{LOOK_EVERY}.

        @return: C{True} when something was made.
        @raise ConfigurationError: the authority's key is gone and a new certificate is needed; or the directory can not be used.
        """
        now = self._clock()
        if now < self._next:
            return False
        try:
            made = self._renew(now)
        except OSError as error:
            raise ConfigurationError(f"{self.directory}: {error.strerror}", key="tls") from error
        self._next = now + LOOK_EVERY
        return made

    def _renew(self, now: float) -> bool:
        os.makedirs(self.directory, 0o700, exist_ok=True)
        authority = _read(self.authority)
        key = _readKey(self._authorityKey)
        if authority is not None and key is None and self._usable(authority, now):
            return False
        if key is None and authority is not None:
            raise ConfigurationError(
                f"{self._authorityKey} is missing or damaged, and the gateway needs a new certificate. Put it back; or remove "
                f"{self.authority} too: then a new authority is made, which every client has to be given.",
                key="tls",
            )
        fresh = authority is None or key is None or not _matches(authority, key) or _left(authority, now) < RENEW_BEFORE
        if fresh:
            if key is None:
                key = ec.generate_private_key(ec.SECP256R1())
                _write(self._authorityKey, _pem(key), 0o600)
            authority = _makeAuthority(key, now)
            _write(self.authority, authority.public_bytes(Encoding.PEM), 0o644)
        assert authority is not None and key is not None
        if not fresh and self._usable(authority, now):
            return False
        gatewayKey = ec.generate_private_key(ec.SECP256R1())
        certificate = self._makeGateway(gatewayKey, authority, key, now)
        # Between the two renames the pair does not match: whoever reads then goes on with what it has, and looks again.
        _write(self.privateKey, _pem(gatewayKey), 0o600)
        _write(self.certificate, certificate.public_bytes(Encoding.PEM) + authority.public_bytes(Encoding.PEM), 0o644)
        return True

    def _usable(self, authority: x509.Certificate, now: float) -> bool:
        certificate, key = _read(self.certificate), _readKey(self.privateKey)
        if certificate is None or key is None or not _matches(certificate, key) or _left(certificate, now) < RENEW_BEFORE:
            return False
        try:
            certificate.verify_directly_issued_by(authority)
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except Exception:
            return False  # of another authority, or damaged: a new one is made
        return set(self._names) <= set(names)

    def _makeGateway(
        self,
        key: ec.EllipticCurvePrivateKey,
        authority: x509.Certificate,
        authorityKey: ec.EllipticCurvePrivateKey,
        now: float,
    ) -> x509.Certificate:
        end = min(now + GATEWAY_LIFE, authority.not_valid_after_utc.timestamp())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hoopx gateway")])
        builder = _builder(key, name, authority.subject, now, end)
        identifier = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        return (
            builder.add_extension(x509.BasicConstraints(False, None), True)
            .add_extension(_usage(False), True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
            .add_extension(x509.SubjectAlternativeName(self._names), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), False)
            .sign(authorityKey, hashes.SHA256())
        )


def _makeAuthority(key: ec.EllipticCurvePrivateKey, now: float) -> x509.Certificate:
    # The same key has the same name: who trusts an older certificate of it goes on trusting.
    digest = x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest.hex()[:8]
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"hoopx authority {digest}")])
    builder = _builder(key, name, name, now, now + AUTHORITY_LIFE)
    builder = builder.add_extension(x509.BasicConstraints(True, 0), True).add_extension(_usage(True), True)
    return builder.sign(key, hashes.SHA256())


def _builder(
    key: ec.EllipticCurvePrivateKey, subject: x509.Name, issuer: x509.Name, now: float, end: float
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(_moment(now - EARLY))
        .not_valid_after(_moment(end))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    )


def _usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _generalNames(names: Sequence[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for name in dict.fromkeys(names):
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            if _HOST.match(name):
                found.append(x509.DNSName(name.lower()))
    return list(dict.fromkeys(found))


def _moment(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(int(seconds), datetime.timezone.utc)


def _left(certificate: x509.Certificate, now: float) -> float:
    return certificate.not_valid_after_utc.timestamp() - now


def _matches(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> bool:
    return certificate.public_key() == key.public_key()


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _contents(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def _read(path: str) -> x509.Certificate | None:
    """The first certificate of a file; C{None} when there is none to be had."""
    pem = _contents(path)
    try:
        return None if pem is None else x509.load_pem_x509_certificate(pem)
    except ValueError:
        return None


def _readKey(path: str) -> ec.EllipticCurvePrivateKey | None:
    pem = _contents(path)
    try:
        key = None if pem is None else load_pem_private_key(pem, None)
    except (ValueError, TypeError):
        return None
    return key if isinstance(key, ec.EllipticCurvePrivateKey) else None


def _write(path: str, data: bytes, mode: int) -> None:
    """Put a file in place at once, complete and with its mode, whatever happens meanwhile."""
    temporary = f"{path}.{os.getpid()}.new"
    try:
        os.unlink(temporary)
    except FileNotFoundError:
        pass
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    directory = os.open(os.path.dirname(path) or ".", os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
