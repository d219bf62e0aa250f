# -*- test-case-name: tests.ledger.test_leaf -*-
"""
Leaves: one line of canonical JSON each, without personal data. docs/reference/ledger.rst tells the types and their fields.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Callable, Final, Mapping

MAX_LEAF: Final = 1024
"""Bytes. The longest, a checkpoint quoted by C{continued}, has about 500."""

VERSION: Final = 1

ROTATED: Final = "key-rotated"
"""The type of the leaf with which a key hands over to the next."""

_word = re.compile(r"[A-Za-z0-9._-]{1,64}").fullmatch
_digest = re.compile(r"[0-9a-f]{64}").fullmatch
_signature = re.compile(r"[0-9a-f]{128}").fullmatch


def _isWord(value: Any) -> bool:
    return isinstance(value, str) and _word(value) is not None


def _isDigest(value: Any) -> bool:
    return isinstance(value, str) and _digest(value) is not None


def _isSignature(value: Any) -> bool:
    return isinstance(value, str) and _signature(value) is not None


def _isCount(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 63


def _isText(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


_ENDED: Final = {"session": _isWord, "segments": _isCount, "end": _isDigest}
_ACT: Final = {"session": _isWord, "audit": _isDigest}

FIELDS: Final[Mapping[str, Mapping[str, Callable[[Any], bool]]]] = {
    "opened": {"session": _isWord, "key": _isDigest, "head": _isDigest},
    "sealed": {"session": _isWord, "segment": _isCount, "seal": _isDigest, "object": _isDigest, "size": _isCount},
    "done": _ENDED,
    "recovered": _ENDED,
    "erased": _ACT,
    "hold-set": _ACT,
    "hold-lifted": _ACT,
    "audit": {"audit": _isDigest},
    ROTATED: {"key": _isText, "signature": _isSignature},
    "continued": {"origin": _isText, "checkpoint": _isText},
}
"""Type of leaf -> its fields, all of them required, and what each has to be."""


def leaf(kind: str, at: float, **fields: Any) -> bytes:
    """
    @param kind: a key of L{FIELDS}.
    @param at: seconds since the epoch; kept to the millisecond.
    @return: the line, without a newline.
    @raise ValueError: fields are missing, too many, of the wrong shape, or too long.
    """
    if kind not in FIELDS:
        raise ValueError(f"there is no leaf of type {kind!r}")
    value = {**fields, "at": round(float(at), 3), "type": kind, "v": VERSION}
    _check(value)
    line = _canonical(value)
    if len(line) > MAX_LEAF:
        raise ValueError(f"a leaf has at most {MAX_LEAF} bytes, not {len(line)}")
    return line


def parse(line: bytes) -> dict[str, Any]:
    """
    @return: the fields, with C{at}, C{type} and C{v}. A type that is not in L{FIELDS} is let through: it comes from a later version.
    @raise ValueError: no leaf.
    """
    if len(line) > MAX_LEAF:
        raise ValueError(f"a leaf has at most {MAX_LEAF} bytes, not {len(line)}")
    try:
        value = json.loads(line.decode("ascii"))
    except (UnicodeDecodeError, RecursionError, ValueError):
        raise ValueError("a leaf is one line of JSON in ASCII") from None
    if not isinstance(value, dict):
        raise ValueError("a leaf is a JSON object")
    _check(value)
    if _canonical(value) != line:
        raise ValueError("the JSON of a leaf is not canonical")
    return value


def _canonical(value: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")
    except (ValueError, TypeError, RecursionError):
        raise ValueError("what JSON can not say is in no leaf") from None


def _check(value: Mapping[str, Any]) -> None:
    if type(value.get("v")) is not int or value["v"] != VERSION:
        raise ValueError(f"this version reads leaves of version {VERSION}")
    at = value.get("at")
    if type(at) is not float or not math.isfinite(at):
        raise ValueError("a leaf has a time")
    kind = value.get("type")
    if not isinstance(kind, str):
        raise ValueError("a leaf has a type")
    fields = FIELDS.get(kind)
    if fields is None:
        return
    if value.keys() != {*fields, "at", "type", "v"}:
        raise ValueError(f"a leaf of type {kind} has the fields {', '.join(fields)}")
    for name, right in fields.items():
        if not right(value[name]):
            raise ValueError(f"the field {name} of a leaf of type {kind} has the wrong shape")
