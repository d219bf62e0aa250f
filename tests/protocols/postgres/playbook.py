"""
Frames and messages for tests that read like conversations.
"""

from __future__ import annotations

import json
from pathlib import Path
from struct import pack
from typing import Any

from hoopx.frames import DATA, EVENT
from hoopx.protocols.postgres.messages import message, query
from hoopx.protocols.postgres.view import PostgresView
from hoopx.reading import readSegment
from hoopx.telling import lines
from hoopx.values import ATTEMPTED, CLIENT, MADE, PASSED, TARGET, Frame

FIXTURES = Path(__file__).parents[2] / "fixtures" / "postgres"

SYNC = message(b"S", b"")
FLUSH = message(b"H", b"")
PARSED, BOUND, CLOSED, NODATA = message(b"1", b""), message(b"2", b""), message(b"3", b""), message(b"n", b"")
SUSPENDED = message(b"s", b"")
READY = message(b"Z", b"I")
COPY_IN = message(b"G", b"\0\0\0")
COPY_OUT = message(b"H", b"\0\0\0")
COPY_BOTH = message(b"W", b"\0\0\0")
COPY_DONE = message(b"c", b"")


def parse(text: str, name: str = "", types: tuple[int, ...] = ()) -> bytes:
    return message(b"P", name.encode() + b"\0" + text.encode() + b"\0" + pack(f">H{len(types)}I", len(types), *types))


def values(parts: tuple[bytes | None, ...]) -> bytes:
    return pack(">H", len(parts)) + b"".join(pack(">i", -1) if part is None else pack(">i", len(part)) + part for part in parts)


def bind(*parts: bytes | None, portal: str = "", name: str = "", formats: tuple = (), results: tuple = ()) -> bytes:
    body = portal.encode() + b"\0" + name.encode() + b"\0" + pack(f">H{len(formats)}H", len(formats), *formats) + values(parts)
    return message(b"B", body + pack(f">H{len(results)}H", len(results), *results))


def describe(kind: str = "P", name: str = "") -> bytes:
    return message(b"D", kind.encode() + name.encode() + b"\0")


def execute(portal: str = "", rows: int = 0) -> bytes:
    return message(b"E", portal.encode() + b"\0" + pack(">I", rows))


def columns(*names: str, types: tuple[int, ...] = (), format: int = 0) -> bytes:
    types = types or (25,) * len(names)
    parts = [name.encode() + b"\0" + pack(">IHIhiH", 0, 0, oid, -1, -1, format) for name, oid in zip(names, types)]
    return message(b"T", pack(">H", len(names)) + b"".join(parts))


def parameterTypes(*types: int) -> bytes:
    return message(b"t", pack(f">H{len(types)}I", len(types), *types))


def row(*parts: bytes | None) -> bytes:
    return message(b"D", values(parts))


def complete(tag: str) -> bytes:
    return message(b"C", tag.encode() + b"\0")


def copyData(data: bytes) -> bytes:
    return message(b"d", data)


def error(code: str = "42601", text: str = "no", kind: bytes = b"E") -> bytes:
    return message(kind, f"SERROR\0VERROR\0C{code}\0M{text}\0\0".encode())


def says(data: bytes) -> tuple[int, int, bytes]:
    """What the client sends."""
    return CLIENT, PASSED, data


def hears(data: bytes) -> tuple[int, int, bytes]:
    """What the server sends."""
    return TARGET, PASSED, data


def attempts(data: bytes) -> tuple[int, int, bytes]:
    """What the client sends and the gateway does not forward."""
    return CLIENT, ATTEMPTED, data


def replaces(data: bytes) -> tuple[int, int, bytes]:
    """What the gateway sends in the client's place."""
    return CLIENT, MADE, data


def makes(data: bytes) -> tuple[int, int, bytes]:
    """What the gateway sends in the server's place."""
    return TARGET, MADE, data


def drops(data: bytes) -> tuple[int, int, bytes]:
    """What the server sends and the gateway does not forward."""
    return TARGET, ATTEMPTED, data


def notes(event: str, **fields: Any) -> tuple[int, int, bytes]:
    """An EVENT."""
    return 0, 0, json.dumps({"event": event, **fields}).encode()


def frames(steps: list[tuple[int, int, bytes]]) -> list[Frame]:
    """Steps as frames: one millisecond and one sequence number each, from 1."""
    return [
        Frame(number * 1_000_000, number, 0, DATA if side else EVENT, side, origin, 0, payload)
        for number, (side, origin, payload) in enumerate(steps, 1)
    ]


def seen(steps: list[tuple[int, int, bytes]]) -> list[dict[str, Any]]:
    """What the view tells of the steps."""
    return list(lines(frames(steps), PostgresView()))


def short(told: list[dict[str, Any]]) -> list[tuple]:
    """The gist of what was told."""
    found: list[tuple] = []
    for line in told:
        if line["kind"] == "command":
            found.append(("command", line["number"], line["text"], *line["parameters"]))
        elif line["kind"] == "result":
            outcome = line["error"]["code"] or line["error"]["severity"] if line["error"] else line["tag"]
            found.append(("result", line["number"], line["rows"], outcome))
        elif line["kind"] == "file":
            found.append(("file", line["operation"], line["bytes"]))
        else:
            found.append(("event", line["event"]))
    return found


def captured(name: str) -> list[Frame]:
    """A real session (made by L{tests.protocols.postgres.capture})."""
    with open(FIXTURES / f"{name}.hxr", "rb") as file:
        return list(readSegment(file))


__all__ = [name for name in dir() if not name.startswith("_")]
assert query
