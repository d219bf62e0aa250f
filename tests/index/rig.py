"""
What the tests of the index need: recordings of several segments, made by hand, and indexes of them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, select

from hoopx.frames import DATA, DONE, EVENT, HEAD, LINK, SEAL, START, encode, pack, segmentName
from hoopx.index.store import openForWriting
from hoopx.index.tables import items, labels, sessions
from hoopx.index.writer import IndexWriter
from hoopx.protocols.postgres.messages import query
from hoopx.reading import readSegment
from hoopx.recording import catalogue
from hoopx.registry import protocols
from hoopx.ulid import ulid
from hoopx.values import CLIENT, PASSED, TARGET, Frame

BEGAN = 1_700_000_000.0
TOTALS = ("bytes_from_client", "bytes_from_target", "frames_from_client", "frames_from_target")

READY = b"Z\0\0\0\x05I"
DONE_ROW = b"C\0\0\0\rSELECT 1\0"


def asked(text: str) -> list[tuple[int, int, bytes]]:
    """A statement and its answer."""
    return [(CLIENT, PASSED, query(text.encode())), (TARGET, PASSED, DONE_ROW + READY)]


def record(
    data: Path, segments: list[list[tuple[int, int, bytes]]], *, started: float = BEGAN, done: bool = True, **head: Any
) -> str:
    """
    @param segments: of each, (side, origin, bytes) of DATA; side 0: the payload of an EVENT. Everything is a second after the other.
    @return: the session's id.
    """
    session = ulid(started, os.urandom(10))
    folder = data / "recordings" / time.strftime("%Y/%m/%d", time.gmtime(started)) / session
    folder.mkdir(parents=True)
    said = {
        "session": session, "started": started, "actor": None, "target": "orders", "account": "app", "protocol": "postgres",
        "database": "shop", "client": "127.0.0.1:5", "labels": {"application": "psql"}, "node": "gw1",
        "identity": {"name": "alice", "kind": "human", "groups": ["dev"]}, **head,
    }  # fmt: skip
    totals = dict.fromkeys(TOTALS, 0)
    at = sequence = 0
    for number, steps in enumerate(segments):
        first = (HEAD, said) if not number else (LINK, {"session": session, "segment": number, **totals})
        parts = [(first[0], 0, 0, pack(first[1]))]
        for side, origin, payload in steps:
            parts.append((DATA if side else EVENT, side, origin, payload))
            if side and origin <= 2:
                totals[f"bytes_from_{'client' if side == 1 else 'target'}"] += len(payload)
        if done and number == len(segments) - 1:
            parts.append((DONE, 0, 0, pack({**totals, "reason": "client-left", "duration": at + 1.0})))
        parts.append((SEAL, 0, 0, pack({})))
        frames = []
        for kind, side, origin, payload in parts:
            at += kind in (DATA, EVENT, DONE)
            sequence += 1
            frames.append(encode(at * 10**9, sequence, 0, kind, side, origin, 0, payload))
        (folder / segmentName(number)).write_bytes(START + b"".join(frames))
    return session


def folder(data: Path, session: str) -> str:
    return catalogue.find(str(data), session)


class Reads:
    """
    Reads segments of a data directory.

    @ivar calls: what was read.
    @ivar lost: what can not be.
    """

    def __init__(self, data: Path) -> None:
        self.data = data
        self.calls: list[tuple[str, int]] = []
        self.lost: set[tuple[str, int]] = set()

    def __call__(self, session: str, number: int) -> Iterator[Frame]:
        self.calls.append((session, number))
        if (session, number) in self.lost:
            raise OSError(2, "gone")
        with open(os.path.join(folder(self.data, session), segmentName(number)), "rb") as file:
            return iter(list(readSegment(file, torn=True)))


def writer(data: Path, name: str = "index.sqlite", full: bool = True, engine: Engine | None = None) -> tuple[IndexWriter, Engine, Reads]:
    engine = engine or openForWriting(data / name)
    reads = Reads(data)
    return IndexWriter(engine, reads, protocols(), full), engine, reads


def feed(writing: IndexWriter, reads: Reads, session: str) -> None:
    """Every segment of a session, one after the other."""
    for number in range(1000):
        try:
            frames = list(reads(session, number))
        except FileNotFoundError:
            return
        writing.segment(session, number, frames)


def contents(engine: Engine) -> list[list[tuple]]:
    """Everything that can be seen of an index, without the numbers that are only its own."""
    numbers = {"number", "id"}
    found = []
    with engine.connect() as connection:
        for table, order in ((sessions, sessions.c.session), (labels, labels.c.session), (items, items.c.id)):
            columns = [column for column in table.c if column.name not in numbers and not (table is items and column.name == "session")]
            if table is items:
                chosen = select(sessions.c.session, *columns).join(sessions, sessions.c.number == items.c.session)
            else:
                chosen = select(*columns)
            found.append([tuple(row) for row in connection.execute(chosen.order_by(order))])
    return found
