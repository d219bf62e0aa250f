# -*- test-case-name: tests.peers.test_fidelity -*-
"""
Random conversations with a server, the same for the same seed.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from random import Random
from struct import pack

from tests.peers.harness import wire
from tests.peers.harness.wire import FLUSH, SYNC, Wire

COPY_END = (b"c", b"f")


class Workload:
    """
    Speaks on one logged-in connection: simple and extended queries, pipelines, errors, COPY in and out, cursors, function calls,
    notifications, transactions; written in pieces of any size.

    @param connection: a L{Wire}; a connection that the other side ends ends the work too.
    """

    def __init__(self, connection: Wire, seed: int) -> None:
        self._wire = connection
        self._random = Random(seed)
        self._number = 0
        self._steps: list[Callable[[], None]] = [
            self._simple, self._several, self._extended, self._pipeline, self._copyIn, self._copyOut, self._portal, self._function,
            self._trouble, self._notify, self._transaction, self._big,
        ]  # fmt: skip

    def run(self, steps: int) -> None:
        self._query("CREATE TEMP TABLE t (n int, s text); LISTEN wide")
        for _ in range(steps):
            self._random.choice(self._steps)()
        self._query("ROLLBACK")

    def leave(self) -> None:
        """Terminate, and wait until the other side has closed."""
        self._write(wire.TERMINATE)
        self._wire.socket.shutdown(socket.SHUT_WR)
        while self._wire.receive()[0]:
            pass

    def _write(self, data: bytes) -> None:
        position = 0
        while position < len(data):
            size = self._random.choice([1, 3, 5, 7, 64, 1000, 1 << 14, 1 << 20])
            self._wire.send(data[position : position + size])
            position += size

    def _finish(self) -> None:
        found = self._wire.untilReady()
        if not found[-1][0]:
            raise EOFError("the connection was closed")

    def _query(self, text: str) -> None:
        self._write(wire.query(text))
        self._finish()

    def _text(self, limit: int = 300) -> str:
        return "".join(self._random.choices("abc'\"\\ €ü\n\t;--", k=self._random.randrange(limit))).replace("'", "''").replace("\\", "/")

    def _name(self) -> str:
        self._number += 1
        return f"s{self._number}"

    def _simple(self) -> None:
        rows = self._random.randrange(50)
        self._query(f"SELECT n, '{self._text()}', NULL, repeat('x', n * {self._random.randrange(30)}) FROM generate_series(1, {rows}) n")

    def _several(self) -> None:
        self._query(f"SELECT 1; INSERT INTO t VALUES (1, '{self._text()}'); ; UPDATE t SET n = n + 1; SELECT count(*) FROM t; SELECT 2")

    def _extended(self) -> None:
        form = self._random.randrange(2)
        value = pack(">i", self._random.randrange(1 << 30)) if form else str(self._random.randrange(1000)).encode()
        data = wire.parse("", "SELECT $1::int, $2::text, now()", 23, 25)
        data += wire.bind("", "", value, self._random.choice([None, self._text().encode()]), formats=(form, 0), results=(form,))
        self._write(data + wire.describe("P") + wire.execute() + SYNC)
        self._finish()

    def _pipeline(self) -> None:
        name, syncs, data = self._name(), 1, wire.parse("", "SELECT 1")
        data += wire.parse(name, "SELECT $1::int / $2::int", 23, 23) + wire.describe("S", name)
        for _ in range(self._random.randrange(1, 30)):
            divisor = self._random.choice([b"0", b"1", b"2", b"3", b"4", b"5"])
            data += wire.bind("", name, b"60", divisor) + wire.execute()
            if self._random.random() < 0.3:
                data += SYNC
                syncs += 1
        self._write(data + wire.close("S", name) + SYNC)
        for _ in range(syncs):
            self._finish()

    def _copyIn(self) -> None:
        self._write(wire.query("COPY t FROM STDIN"))
        kind, _ = self._wire.receive()
        while kind not in (b"G", b"Z", b""):
            kind, _ = self._wire.receive()
        if kind != b"G":
            return
        data = b""
        for _ in range(self._random.randrange(40)):
            data += wire.message(b"d", f"{self._random.randrange(9)}\t{'y' * self._random.randrange(2000)}\n".encode())
        if self._random.random() < 0.2:
            data += wire.message(b"d", b"no number\n")
        end = self._random.choice(COPY_END)
        self._write(data + (wire.message(b"c") if end == b"c" else wire.message(b"f", b"given up\0")))
        self._finish()

    def _copyOut(self) -> None:
        form = self._random.choice(["text", "csv", "binary"])
        self._query(f"COPY (SELECT n, repeat('z', n) FROM generate_series(1, {self._random.randrange(300)}) n) TO STDOUT (FORMAT {form})")

    def _portal(self) -> None:
        name = self._name()
        data = wire.parse(name, "SELECT n FROM generate_series(1, 100) n") + wire.bind(name, name) + FLUSH
        for _ in range(self._random.randrange(1, 5)):
            data += wire.execute(name, self._random.randrange(1, 40))
        self._write(data + wire.close("P", name) + wire.close("S", name) + SYNC)
        self._finish()

    def _function(self) -> None:
        # 1598: random(); 401 text(char) does not take these arguments: an error.
        self._write(wire.call(self._random.choice([1598, 1598, 401])))
        self._finish()

    def _trouble(self) -> None:
        self._query(self._random.choice(["SELECT 1/0", "SELEC", "SELECT * FROM missing", "DO $$ BEGIN RAISE WARNING 'w'; END $$", ""]))

    def _notify(self) -> None:
        self._query(f"NOTIFY wide, '{self._text(50)}'")

    def _transaction(self) -> None:
        self._query(self._random.choice(["BEGIN", "COMMIT", "ROLLBACK"]))

    def _big(self) -> None:
        if self._random.random() < 0.3:
            self._query(f"SELECT repeat('b', {self._random.randrange(1, 3_000_000)}), '{'q' * self._random.randrange(1, 300_000)}'")
