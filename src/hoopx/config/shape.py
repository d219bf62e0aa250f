# -*- test-case-name: tests.config.test_loader -*-
"""
From what TOML says to settings, strictly: nothing is converted by guessing, and every error of a table is found in one go.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from os.path import abspath, expanduser, join
from typing import Any, Final, Literal, get_args, get_origin

import attrs
from cattrs import ClassValidationError, Converter, ForbiddenExtraKeysError, IterableValidationError, IterableValidationNote
from cattrs.gen import make_dict_structure_fn, override

from hoopx.config.amounts import duration, size
from hoopx.config.settings import Duration, Endpoint, FilePath, Name, Network, Size
from hoopx.config.words import keyOf, mayBeSecret, near, nearest, shown
from hoopx.values import Reference

SCHEMES: Final = ("file", "env", "vault")
REFERENCE: Final = '{ file = "secrets/name" } or { env = "NAME" }'
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

Found = tuple[tuple[str | int, ...], str]
"""An error: its path of keys, and what to say."""


class Wrong(Exception):
    """
    A value is not what belongs there.

    @ivar expected: what does, with an example.
    @ivar value: what was found; shown with care.
    """

    def __init__(self, expected: str, value: Any) -> None:
        super().__init__(expected)
        self.expected = expected
        self.value = value


class Misplaced(ValueError):
    """Like L{Wrong}, with a text of ours that says it all and holds no value."""


class LiteralSecret(Exception):
    """A secret itself stands where a reference belongs. Does not hold it."""


def keys(kind: type) -> dict[str, str]:
    """@return: key -> attribute of a settings class."""
    found = {attribute.metadata.get("key", keyOf(attribute.name)): attribute.name for attribute in attrs.fields(kind)}
    return {key: name for key, name in found.items() if key is not None}


class Shape:
    """
    @param folder: what relative paths are relative to.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.errors: list[Found] = []
        self._converter = self._strict()

    def structure(self, value: Any, kind: Any, path: Sequence[str | int], more: Sequence[str] = ()) -> Any:
        """
        @param kind: an attrs class, or anything that stands as a type in one.
        @param more: keys that are known too at this place, for the suggestions.
        @return: the instance, or C{None} when L{errors} has grown.
        """
        try:
            return self._converter.structure(value, kind)
        except Exception as error:
            self._explain(error, tuple(path), kind, more)
            return None

    def wrong(self, path: Sequence[str | int], message: str) -> None:
        """Note an error that was found elsewhere."""
        self.errors.append((tuple(path), message))

    def resolve(self, path: str) -> str:
        """@return: absolute."""
        return abspath(join(self.folder, expanduser(path)))

    def _explain(self, error: BaseException, path: tuple, kind: Any, more: Sequence[str]) -> None:
        if isinstance(error, ClassValidationError):
            known = {name: key for key, name in keys(error.cl).items()}
            noted, plain = error.group_exceptions()
            extra = [name for each in plain if isinstance(each, ForbiddenExtraKeysError) for name in each.extra_fields]
            for each, note in noted:
                key = known.get(note.name, note.name)
                # A key that is misspelt is not missing, too.
                if not (isinstance(each, KeyError) and any(near(other, [*known.values(), *more]) == key for other in extra)):
                    self._explain(each, (*path, key), note.type, ())
            for each in plain:
                self._explain(each, path, error.cl, more)
        elif isinstance(error, IterableValidationError):
            items, plain = error.group_exceptions()
            for inner, place in items:
                self._explain(inner, (*path, place.index), place.type, ())
            for each in plain:
                self._explain(each, path, kind, ())
        elif isinstance(error, ForbiddenExtraKeysError):
            for name in sorted(error.extra_fields):
                self.unknown((*path, name), [*keys(error.cl), *more])
        elif isinstance(error, Wrong):
            self.wrong(path, f"expected {error.expected}; found {shown(error.value, path)}")
        elif isinstance(error, LiteralSecret):
            self.wrong(path, f"a secret does not stand in the configuration: put it elsewhere and write {REFERENCE}")
        elif isinstance(error, KeyError):
            self.wrong(path, "is missing")
        elif isinstance(error, Misplaced):
            self.wrong(path, str(error))
        elif isinstance(error, ValueError):
            # A plugin's validator may speak of the value.
            self.wrong(path, str(error) if not mayBeSecret(str(error)) else "is not valid")
        else:
            self.wrong(path, f"can not be read ({type(error).__name__})")

    def unknown(self, path: Sequence[str | int], known: Sequence[str]) -> None:
        """Note a key that nobody knows."""
        self.wrong(path, f"unknown key; {nearest(str(path[-1]), known)}")

    def _strict(self) -> Converter:
        converter = Converter(detailed_validation=True, forbid_extra_keys=True)

        def exactly(kind: Any, hook: Callable[[Any], Any]) -> None:
            if isinstance(kind, type):
                converter.register_structure_hook(kind, lambda value, _: hook(value))
            else:
                converter.register_structure_hook_func(lambda given: given is kind, lambda value, _: hook(value))

        exactly(str, _text)
        exactly(bool, lambda value: _of(value, bool, "true or false"))
        exactly(int, lambda value: _of(value, int, "a whole number, such as 100"))
        exactly(float, lambda value: float(_of(value, (int, float), "a number, such as 0.5")))
        exactly(Duration, lambda value: _amount(value, duration, 'a duration, such as "10s", "30m", "8h" or "365d"'))
        exactly(Size, lambda value: _amount(value, size, 'a size, such as "64KiB" or "1MiB"'))
        exactly(Name, _name)
        exactly(Endpoint, lambda value: _of(value, str, 'an endpoint, such as "tcp:15432:interface=127.0.0.1"'))
        exactly(Network, _network)
        exactly(FilePath, lambda value: self.resolve(_filled(value, 'a path, such as "gateway.pem"')))
        exactly(Reference, self._reference)
        converter.register_structure_hook_func(
            lambda given: set(get_args(given)) == {str, Reference},
            lambda value, _: value if isinstance(value, str) else self._reference(value),
        )
        converter.register_structure_hook_func(lambda given: get_origin(given) is Literal, _choice)
        converter.register_structure_hook_func(
            lambda given: get_origin(given) in (tuple, list), lambda value, kind: _list(converter, value, kind)
        )
        converter.register_structure_hook_func(
            lambda given: get_origin(given) in (dict, Mapping), lambda value, kind: _table(converter, value, kind)
        )
        converter.register_structure_hook_factory(attrs.has, lambda kind: _class(converter, kind))
        return converter

    def _reference(self, value: Any) -> Reference:
        if isinstance(value, str):
            raise LiteralSecret()
        if not isinstance(value, dict) or len(value) != 1:
            raise Wrong(f"a reference to a secret, such as {REFERENCE}", value)
        ((scheme, name),) = value.items()
        if scheme not in SCHEMES:
            raise Misplaced(f"there is no secret reference of this kind; write {REFERENCE}")
        if not isinstance(name, str) or not name or "\0" in name:
            raise Wrong(f"a reference to a secret, such as {REFERENCE}", value)
        if scheme == "env" and not _VARIABLE.fullmatch(name):
            raise Misplaced('expected the name of an environment variable, such as { env = "ORDERS_PASSWORD" }')
        if scheme == "vault" and not all(name.partition("#")):
            raise Misplaced('expected a path and a field, such as { vault = "secret/orders#password" }')
        return Reference(scheme, self.resolve(name) if scheme == "file" else name)


