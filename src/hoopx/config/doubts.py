# -*- test-case-name: tests.config.test_doubts -*-
"""
What is no error in a configuration, and yet hardly meant.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any, Final

from hoopx.config.limits import defaulted, descriptors
from hoopx.config.lines import lineOf
from hoopx.config.settings import Settings
from hoopx.config.unsupported import references
from hoopx.config.words import dotted
from hoopx.errors import ConfigurationError
from hoopx.policy.access import covers

SESSIONS: Final = ("gateway", "max_sessions")
BRIEF: Final = 3600.0
"""Seconds: the gateway looks every hour for what is over its time."""


def doubts(settings: Settings) -> list[ConfigurationError]:
    """@return: warnings, in the shape of errors, which they are not."""
    found = [*_grants(settings), *_targets(settings), *_listeners(settings), *_secrets(settings), *_store(settings)]
    found += _retention(settings)
    problem = descriptors(settings.gateway.maxSessions)
    if problem and SESSIONS in settings.lines:
        found.append((SESSIONS, problem))
    return [ConfigurationError(message, settings.path, dotted(place), lineOf(settings.lines, place)) for place, message in found]


def hints(settings: Settings) -> list[ConfigurationError]:
    """@return: what is in order, and good to know: nobody has asked for as many sessions as there may be by default."""
    problem = defaulted(settings.gateway.maxSessions) if SESSIONS not in settings.lines else None
    return [] if problem is None else [ConfigurationError(problem, settings.path, dotted(SESSIONS))]


def _grants(settings: Settings) -> Iterator[tuple[Any, str]]:
    targets = list(settings.targets.values())
    for number, grant in enumerate(settings.grants):
        here = ("grants", number)
        for index, pattern in enumerate(grant.targets):
            if not any(fnmatchcase(target.name, pattern) for target in targets):
                yield (*here, "targets", index), "there is no such target"
        covered = [target for target in targets if covers(grant, target)]
        if grant.labels and not covered:
            yield (*here, "labels"), "no target has these labels"
        for index, pattern in enumerate(grant.accounts):
            if covered and not any(fnmatchcase(name, pattern) for target in covered for name in target.accounts):
                yield (*here, "accounts", index), "none of these targets has such an account"


def _targets(settings: Settings) -> Iterator[tuple[Any, str]]:
    if not settings.targets:
        yield ("targets",), "there is no target: nobody can go anywhere"
    for name, target in settings.targets.items():
        here = ("targets", name)
        if not any(covers(grant, target) for grant in settings.grants):
            yield here, "no grant speaks of it: nobody may use it"
        if target.tls == "off" and target.accounts:
            yield (*here, "tls"), "is off: whoever is on the way to the target reads and changes what is sent"
        if getattr(target.options, "trust", False):
            yield (*here, "trust"), "is true: whoever answers at this address is believed to be the target"


def _store(settings: Settings) -> Iterator[tuple[Any, str]]:
    recording = settings.recording
    if recording.s3 is None:
        return
    if not recording.store.startswith("s3:"):
        yield ("recording", "s3"), "is not used: the store is another one"
        return
    if recording.s3.sessionToken is not None and recording.s3.accessKey is None:
        yield ("recording", "s3", "session_token"), "belongs to an access_key, and there is none"
    if (recording.s3.endpoint or "").startswith("http:") and not recording.encryptTo:
        yield ("recording", "s3", "endpoint"), "speaks no TLS, and nothing is encrypted: whoever is on the way reads recordings"


def _retention(settings: Settings) -> Iterator[tuple[Any, str]]:
    for number, rule in enumerate(settings.retention):
        if rule.keep < BRIEF:
            yield ("retention", number, "keep"), "is less than an hour: such sessions are erased at the next look after their end"


def _listeners(settings: Settings) -> Iterator[tuple[Any, str]]:
    provable = settings.tls is not None and settings.tls.clientAuthorities is not None
    for number, listener in enumerate(settings.listeners):
        for index, network in enumerate(listener.proxyProtocol):
            if network.endswith("/0"):
                yield ("listeners", number, "proxy_protocol", index), "is everybody: whoever connects can claim any address"
        if listener.protocol == "raw" and listener.identity is None and not (listener.tls and provable):
            yield (
                ("listeners", number),
                'nothing can prove who connects: tls = true and [tls] client_authorities, or identity = "service:NAME"',
            )
        if (
            listener.requireTLS is False
            and "interface=127." not in listener.endpoint
            and not listener.endpoint.startswith("unix")
        ):
            yield ("listeners", number, "require_tls"), "is false: tokens travel in the clear to whoever connects without TLS"


def _secrets(settings: Settings) -> Iterator[tuple[Any, str]]:
    for place, reference in references(settings):
        if reference.scheme != "file":
            continue
        try:
            mode = stat.S_IMODE(os.stat(reference.name).st_mode)
        except OSError:
            continue
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            yield place, f"{reference.name} is open to others (mode {mode:04o}): chmod 600 it"
