# -*- test-case-name: tests.storage.test_select -*-
"""
Backends as drop-ins declare them: named, not loaded, and made by whoever needs one.
"""

from __future__ import annotations

from typing import Any, NoReturn

from twisted.plugin import IPlugin
from twisted.python.reflect import namedAny
from zope.interface import implementer

from hoopx.interfaces import IStorageBackend


@implementer(IPlugin, IStorageBackend)
class DeclaredBackend:
    """
    @param scheme: what stands before the colon in C{store = "scheme:place"}.
    @param make: dotted name of a callable(place, settings, threads, secrets) -> L{IStorageBackend}.
    """

    def __init__(self, scheme: str, make: str) -> None:
        self.scheme = scheme
        self._make = make

    def make(self, place: str, settings: Any, threads: Any, secrets: Any) -> Any:
        """
        @param place: what stands behind the colon.
        @param settings: L{hoopx.config.settings.Settings}.
        @param threads: has C{call(function, *arguments)} -> Deferred.
        @param secrets: has C{fetch(reference, None, None)} -> Deferred[bytes].
        @return: L{IStorageBackend}
        @raise hoopx.errors.ConfigurationError: it can not be as the settings say.
        """
        return namedAny(self._make)(place, settings, threads, secrets)

    def _declaration(self, *_: Any) -> NoReturn:
        raise RuntimeError("a declaration is to be made first")

    def put(self, name: Any, path: Any, retainUntil: Any, checksum: Any = None) -> NoReturn:
        self._declaration()

    def open(self, receipt: Any) -> NoReturn:
        self._declaration()

    def stat(self, receipt: Any) -> NoReturn:
        self._declaration()

    def delete(self, receipt: Any) -> NoReturn:
        self._declaration()

    def hold(self, receipt: Any, on: Any) -> NoReturn:
        self._declaration()

    def retain(self, receipt: Any, until: Any) -> NoReturn:
        self._declaration()

    def list(self, prefix: Any) -> NoReturn:
        self._declaration()
