"""
State and index in a real PostgreSQL.
"""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import TextClause, create_engine, inspect, select, text
from sqlalchemy.exc import DBAPIError
from twisted.internet import reactor
from twisted.internet.defer import gatherResults, inlineCallbacks
from twisted.trial.unittest import SynchronousTestCase, TestCase

from hoopx.errors import ConfigurationError, Refusal
from hoopx.identity.tokens import Tokens
from hoopx.identity.verifier import Verifier
from hoopx.index.rebuild import Rebuild
from hoopx.index.segments import Segments
from hoopx.index.store import INDEX, NoIndex, address, openForReading, openForWriting
from hoopx.index.tables import metadata as indexTables
from hoopx.ledger.leaf import leaf
from hoopx.recording.acts import verifyServer
from hoopx.recording.book import Book
from hoopx.registry import protocols
from hoopx.state import engine as engines
from hoopx.state import reread
from hoopx.state.address import locate
from hoopx.state.audit import Audit
from hoopx.state.engine import close
from hoopx.state.marks import Marks
from hoopx.state.rows import AuditAway
from hoopx.state.schema import HEAD, MIGRATING, STATE, configuration, revision, upgrade
from hoopx.state.store import Store
from hoopx.state.tables import metadata as stateTables
from hoopx.state.thread import StateThread, Unavailable
from hoopx.values import Claim, Reference, Token
from tests.index.cases import SearchCases
from tests.index.older import migrated, older
from tests.index.rig import BEGAN, asked, contents, feed, record, writer
from tests.peers.harness.finding import embeddedPostgres
from tests.peers.harness.postgres import ADMIN, Postgres, embedded
from tests.peers.harness.waiting import PATIENCE, until
from tests.state.test_store import row

_NUMBERS = itertools.count()

SECONDS = 4.0
"""That a login waits for the state. Some of the tests' real time passes."""
IN_TIME = 8 * SECONDS
"""So late may a slow machine notice that they are over."""
LOGINS = 20
"""At once: one after the other they would wait for much longer than L{IN_TIME}."""


def database(case: Any, server: Postgres) -> Reference:
    """A database of its own, as a configuration refers to it."""
    name = f"hoopx_{os.getpid()}_{next(_NUMBERS)}"
    with server.connect(database="postgres") as control:
        control.execute(f"CREATE DATABASE {name}")
    path = Path(case.mktemp())
    path.write_text(f"postgresql://postgres:{ADMIN}@127.0.0.1:{server.port}/{name}\n")
    return Reference("file", str(path))


