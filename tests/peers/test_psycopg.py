"""
psycopg 3 through the gateway.
"""

from __future__ import annotations

import datetime
import threading
from decimal import Decimal
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.peers.harness.finding import DIRECT, requireModule
from tests.peers.harness.routes import Directly, Through
from tests.peers.harness.waiting import PATIENCE, until

MIB = 1024 * 1024


class PsycopgTests(Through):
    def setUp(self) -> None:
        self.psycopg: Any = requireModule("psycopg")

    def connect(self, **more: Any) -> Any:
        route = self.route()
        wanted = {"autocommit": True, "connect_timeout": int(PATIENCE), "sslmode": "disable", **more}
        connection = self.psycopg.connect(
            host=route.host, port=route.port, user=route.user, password=route.password, dbname=route.database, **wanted
        )
        self.addCleanup(connection.close)
        return connection

    def test_types(self) -> None:
        connection = self.connect()
        values = [
            True, 2**31 - 1, -(2**63), 1.5, Decimal("12345678901234567890.0123"), "Grüße € \U0001f600", b"\x00\xff" * 50,
            datetime.date(1815, 12, 10), datetime.datetime(2024, 2, 29, 12, 0, 1, 5, datetime.timezone.utc),
            datetime.timedelta(days=3, seconds=7), [1, 2, None], None,
        ]  # fmt: skip
        for binary in (False, True):
            with connection.cursor(binary=binary) as cursor:
                for value in values:
                    self.assertEqual(cursor.execute("SELECT %s", [value]).fetchone(), (value,))
                    self.assertEqual(cursor.execute("SELECT %b", [value]).fetchone(), (value,))

    def test_prepared(self) -> None:
        connection = self.connect()
        for number in range(20):
            self.assertEqual(connection.execute("SELECT %s::int + 1", [number], prepare=True).fetchone(), (number + 1,))
        prepared = connection.execute("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'SELECT $1::int%%'").fetchone()
        self.assertEqual(prepared, (1,))

    def test_cursor(self) -> None:
        connection = self.connect(autocommit=False)
        for binary in (False, True):
            with connection.cursor("walk", binary=binary, scrollable=True) as cursor:
                cursor.itersize = 100
                cursor.execute("SELECT n, repeat('x', n) FROM generate_series(1, 1000) n")
                self.assertEqual(sum(len(text) for _, text in cursor), 500500)
                cursor.scroll(499, mode="absolute")
                self.assertEqual(cursor.fetchone()[0], 500)

    def test_pipeline(self) -> None:
        connection = self.connect()
        with connection.pipeline() as pipeline:
            cursors = [connection.execute("SELECT %s::int * 2", [n]) for n in range(500)]
            pipeline.sync()
            self.assertEqual([cursor.fetchone()[0] for cursor in cursors], [n * 2 for n in range(500)])

    def test_pipeline_error(self) -> None:
        connection = self.connect()
        connection.execute("CREATE TEMP TABLE kept (n int)")
        with self.assertRaises(self.psycopg.errors.DivisionByZero):
            with connection.pipeline() as pipeline:
                connection.execute("INSERT INTO kept VALUES (1)")
                pipeline.sync()
                connection.execute("INSERT INTO kept VALUES (2)")
                connection.execute("SELECT 1 / %s::int", [0])
                connection.execute("INSERT INTO kept VALUES (3)")
                pipeline.sync()
        self.assertEqual(connection.execute("SELECT array_agg(n) FROM kept").fetchone(), ([1],))

    def test_large_parameters(self) -> None:
        connection = self.connect()
        content = bytes(range(256)) * (8 * MIB // 256)
        self.assertEqual(connection.execute("SELECT octet_length(%b), %b::bytea", [content, content]).fetchone(), (len(content), content))
        text = "SELECT '" + "y" * (2 * MIB) + "'"
        self.assertEqual(len(connection.execute(text).fetchone()[0]), 2 * MIB)
        many = list(range(20000))
        placeholders = ",".join(["%s"] * len(many))
        self.assertEqual(connection.execute(f"SELECT count(*) FROM unnest(ARRAY[{placeholders}]) n", many).fetchone(), (len(many),))

    def test_copy(self) -> None:
        connection = self.connect()
        connection.execute("CREATE TEMP TABLE bulk (n int, t text)")
        rows = [(n, f"row {n}\t\\ \n" if n % 3 else None) for n in range(30000)]
        for form in ("", " (FORMAT binary)"):
            connection.execute("TRUNCATE bulk")
            with connection.cursor() as cursor:
                with cursor.copy(f"COPY bulk FROM STDIN{form}") as copy:
                    copy.set_types(["int4", "text"])
                    for row in rows:
                        copy.write_row(row)
                with cursor.copy(f"COPY bulk TO STDOUT{form}") as copy:
                    copy.set_types(["int4", "text"])
                    self.assertEqual(list(copy.rows()), rows)

    def test_copy_given_up(self) -> None:
        connection = self.connect()
        connection.execute("CREATE TEMP TABLE bulk (n int)")
        with self.assertRaises(ZeroDivisionError):
            with connection.cursor() as cursor, cursor.copy("COPY bulk FROM STDIN") as copy:
                copy.write_row((1,))
                raise ZeroDivisionError
        self.assertEqual(connection.execute("SELECT count(*) FROM bulk").fetchone(), (0,))
        with self.assertRaises(self.psycopg.errors.InvalidTextRepresentation):
            with connection.cursor() as cursor, cursor.copy("COPY bulk FROM STDIN") as copy:
                for _ in range(20000):
                    copy.write("no number, and more to follow\n")
        self.assertEqual(connection.execute("SELECT 1").fetchone(), (1,))

    def test_cancel(self) -> None:
        connection = self.connect()
        process = connection.execute("SELECT pg_backend_pid()").fetchone()[0]
        self.assertEqual(connection.info.backend_pid, process)
        server = self.route().server
        active = "SELECT state FROM pg_stat_activity WHERE pid = %s AND query LIKE '%%pg_sleep(666)%%'"
        for cancel in (connection.cancel, connection.cancel_safe):

            def later(cancel: Any = cancel) -> None:
                until(lambda: server.look(active, process) == [("active",)], "the statement to run")
                cancel()

            thread = threading.Thread(target=later)
            thread.start()
            with self.assertRaises(self.psycopg.errors.QueryCanceled):
                connection.execute("SELECT pg_sleep(666)")
            thread.join(PATIENCE)
            self.assertEqual(connection.execute("SELECT 1").fetchone(), (1,))

    def test_notify(self) -> None:
        connection, other = self.connect(), self.connect()
        connection.execute("LISTEN wide")
        for number in range(20):
            other.execute("SELECT pg_notify('wide', %s)", [f"{number} " + "ü" * 1000])
        found = list(connection.notifies(timeout=PATIENCE, stop_after=20))
        self.assertEqual([int(one.payload.split()[0]) for one in found], list(range(20)))
        self.assertEqual({one.pid for one in found}, {other.info.backend_pid})

    def test_errors(self) -> None:
        connection = self.connect()
        notices: list = []
        # A diagnostic does not outlive its call.
        connection.add_notice_handler(lambda one: notices.append((one.severity, one.sqlstate, one.message_detail)))
        with self.assertRaises(self.psycopg.errors.UndefinedTable) as caught:
            connection.execute("SELECT * FROM missing")
        self.assertEqual(caught.exception.diag.statement_position, "15")
        connection.execute("DO $$ BEGIN RAISE WARNING 'careful' USING DETAIL = 'more', HINT = 'less', ERRCODE = '01234'; END $$")
        self.assertEqual(notices, [("WARNING", "01234", "more")])

    def test_transactions(self) -> None:
        connection = self.connect(autocommit=False)
        status = self.psycopg.pq.TransactionStatus
        connection.execute("CREATE TEMP TABLE kept (n int)")
        connection.commit()
        with connection.transaction():
            connection.execute("INSERT INTO kept VALUES (1)")
            with self.assertRaises(self.psycopg.errors.DivisionByZero), connection.transaction():
                connection.execute("INSERT INTO kept VALUES (2)")
                connection.execute("SELECT 1/0")
            connection.execute("INSERT INTO kept VALUES (3)")
        self.assertEqual(connection.execute("SELECT array_agg(n) FROM kept").fetchone(), ([1, 3],))
        self.assertIs(connection.info.transaction_status, status.INTRANS)
        with self.assertRaises(self.psycopg.errors.DivisionByZero):
            connection.execute("SELECT 1/0")
        self.assertIs(connection.info.transaction_status, status.INERROR)
        connection.rollback()

    def test_parameters(self) -> None:
        connection = self.connect(options="-c statement_timeout=12345 -c search_path=pg_catalog", application_name="my app")
        self.assertEqual(connection.execute("SHOW statement_timeout").fetchone(), ("12345ms",))
        self.assertEqual(connection.execute("SHOW search_path").fetchone(), ("pg_catalog",))
        self.assertEqual(connection.execute("SHOW application_name").fetchone(), ("my app",))
        self.assertEqual(connection.info.parameter_status("application_name"), "my app")
        connection.execute("SET TIME ZONE 'Asia/Tokyo'")
        self.assertEqual(connection.info.parameter_status("TimeZone"), "Asia/Tokyo")

    def test_stream(self) -> None:
        connection = self.connect()
        total = sum(len(row[0]) for row in connection.cursor().stream("SELECT repeat('x', 100) FROM generate_series(1, 20000)"))
        self.assertEqual(total, 2_000_000)

    def test_large_object(self) -> None:
        connection = self.connect(autocommit=False)
        number = connection.execute("SELECT lo_from_bytea(0, %b)", [b"\x00\x01" * 500_000]).fetchone()[0]
        descriptor = connection.execute("SELECT lo_open(%s, 131072)", [number]).fetchone()[0]
        self.assertEqual(connection.execute("SELECT loread(%s, 4)", [descriptor]).fetchone(), (b"\x00\x01\x00\x01",))
        connection.execute("SELECT lo_unlink(%s)", [number])
        connection.commit()

    def test_many_statements(self) -> None:
        cursor = self.connect().execute("SELECT 1; SELECT 2, 3; CREATE TEMP TABLE x (n int); SELECT 4")
        found = []
        while True:
            found.append(cursor.fetchall() if cursor.description else cursor.statusmessage)
            if not cursor.nextset():
                break
        self.assertEqual(found, [[(1,)], [(2, 3)], "CREATE TABLE", [(4,)]])

    def test_server_ends(self) -> None:
        connection = self.connect()
        self.route().server.look("SELECT pg_terminate_backend(%s)", connection.info.backend_pid)
        with self.assertRaises(self.psycopg.errors.AdminShutdown):
            connection.execute("SELECT 1")

    def test_encrypted(self) -> None:
        route = self.route()
        if route.gateway is None and route.server.authority is None:
            return
        connection = self.connect(sslmode="require")
        self.assertTrue(connection.pgconn.ssl_in_use)
        content = b"z" * (3 * MIB)
        self.assertEqual(connection.execute("SELECT %b::bytea", [content]).fetchone(), (content,))


class PsycopgThroughTests(PsycopgTests, SynchronousTestCase):
    pass


class PsycopgNewServerTests(PsycopgTests, SynchronousTestCase):
    serverName = "embedded"


if DIRECT:

    class PsycopgDirectTests(Directly, PsycopgTests, SynchronousTestCase):
        pass
