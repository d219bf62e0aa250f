# -*- test-case-name: tests.tls.test_endpoint -*-
"""
The host that a Twisted client endpoint description leads to.
"""

from __future__ import annotations

import re
from typing import Final

_PART: Final = re.compile(r"((?:\\.|[^:\\])*)(?::|\Z)", re.DOTALL)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_HOSTED: Final = ("tcp", "tls", "ssl")


def hostOf(description: str) -> str | None:
    r"""
    @param description: such as C{tcp:db.internal:5432}, C{tls:host=db.internal:port=5432} or C{tcp:\:\:1:5432}.
    @return: the host's name or address; C{None} where there is none (C{unix:/run/db}).
    """
    parts: list[str] = []
    position = 0
    while position < len(description):
        match = _PART.match(description, position)
        if match is None:
            return None
        parts.append(match.group(1))
        position = match.end()
    if not parts or parts[0] not in _HOSTED:
        return None
    for part in parts[1:]:
        if part.startswith("host="):
            return _ESCAPED.sub(r"\1", part[5:])
    if len(parts) > 1 and not re.match(r"[A-Za-z]+=", parts[1]):
        return _ESCAPED.sub(r"\1", parts[1])
    return None