class IndexTests(SearchCases, SynchronousTestCase):
    """All that SQLite answers."""

    def setUp(self) -> None:
        self.url = database(self, embedded())
        self.place = Path(self.mktemp())
        engine = openForWriting(address(self.url, self.place))
        self.addCleanup(close, engine)
        self.begin(engine, self.place)

    def test_schema(self) -> None:
        from alembic.autogenerate import compare_metadata
        from alembic.migration import MigrationContext

        with self.engine.connect() as connection:
            options = {"version_table": INDEX.table, "include_name": lambda name, kind, _: not str(name).startswith(("words", "covering"))}
            self.assertEqual(compare_metadata(MigrationContext.configure(connection, opts=options), indexTables), [])

    def test_kindsOfOlder(self) -> None:
        """An index of the version before, in which no word says what kind of thing it is of."""
        where = address(database(self, embedded()), self.place)
        older(where)
        engine = openForWriting(where)
        self.addCleanup(close, engine)
        migrated(self, engine)

    def test_beside(self) -> None:
        """State and index in one database: each has its own schema's number."""
        store = Store.open(self.url, self.place)
        self.addCleanup(store.close)
        with self.engine.connect() as connection:
            self.assertEqual((revision(connection, INDEX), revision(connection, STATE)), (INDEX.head, STATE.head))
        close(openForReading(address(self.url, self.place)))

    def test_newer(self) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(f"UPDATE {INDEX.table} SET version_num = '9999'"))
        for open_ in (openForReading, openForWriting):
            error = self.assertRaises(ConfigurationError, open_, address(self.url, self.place))
            self.assertIn("newer", str(error))
            self.assertNotIn(ADMIN, str(error))

    def test_none(self) -> None:
        self.assertRaises(NoIndex, openForReading, address(database(self, embedded()), self.place))

    def test_sameAsInAFile(self) -> None:
        """The same rows, whichever database holds them, and made again the same again."""
        file, engine, reads = writer(self.place)
        self.addCleanup(close, engine)
        for number in range(4):
            session = record(self.place, [asked("SELECT 1"), asked("SELECT 1") + asked("SELECT 'é'")], started=BEGAN + number, done=number != 2)
            for each in (file, self.writer):
                feed(each, reads, session)
        self.assertEqual(contents(self.engine), contents(engine))
        rebuild = Rebuild(address(self.url, self.place), str(self.place), "gw1", Segments(str(self.place)), protocols())
        self.assertEqual((rebuild.run(), rebuild.failed), (4, {}))
        self.assertEqual(contents(self.engine), contents(engine))

    def test_rebuildKeepsOthers(self) -> None:
        """What another gateway has put there, and what is not readable here any longer."""
        other = Path(self.mktemp())
        writing, _, reads = writer(other, engine=self.engine)
        feed(writing, reads, record(other, [asked("SELECT 'elsewhere'")], node="gw2"))
        self.record("SELECT 'here'", started=BEGAN + 1)
        Rebuild(address(self.url, self.place), str(self.place), "gw1", Segments(str(self.place)), protocols()).run()
        self.assertEqual((len(self.texts("elsewhere")), len(self.texts("here"))), (1, 1))

    def test_sameSession(self) -> None:
        """Several writers of one session, as when the index is made again beside a curator: everything is there once."""
        session = record(self.place, [asked("SELECT 1") + asked(f"SELECT {number}") for number in range(8)])
        self.together([[session]] * 3)
        file, engine, reads = writer(self.place)
        self.addCleanup(close, engine)
        feed(file, reads, session)
        self.assertEqual(contents(self.engine), contents(engine))

    def test_manyAtOnce(self) -> None:
        """Sessions of one millisecond from several writers get numbers of their own."""
        several = [record(self.place, [asked("SELECT 1")]) for _ in range(12)]
        self.together([several[number::3] for number in range(3)])
        self.assertEqual(len(self.sessions("select")), 12)

    def together(self, parts: list[list[str]]) -> None:
        """A writer for each part, all at once."""
        failures: list[BaseException] = []

        def work(mine: list[str]) -> None:
            engine = openForWriting(address(self.url, self.place))
            try:
                writing, _, reads = writer(self.place, engine=engine)
                for session in mine:
                    feed(writing, reads, session)
            except BaseException as error:
                failures.append(error)
            finally:
                close(engine)

        threads = [threading.Thread(target=work, args=(part,)) for part in parts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        self.assertEqual([thread for thread in threads if thread.is_alive()], [])
        self.assertEqual(failures, [])


class StateTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.url = database(self, embedded())
        self.store = Store.open(self.url, Path(self.mktemp()))
        self.addCleanup(self.store.close)

    def other(self) -> Store:
        store = Store.open(self.url, Path(self.mktemp()))
        self.addCleanup(store.close)
        return store

    def test_schema(self) -> None:
        from alembic.autogenerate import compare_metadata
        from alembic.migration import MigrationContext

        with self.store.reading() as connection:
            self.assertEqual(compare_metadata(MigrationContext.configure(connection), stateTables), [])

    def test_everyMigrationFromItsPredecessor(self) -> None:
        from alembic import command
        from alembic.script import ScriptDirectory

        engine = create_engine(locate(database(self, embedded()), Path()))
        self.addCleanup(engine.dispose)
        config = configuration()
        for number in [one.revision for one in ScriptDirectory.from_config(config).walk_revisions()][::-1]:
            with engine.begin() as connection:
                config.attributes["connection"] = connection
                command.upgrade(config, number)
        with engine.connect() as connection:
            self.assertEqual(revision(connection), HEAD)

    def test_together(self) -> None:
        """Gateways that start at once on an empty database: one of them makes the tables."""
        url = database(self, embedded())
        failures: list[BaseException] = []

        def open_() -> None:
            try:
                Store.open(url, Path()).close()
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=open_) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        self.assertEqual([thread for thread in threads if thread.is_alive()], [])
        self.assertEqual(failures, [])

    def test_waitsForAnother(self) -> None:
        """However long somebody else's migration takes, and each of its statements: nobody waits to log in yet."""
        where = locate(database(self, embedded()), Path())
        engine = engines.connect(where, statementSeconds=2.0)
        self.addCleanup(close, engine)
        failures: list[BaseException] = []

        def work() -> None:
            try:
                with engine.execution_options(write=True).begin() as connection:
                    upgrade(connection, "there")
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=work)
        waits = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = "
                     "current_database()) AND clock_timestamp() - waitstart > '3 s'")  # fmt: skip
        other = create_engine(where)
        self.addCleanup(other.dispose)
        with other.begin() as connection:
            engines.oneByOne(connection, MIGRATING)
            thread.start()
            until(lambda: failures or connection.execute(waits).scalar(), "it to have waited longer than a statement may take")
        thread.join(PATIENCE)
        self.assertEqual(failures, [])
        with engine.connect() as connection:
            self.assertEqual(revision(connection), HEAD)
            self.assertEqual(connection.execute(text("SHOW lock_timeout")).scalar(), "2s")

    def test_interrupted(self) -> None:

        engine = create_engine(locate(database(self, embedded()), Path()))
        self.addCleanup(engine.dispose)
        with self.assertRaises(ZeroDivisionError):
            with engine.begin() as connection:
                upgrade(connection, "there")
                raise ZeroDivisionError
        self.assertEqual(inspect(engine).get_table_names(), [])

    def test_tokens(self) -> None:
        self.store.addToken(row("a", targets=["x*"]))
        self.assertEqual(self.store.tokenByHash("hash of a"), row("a", targets=["x*"]))
        self.assertEqual(self.other().revokeTokens(5.0, id="a"), ["a"])
        self.assertEqual(self.store.revocationsAfter(0, 10), [(1, "a")])

    def test_inTheOrderOfCommits(self) -> None:
        """
        Whoever asks for what came after a revocation misses none: a later number is not to be seen before an earlier one. So a
        second revocation waits for the first one's commit.
        """
        from hoopx.state.store import REVOKING

        for id in "ab":
            self.store.addToken(row(id))
        done = threading.Event()
        other = self.other()
        thread = threading.Thread(target=lambda: (other.revokeTokens(5.0, id="b"), done.set()))
        here = "SELECT oid FROM pg_database WHERE datname = current_database()"
        waiting = text(f"SELECT count(*) FROM pg_locks WHERE NOT granted AND database = ({here})")
        with self.store.writing() as connection:
            engines.oneByOne(connection, REVOKING)
            thread.start()
            until(lambda: done.is_set() or connection.execute(waiting).scalar(), "the other one to wait")
            self.assertFalse(done.is_set())
        thread.join(PATIENCE)
        self.assertTrue(done.is_set())

    def test_audit(self) -> None:
        rows = [{"at": 1e9 / 3, "actor": "uid 0", "action": "x", "subject": "é", "details": {"a": [1, 0.1], "b": None}}]
        (hash,) = self.store.addAudit(rows)
        (read,) = self.store.auditAfter(0, 10)
        self.assertEqual({name: read[name] for name in rows[0]}, rows[0])
        self.assertEqual(read["hash"], hash)
        from hoopx.state.rows import auditHash

        self.assertEqual(auditHash(read), hash)

    def test_auditOnlyGrows(self) -> None:
        self.store.addAudit([{"at": 1.0, "actor": "uid 0", "action": "x", "subject": "", "details": {}}])
        Marks(self.store, "uid 1 (bob)", lambda: 1.0).review("0" * 26, ["alice"])
        for table in ("audit", "reviews"):
            for statement in (f"UPDATE {table} SET at = 2", f"DELETE FROM {table}", f"TRUNCATE {table}"):
                with self.store.writing() as connection:
                    error = self.assertRaises(DBAPIError, connection.execute, text(statement))
                    connection.rollback()
                self.assertIn("only grows", str(error))
        self.assertEqual(len(self.store.auditRows()), 2)

    def test_auditAgain(self) -> None:
        """The whole audit, a page at a time, against the ledger: as it is, changed, cut, and gone."""
        self.patch(reread, "PAGE", 3)
        row = {"at": 1e9 / 3, "actor": "uid 0", "action": "x", "subject": "é", "details": {"a": [1, 0.1], "b": None}}
        leaves = [leaf("audit", 1.0, audit=hash) for hash in self.store.addAudit([dict(row, subject=f"S{number}") for number in range(7)])]
        book = Book(leaves)

        def verified() -> tuple[str, int, str]:
            acts = verifyServer(lambda: reread.auditAgain(self.url, Path()), book.vouched, book.trail)
            return acts.state, acts.logged, "; ".join(acts.problems)

        def forge(statement: str) -> None:
            with self.store.writing() as connection:
                connection.execute(text("SET LOCAL session_replication_role = replica"))  # no triggers
                connection.execute(text(statement))

        self.assertEqual(verified(), ("consistent", 7, ""))
        forge("UPDATE audit SET actor = 'uid 1' WHERE id = 5")
        self.assertIn("row 5 (x by uid 1) is not what it was", verified()[2])
        forge("DELETE FROM audit WHERE id > 4")
        state, _, why = verified()
        self.assertEqual((state, why[:18]), ("TAMPERED", "3 rows are missing"))
        forge("INSERT INTO audit SELECT -7, at, actor, action, subject, details, repeat('0', 64) FROM audit WHERE id = 1")
        self.assertIn("row -7", verified()[2])
        for deep in ("(repeat('[', 5000) || repeat(']', 5000))", "repeat('9', 5000)"):  # what nobody's parser takes
            forge(f"UPDATE audit SET details = {deep}::json WHERE id = 2")
            self.assertIn("row 2 (x by uid 0) is not what it was", verified()[2])
        forge("DROP TABLE audit")
        self.assertEqual(verified()[0], "missing")

    def test_auditIsOnlyRead(self) -> None:
        """In a transaction in which nothing can be written."""
        self.patch(reread, "select", lambda *columns: _Writing())
        error = self.assertRaises(AuditAway, list, reread.auditAgain(self.url, Path()))
        self.assertIn("read-only transaction", str(error))

    def test_hashesOfOldRows(self) -> None:
        """An audit that was there before its rows had hashes."""
        from alembic import command

        engine = create_engine(locate(database(self, embedded()), Path()))
        self.addCleanup(engine.dispose)
        config = configuration()
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "0001")
            connection.execute(text("INSERT INTO audit (at, actor, action, subject, details) VALUES (1.5, 'a', 'b', 'c', '{\"d\": 1}')"))
            command.upgrade(config, "head")
            (read,) = connection.execute(select(stateTables.tables["audit"])).mappings()
        from hoopx.state.rows import auditHash

        self.assertEqual(read["hash"], auditHash(read))
        with engine.begin() as connection:
            self.assertRaises(DBAPIError, connection.execute, text("DELETE FROM audit"))
            connection.rollback()

    def test_wrongPassword(self) -> None:
        path = Path(self.mktemp())
        path.write_text(f"postgresql://postgres:hunter2@127.0.0.1:{embedded().port}/postgres")
        error = self.assertRaises(ConfigurationError, Store.open, Reference("file", str(path)), Path())
        self.assertIn("password authentication failed", str(error))
        self.assertNotIn("hunter2", str(error))


