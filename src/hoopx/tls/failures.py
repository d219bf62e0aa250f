# -*- test-case-name: tests.tls.test_failures -*-
"""
What OpenSSL's errors mean, and what to do.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import Any, Final

from cryptography import x509

from hoopx.errors import ConfigurationError, HoopxError, ProtocolViolation, TargetFailed

MAX_NAMES: Final = 8
"""Names of a certificate that are shown: it may bear thousands."""
MAX_NAME: Final = 100

# X509_verify_cert_error codes.
_EXPIRED: Final = 10
_EARLY: Final = 9
_SELF_SIGNED: Final = 18
_UNKNOWN: Final = (2, 19, 20, 21)
_NAMES: Final = (62, 64)
_PURPOSE: Final = (24, 26, 79)
_WEAK: Final = (66, 67, 68)

_NOT_TLS: Final = (
    "WRONG_VERSION_NUMBER",
    "HTTP_REQUEST",
    "HTTPS_PROXY_REQUEST",
    "UNEXPECTED_MESSAGE",
    "BAD_PACKET",
    "PACKET_LENGTH_TOO_LONG",
)
_OLD: Final = ("UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "VERSION_TOO_LOW", "NO_PROTOCOLS_AVAILABLE")
_CIPHERS: Final = ("NO_SHARED_CIPHER", "SSLV3_ALERT_HANDSHAKE_FAILURE", "DH_KEY_TOO_SMALL", "NO_SUITABLE_SIGNATURE_ALGORITHM")
_WANTS_CERTIFICATE: Final = (
    "TLSV13_ALERT_CERTIFICATE_REQUIRED",
    "SSLV3_ALERT_BAD_CERTIFICATE",
    "TLSV1_ALERT_CERTIFICATE_REQUIRED",
)
_REFUSES: Final = (
    "TLSV1_ALERT_UNKNOWN_CA",
    "SSLV3_ALERT_BAD_CERTIFICATE",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED",
    "SSLV3_ALERT_CERTIFICATE_REVOKED",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
    "TLSV1_ALERT_DECRYPT_ERROR",
    "SSLV3_ALERT_HANDSHAKE_FAILURE",
)
"""Alerts about a certificate that was shown (RFC 8446 §6.2)."""
_DISTRUSTS: Final = (
    "TLSV1_ALERT_UNKNOWN_CA",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
    "SSLV3_ALERT_BAD_CERTIFICATE",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED",
)


def _reason(error: Exception) -> str:
    return getattr(error, "reason", None) or ""


def ofTarget(error: Exception, tls: Any, target: str, name: str, shown: bool = False) -> HoopxError:
    """
    Why TLS with a target failed.

    @param tls: the C{ssl.SSLObject}, or C{None}.
    @param target: its name in the configuration.
    @param name: the name that was looked for.
    @param shown: it may have been shown a certificate of ours.
    """
    if isinstance(error, HoopxError):
        return error
    label = f'target "{target}"'
    if isinstance(error, ssl.SSLCertVerificationError):
        return _ofCertificate(error, _unverified(tls), target, name)
    reason = _reason(error)
    if reason in _NOT_TLS:
        return TargetFailed(f"{label} does not speak TLS", 'Enable TLS there, or set tls = "off" for this target.')
    if reason in _OLD:
        return TargetFailed(f"{label} speaks no TLS version from 1.2 on", "Enable TLS 1.2 or 1.3 there.")
    if shown and reason in _REFUSES:
        return TargetFailed(
            f"{label} does not accept the certificate of its account",
            "Its authorities must have signed it, for client authentication; its log says why.",
            reason.lower().replace("_", " "),
        )
    if reason in _WANTS_CERTIFICATE:
        return TargetFailed(
            f"{label} demands a client certificate",
            "Give its account one in hoopx.toml (certificate, private_key), or let it log in with a password.",
        )
    if reason in _CIPHERS:
        return TargetFailed(f"{label} has no cipher or key in common with us", "Enable AES-GCM or ChaCha20 with ECDHE there.")
    if isinstance(error, ssl.SSLError) and reason:
        return TargetFailed(f"TLS with {label} failed: {reason.lower().replace('_', ' ')}", "Its log may tell more.")
    if isinstance(error, ssl.SSLError) or not isinstance(error, (OSError, ValueError)):
        return TargetFailed(f"{label} closed the connection during the TLS handshake", "Its log may tell why.")
    return TargetFailed(f"TLS with {label} failed", "Check its server_name and its TLS settings.")


def _unverified(tls: Any) -> x509.Certificate | None:
    """The certificate that was refused, where this Python lets us see it."""
    try:
        chain = tls._sslobj.get_unverified_chain()
        return x509.load_der_x509_certificate(chain[0].public_bytes(2))  # 2: DER
    except (AttributeError, TypeError, IndexError, ValueError, ssl.SSLError):
        return None


def _short(text: str) -> str:
    shown = "".join(char if char.isprintable() else "?" for char in text[:MAX_NAME])
    return shown if len(text) <= MAX_NAME else shown + "..."


def namesOf(certificate: x509.Certificate) -> list[str]:
    """Names and addresses of the subject alternative name, the first L{MAX_NAMES}."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    found = names.get_values_for_type(x509.DNSName) + [str(each) for each in names.get_values_for_type(x509.IPAddress)]
    return [_short(each) for each in found[:MAX_NAMES]] + (["..."] if len(found) > MAX_NAMES else [])


