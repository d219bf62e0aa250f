# -*- test-case-name: tests.config.test_words -*-
"""
How errors speak of keys and values, without ever showing what may be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any, Final

SHOWN: Final = 60
"""Characters of a wrong value that an error shows: enough to recognise it."""

_SECRET_KEY: Final = re.compile(r"pass|secret|token|key|credential|auth|pin\b|cookie|inject|header", re.IGNORECASE)
_SECRET_VALUE: Final = re.compile(
    r"^hx_|-----BEGIN|://[^/]*@|^eyJ|^AGE-SECRET|password|(?=[^ ]*[0-9])(?=[^ ]*[A-Za-z])[^ ./:@]{20,}", re.IGNORECASE
)
_PLAIN_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")


def keyOf(attribute: str) -> str:
    """An attribute's key: C{idleTimeout} is C{idle_timeout}, C{requireTLS} is C{require_tls}."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", attribute).lower()


def dotted(path: Sequence[str | int]) -> str:
    """C{targets.orders.tls}; items of arrays as C{grants[0].users}, counted from 0."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
            continue
        name = part if _PLAIN_KEY.fullmatch(part) else '"' + part.encode("unicode_escape").decode().replace('"', '\\"') + '"'
        text += ("." if text else "") + name
    return text


def mayBeSecret(text: str) -> bool:
    """C{True} for what has the look of a token, key, password or of an address that holds one."""
    return _SECRET_VALUE.search(text) is not None


def shown(value: Any, path: Sequence[str | int] = ()) -> str:
    """A wrong value as an error may show it: its type alone, when it may be a secret."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    names = [part for part in path if isinstance(part, str)]
    hidden = bool(names) and bool(_SECRET_KEY.search(names[-1]))
    if isinstance(value, str):
        if hidden or mayBeSecret(value):
            return "a text"
        cut = value if len(value) <= SHOWN else value[:SHOWN] + "..."
        return '"' + cut.encode("unicode_escape").decode() + '"'
    return "a number" if hidden else str(value)


def near(name: str, known: Iterable[str]) -> str | None:
    """@return: the one known name that somebody who wrote C{name} may have meant."""
    names = sorted(known)
    found = get_close_matches(name, names, 1, 0.6)
    if found:
        return found[0]
    flat = {_flat(each): each for each in names}
    return next((flat[each] for each in get_close_matches(_flat(name), flat, 1, 0.75)), None)


def nearest(name: str, known: Iterable[str]) -> str:
    """What to say to somebody who wrote C{name}: one known name, or all of them."""
    names = sorted(known)
    meant = near(name, names)
    if meant:
        return f'did you mean "{meant}"?'
    return "there are: " + ", ".join(names) if names else "there are none"


def _flat(name: str) -> str:
    return re.sub(r"[-_. ]", "", name).lower()
