# -*- test-case-name: tests.tls.test_shown -*-
"""
Certificates that the gateway shows to targets, in the name of an account.
"""

from __future__ import annotations

import hmac
import os
import ssl
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from hoopx.tls import failures
from hoopx.values import Credential, Target

MAX_CONTEXTS: Final = 64
"""Accounts whose context is kept. One with the system's authorities takes about 1 MB and 20 ms to make."""


class Shown:
    """Contexts with a certificate in them, one for each account in use; a rotated certificate takes its predecessor's place."""

    def __init__(self) -> None:
        self._key = os.urandom(32)
        self._contexts: OrderedDict[tuple, tuple[tuple, bytes, ssl.SSLContext]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._contexts)

    def context(
        self, target: Target, alpn: tuple[str, ...], credential: Credential, signature: tuple, make: Callable[[], ssl.SSLContext]
    ) -> ssl.SSLContext:
        """
        @param credential: its secrets hold a C{certificate}, and perhaps a C{private_key}.
        @param signature: changes when what C{make} reads does.
        @param make: a new context that demands what the target is to prove.
        @return: one that shows the certificate when it is asked for it.
        @raise TargetFailed: the certificate can not be used, or C{make} raised it.
        """
        place = (target.name, credential.username, target.authorities, alpn)
        certificate, key = credential.secrets["certificate"], credential.secrets.get("private_key")
        # Under a key of this process: the name tells nothing about what it names.
        digest = hmac.digest(self._key, b"%d %b%b" % (len(certificate), certificate, key or b""), "sha256")
        held = self._contexts.get(place)
        if held is not None and held[0] == signature and hmac.compare_digest(held[1], digest):
            self._contexts.move_to_end(place)
            return held[2]
        context = make()
        try:
            load(context, certificate, key)
        except (OSError, ValueError) as error:
            raise failures.ofShown(error, target.name) from None
        self._contexts[place] = (signature, digest, context)
        self._contexts.move_to_end(place)
        if len(self._contexts) > MAX_CONTEXTS:
            self._contexts.popitem(last=False)
        return context


def load(context: ssl.SSLContext, certificate: bytes, key: bytes | None = None) -> None:
    """
    Give a context a certificate that is not in a file.

    @param certificate: PEM, with what lies between it and its authority.
    @param key: PEM, unencrypted; C{None} when it is in the same text.
    @raise ValueError: the key is encrypted.
    @raise OSError: they are not what they should be (C{ssl.SSLError}), or there is no memory.
    """
    with ExitStack() as stack:
        path = stack.enter_context(_nameless(certificate))
        context.load_cert_chain(path, None if key is None else stack.enter_context(_nameless(key)), noPassword)


def noPassword() -> str:
    """A key with a passphrase must not ask for it on a terminal."""
    raise ValueError("the private key is encrypted: store it without a passphrase, readable by the gateway alone")


@contextmanager
def _nameless(text: bytes) -> Iterator[str]:
    """OpenSSL reads files only: this one is in memory, has no name, is inherited by no child, and is gone at once."""
    descriptor = os.memfd_create("hoopx", os.MFD_CLOEXEC)
    try:
        written = 0
        while written < len(text):
            written += os.write(descriptor, text[written:])
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
