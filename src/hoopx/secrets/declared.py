# -*- test-case-name: tests.secrets.test_declared -*-
"""
Credential sources as drop-ins declare them: named, not loaded, and started by whoever wires a gateway.
"""

from __future__ import annotations

from typing import Any, Iterable, Mapping

from twisted.internet.defer import Deferred
from twisted.plugin import IPlugin
from twisted.python.reflect import namedAny
from zope.interface import implementer

from hoopx.interfaces import ICredentialSource
from hoopx.secrets.broker import Secrets
from hoopx.values import Identity, Reference, Target


@implementer(IPlugin, ICredentialSource)
class DeclaredSource:
    """
    @param scheme: what references to it are called.
    @param start: dotted name of a callable(threads, references) -> L{ICredentialSource}.
    """

    def __init__(self, scheme: str, start: str) -> None:
        self.scheme = scheme
        self._start = start

    def start(self, threads: Any, references: Iterable[Reference]) -> Any:
        """
        @param threads: has C{call(function, *arguments)} -> Deferred.
        @param references: those of the configuration that are of this scheme.
        @return: L{ICredentialSource}
        """
        return namedAny(self._start)(threads, references)

    def fetch(self, reference: Reference, identity: Identity, target: Target) -> Deferred[bytes]:
        raise RuntimeError("a declaration is to be started first")


def startSources(declared: Mapping[str, Any], threads: Any, references: Iterable[Reference]) -> Secrets:
    """
    @param declared: scheme -> plugin (L{hoopx.registry.credentialSources}); one without C{start} is used as it is.
    @return: L{Secrets}
    """
    known = list(references)
    sources = {}
    for scheme, plugin in declared.items():
        start = getattr(plugin, "start", None)
        sources[scheme] = start(threads, [each for each in known if each.scheme == scheme]) if start else plugin
    return Secrets(sources)


def startFile(threads: Any, references: Iterable[Reference]) -> Any:
    """Start the source of C{{ file = "..." }}."""
    from hoopx.secrets.file import FileSource

    return FileSource(threads)


def startEnvironment(threads: Any, references: Iterable[Reference]) -> Any:
    """Start the source of C{{ env = "..." }}."""
    from hoopx.secrets.env import EnvironmentSource

    return EnvironmentSource([each.name for each in references])