def _ofCertificate(error: ssl.SSLCertVerificationError, bad: x509.Certificate | None, target: str, name: str) -> TargetFailed:
    code = error.verify_code
    label = f'the certificate of target "{target}"'
    trust = f"Give the PEM file of the authority that signed it as targets.{target}.authorities."
    if code in _NAMES:
        return _misnamed(bad, label, target, name)
    if code == _EXPIRED:
        when = f" on {bad.not_valid_after_utc:%Y-%m-%d}" if bad is not None and _ended(bad) else ""
        return TargetFailed(f"{label}, or one it depends on, expired{when}", "Renew it there. Is this machine's clock right?")
    if code == _EARLY:
        return TargetFailed(f"{label}, or one it depends on, is not valid yet", "Check the clocks of both machines.")
    if code == _SELF_SIGNED:
        return TargetFailed(f"{label} is self-signed, and not among the trusted ones", trust)
    if code in _UNKNOWN:
        issuer = f" ({_short(bad.issuer.rfc4514_string())})" if bad is not None else ""
        return TargetFailed(f"{label} is signed by an authority{issuer} that is not trusted here", trust)
    if code in _PURPOSE:
        return TargetFailed(
            f"{label}, or one it depends on, is not made for this purpose",
            "It needs the use serverAuth; its authorities must be such.",
        )
    if code in _WEAK:
        return TargetFailed(f"{label}, or one it depends on, has a key or signature that is too weak", "Make a new one.")
    return TargetFailed(f"{label} can not be verified: {error.verify_message}", trust)


def _ended(certificate: x509.Certificate) -> bool:
    import datetime

    return certificate.not_valid_after_utc < datetime.datetime.now(datetime.timezone.utc)


def _misnamed(bad: x509.Certificate | None, label: str, target: str, name: str) -> TargetFailed:
    hint = f"If one of these is the right server, set targets.{target}.server_name to that name."
    if bad is None:
        return TargetFailed(
            f'{label} does not bear the name "{name}"', f"Set targets.{target}.server_name to a name that it bears."
        )
    names = namesOf(bad)
    if not names:
        return TargetFailed(
            f'{label} bears no name at all (a common name does not count): "{name}" is needed',
            f"Make a new one with subjectAltName = {name}.",
        )
    return TargetFailed(f'{label} does not bear the name "{name}"; it bears {", ".join(names)}', hint)


def withoutProtocol(target: str, alpn: Sequence[str]) -> TargetFailed:
    """A target that agrees on no application protocol."""
    return TargetFailed(f'target "{target}" does not agree on ALPN {" or ".join(alpn)}', "Is it a server of this protocol?")


def nameless(target: str) -> TargetFailed:
    """A target whose endpoint has no host."""
    return TargetFailed(f'target "{target}" has no name that its certificate could bear', f"Set targets.{target}.server_name.")


def authorities(target: str) -> TargetFailed:
    """A target whose authorities are not to be had. The path stays in the log: clients see this text."""
    return TargetFailed(
        f'the authorities of target "{target}" can not be read', f"Check the PEM file targets.{target}.authorities."
    )


def ofShown(error: Exception, target: str) -> TargetFailed:
    """A certificate that can not be shown to a target. What is wrong with it is for the log."""
    reason = _reason(error)
    if reason == "KEY_VALUES_MISMATCH":
        text = "its private key belongs to another certificate"
    elif isinstance(error, ssl.SSLError):
        text = f"certificate or private key are no usable PEM ({(reason or 'nothing found').lower().replace('_', ' ')})"
    elif isinstance(error, OSError):
        text = error.strerror or type(error).__name__
    else:
        text = str(error)
    return TargetFailed(
        f'target "{target}": the certificate of its account can not be used',
        "Whoever runs the gateway finds the reason in its log.",
        text,
    )


def ofClient(error: Exception) -> HoopxError:
    """Why TLS with a client failed; for the log, since the client has no ear for it."""
    if isinstance(error, HoopxError):
        return error
    if isinstance(error, ssl.SSLCertVerificationError):
        return ProtocolViolation(f"the client's certificate does not hold: {error.verify_message}")
    reason = _reason(error)
    if reason in _NOT_TLS:
        return ProtocolViolation("the client does not speak TLS where it should")
    if reason in _OLD:
        return ProtocolViolation("the client speaks no TLS version from 1.2 on")
    if reason in _DISTRUSTS:
        return ProtocolViolation("the client does not trust the gateway's certificate")
    if isinstance(error, ssl.SSLError) and reason:
        return ProtocolViolation(f"TLS with the client failed: {reason.lower().replace('_', ' ')}")
    return ProtocolViolation("the client closed the connection during the TLS handshake")


def ofFiles(error: Exception, what: str, key: str) -> ConfigurationError:
    """Why files of the configuration can not be used."""
    reason = _reason(error)
    if isinstance(error, FileNotFoundError):
        text = "no such file"
    elif isinstance(error, PermissionError):
        text = "the gateway may not read it"
    elif reason == "KEY_VALUES_MISMATCH":
        text = "the key belongs to another certificate"
    elif isinstance(error, ssl.SSLError):
        text = f"not a usable PEM file ({(reason or 'nothing found').lower().replace('_', ' ')})"
    else:
        text = str(error)
    return ConfigurationError(f"{what}: {text}", key=key)
