"""
psql says through the gateway what it says without it.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from tests.peers.harness.finding import DIRECT, LONG, embeddedPostgres, require
from tests.peers.harness.processes import folder
from tests.peers.harness.routes import Directly, Route, Through, directly, through
from tests.peers.harness.terminal import Terminal
from tests.peers.harness.waiting import PATIENCE, until

BULK = (300 if LONG else 60) * 1024 * 1024
FLAT = 32 * 1024 * 1024

SCHEMA = """
DROP TABLE IF EXISTS purchases, customers, bulk CASCADE;
CREATE TABLE customers (id serial PRIMARY KEY, name text NOT NULL, email text UNIQUE, born date, tags text[]);
CREATE TABLE purchases (id bigserial PRIMARY KEY, customer int REFERENCES customers, amount numeric(10,2) CHECK (amount > 0));
CREATE INDEX purchases_customer ON purchases (customer);
CREATE VIEW totals AS SELECT customer, sum(amount) AS total FROM purchases GROUP BY customer;
CREATE OR REPLACE FUNCTION doubled(n int) RETURNS int LANGUAGE sql AS 'SELECT n * 2';
COMMENT ON TABLE customers IS 'who buys';
INSERT INTO customers (name, email, born, tags) VALUES ('Ada', 'ada@example.com', '1815-12-10', '{a,b}'),
    ('Grüße €', 'g@example.com', NULL, NULL), (E'tab\\there', 't@example.com', '2000-01-01', '{}');
INSERT INTO purchases (customer, amount) SELECT 1 + n % 3, n + 0.5 FROM generate_series(1, 50) n;
"""
QUERIES = """
SELECT 1 AS one, 'two' AS two, NULL AS three;
SELECT 1; SELECT 2 \\; SELECT 3;
SELECT * FROM customers ORDER BY id;
TABLE totals ORDER BY customer;
\\x on
SELECT * FROM customers WHERE id = 2;
\\x off
SELECT count(*) FROM purchases \\gset got_
\\echo :got_count
SELECT id, name FROM customers ORDER BY id \\gdesc
SELECT customer, amount > 20 AS big, count(*) FROM purchases GROUP BY 1, 2 ORDER BY 1, 2 \\crosstabview
SELECT format('SELECT %s AS n', n) FROM generate_series(1, 3) n \\gexec
\\set FETCH_COUNT 7
SELECT n, repeat('x', n) FROM generate_series(1, 40) n;
\\set FETCH_COUNT 0
PREPARE p (int) AS SELECT doubled($1); EXECUTE p(21); DEALLOCATE p;
EXPLAIN (COSTS OFF) SELECT * FROM purchases WHERE customer = 1;
DO $$ BEGIN RAISE NOTICE 'a notice %', 1; RAISE WARNING 'a warning'; END $$;
SET client_encoding = 'LATIN1'; SHOW client_encoding; RESET client_encoding;
SELECT current_user, session_user, current_database();
VALUES (E'\\\\x00ff'::bytea);
\\copyright
"""
DESCRIPTIONS = """
\\d
\\d customers
\\d+ purchases
\\dt
\\dv+ totals
\\di
\\ds
\\df doubled
\\sf doubled
\\dn
\\du
\\l shop
\\dT
\\dp customers
\\dd customers
\\dx
\\ddp
\\dC int4
\\do &&
\\encoding
\\conninfo_is_not_a_command
"""
TROUBLE = """
SELECT 1/0;
SELECT * FROM missing;
SELEC 1;
\\errverbose
\\set VERBOSITY verbose
INSERT INTO customers (name, email) VALUES ('Again', 'ada@example.com');
INSERT INTO purchases (customer, amount) VALUES (1, -1);
\\set VERBOSITY default
BEGIN; INSERT INTO customers (name) VALUES ('gone'); SELECT 1/0; SELECT 2; COMMIT;
BEGIN; SAVEPOINT s; SELECT 1/0; ROLLBACK TO s; SELECT 'kept'; COMMIT;
SELECT count(*) FROM customers WHERE name = 'gone';
\\set ON_ERROR_ROLLBACK on
BEGIN; SELECT 1/0; SELECT 'goes on'; COMMIT;
COPY customers (id) FROM STDIN;
not a number
\\.
SELECT 'after';
"""


class PsqlTests(Through):
    """What both versions must do."""

    def program(self) -> str:
        return require("psql")

    def psql(self, script: str, *arguments: str, route: Route | None = None, status: int = 0) -> str:
        """@return: standard output and error of one run, in order."""
        done = subprocess.run(
            [self.program(), "-X", *arguments],
            input=script, env=(route or self.route()).environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=PATIENCE,
        )  # fmt: skip
        self.assertEqual(done.returncode, status, done.stdout)
        return done.stdout

    def same(self, script: str, *arguments: str, status: int = 0) -> str:
        """Assert that a script gives the same through the route as directly. @return: what it gives."""
        wanted = self.psql(script, *arguments, route=directly(self.serverName), status=status)
        self.setUp()
        self.assertEqual(self.psql(script, *arguments, status=status), wanted)
        return wanted

    def setUp(self) -> None:
        self.psql(SCHEMA, "-q", route=directly(self.serverName))

    def test_queries(self) -> None:
        said = self.same(QUERIES)
        self.assertIn("Grüße €", said)
        self.assertIn("NOTICE:  a notice 1", said)

    def test_schema(self) -> None:
        self.same(SCHEMA)

    def test_descriptions(self) -> None:
        said = self.same(DESCRIPTIONS)
        self.assertIn('"customers_email_key" UNIQUE CONSTRAINT', said)

    def test_errors(self) -> None:
        said = self.same(TROUBLE)
        self.assertIn("LOCATION:", said)
        self.assertIn("SELECT 2", TROUBLE)
        self.assertIn("current transaction is aborted", said)
        self.same("SELECT 1;\nSELECT 1/0;\nSELECT 2;\n", "-v", "ON_ERROR_STOP=1", status=3)

    def test_single(self) -> None:
        self.same("", "-A", "-t", "-c", "SELECT 1", "-c", "SELECT 2; SELECT 3")
        self.same("INSERT INTO customers (name) VALUES ('once'); SELECT 1/0;", "-1", "-v", "ON_ERROR_STOP=1", status=3)
        self.assertEqual(self.psql("SELECT count(*) FROM customers WHERE name = 'once'", "-At").strip(), "0")

    def test_timing(self) -> None:
        said = self.psql("\\timing on\nSELECT pg_sleep(0.05);\n\\timing off\nSELECT 1;\n", "-At")
        took = re.search(r"Time: ([0-9.]+) ms", said)
        assert took is not None, said
        self.assertGreaterEqual(float(took.group(1)), 50.0)
        self.assertEqual(said.count("Time:"), 1)

    def test_copy(self) -> None:
        where = folder("copy")
        rows = "".join(f"{n}\tname {n} äöü {'z' * (n % 50)}\t\\N\n" for n in range(20000))
        (where / "in").write_text(rows)
        script = f"""
            CREATE TABLE bulk (id int, name text, rest text);
            \\copy bulk FROM '{where}/in'
            \\copy (TABLE bulk ORDER BY id) TO '{where}/out'
            \\copy (SELECT id, name FROM bulk ORDER BY id LIMIT 5) TO STDOUT WITH (FORMAT csv, HEADER)
            COPY bulk TO STDOUT WITH (FORMAT binary) \\g {where}/binary
            TRUNCATE bulk;
            \\copy bulk FROM '{where}/binary' WITH (FORMAT binary)
            SELECT count(*), md5(string_agg(name, ',' ORDER BY id)) FROM bulk;
            COPY bulk FROM STDIN;
