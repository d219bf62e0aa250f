"""
pg8000 through the gateway: pure Python, text format, no libpq.
"""

from __future__ import annotations

import datetime
import io
import ssl
from decimal import Decimal
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.peers.harness.finding import DIRECT, requireModule
from tests.peers.harness.routes import Directly, Through
from tests.peers.harness.waiting import PATIENCE


class Pg8000Tests(Through):
    def connect(self, **more: Any) -> Any:
        native = requireModule("pg8000.native")
        connection = native.Connection(**self.route().parameters(), timeout=PATIENCE, **more)
        self.addCleanup(connection.close)
        return connection

    def test_types(self) -> None:
        connection = self.connect()
        values = [1, -(2**40), 1.5, Decimal("1.10"), "Grüße €", True, datetime.date(2000, 2, 29), [1, 2], b"\x00\x01", {"a": 1}]
        casts = ["int", "int8", "float8", "numeric", "text", "bool", "date", "int[]", "bytea", "jsonb"]
        for value, cast in zip(values, casts):
            self.assertEqual(connection.run(f"SELECT CAST(:v AS {cast})", v=value), [[value]])

    def test_prepared(self) -> None:
        statement = self.connect().prepare("SELECT :a + CAST(:b AS int)")
        for number in range(30):
            self.assertEqual(statement.run(a=number, b=1), [[number + 1]])
        statement.close()

    def test_copy(self) -> None:
        connection = self.connect()
        connection.run("CREATE TEMP TABLE bulk (n int, t text)")
        source = "".join(f"{n}\ttext {n}\n" for n in range(10000)).encode()
        connection.run("COPY bulk FROM STDIN", stream=io.BytesIO(source))
        sink = io.BytesIO()
        connection.run("COPY bulk TO STDOUT", stream=sink)
        self.assertEqual(sink.getvalue(), source)

    def test_errors(self) -> None:
        connection = self.connect()
        connection.run("BEGIN")
        for code in ("22012", "25P02"):
            with self.assertRaises(requireModule("pg8000.exceptions").DatabaseError) as caught:
                connection.run("SELECT 1/0")
            self.assertEqual(caught.exception.args[0]["C"], code)
        connection.run("ROLLBACK")
        self.assertEqual(connection.run("SELECT 1; SELECT 2"), [[1], [2]])

    def test_notify(self) -> None:
        connection = self.connect()
        connection.run("LISTEN wide")
        connection.run("NOTIFY wide, 'hello'")
        connection.run("SELECT 1")
        self.assertEqual([tuple(one)[1:] for one in connection.notifications], [("wide", "hello")])

    def test_dbapi(self) -> None:
        dbapi = requireModule("pg8000.dbapi")
        connection = dbapi.connect(**self.route().parameters())
        self.addCleanup(connection.close)
        cursor = connection.cursor()
        cursor.execute("CREATE TEMP TABLE t (n int)")
        cursor.executemany("INSERT INTO t VALUES (%s)", [(n,) for n in range(100)])
        connection.commit()
        cursor.execute("INSERT INTO t VALUES (1000)")
        connection.rollback()
        cursor.execute("SELECT sum(n) FROM t")
        self.assertEqual(list(cursor.fetchone()), [4950])

    def test_encrypted(self) -> None:
        if self.route().gateway is None and self.route().server.authority is None:
            return
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.assertEqual(self.connect(ssl_context=context).run("SELECT repeat('x', 100000)"), [["x" * 100000]])


class Pg8000ThroughTests(Pg8000Tests, SynchronousTestCase):
    pass


if DIRECT:

    class Pg8000DirectTests(Directly, Pg8000Tests, SynchronousTestCase):
        pass
