# -*- test-case-name: tests.tls.test_contexts -*-
"""
With whom TLS is spoken, and on what terms: what the gateway shows its clients, and what it demands of targets.

Names are verified inside the handshake by OpenSSL (RFC 9525: DNS names and IP addresses of the certificate's subject
alternative name, never its common name).
"""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from twisted.logger import Logger

from hoopx.errors import ConfigurationError, HoopxError, ProtocolViolation
from hoopx.tls import failures
from hoopx.tls.authority import Authority
from hoopx.tls.endpoint import hostOf
from hoopx.tls.shown import Shown, noPassword
from hoopx.values import Credential, Target

MAX_CONTEXTS: Final = 256
"""Client contexts kept: one for each file of authorities in use. A context of the system's takes about 1 MB."""


def _signature(paths: Sequence[str | None]) -> tuple:
    """What changes when one of the files does."""
    found: list[tuple[int, int, int] | None] = []
    for path in paths:
        if path is not None:
            try:
                status = os.stat(path)
            except OSError:
                found.append(None)
            else:
                found.append((status.st_mtime_ns, status.st_size, status.st_ino))
    return tuple(found)


def _harden(context: ssl.SSLContext) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    return context


class ServerTerms:
    """One client's connection. @ivar alpn: of these one must be agreed, or C{()}."""

    __slots__ = ("_alpn", "_context")

    def __init__(self, context: ssl.SSLContext, alpn: tuple[str, ...]) -> None:
        self._context = context
        self._alpn = alpn

    def open(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> ssl.SSLObject:
        return self._context.wrap_bio(incoming, outgoing, server_side=True)

    def agreed(self, tls: ssl.SSLObject) -> None:
        if self._alpn and tls.selected_alpn_protocol() not in self._alpn:
            raise ProtocolViolation(f"TLS without agreement on ALPN {' or '.join(self._alpn)}")

    def explain(self, error: Exception, tls: ssl.SSLObject | None) -> HoopxError:
        return failures.ofClient(error)


class ServerOptions:
    """
    What clients are shown. The files are read again when they have changed; files that do not fit together (a renewal that is
    half done) change nothing until they do.

    @param certificate: path of the PEM file with the gateway's certificate and what lies between it and its authority.
    @param privateKey: path of its key, PEM, unencrypted; C{None} when it is in the certificate's file.
    @param clientAuthorities: path of a PEM file: clients may prove themselves with certificates of these authorities.
    @param renew: called before files are looked at, to make new ones when it is time.
    """

    log = Logger()

    def __init__(
        self,
        certificate: str,
        privateKey: str | None,
        clientAuthorities: str | None = None,
        renew: Callable[[], object] | None = None,
    ) -> None:
        self.certificate = certificate
        self._paths = (certificate, privateKey, clientAuthorities)
        self._renew = renew
        self._contexts: dict[tuple[str, ...], ssl.SSLContext] = {}
        self._refused: tuple | None = None
        if renew is not None:
            renew()
        self._signature = _signature(self._paths)
        self._contexts[()] = self._load(())

    def terms(self, alpn: Sequence[str | bytes] | None = None) -> ServerTerms:
        """
        @param alpn: application protocols, of which the client must speak one; C{None} when it need not say.
        @return: terms for one connection.
        """
        self.refresh()
        names = tuple(name.decode("ascii") if isinstance(name, bytes) else name for name in alpn or ())
        context = self._contexts.get(names)
        if context is None:
            context = self._contexts[names] = self._load(names)
        return ServerTerms(context, names)

    def refresh(self) -> bool:
        """Read the files again when they have changed. @return: C{True} when they had, and are in use."""
        signature = None
        try:
            if self._renew is not None:
                self._renew()
            # Before they are read: whoever changes them meanwhile is seen next time.
            signature = _signature(self._paths)
            if signature in (self._signature, self._refused):
                return False
            contexts = {names: self._load(names) for names in self._contexts}
        except (ConfigurationError, OSError) as error:
            self._refused = signature
            self.log.error("TLS goes on with the certificate in use: {error}", error=error)
            return False
        self._contexts, self._signature, self._refused = contexts, signature, None
        self.log.info("TLS certificate {certificate} read again", certificate=self.certificate)
        return True

    def _load(self, alpn: tuple[str, ...]) -> ssl.SSLContext:
        certificate, privateKey, clientAuthorities = self._paths
        context = _harden(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        # Clients of databases do not resume. TLS 1.2 keeps its tickets: without them OpenSSL would remember sessions instead.
        context.num_tickets = 0
        try:
            # A key with a passphrase must not ask for it on a terminal.
            context.load_cert_chain(str(certificate), privateKey, password=noPassword)
        except (OSError, ValueError) as error:
            raise failures.ofFiles(error, f"certificate {certificate}, private_key {privateKey or certificate}", "tls") from error
        if clientAuthorities is not None:
            try:
                context.load_verify_locations(clientAuthorities)
            except (OSError, ValueError) as error:
                raise failures.ofFiles(error, f"client_authorities {clientAuthorities}", "tls.client_authorities") from error
            context.verify_mode = ssl.CERT_OPTIONAL
        if alpn:
            context.set_alpn_protocols(alpn)
        return context


class ClientTerms:
    """One connection to a target: C{name} must stand in its certificate."""

    __slots__ = ("_alpn", "_context", "_name", "_shown", "_target")

    def __init__(self, context: ssl.SSLContext, name: str, target: str, alpn: tuple[str, ...], shown: bool = False) -> None:
        self._context = context
        self._name = name
        self._target = target
        self._alpn = alpn
        self._shown = shown

    def open(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> ssl.SSLObject:
        return self._context.wrap_bio(incoming, outgoing, server_hostname=self._name)

    def agreed(self, tls: ssl.SSLObject) -> None:
        if self._alpn and tls.selected_alpn_protocol() not in self._alpn:
            raise failures.withoutProtocol(self._target, self._alpn)

    def explain(self, error: Exception, tls: ssl.SSLObject | None) -> HoopxError:
        return failures.ofTarget(error, tls, self._target, self._name, self._shown)


class ClientOptions:
    """What is demanded of targets. Contexts are shared by all targets with the same authorities."""

    def __init__(self) -> None:
        self._contexts: dict[tuple, tuple[tuple, ssl.SSLContext]] = {}
        self._shown = Shown()

    def terms(
        self, target: Target, alpn: Sequence[str | bytes] | None = None, credential: Credential | None = None
    ) -> ClientTerms:
        """
        @param target: its C{serverName}, or its endpoint's host, must stand in its certificate; its C{authorities}, or the
            system's, must have signed it.
        @param alpn: application protocols, of which it must speak one.
        @param credential: may hold a certificate to show it.
        @return: terms for one connection.
        @raise TargetFailed: its authorities can not be read, it has no name to verify, or the certificate can not be used.
        """
        names = tuple(name.decode("ascii") if isinstance(name, bytes) else name for name in alpn or ())
        name = target.serverName or hostOf(target.endpoint)
        if not name:
            raise failures.nameless(target.name)
        if credential is None or "certificate" not in credential.secrets:
            return ClientTerms(self._context(target, names), name.rstrip("."), target.name, names)
        context = self._shown.context(
            target, names, credential, _signature((target.authorities,)), lambda: _demanding(target, names)
        )
        return ClientTerms(context, name.rstrip("."), target.name, names, True)

    def _context(self, target: Target, alpn: tuple[str, ...]) -> ssl.SSLContext:
        key = (target.authorities, alpn)
        signature = _signature((target.authorities,))
        held = self._contexts.get(key)
        if held is not None and held[0] == signature:
            return held[1]
        context = _demanding(target, alpn)
        if len(self._contexts) >= MAX_CONTEXTS:
            self._contexts.clear()
        self._contexts[key] = (signature, context)
        return context


def _demanding(target: Target, alpn: tuple[str, ...]) -> ssl.SSLContext:
    """@return: a new context. @raise TargetFailed: the target's authorities can not be read."""
    context = _harden(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    context.hostname_checks_common_name = False
    if target.authorities is None:
        context.load_default_certs()
    else:
        try:
            context.load_verify_locations(target.authorities)
        except (OSError, ValueError) as error:
            raise failures.authorities(target.name) from error
    if alpn:
        context.set_alpn_protocols(alpn)
    return context


def serverOptions(
    settings: Any, dataDirectory: str, names: Sequence[str] = (), clock: Callable[[], float] = time.time
) -> ServerOptions:
    """
    @param settings: L{hoopx.config.TlsSettings}, or C{None}: then an authority of the gateway's own is made under the data
        directory.
    @param dataDirectory: C{data}.
    @param names: by which clients call the gateway, beside localhost and the host's name.
    @param clock: seconds since the epoch.
    @raise ConfigurationError: the files can not be used.
    """
    if settings is not None:
        return ServerOptions(settings.certificate, settings.privateKey, settings.clientAuthorities)
    authority = Authority(os.path.join(dataDirectory, "tls"), names, clock)
    return ServerOptions(authority.certificate, authority.privateKey, renew=authority.renew)