1	one	rest
\\.
            SELECT count(*) FROM bulk;
        """
        self.same(script)
        self.assertEqual((where / "out").read_text(), rows)

    def test_large_objects(self) -> None:
        where = folder("large")
        content = Random(1).randbytes(3_000_000)
        (where / "in").write_bytes(content)
        said = self.psql(
            f"\\lo_import '{where}/in' 'a comment'\n\\lo_list\n\\lo_export :LASTOID '{where}/out'\n"
            "SELECT octet_length(lo_get(:LASTOID));\n\\lo_unlink :LASTOID\n"
        )
        self.assertIn("a comment", said)
        self.assertIn("3000000", said)
        self.assertEqual((where / "out").read_bytes(), content)

    def test_notify(self) -> None:
        said = self.psql("LISTEN news;\nNOTIFY news, 'from myself';\nSELECT pg_backend_pid();\n", "-At")
        found = re.search(r'Asynchronous notification "news" with payload "from myself" received from server process with PID (\d+)', said)
        assert found is not None, said
        self.assertIn("\n" + found.group(1) + "\n", said)

    def test_notify_across(self) -> None:
        terminal = self.terminal()
        terminal.type("LISTEN wide;\n")
        terminal.expect("LISTEN\r\n")
        self.psql("NOTIFY wide, 'from elsewhere'")
        terminal.type("SELECT 40 + 2;\n")
        terminal.expect('payload "from elsewhere"')
        self.leave(terminal)

    def terminal(self) -> Terminal:
        argv = [self.program(), "-X", "-n", "-P", "pager=off", "-v", "PROMPT1=ready> "]
        terminal = Terminal(argv, self.route().environment())
        terminal.expect("ready> ")
        return terminal

    def leave(self, terminal: Terminal) -> None:
        terminal.type("\\q\n")
        self.assertEqual(terminal.finish(), 0, terminal.seen)

    def test_interrupt(self) -> None:
        server = self.route().server
        terminal = self.terminal()
        terminal.type("SELECT pg_sleep(777);\n")
        running = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep(777)%%'"
        until(lambda: server.look(running) == [(1,)], "the statement to run")
        terminal.type("\x03")
        terminal.expect("canceling statement due to user request")
        until(lambda: server.look(running) == [(0,)], "the statement to end")
        terminal.type("SELECT 40 + 2 AS sum;\n")
        terminal.expect("42")
        self.leave(terminal)

    def test_interrupt_in_transaction(self) -> None:
        server = self.route().server
        terminal = self.terminal()
        terminal.type("BEGIN;\n")
        terminal.expect("BEGIN\r\n")
        terminal.type("SELECT pg_sleep(778);\n")
        running = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep(778)%%'"
        until(lambda: server.look(running) == [(1,)], "the statement to run")
        terminal.type("\x03")
        terminal.expect("canceling statement due to user request")
        terminal.type("SELECT 1;\n")
        terminal.expect("current transaction is aborted")
        terminal.type("ROLLBACK;\n")
        terminal.expect("ROLLBACK\r\n")
        self.leave(terminal)

    def test_reconnect(self) -> None:
        route = self.route()
        other = "other" if route.gateway is None else route.database + "/other"
        said = self.psql(f"\\c {other}\nSELECT current_database();\n\\c {route.database}\nSELECT current_database();\n", "-At")
        self.assertEqual([line for line in said.splitlines() if line in ("other", "shop")], ["other", "shop"])

    def test_bulk(self) -> None:
        """A big result comes whole, and the gateway stays as small as it was."""
        route = self.route()
        rows = BULK // 1024
        self.psql("SELECT 1", "-At")
        process = None if route.gateway is None else route.gateway.process
        if process is not None:
            process.resetPeak()
        before = process.memory() if process else 0
        text = f"COPY (SELECT repeat('x', 1023) FROM generate_series(1, {rows})) TO STDOUT"
        with subprocess.Popen([self.program(), "-X", "-c", text], env=route.environment(), stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            total = 0
            while data := child.stdout.read(1 << 18):
                total += len(data)
        self.assertEqual((child.returncode, total), (0, rows * 1024))
        if process:
            self.assertLess(process.peak() - before, FLAT, "the gateway grew")


class NewPsqlTests(PsqlTests):
    """psql 18 and a server of its version, without TLS."""

    serverName = "embedded"

    def program(self) -> str:
        return str(embeddedPostgres(18) / "psql")

    def test_bound(self) -> None:
        said = self.same("SELECT $1::int + $2::int AS sum \\bind 20 22 \\g\nSELECT $1 \\parse s\n\\bind_named s x \\g\n\\close_prepared s\n")
        self.assertIn("42", said)

    def test_pipeline(self) -> None:
        script = """
            \\startpipeline
            SELECT $1::int \\bind 1 \\sendpipeline
            SELECT 1 / $1::int \\bind 0 \\sendpipeline
            SELECT $1::int \\bind 3 \\sendpipeline
            \\syncpipeline
            SELECT $1::int \\bind 4 \\sendpipeline
            \\flushrequest
            \\getresults
            \\endpipeline
            SELECT 'after';
        """
        self.same(script)

    def test_newest_protocol(self) -> None:
        environment = self.route().environment(PGMINPROTOCOLVERSION="3.2", PGMAXPROTOCOLVERSION="3.2")
        done = subprocess.run([self.program(), "-XAtc", "SELECT 42"], env=environment, capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual((done.returncode, done.stdout), (0, "42\n"), done.stderr)


class PsqlThroughTests(PsqlTests, SynchronousTestCase):
    pass


class NewPsqlThroughTests(NewPsqlTests, SynchronousTestCase):
    pass


if DIRECT:

    class PsqlDirectTests(Directly, PsqlTests, SynchronousTestCase):
        pass

    class NewPsqlDirectTests(Directly, NewPsqlTests, SynchronousTestCase):
        serverName = "embedded"


class OldServerTests(SynchronousTestCase):
    """psql 18 asks for protocol 3.2; a server of version 15 speaks 3.0."""

    def test_versions(self) -> None:
        environment = through("debian").environment()
        program = Path(embeddedPostgres(18)) / "psql"
        for newest in ("3.0", "3.2", "latest"):
            environment["PGMAXPROTOCOLVERSION"] = newest
            done = subprocess.run([program, "-XAtc", "SELECT 42"], env=environment, capture_output=True, text=True, timeout=PATIENCE)
            self.assertEqual((done.returncode, done.stdout), (0, "42\n"), done.stderr)
