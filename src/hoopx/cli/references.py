# -*- test-case-name: tests.cli.test_ledger -*-
"""
Secrets, for commands that need one: named on the command line or by the configuration, never given.
"""

from __future__ import annotations

import os
from typing import Any

import click

from hoopx.cli.output import fail, say
from hoopx.cli.place import Place
from hoopx.values import Reference


def reference(text: str) -> Reference:
    """
    @param text: C{SCHEME:NAME}, or the path of a file.
    @raise click.UsageError: it looks like the secret itself.
    """
    if "PRIVATE KEY" in text or "\n" in text:
        raise click.UsageError("This is a key. Say where it is kept instead: what stands on a command line is seen by everybody.")
    from hoopx.registry import credentialSources

    scheme, colon, name = text.partition(":")
    if colon and name and scheme in credentialSources() and not os.path.exists(text):
        return Reference(scheme, os.path.abspath(name) if scheme == "file" else name)
    return Reference("file", os.path.abspath(text))


def fetched(place: Place, wanted: Reference) -> bytes:
    """@return: the secret. Ends the command when it is not to be had."""
    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

    from hoopx import registry
    from hoopx.config.unsupported import references
    from hoopx.errors import HoopxError
    from hoopx.secrets.broker import said
    from hoopx.secrets.declared import startSources
    from hoopx.secrets.file import OTHERS
    from hoopx.storage.reading import Here

    known = [each for _, each in references(place.settings)]
    waited: Deferred[Any] = startSources(registry.credentialSources(), Here(), [*known, wanted]).fetch(wanted, None, None)  # type: ignore[arg-type]
    found: list[Any] = []
    waited.addBoth(found.append)
    if not found:
        fail(f"{said(wanted)} can not be fetched by a command, only by the gateway: write it to a file, and name that")
    if isinstance(found[0], Failure):
        found[0].trap(HoopxError)
        fail(str(found[0].value))
    if wanted.scheme == "file" and os.stat(wanted.name).st_mode & OTHERS:
        say(f"{wanted.name} is open to others: chmod 600 it")
    secret: bytes = found[0]
    return secret