def isReference(value: Any) -> bool:
    """C{True} for a table that has the look of a secret reference."""
    return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in SCHEMES


def _class(converter: Converter, kind: type) -> Callable[[Any, Any], Any]:
    renamed: dict[str, Any] = {name: override(rename=key) for key, name in keys(kind).items()}
    renamed |= {each.name: override(omit=True) for each in attrs.fields(kind) if each.name not in renamed}
    fill: Any = make_dict_structure_fn(kind, converter, _cattrs_forbid_extra_keys=True, **renamed)

    def structure(value: Any, given: Any) -> Any:
        if not isinstance(value, dict):
            raise Wrong("a table with the keys " + ", ".join(keys(kind)), value)
        return fill(value, given)

    return structure


def _list(converter: Converter, value: Any, kind: Any) -> Any:
    inner = get_args(kind)[0]
    if not isinstance(value, list):
        raise Wrong('a list, such as ["a", "b"]' if inner in (str, Network) or get_origin(inner) else "a list of tables", value)
    return get_origin(kind)(_each(converter, enumerate(value), inner, kind).values())


def _table(converter: Converter, value: Any, kind: Any) -> Any:
    if not isinstance(value, dict):
        raise Wrong('a table, such as { env = "prod" }', value)
    return _each(converter, value.items(), get_args(kind)[1], kind)


def _each(converter: Converter, items: Any, inner: Any, kind: Any) -> dict:
    made, errors = {}, []
    for index, value in items:
        try:
            made[index] = converter.structure(value, inner)
        except Exception as error:
            error.__notes__ = [*getattr(error, "__notes__", ()), IterableValidationNote(f"at {index}", index, inner)]
            errors.append(error)
    if errors:
        raise IterableValidationError("", errors, kind)
    return made


def _of(value: Any, kinds: Any, expected: str) -> Any:
    if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool):
        raise Wrong(expected, value)
    return value


def _text(value: Any) -> str:
    if isReference(value):
        raise Misplaced('expected a text, such as "name": a secret reference does not belong here')
    text: str = _of(value, str, 'a text, such as "name"')
    if "\0" in text:
        raise ValueError("holds a zero byte")
    return text


def _filled(value: Any, expected: str) -> str:
    text = _of(value, str, expected)
    if not text or "\0" in text:
        raise Wrong(expected, value)
    return str(text)


def _name(value: Any) -> str:
    expected = 'a name of letters, digits, ".", "_" and "-", such as "gw1"'
    if not _NAME.fullmatch(_of(value, str, expected)):
        raise Wrong(expected, value)
    return str(value)


def isName(text: str) -> bool:
    """C{True} when a text can stand in a connection string without being taken apart."""
    return _NAME.fullmatch(text) is not None


def _network(value: Any) -> str:
    expected = 'a network, such as "10.0.0.0/8"'
    try:
        return str(ipaddress.ip_network(_of(value, str, expected)))
    except ValueError:
        raise Wrong(expected, value)


def _amount(value: Any, parse: Callable[[str], Any], expected: str) -> Any:
    try:
        return parse(_of(value, str, expected))
    except ValueError:
        raise Wrong(expected, value)


def _choice(value: Any, kind: Any) -> Any:
    choices = get_args(kind)
    if not isinstance(value, str) or value not in choices:
        raise Wrong("one of " + ", ".join(f'"{choice}"' for choice in choices), value)
    return value
