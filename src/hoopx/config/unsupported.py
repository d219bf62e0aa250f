# -*- test-case-name: tests.config.test_unsupported -*-
"""
What a configuration asks for and this gateway can not do. It then does not start: a rule that is not kept protects nobody.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from hoopx.config.lines import lineOf
from hoopx.config.settings import RecordingSettings, Settings
from hoopx.config.words import dotted, keyOf, nearest
from hoopx.errors import ConfigurationError
from hoopx.tls.failures import ofShown
from hoopx.tls.shown import load
from hoopx.values import Account, Reference

Place = tuple[Any, ...]

LATER = "this version can not do this, and does not run as if it could: take it out"


def unsupported(
    settings: Settings, protocols: Mapping[str, Any] | None = None, schemes: Collection[str] = ("file", "env")
) -> list[ConfigurationError]:
    """
    @param protocols: name -> L{hoopx.interfaces.IProtocolRecorder}; C{None} for those installed.
    @param schemes: kinds of secret references that can be fetched.
    @return: why the gateway must refuse to run with these settings; empty when it may.
    """
    if protocols is None:
        from hoopx.registry import protocols as installed

        protocols = installed()
    found = [*_sections(settings), *_protocols(settings, protocols), *_references(settings, schemes)]
    return [ConfigurationError(message, settings.path, dotted(place), lineOf(settings.lines, place)) for place, message in found]


def unreadable(settings: Settings, environ: Mapping[str, str] = os.environ) -> list[ConfigurationError]:
    """
    Files and variables that are named and not there, and certificates of accounts that are no use. For a check before the start:
    the gateway's own environment loses the variables it has read.
    """
    found = []
    for place, path in files(settings):
        problem = _fileProblem(path)
        if problem:
            found.append((place, f"{path}: {problem}"))
    for place, reference in references(settings):
        if reference.scheme == "file":
            problem = _fileProblem(reference.name)
            if problem:
                found.append((place, f"{reference.name}: {problem} (put the secret alone into it, for the gateway's user only)"))
        elif reference.scheme == "env" and not environ.get(reference.name):
            found.append((place, f"the environment variable {reference.name} is not set (set it where hoopx runs, or name a file)"))
    found += _certificates(settings)
    return [ConfigurationError(message, settings.path, dotted(place), lineOf(settings.lines, place)) for place, message in found]


def _certificates(settings: Settings) -> Iterator[tuple[Place, str]]:
    """Certificates in files that can not be shown to their target; what is no PEM may be meant for another protocol than TLS."""
    for name, target in settings.targets.items():
        for account in target.accounts.values():
            pair = [account.secrets[key] for key in ("certificate", "private_key") if key in account.secrets]
            if "certificate" not in account.secrets or any(reference.scheme != "file" for reference in pair):
                continue
            try:
                texts = [Path(reference.name).read_bytes() for reference in pair]
            except OSError:
                continue  # told already
            if b"-----BEGIN" in texts[0]:
                try:
                    load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), *texts)
                except (OSError, ValueError) as error:
                    yield ("targets", name, "accounts", account.name, "certificate"), ofShown(error, name).reason


def files(settings: Settings) -> Iterator[tuple[Place, str]]:
    """@return: place and path of every file that is read at the start and is no secret reference."""
    if settings.tls:
        for name in ("certificate", "privateKey", "clientAuthorities"):
            path = getattr(settings.tls, name)
            if path is not None:
                yield ("tls", keyOf(name)), path
    for name, target in settings.targets.items():
        if target.authorities is not None:
            yield ("targets", name, "authorities"), target.authorities


def references(settings: Settings) -> Iterator[tuple[Place, Reference]]:
    """@return: place and value of every secret reference."""
    for each in attrs.fields(Settings):
        if each.name not in ("path", "lines"):
            yield from _walk(getattr(settings, each.name), (keyOf(each.name),))


def _walk(value: Any, place: Place) -> Iterator[tuple[Place, Reference]]:
    if isinstance(value, Reference):
        yield place, value
    elif isinstance(value, Account):
        for key, reference in value.secrets.items():
            yield (*place, key), reference
        yield from _walk(value.options, place)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _walk(inner, (*place, key))
    elif isinstance(value, (list, tuple)):
        for number, inner in enumerate(value):
            yield from _walk(inner, (*place, number))
    elif attrs.has(type(value)):
        for each in attrs.fields(type(value)):
            # Options of a protocol stand among the keys of their table.
            inner = place if each.name == "options" else (*place, keyOf(each.name))
            yield from _walk(getattr(value, each.name), inner)


def _sections(settings: Settings) -> Iterator[tuple[Place, str]]:
    for section in ("oidc", "saml"):
        for name in getattr(settings.identity, section):
            yield ("identity", section, name), LATER
    for name, target in settings.targets.items():
        if target.via is not None:
            yield ("targets", name, "via"), LATER
    for number, grant in enumerate(settings.grants):
        for key in ("mfa", "approval"):
            if getattr(grant, key) is not None:
                yield ("grants", number, key), LATER
    for section in ("guards", "masks", "alerts"):
        for number, _ in enumerate(getattr(settings, section)):
            yield (section, number), LATER
    for section in ("api", "detect"):
        if getattr(settings, section) is not None:
            yield (section,), LATER
    if settings.secrets.vault is not None:
        yield ("secrets", "vault"), LATER
    yield from _recording(settings.recording)
    yield from _auditors(settings.recording)
    yield from _store(settings)


def _recording(recording: RecordingSettings) -> Iterator[tuple[Place, str]]:
    plain = RecordingSettings()
    known = set()
    for number, witness in enumerate(recording.witnesses):
        from hoopx.witness.client import witnessKey  # late: few have witnesses, and every command comes by here

        try:
            public = witnessKey(witness.key).public
            if public in known:
                yield ("recording", "witnesses", number, "key"), "the same witness twice: it would count twice for the quorum"
            known.add(public)
        except ValueError as error:
            yield ("recording", "witnesses", number, "key"), str(error)
    if recording.witnessQuorum is not None and not 0 <= recording.witnessQuorum <= len(recording.witnesses):
        yield ("recording", "witness_quorum"), f"there are {len(recording.witnesses)} witnesses: the quorum can not be met"
    if recording.localKeep is not None and recording.store == plain.store:
        yield ("recording", "local_keep"), 'the local copy is the only one: name another store, or take it out'


def _auditors(recording: RecordingSettings) -> Iterator[tuple[Place, str]]:
    """Keys that nobody could decrypt with are found before something is encrypted to them."""
    from hoopx.recording.auditors import problem

    for number, text in enumerate(recording.encryptTo):
        said = problem(text)
        if said is not None:
            yield ("recording", "encrypt_to", number), said
    if recording.original == "sealed" and not recording.encryptTo:
        yield ("recording", "original"), "they are sealed to the auditors, and there are none: add encrypt_to"


def _store(settings: Settings) -> Iterator[tuple[Place, str]]:
    from hoopx.registry import storageBackends
    from hoopx.storage.select import backend

    try:
        backend(settings.recording.store, settings, None, None, storageBackends())
    except ConfigurationError as error:
        yield ("recording", "store"), error.message
    scheme, _, folder = settings.recording.store.partition(":")
    data = os.path.realpath(settings.gateway.data)
    if scheme == "file" and os.path.isabs(folder) and f"{os.path.realpath(folder)}/".startswith(f"{data}/"):
        yield ("recording", "store"), f"lies in the data folder {data}, where its objects could be taken for recordings: name one elsewhere"


def _protocols(settings: Settings, protocols: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    used: list[tuple[Place, str]] = []
    used += [(("listeners", number, "protocol"), each.protocol) for number, each in enumerate(settings.listeners)]
    used += [(("targets", name, "protocol"), each.protocol) for name, each in settings.targets.items()]
    for place, name in used:
        if name not in protocols:
            yield place, f'protocol "{name}" is not installed; {nearest(name, protocols)}{_failures()}'
            continue
        try:
            protocols[name].conversation()
        except Exception as error:
            yield place, f'protocol "{name}" can not be loaded: {type(error).__name__}: {error}; mend or uninstall its plugin'


def _references(settings: Settings, schemes: Collection[str]) -> Sequence[tuple[Place, str]]:
    return [
        (place, f'secrets of the kind "{reference.scheme}" can not be fetched by this gateway; {nearest("", schemes)}')
        for place, reference in references(settings)
        if reference.scheme not in schemes
    ]


def _failures() -> str:
    from hoopx.registry import failures

    return "".join(f"; {module} can not be loaded: {reason}" for module, reason in failures())


def _fileProblem(path: str) -> str | None:
    try:
        with open(path, "rb") as file:
            file.read(1)
    except OSError as error:
        return error.strerror
    return None
