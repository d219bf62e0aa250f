# -*- test-case-name: tests.config.test_loader -*-
"""
From a file to L{Settings}, or to every error in it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from typing import Any, Final

import attrs

from hoopx.config.errors import ConfigurationErrors
from hoopx.config.lines import lineOf, locate
from hoopx.config.sense import contradictions
from hoopx.config.settings import Settings
from hoopx.config.shape import Shape, keys
from hoopx.config.systems import targets
from hoopx.config.words import dotted
from hoopx.errors import ConfigurationError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LARGEST: Final = 4 * 1024 * 1024
"""Bytes of a configuration. Ten thousand targets fit; /dev/zero does not."""

_PLACE: Final = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


def load(path: str | os.PathLike, protocols: Mapping[str, Any] | None = None) -> Settings:
    """
    Read a configuration file. What stands in it is checked for itself; that files exist and that this version can do what
    is asked is asked of L{hoopx.config.unreadable} and L{hoopx.config.unsupported}.

    @param path: TOML file.
    @param protocols: name -> L{hoopx.interfaces.IProtocolRecorder}; C{None} for those installed.
    @raise ConfigurationErrors: everything that is wrong with it.
    """
    given = os.fspath(path)
    return parse(_read(given), given, protocols)


def parse(text: str, path: str, protocols: Mapping[str, Any] | None = None) -> Settings:
    """Like L{load}, with the text at hand; C{path} is what errors name and relative paths are relative to."""
    if protocols is None:
        from hoopx.registry import protocols as installed

        protocols = installed()
    try:
        document = tomllib.loads(text.replace("\r\n", "\n"))
    except tomllib.TOMLDecodeError as error:
        raise _notToml(path, text, error)
    except RecursionError:
        raise ConfigurationErrors([ConfigurationError("tables or lists are nested too deeply", path)])
    lines = locate(text)
    absolute = os.path.abspath(path)
    shape = Shape(os.path.dirname(absolute))
    values = _sections(shape, document)
    values["targets"] = targets(shape, document.get("targets", {}), protocols)
    settings = Settings(**values, path=absolute, lines=lines)
    for place, message in contradictions(settings, document, protocols):
        shape.wrong(place, message)
    if shape.errors:
        raise ConfigurationErrors(
            ConfigurationError(message, path, dotted(place), lineOf(lines, place)) for place, message in shape.errors
        )
    return settings


def _sections(shape: Shape, document: dict) -> dict[str, Any]:
    known = keys(Settings)
    for key in document:
        if key not in known:
            shape.unknown((key,), list(known))
    values = {}
    kinds = {each.name: each.type for each in attrs.fields(attrs.resolve_types(Settings))}
    for key, name in known.items():
        if name == "targets" or (key not in document and name != "gateway"):
            continue
        before = len(shape.errors)
        # The gateway's defaults have a path in them, which is made absolute like a written one.
        raw = document.get(key, {})
        if name == "gateway" and isinstance(raw, dict):
            raw = {"data": "data", **raw}
        value = shape.structure(raw, kinds[name], (key,))
        if len(shape.errors) == before:
            values[name] = value
    return values


def _read(path: str) -> str:
    try:
        with open(path, "rb") as file:
            raw = file.read(LARGEST + 1)
    except OSError as error:
        hint = "; write one with: hoopx init, or name another with: --config FILE" if error.errno == 2 else ""
        raise ConfigurationErrors([ConfigurationError(f"can not be read: {error.strerror}{hint}", path)])
    if len(raw) > LARGEST:
        raise ConfigurationErrors([ConfigurationError(f"is longer than {LARGEST} bytes: not a configuration", path)])
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = 1 + raw.count(b"\n", 0, error.start)
        raise ConfigurationErrors([ConfigurationError("is not UTF-8 here", path, line=line)])


def _notToml(path: str, text: str, error: Exception) -> ConfigurationErrors:
    said = str(error)
    place = _PLACE.search(said)
    line = int(place.group(1)) if place and place.group(1) else 1 + text.rstrip().count("\n")
    return ConfigurationErrors([ConfigurationError("is not TOML: " + _PLACE.sub("", said), path, line=line)])
