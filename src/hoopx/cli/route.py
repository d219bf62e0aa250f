# -*- test-case-name: tests.cli.test_route -*-
"""
Where a client on this machine finds the gateway, and how it verifies it.
"""

from __future__ import annotations

import os
import re
import ssl
from pathlib import Path
from typing import Any, Final, Sequence

from attrs import frozen

from hoopx.errors import HoopxError

_PART: Final = re.compile(r"(?<!\\):")
EVERYWHERE: Final = ("", "0.0.0.0", "::")


@frozen
class Route:
    """
    @ivar host: the name that the gateway's certificate bears.
    @ivar address: where to connect, if not there.
    @ivar authorities: PEM file to verify it with, or C{None}: no TLS (loopback only).
    @ivar direct: TLS from the first byte.
    """

    host: str
    port: int
    address: str | None
    authorities: str | None
    direct: bool = False


def listening(endpoint: str) -> tuple[str, int] | None:
    """
    @param endpoint: a Twisted server endpoint description.
    @return: C{(host, port)} by which this machine reaches it, or C{None} for what is no TCP port.
    """
    kind, *parts = (part.replace("\\:", ":") for part in _PART.split(endpoint))
    if kind not in ("tcp", "tcp4", "tcp6"):
        return None
    named = dict(part.split("=", 1) for part in parts if "=" in part)
    port = named.get("port") or next((part for part in parts if "=" not in part), "")
    if not port.isdecimal():
        return None
    interface = named.get("interface", "")
    return "localhost" if interface in EVERYWHERE else interface, int(port)


def find(settings: Any, protocol: str, target: str, addresses: Sequence[dict[str, Any]] = ()) -> tuple[str, int, bool]:
    """
    The listener that leads to a target; one with TLS from the first byte, which older clients do not know, only if there is no other.

    @param addresses: C{listeners} of the gateway's status: the real ports.
    @return: C{(host, port, TLS from the first byte)}.
    @raise HoopxError: there is none.
    """
    real = {(one.get("protocol"), one.get("endpoint")): one.get("address") for one in addresses}
    for listener in sorted(settings.listeners, key=lambda listener: listener.tls):
        if listener.protocol != protocol or listener.target not in (None, target):
            continue
        found = listening(listener.endpoint)
        if found is None:
            continue
        host, port = found
        address = real.get((protocol, listener.endpoint))
        return host, int(address.rpartition(":")[2]) if address else port, listener.tls
    raise HoopxError(f"no listener on this machine speaks {protocol} for {target}: say where with --gateway HOST:PORT")


def verified(settings: Any, data: Path, host: str, port: int, authorities: str | None, local: bool) -> Route:
    """
    @param authorities: PEM file given by the user, or C{None}.
    @param local: the address is our configuration's, not the user's.
    @raise HoopxError: there is nothing to verify the gateway with.
    """
    if not local:
        own = data / "tls" / "ca.pem"
        bundle = authorities or (str(own) if os.path.exists(own) else ssl.get_default_verify_paths().cafile)
        if bundle is None:
            raise HoopxError("there is nothing to verify the gateway with: say --authorities FILE")
        return Route(host, port, None, bundle)
    if settings.tls is not None:
        name, self_made = _certificate(settings.tls.certificate)
        bundle = authorities or (settings.tls.certificate if self_made else ssl.get_default_verify_paths().cafile)
        if bundle is None:
            raise HoopxError("there is nothing to verify the gateway with: say --authorities FILE")
        return Route(name or host, port, host if name else None, bundle)
    own = data / "tls" / "ca.pem"
    if authorities or os.path.exists(own):  # not Path.exists, which raises where the folder is another user's
        return Route(host, port, None, authorities or str(own))
    if host in ("localhost", "127.0.0.1", "::1"):
        return Route(host, port, None, None)
    raise HoopxError(f"{own} is not there: start the gateway once, or say --authorities FILE")


def _certificate(path: str) -> tuple[str | None, bool]:
    """@return: the first host name in it (no wildcard), and whether its own root is in the file."""
    from cryptography import x509

    try:
        chain = x509.load_pem_x509_certificates(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        raise HoopxError(f"{path} can not be read: {error}") from None
    try:
        names = chain[0].extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        names = []
    name = next((one for one in names if not one.startswith("*")), None)
    return name, any(one.subject == one.issuer for one in chain)
