# -*- test-case-name: tests.test_heading -*-
"""
What HEAD says, as far as it can be believed: a signature only tells who has written a recording. Whoever lists recordings and looks after
them takes none that makes no sense (L{believed}); whoever reads one for others makes sense of whatever stands there, and fails at nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final

LAST: Final = 253402214400.0
"""Seconds since the epoch: the last day of the year 9999, wherever one is. Calendars know no later time."""
LONGEST: Final = 4096
"""Characters of a name; what is longer is cut."""

_SHAPES: Final[dict[type, tuple[str, ...]]] = {
    str: ("session", "target", "account", "protocol", "database", "client"), dict: ("identity", "labels"),
}  # fmt: skip
"""Of what is shown, asked for and looked up."""


def believed(head: dict[str, Any]) -> dict[str, Any]:
    """@return: the same. @raise ValueError: signed or not, nobody can list or show it."""
    if not _isMoment(head.get("started")):
        raise ValueError("its HEAD says no time")
    return shaped(head)


def shaped(head: dict[str, Any]) -> dict[str, Any]:
    """The same of a part of HEAD that was noted elsewhere, perhaps without its time."""
    for kind, names in _SHAPES.items():
        for name in names:
            if not isinstance(head.get(name), (kind, type(None))):
                raise ValueError(f"its HEAD has a {name} that is none")
    return head


def moment(value: Any) -> float:
    """@return: seconds since the epoch; C{0.0} for what is no time, or outside of the calendar."""
    return float(value) if _isMoment(value) else 0.0


def _isMoment(value: Any) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and 0 <= value <= LAST  # NaN is not, nor what is too large for a float


def within(value: float) -> float:
    """A time that was calculated: the nearest one that the calendar has."""
    return min(max(value, 0.0), LAST) if not math.isnan(value) else 0.0


def text(value: Any, longest: int = LONGEST) -> str | None:
    """@return: C{None} for nothing; what is no text as JSON says it. No lone surrogates, at most so many characters."""
    if value is None or value == "":
        return None
    said = value if isinstance(value, str) else json.dumps(sound(value))
    return said[:longest].encode("utf-8", "backslashreplace").decode()[:longest]


def mapping(value: Any) -> Mapping[str, Any]:
    """@return: C{{}} for what is no JSON object."""
    return value if isinstance(value, Mapping) else {}


def names(value: Any) -> list[str]:
    """@return: the texts of a JSON array; C{[]} for what is none."""
    found = value if isinstance(value, Sequence) and not isinstance(value, str) else ()
    return [said for said in map(text, found) if said is not None]


def endpoint(client: Any) -> tuple[IPv4Address | IPv6Address, int] | None:
    """
    @param client: as HEAD has it: C{host:port}.
    @return: address (without a scope) and port from 0 to 65535; C{None} for a Unix socket, and for what is none.
    """
    host, _, port = (text(client) or "").rpartition(":")
    try:
        address, number = ip_address(host.strip("[]").partition("%")[0]), int(port) if port.isascii() and port.isdigit() else -1
    except ValueError:
        return None
    return (address, number) if 0 <= number <= 0xFFFF else None


def sound(value: Any, depth: int = 20) -> Any:
    """A value from JSON that JSON can say again: no NaN, nothing infinite, not nested without end, no lone surrogates."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {sound(str(name)): sound(each, depth - 1) for name, each in value.items()} if depth else "..."
    if isinstance(value, (list, tuple)):
        return [sound(each, depth - 1) for each in value] if depth else "..."
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)
