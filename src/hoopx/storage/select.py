# -*- test-case-name: tests.storage.test_select -*-
"""
From C{store = "..."} to the backend that it names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zope.interface.verify import verifyObject

from hoopx.errors import ConfigurationError
from hoopx.interfaces import IStorageBackend

KEY = "recording.store"


def backend(reference: str, settings: Any, threads: Any, secrets: Any, declared: Mapping[str, Any]) -> Any:
    """
    Make the backend that keeps the recordings. Connects to nothing yet.

    @param reference: C{"file:"}, C{"file:/mnt/x"}, C{"s3:bucket/prefix"}, ...
    @param settings: L{hoopx.config.settings.Settings}.
    @param threads: has C{call(function, *arguments)} -> Deferred.
    @param secrets: has C{fetch(reference, None, None)} -> Deferred[bytes].
    @param declared: scheme -> plugin (L{hoopx.registry.storageBackends}).
    @return: L{IStorageBackend}, verified.
    @raise ConfigurationError: there is no such backend, or not as the settings say.
    """
    scheme, colon, place = reference.partition(":")
    plugin = declared.get(scheme)
    if not colon or plugin is None:
        raise ConfigurationError(unknown(reference, declared), key=KEY)
    made = plugin.make(place, settings, threads, secrets)
    verifyObject(IStorageBackend, made)
    return made


def unknown(reference: str, declared: Mapping[str, Any]) -> str:
    """What to say of a reference that names no backend that is installed."""
    said = ", ".join(f'"{each}:"' for each in declared) or "none"
    return f'expected one of the stores that are installed ({said}), such as "file:" or "s3:bucket/prefix"'
