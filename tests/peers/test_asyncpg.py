"""
asyncpg through the gateway: binary only, everything prepared, everything pipelined.
"""

from __future__ import annotations

import asyncio
import datetime
import io
import ipaddress
import ssl
import time
import uuid
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.peers.harness.finding import DIRECT, requireModule
from tests.peers.harness.routes import Directly, Through
from tests.peers.harness.waiting import PATIENCE, until


class AsyncpgTests(Through):
    def run_(self, work: Callable[[Any], Awaitable[None]], seconds: float = 2 * PATIENCE, **more: Any) -> None:
        """Run C{work(connection)} in a loop of its own, which it has so many seconds of."""
        asyncpg = requireModule("asyncpg")

        async def main() -> None:
            connection = await asyncpg.connect(**self.route().parameters(), **{"ssl": False, "timeout": PATIENCE, **more})
            try:
                await asyncio.wait_for(work(connection), seconds)
            finally:
                await connection.close(timeout=PATIENCE)

        asyncio.run(main())

    def test_types(self) -> None:
        values = [
            ("int8", 2**62), ("float8", 0.1), ("numeric", Decimal("-1.00")), ("text", "Grüße €"), ("bytea", bytes(range(256))),
            ("uuid", uuid.UUID(int=7)), ("inet", ipaddress.ip_address("10.0.0.1")), ("int4[]", [[1, 2], [3, 4]]),
            ("timestamptz", datetime.datetime(2024, 2, 29, tzinfo=datetime.timezone.utc)), ("interval", datetime.timedelta(1, 2, 3)),
            ("jsonb", '{"a": [1]}'), ("bool", False), ("date", datetime.date(1, 1, 1)), ("text[]", ["a", None, ""]),
        ]  # fmt: skip

        async def work(connection: Any) -> None:
            for name, value in values:
                self.assertEqual(await connection.fetchval(f"SELECT $1::{name}", value), value)
                self.assertIsNone(await connection.fetchval(f"SELECT $1::{name}", None))

        self.run_(work)

    def test_prepared(self) -> None:
        async def work(connection: Any) -> None:
            statement = await connection.prepare("SELECT n, n * $1::int AS m FROM generate_series(1, 3) n")
            self.assertEqual([attribute.name for attribute in statement.get_attributes()], ["n", "m"])
            for factor in range(50):
                self.assertEqual([row["m"] for row in await statement.fetch(factor)], [factor, 2 * factor, 3 * factor])

        self.run_(work)

    def test_cursor(self) -> None:
        async def work(connection: Any) -> None:
            async with connection.transaction():
                total = 0
                async for row in connection.cursor("SELECT n FROM generate_series(1, 1000) n", prefetch=7):
                    total += row["n"]
                self.assertEqual(total, 500500)

        self.run_(work)

    def test_many(self) -> None:
        async def work(connection: Any) -> None:
            await connection.execute("CREATE TEMP TABLE bulk (n int, t text)")
            await connection.executemany("INSERT INTO bulk VALUES ($1, $2)", [(n, "t" * n) for n in range(2000)])
            self.assertEqual(await connection.fetchval("SELECT sum(length(t)) FROM bulk"), 1999 * 1000)

        self.run_(work)

    def test_copy(self) -> None:
        async def work(connection: Any) -> None:
            await connection.execute("CREATE TEMP TABLE bulk (n int, t text)")
            records = [(n, f"text {n}" * 10) for n in range(20000)]
            await connection.copy_records_to_table("bulk", records=records)
            sink = io.BytesIO()
            await connection.copy_from_query("SELECT * FROM bulk ORDER BY n", output=sink, format="csv")
            self.assertEqual(sink.getvalue().decode(), "".join(f"{n},{t}\n" for n, t in records))
            await connection.copy_to_table("bulk", source=io.BytesIO(b"1\tx\n" * 10), format="text")
            self.assertEqual(await connection.fetchval("SELECT count(*) FROM bulk"), 20010)

        self.run_(work)

    def test_errors(self) -> None:
        asyncpg = requireModule("asyncpg")

        async def work(connection: Any) -> None:
            for _ in range(3):
                with self.assertRaises(asyncpg.DivisionByZeroError):
                    await connection.fetchval("SELECT 1 / $1::int", 0)
                with self.assertRaises(asyncpg.UndefinedColumnError) as caught:
                    await connection.fetch("SELECT nothing")
                self.assertEqual(caught.exception.position, "8")
            transaction = connection.transaction()
            await transaction.start()
            with self.assertRaises(asyncpg.DivisionByZeroError):
                await connection.fetchval("SELECT 1/0")
            with self.assertRaises(asyncpg.InFailedSQLTransactionError):
                await connection.fetchval("SELECT 1")
            await transaction.rollback()
            self.assertEqual(await connection.fetchval("SELECT 1"), 1)

        self.run_(work)

    def test_cancel(self) -> None:
        """A time-out makes asyncpg send a CancelRequest."""

        async def work(connection: Any) -> None:
            statement = await connection.prepare("SELECT pg_sleep(1000)")
            server, process = self.route().server, connection.get_server_pid()
            loop, clock, passed = asyncio.get_running_loop(), time.monotonic, [0.0]
            loop.time = lambda: clock() + passed[0]  # type: ignore[method-assign]

            def sleeps() -> object:
                return server.look("SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event = 'PgSleep'", process)

            async def pass_() -> None:
                # A request that comes before the server has begun to sleep finds nothing to cancel: only then is the time over.
                await asyncio.to_thread(until, sleeps, "the server to sleep")
                passed[0] += PATIENCE

            for _ in range(3):
                passing = asyncio.ensure_future(pass_())
                with self.assertRaises(asyncio.TimeoutError):
                    await statement.fetchval(timeout=PATIENCE)
                await passing
                self.assertEqual(await connection.fetchval("SELECT 1"), 1)
            task = asyncio.ensure_future(connection.fetchval("SELECT pg_sleep(1001)"))
            await asyncio.sleep(0)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            self.assertEqual(await connection.fetchval("SELECT 2"), 2)

        self.run_(work, 6 * PATIENCE)  # three times as much passes at once

    def test_notify(self) -> None:
        async def work(connection: Any) -> None:
            heard: asyncio.Queue = asyncio.Queue()
            await connection.add_listener("wide", lambda *one: heard.put_nowait(one[1:]))
            await connection.execute("NOTIFY wide, 'hello'")
            self.assertEqual(await asyncio.wait_for(heard.get(), PATIENCE), (connection.get_server_pid(), "wide", "hello"))

        self.run_(work)

    def test_settings(self) -> None:
        async def work(connection: Any) -> None:
            self.assertEqual(await connection.fetchval("SHOW jit"), "off")
            self.assertEqual(connection.get_settings().application_name, "mine")
            await connection.reset()

        self.run_(work, server_settings={"jit": "off", "application_name": "mine"})

    def test_pool(self) -> None:
        asyncpg = requireModule("asyncpg")

        async def main() -> None:
            async with asyncpg.create_pool(**self.route().parameters(), ssl=False, timeout=PATIENCE, min_size=2, max_size=8) as pool:
                found = await asyncio.gather(*(pool.fetchval("SELECT $1::int", n) for n in range(200)))
                self.assertEqual(found, list(range(200)))

        asyncio.run(main())

    def test_encrypted(self) -> None:
        if self.route().gateway is None and self.route().server.authority is None:
            return
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE

        async def work(connection: Any) -> None:
            self.assertEqual(await connection.fetchval("SELECT $1::bytea", b"x" * 5_000_000), b"x" * 5_000_000)

        self.run_(work, ssl=context)
        self.run_(work, ssl=context, direct_tls=False)


class AsyncpgThroughTests(AsyncpgTests, SynchronousTestCase):
    pass


if DIRECT:

    class AsyncpgDirectTests(Directly, AsyncpgTests, SynchronousTestCase):
        pass
