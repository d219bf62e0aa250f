# -*- test-case-name: tests.test_registry -*-
"""
Plugins: which there are, which can not be loaded and why, and what exactly their code is.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from functools import lru_cache
from importlib import import_module
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pkgutil import iter_modules, walk_packages
from types import ModuleType
from typing import Any

import attrs
from twisted.plugin import getPlugins
from zope.interface import Interface
from zope.interface.exceptions import Invalid
from zope.interface.verify import verifyObject

from hoopx.errors import ConfigurationError
from hoopx.interfaces import ICredentialSource, IEventSink, IProtocolRecorder, IStorageBackend


@attrs.frozen
class PluginIdentity:
    """
    Whose code recorded a session.

    @ivar name: of the protocol.
    @ivar distribution: name of the installed distribution, or C{""} outside of one.
    @ivar sha256: hex, over the source files of the drop-in and of the package that holds the protocol, sorted by name.
    """

    name: str
    distribution: str
    version: str
    sha256: str


def protocols(package: ModuleType | None = None) -> dict[str, Any]:
    """@return: name -> L{IProtocolRecorder}. @raise ConfigurationError: two plugins have one name, or one is not whole."""
    return _byName(IProtocolRecorder, "name", package)


def credentialSources(package: ModuleType | None = None) -> dict[str, Any]:
    """@return: scheme -> L{ICredentialSource}. @raise ConfigurationError: see L{protocols}."""
    return _byName(ICredentialSource, "scheme", package)


def storageBackends(package: ModuleType | None = None) -> dict[str, Any]:
    """@return: scheme -> L{IStorageBackend}. @raise ConfigurationError: see L{protocols}."""
    return _byName(IStorageBackend, "scheme", package)


def eventSinks(package: ModuleType | None = None) -> list[Any]:
    """@return: L{IEventSink} plugins."""
    return list(getPlugins(IEventSink, package or _plugins()))


def failures(package: ModuleType | None = None) -> list[tuple[str, str]]:
    """
    Import every drop-in again, to tell why those are missing that Twisted's search has only logged.

    @return: module name and reason of each that can not be imported.
    """
    package = package or _plugins()
    found = []
    for module in iter_modules(package.__path__):
        name = f"{package.__name__}.{module.name}"
        try:
            import_module(name)
        except Exception as error:
            found.append((name, f"{type(error).__name__}: {error}"))
    return found


def warm() -> int:
    """
    Write the plugin cache, for images whose installation is read-only later.

    @return: how many protocols there are.
    """
    from twisted.application.service import IServiceMaker

    import twisted.plugins

    list(getPlugins(IServiceMaker, twisted.plugins))
    credentialSources(), storageBackends(), eventSinks()
    return len(protocols())


def identity(recorder: Any, package: ModuleType | None = None) -> PluginIdentity:
    """
    @param recorder: from L{protocols}.
    @return: L{PluginIdentity} of the code as it lies on the disk.
    """
    package = package or _plugins()
    dropin = _dropin(recorder, package)
    conversation = getattr(recorder, "_conversation", None) or f"{type(recorder).__module__}.{type(recorder).__name__}"
    # By name alone: what is installed and not used may be broken.
    home = conversation.rpartition(".")[0]
    distribution, version = _distribution(home)
    sha256 = _digest((dropin, home))
    return PluginIdentity(recorder.name, distribution, version, sha256)


def _plugins() -> ModuleType:
    return import_module("hoopx.plugins")


def _byName(interface: type[Interface], attribute: str, package: ModuleType | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for plugin in getPlugins(interface, package or _plugins()):
        try:
            verifyObject(interface, plugin, tentative=True)
        except Invalid as error:
            raise ConfigurationError(f"the plugin {_whence(plugin)} is not whole: {error}; mend or uninstall it")
        except Exception as error:
            raise ConfigurationError(
                f"the plugin {_whence(plugin)} can not be loaded: {type(error).__name__}: {error}; mend or uninstall it"
            )
        name = getattr(plugin, attribute)
        if name in found:
            raise ConfigurationError(
                f'two plugins are called "{name}": {_whence(found[name])} and {_whence(plugin)}; uninstall one of them'
            )
        found[name] = plugin
    return dict(sorted(found.items()))


def _whence(plugin: Any) -> str:
    return str(getattr(plugin, "_conversation", None) or type(plugin).__module__)


def _dropin(recorder: Any, package: ModuleType) -> str:
    """The module that declares a plugin."""
    for name, module in list(sys.modules.items()):
        if name.startswith(package.__name__ + ".") and any(value is recorder for value in vars(module).values()):
            return name
    return type(recorder).__module__


@lru_cache(maxsize=64)  # one per protocol; the running code does not change when its files do
def _digest(modules: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for _, path in sorted({source for name in modules for source in _sources(name)}):
        with open(path, "rb") as file:
            content = file.read()
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()


def _sources(name: str) -> Iterator[tuple[str, str]]:
    """Name and source file of a module, and of all of the package it lies in, unless that is everybody's."""
    found = list(_source(name))
    yield from found
    parent = name.rpartition(".")[0]
    if not found or not parent or parent == "hoopx" or parent.endswith("plugins"):
        return
    package = find_spec(parent)
    for module in walk_packages(package.submodule_search_locations if package else [], parent + "."):
        yield from _source(module.name)


def _source(name: str) -> Iterator[tuple[str, str]]:
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        return
    if spec and spec.origin:
        yield name, spec.origin


@lru_cache(maxsize=64)  # reads the metadata of every distribution
def _distribution(module: str) -> tuple[str, str]:
    from importlib.metadata import version

    top = module.partition(".")[0]
    names = packages_distributions().get(top, [])
    if top == "hoopx" and "hoopx" in names:
        names = ["hoopx"]
    if not names:
        if top == "hoopx":
            import hoopx

            return "hoopx", hoopx.__version__
        return "", ""
    return names[0], version(names[0])
