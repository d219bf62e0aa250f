# -*- test-case-name: tests.config.test_contents -*-
"""
What the files hold that a configuration names, as far as the start would refuse it. Nothing is begun for that, nothing is written, and
nobody on the network is asked.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hoopx.config.lines import lineOf
from hoopx.config.settings import Settings
from hoopx.config.unsupported import references
from hoopx.config.words import dotted
from hoopx.errors import ConfigurationError, HoopxError
from hoopx.values import Reference

Place = tuple[Any, ...]


def unusable(settings: Settings, environ: Mapping[str, str] = os.environ) -> list[ConfigurationError]:
    """@return: what is there (else L{hoopx.config.unsupported.unreadable} has told it), and can not be used."""
    fetched = dict(_fetched(settings, environ))
    found = [(place, secret) for place, secret in fetched.items() if isinstance(secret, str)]
    known = {place: secret for place, secret in fetched.items() if isinstance(secret, bytes)}
    found += [*_signing(settings, known), *_databases(settings, known), *_clients(settings), *_state(settings)]
    return [ConfigurationError(message, settings.path, dotted(place), lineOf(settings.lines, place)) for place, message in found]


def _fetched(settings: Settings, environ: Mapping[str, str]) -> Iterator[tuple[Place, bytes | str]]:
    """@return: what stands behind each reference, or, as a text, why it can not be used."""
    from hoopx.secrets.file import read

    for place, reference in references(settings):
        if reference.scheme == "env" and environ.get(reference.name):
            yield place, os.fsencode(environ[reference.name])
        elif reference.scheme == "file" and _opens(reference.name):
            try:
                yield place, read(reference)[0]
            except HoopxError as error:
                yield place, f"{error}: put the secret itself into the file, and nothing else"


def _opens(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _signing(settings: Settings, known: Mapping[Place, bytes]) -> Iterator[tuple[Place, str]]:
    """The key that signs the ledger, and whether it is the one that has signed it so far."""
    from hoopx.ledger.keys import PRIVATE, parseKey, publicBytes, publicKey

    data = settings.gateway.data
    keys = os.path.join(data, "keys")
    place: Place = ("recording", "signing_key")
    if settings.recording.signingKey is not None:
        if place not in known:
            return
        path, pem = settings.recording.signingKey.name, known[place]
    else:
        place, path = ("gateway", "data"), os.path.join(keys, PRIVATE)
        try:
            with open(path, "rb") as file:
                pem = file.read()
        except FileNotFoundError:
            if os.path.exists(os.path.join(data, "ledger", "checkpoint")):
                yield place, f"{path}: the key that signs the ledger is not there: restore it, or name it with signing_key"
            return
        except OSError:  # told by whoever looks at the folder
            return
    try:
        public = publicBytes(parseKey(pem, path))
    except ValueError as error:
        yield place, f"{error}. It has to be an Ed25519 key in PEM (PKCS #8): openssl genpkey -algorithm ed25519 makes one"
        return
    before = publicKey(data)
    if settings.recording.signingKey is not None and before is not None and before != public:
        yield place, f"{path}: another key signs the ledger in {data}: put that one back, or let it name this one: hoopx ledger rotate"


def _databases(settings: Settings, known: Mapping[Place, bytes]) -> Iterator[tuple[Place, str]]:
    for name, url in (("state", settings.state.url), ("index", settings.index.url)):
        place = (name, "url")
        if url == "sqlite:":
            continue
        from hoopx.state.address import locate, server  # late: it takes a while

        try:
            if not isinstance(url, Reference):
                locate(url, Path(settings.gateway.data), name)
            elif place in known:
                server(known[place].decode("utf-8"), dotted(place))
        except UnicodeDecodeError:
            yield place, f"what {url.scheme}:{url.name} holds is no address such as postgresql://user:password@host/database"
        except ConfigurationError as error:
            yield place, error.message


def _clients(settings: Settings) -> Iterator[tuple[Place, str]]:
    """What the gateway shows its own clients."""
    from hoopx.tls.contexts import ServerOptions

    tls = settings.tls
    if tls is None or not all(_opens(path) for path in (tls.certificate, tls.privateKey, tls.clientAuthorities) if path is not None):
        return
    try:
        ServerOptions(tls.certificate, tls.privateKey, tls.clientAuthorities)
    except ConfigurationError as error:
        yield ("tls", "client_authorities" if error.key == "tls.client_authorities" else "certificate"), error.message


def _state(settings: Settings) -> Iterator[tuple[Place, str]]:
    """A state store in the data folder that this version can not use."""
    from hoopx.state.schema import STATE, newer

    path = os.path.join(settings.gateway.data, "state.sqlite")
    if settings.state.url != "sqlite:" or not os.path.isfile(path) or not os.access(path, os.R_OK):
        return
    fixed = "" if os.path.exists(f"{path}-wal") else "&immutable=1"
    try:
        database = sqlite3.connect(f"file:{quote(os.path.abspath(path))}?mode=ro{fixed}", uri=True)
        try:
            tables = database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (STATE.table,)).fetchall()
            revisions = database.execute(f"SELECT version_num FROM {STATE.table}").fetchall() if tables else []
        finally:
            database.close()
    except sqlite3.Error as error:
        yield ("state", "url"), f"{path} can not be used: {error}. Restore a backup of it"
        return
    for (found,) in revisions:
        if str(found) > STATE.head:
            yield ("state", "url"), f"{path}: {newer(str(found), path, STATE).message}"
