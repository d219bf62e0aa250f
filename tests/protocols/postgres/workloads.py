"""
What the captured sessions do: each function is one driver's session against the server at a port.
"""

from __future__ import annotations

import datetime
import decimal
import sys
import uuid

TYPES = """
    select true, 7::int2, -8::int4, 9::int8, 1.5::float4, 0.1::float8, 1e300::float8, 12345.6700::numeric, 'NaN'::numeric,
    'é"x'::text, 'v'::varchar, 'b'::char(3), 'n'::name, 'c'::"char", '\\xdeadbeef'::bytea, '2024-02-29'::date, '12:34:56.5'::time,
    '01:02:03+05:30'::timetz, '2024-02-29 23:59:59.123456'::timestamp, '2024-02-29 23:59:59+00'::timestamptz,
    '1 year -2 mons 3 days -04:05:06.7'::interval, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, '{"a": 1}'::json,
    '{"b": [1, null]}'::jsonb, '192.168.1.5/24'::inet, '10.0.0.0/8'::cidr, '::1'::inet, array[[1, 2], [3, null]],
    array['a b', 'NULL', null, '', 'q"\\'], '{}'::int[], '[2:3]={x,y}'::text[], '7'::xid, '101'::bit(3), 'AB/CD'::pg_lsn,
    '08:00:2b:01:02:03'::macaddr, '0044-01-01 BC'::date, 'infinity'::timestamp, null::int, '1000000'::float4, '-0.00001'::float8,
    '00000.00012'::numeric, '1e20'::numeric, '(1.5,2)'::point, 4294967295::oid, 'pg_class'::regclass::oid::regclass
"""


def pipeline(port: int) -> None:
    import psycopg

    with psycopg.connect(host="127.0.0.1", port=port, user="postgres", autocommit=True, sslmode="disable") as connection:
        connection.execute("create temp table t(a int primary key, b text)")
        with connection.pipeline() as pipeline:
            connection.execute("insert into t values (%s, %s)", (1, "one"))
            connection.execute("insert into t values (%b, %b)", (2, "two"))
            cursor = connection.execute("select * from t order by a")
            pipeline.sync()
            print(cursor.fetchall())
        try:
            with connection.pipeline():
                connection.execute("insert into t values (%s, %s)", (3, "three"))
                connection.execute("insert into t values (%s, %s)", (1, "again"))
                connection.execute("insert into t values (%s, %s)", (4, "never"))
        except psycopg.Error as error:
            print("expected:", type(error).__name__)
        for _ in range(7):
            connection.execute("select b from t where a = %s", (1,))
        connection.execute("set timezone = 'UTC'")
        # Not fetched: some values are more than Python's types can say.
        connection.execute(TYPES, binary=True)
        connection.execute(TYPES, binary=False, prepare=False)
        with connection.cursor() as cursor:
            with cursor.copy("copy t from stdin (format binary)") as copy:
                copy.set_types(["int4", "text"])
                copy.write_row((10, "ten"))
            with cursor.copy("copy t to stdout") as copy:
                print(list(copy.rows()))
        with connection.transaction(), connection.cursor("named") as cursor:
            cursor.itersize = 2
            cursor.execute("select * from generate_series(1, 5)")
            print(cursor.fetchall())


def asynchronous(port: int) -> None:
    import asyncio

    import asyncpg

    async def session() -> None:
        connection = await asyncpg.connect(host="127.0.0.1", port=port, user="postgres", ssl=False)
        await connection.execute("create temp table t(a int, b text, c uuid, d timestamptz, e numeric, f int[])")
        moment = datetime.datetime(2024, 2, 29, 1, 2, 3, 4, datetime.timezone.utc)
        row = (1, "é", uuid.UUID(int=5), moment, decimal.Decimal("-12.50"), [1, None])
        print(await connection.execute("insert into t values ($1, $2, $3, $4, $5, $6)", *row))
        print(await connection.fetch("select * from t where a = $1", 1))
        await connection.executemany("insert into t(a, b) values ($1, $2)", [(number, str(number)) for number in range(5)])
        async with connection.transaction():
            async for record in connection.cursor("select generate_series(1, 5)", prefetch=2):
                print(record)
        for text in ("select bad", "select $1::int / 0"):
            try:
                await connection.fetch(text, *([1] if "$1" in text else []))
            except asyncpg.PostgresError as error:
                print("expected:", error)
        await connection.copy_records_to_table("t", records=[(7, "seven"), (8, None)], columns=["a", "b"])
        await connection.close()

    asyncio.run(session())


def plain(port: int) -> None:
    import pg8000.native

    connection = pg8000.native.Connection("postgres", host="127.0.0.1", port=port, ssl_context=False)
    print(connection.run("select :a::int + 1 as sum, :b::text as said", a=41, b="x"))
    statement = connection.prepare("select :v::text")
    print(statement.run(v="prepared"), statement.run(v=None))
    statement.close()
    try:
        connection.run("selec")
    except pg8000.native.DatabaseError as error:
        print("expected:", error)
    print(connection.run("select 'after'"))
    connection.close()


if __name__ == "__main__":
    {"pipeline": pipeline, "asynchronous": asynchronous, "plain": plain}[sys.argv[1]](int(sys.argv[2]))
