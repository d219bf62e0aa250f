# -*- test-case-name: tests.identity.test_certificates -*-
"""
Identities from client certificates that TLS has verified.
"""

from __future__ import annotations

from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from hoopx.errors import Unauthorized
from hoopx.identity.tokens import MAX_NAME, SERVICE
from hoopx.values import Certificate, Identity

ISSUER: Final = "certificate"


def identify(proof: Certificate) -> Identity:
    """
    The common name is the person, the organisations are the groups (as Kubernetes reads them).

    @raise Unauthorized: not exactly one common name, or a name that nobody may have.
    """
    try:
        certificate = x509.load_der_x509_certificate(proof.der)
        names = [_text(one) for one in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        groups = {_text(one) for one in certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)}
    except ValueError:
        raise Unauthorized() from None
    # Names of services are given by listeners and tokens alone.
    if len(names) != 1 or names[0].startswith(SERVICE):
        raise Unauthorized()
    return Identity(
        issuer=ISSUER,
        subject=names[0],
        name=names[0],
        groups=tuple(sorted(groups)),
        credential="certificate:" + certificate.fingerprint(SHA256()).hex(),
    )


def _text(attribute: x509.NameAttribute[str | bytes]) -> str:
    value = attribute.value
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_NAME or not value.isprintable():
        raise ValueError("not a name")
    return value