class _Writing(TextClause):
    """Stands for a question, and writes."""

    inherit_cache = False

    def __init__(self) -> None:
        super().__init__("UPDATE tokens SET note = ''")

    def where(self, *_: Any) -> Any:
        return self

    order_by = limit = where


class OutageTests(TestCase):
    """The server stops, hangs, and comes back."""

    timeout = 300

    @inlineCallbacks
    def setUp(self) -> Any:
        self.server = ownServer()
        self.url = database(self, self.server)
        self.thread = StateThread(reactor, SECONDS)
        self.thread.start()
        self.addCleanup(self.thread.stop)
        self.store = yield self.thread.patiently(Store.open, self.url, Path(self.mktemp()))
        self.thread.stuck = self.store.interrupt
        self.addCleanup(lambda: self.thread.patiently(self.store.close))
        self.verifier = Verifier(Tokens(self.store, self.thread, time.time, 3600.0))
        self.token, _ = yield Tokens(self.store, self.thread, time.time, 3600.0).issue("alice")

    def login(self) -> Any:
        return self.verifier.verify(Claim("postgres", "orders", "", Token(self.token)))

    @inlineCallbacks
    def refused(self) -> Any:
        failure = yield self.assertFailure(self.login().addTimeout(IN_TIME, reactor), Refusal)
        self.assertEqual(failure.code, "unavailable")
        self.assertNotIn(ADMIN, str(failure))
        self.assertGreaterEqual(len(self.flushLoggedErrors()), 1)

    @inlineCallbacks
    def test_stopped(self) -> Any:
        identity = yield self.login()
        self.assertEqual(identity.name, "alice")
        self.server.stop()
        try:
            for _ in range(3):
                yield self.refused()
        finally:
            self.server._start()
        identity = yield self.login()
        self.assertEqual(identity.name, "alice")

    @inlineCallbacks
    def test_restarted(self) -> Any:
        """The first login after a restart does not meet the old connection."""
        yield self.login()
        self.server.restart()
        identity = yield self.login()
        self.assertEqual(identity.name, "alice")

    @inlineCallbacks
    def test_hangs(self) -> Any:
        """A server that takes what it is sent and does not answer: every login is refused in time, and none waits for another."""
        yield self.login()
        with hanging(self.server.process.pid):
            began = time.monotonic()
            several = [self.refused() for _ in range(LOGINS)]
            yield gatherResults(several)
            self.assertLess(time.monotonic() - began, LOGINS * SECONDS / 2)
            # The one that waited for an answer was let go: the thread is free although the server still hangs.
            yield self.thread.patiently(lambda: None).addTimeout(PATIENCE, reactor)
        identity = yield self.login()
        self.assertEqual(identity.name, "alice")

    @inlineCallbacks
    def test_auditFailsClosed(self) -> Any:
        """What must be put down before it is done is not done; afterwards it is."""
        audit = Audit(self.store, self.thread, time.time)
        self.server.stop()
        try:
            failure = yield self.assertFailure(audit.write("uid 0", "reload", ""), DBAPIError, Unavailable)
            self.assertNotIn(ADMIN, str(failure))
        finally:
            self.server._start()
        hash = yield audit.write("uid 0", "reload", "")
        self.assertEqual(len(hash), 64)


_SERVER: list[Postgres] = []


def ownServer() -> Postgres:
    """A server that nobody else uses."""
    if not _SERVER:
        _SERVER.append(Postgres(embeddedPostgres(18), False, "stores"))
    return _SERVER[0]


@contextmanager
def hanging(pid: int) -> Iterator[None]:
    """
    A server and all that it has started stand still: it first, then it starts no more of them while we look. It is the last to go on,
    for it takes note of those that were just ending, and there is nobody of their number any more.
    """
    stopped: list[int] = []
    try:
        for each in itertools.chain([pid], _children(pid)):
            stopped.append(each)
            os.kill(each, signal.SIGSTOP)
            until(lambda each=each: _stat(each)[0] in "TZ", "the server to stand still")
        yield
    finally:
        for each in reversed(stopped):
            os.kill(each, signal.SIGCONT)


def _children(pid: int) -> Iterator[int]:
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and int(_stat(int(folder.name))[1]) == pid:
                yield int(folder.name)
        except OSError:
            continue


def _stat(pid: int) -> list[str]:
    """@return: state and parent of a process, as C{proc(5)} tells them, and more."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
