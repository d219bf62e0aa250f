# -*- test-case-name: tests.secrets.test_file -*-
"""
Secrets in files of their own.
"""

from __future__ import annotations

import os
import stat
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from hoopx.interfaces import ICredentialSource
from hoopx.secrets.broker import LARGEST, refused, said
from hoopx.values import Identity, Reference, Target

OTHERS = stat.S_IRWXG | stat.S_IRWXO


@implementer(ICredentialSource)
class FileSource:
    """
    Reads the file at every fetch, so that a rotated secret is used at once.

    @param threads: has C{call(function, *arguments)} -> Deferred: a file may lie on a network that hangs.
    """

    scheme = "file"
    log = Logger()

    def __init__(self, threads: Any) -> None:
        self._threads = threads
        # Paths that were warned of; bounded by the references of the configuration.
        self._warned: set[str] = set()

    def fetch(self, reference: Reference, identity: Identity, target: Target) -> Deferred[bytes]:
        found: Deferred[tuple[bytes, int]] = self._threads.call(read, reference)
        return found.addCallback(self._done, reference)

    def _done(self, found: tuple[bytes, int], reference: Reference) -> bytes:
        secret, mode = found
        if mode & OTHERS and reference.name not in self._warned:
            self._warned.add(reference.name)
            self.log.warn(
                "secret {reference} is open to others (mode {mode}); chmod 600 it", reference=said(reference), mode=f"{mode:04o}"
            )
        return secret


def read(reference: Reference) -> tuple[bytes, int]:
    """@return: the secret without one trailing newline, and the file's mode. @raise TargetFailed: it can not be read."""
    try:
        # Not to wait for ever for the writer of a pipe.
        descriptor = os.open(reference.name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise refused(reference, "it is not a file")
            secret = file.read(LARGEST + 3)
    except OSError as error:
        raise refused(reference, error.strerror or type(error).__name__)
    for ending in (b"\r\n", b"\n"):
        if secret.endswith(ending):
            secret = secret[: -len(ending)]
            break
    if not secret:
        raise refused(reference, "it is empty")
    if len(secret) > LARGEST:
        raise refused(reference, f"it is longer than {LARGEST} bytes")
    return secret, stat.S_IMODE(status.st_mode)
