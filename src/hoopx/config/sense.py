# -*- test-case-name: tests.config.test_loader -*-
"""
What can be wrong with a configuration whose every single key is right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from hoopx.config.endpoints import clientProblem, serverProblem
from hoopx.config.settings import Settings
from hoopx.config.words import nearest
from hoopx.values import Reference

Place = Sequence[Any]

SEGMENT: Final = (4096, 16 * 1024 * 1024)
"""Bytes: smaller segments are all header, larger ones are lost whole when the disk is."""


def contradictions(settings: Settings, document: Mapping[str, Any], protocols: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    """
    @param document: what TOML said: for names of targets that are wrong in other ways.
    @return: place and message of each.
    """
    named = document.get("targets")
    targets = list(named) if isinstance(named, dict) else []
    yield from _amounts(settings)
    yield from _listeners(settings, targets, protocols)
    yield from _targets(settings, protocols)
    yield from _grants(settings)
    for section in ("state", "index"):
        url = getattr(settings, section).url
        if not isinstance(url, Reference) and not url.startswith("sqlite:"):
            yield (section, "url"), 'expected "sqlite:"; other addresses hold a password: write { file = "secrets/url" }'
    if settings.metrics and (problem := serverProblem(settings.metrics.endpoint)):
        yield ("metrics", "endpoint"), problem


def _amounts(settings: Settings) -> Iterator[tuple[Place, str]]:
    gateway = settings.gateway
    for key, value in [
        ("login_timeout", gateway.loginTimeout),
        ("idle_timeout", gateway.idleTimeout),
        ("max_duration", gateway.maxDuration),
        ("max_sessions", gateway.maxSessions),
    ]:
        if value <= 0:
            yield ("gateway", key), "expected more than nothing"
    least, most = SEGMENT
    if not least <= settings.recording.segmentSize <= most:
        yield ("recording", "segment", "size"), 'expected a size between "4KiB" and "16MiB"'
    if settings.recording.segmentAge <= 0:
        yield ("recording", "segment", "age"), 'expected more than nothing, such as "10s"'
    if settings.identity.tokens.maxAge <= 0:
        yield ("identity", "tokens", "max_age"), 'expected more than nothing, such as "8h"'


def _listeners(settings: Settings, targets: list[str], protocols: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    endpoints: dict[str, int] = {}
    for number, listener in enumerate(settings.listeners):
        here = ("listeners", number)
        problem = serverProblem(listener.endpoint)
        if problem:
            yield (*here, "endpoint"), problem
        elif endpoints.setdefault(listener.endpoint, number) != number:
            yield (*here, "endpoint"), "another listener has the same endpoint"
        recorder = protocols.get(listener.protocol)
        if listener.target is not None:
            target = settings.targets.get(listener.target)
            if listener.target not in targets:
                yield (*here, "target"), f"there is no such target; {nearest(listener.target, targets)}"
            elif target and recorder and target.protocol != listener.protocol:
                yield (*here, "target"), f'the target speaks "{target.protocol}" and the listener "{listener.protocol}"'
        elif recorder and recorder.listenerPinned:
            yield here, f'a listener of protocol "{listener.protocol}" names its one target, such as target = "legacy"'
        if listener.tls and listener.requireTLS is False:
            yield (*here, "require_tls"), "is false, while tls = true demands TLS from the first byte: leave one of them out"
        if listener.identity is not None and not (listener.identity.startswith("service:") and listener.identity[8:]):
            yield (*here, "identity"), 'expected "service:" and a name, such as "service:legacy-batch"'


def _targets(settings: Settings, protocols: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    for name, target in settings.targets.items():
        here = ("targets", name)
        problem = clientProblem(target.endpoint)
        if problem:
            yield (*here, "endpoint"), problem
        recorder = protocols.get(target.protocol)
        if recorder and recorder.accountSecrets and not target.accounts:
            yield here, f"has no account to log in with: add a table [targets.{name}.accounts.NAME]"
        yield from _certificates(here, target, recorder)
        if target.tls == "off" and (target.authorities or target.serverName):
            yield (*here, "tls"), 'is "off", while authorities or server_name say what to verify: leave one of them out'


def _certificates(here: Place, target: Any, recorder: Any) -> Iterator[tuple[Place, str]]:
    """Of protocols whose accounts may have one to log in with."""
    if not recorder or "certificate" not in recorder.accountSecrets:
        return
    for name, account in target.accounts.items():
        place = (*here, "accounts", name)
        if "private_key" in account.secrets and "certificate" not in account.secrets:
            yield (*place, "private_key"), "is of no use without a certificate"
        if "certificate" in account.secrets and target.tls == "off":
            yield (*place, "certificate"), 'can only be shown under TLS: tls = "verify" for the target'


def _grants(settings: Settings) -> Iterator[tuple[Place, str]]:
    names: set[str] = set()
    for number, grant in enumerate(settings.grants):
        here = ("grants", number)
        if grant.name in names:
            yield (*here, "name"), "another grant has the same name; recordings tell which one was used"
        names.add(grant.name)
        if not (grant.groups or grant.users or grant.kinds):
            yield here, 'says nobody: add groups = ["analysts"], users = ["alice@example.com"] or kinds = ["agent"]'
        if not (grant.targets or grant.labels):
            yield here, 'says no target: add targets = ["orders"] or labels = { env = "prod" }'
        if grant.maxDuration is not None and grant.maxDuration <= 0:
            yield (*here, "max_duration"), 'expected more than nothing, such as "4h"'
        if grant.approval and (grant.approval.count < 1 or not grant.approval.by):
            yield (*here, "approval"), "expected at least one person, of at least one group"
