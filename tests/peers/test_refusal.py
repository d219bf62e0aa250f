"""
Commands refused and held at a real PostgreSQL: a client that was told of an error finds nothing committed, the session stays
usable, and Ctrl-C during a hold withdraws it.
"""

from __future__ import annotations

from pathlib import Path
from threading import Event

from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from hoopx.config.loader import parse
from hoopx.frames import DATA
from hoopx.interfaces import IApprover, ICommandPolicy
from hoopx.reading import readSession
from hoopx.recording.stored import openSegment
from hoopx.service import makeProxyService
from hoopx.values import ALLOW, ATTEMPTED, CLIENT, HOLD, MADE, TARGET, block
from tests.peers.harness.finding import requireModule
from tests.peers.harness.gateway import account, target
from tests.peers.harness.postgres import debian
from tests.peers.harness.processes import folder
from tests.peers.harness.waiting import PATIENCE

CONFIGURATION = """
[gateway]
name = "judge"
data = "{data}"
disk_reserve = "1MiB"
[[listeners]]
protocol = "postgres"
endpoint = "tcp:0:interface=127.0.0.1"
{target}
[[grants]]
name = "all"
users = ["tester"]
targets = ["shop"]
"""


@implementer(ICommandPolicy)
class Words:
    """Blocks what says C{forbidden}, holds what says C{ask}, fails at what says C{broken}."""

    def __init__(self):
        self.judged = []

    def concerns(self, identity, target, protocol):
        return True

    def judge(self, command, session):
        self.judged.append(command)
        said = " ".join([command.text, *(value or "" for value in command.parameters)])
        if "broken" in said:
            raise RuntimeError("a fault in a rule")
        if "forbidden" in said or not command.fields.get("understood", True):
            return block("that is forbidden here", "words", "Say something else.")
        return HOLD if "ask" in said and not command.fields.get("parse") else ALLOW


@implementer(IApprover)
class Patience:
    """Answers when the test does."""

    def __init__(self):
        self.asked = []
        self.waiting = Deferred()
        self.cancelled = Deferred()

    def request(self, approval):
        answer = Deferred(lambda _: self.cancelled.callback("cancelled"))
        self.asked.append((approval, answer))
        waiting, self.waiting = self.waiting, Deferred()
        reactor.callLater(0, waiting.callback, (approval, answer))
        return answer


class RefusalTests(TestCase):
    timeout = 300

    @inlineCallbacks
    def setUp(self):
        self.psycopg = requireModule("psycopg")
        self.server = debian()
        self.policy, self.approver = Words(), Patience()
        text = CONFIGURATION.format(data=folder("judge"), target=target("shop", self.server, account("app")))
        settings = parse(text, str(folder("judge") / "hoopx.toml"))
        self.service = makeProxyService(reactor, settings, policy=self.policy, approver=self.approver)
        self.service.startService()
        self.addCleanup(self.service.stopService)
        yield self.service.ready
        self.token, _ = yield self.service.gateway.issueToken("tester", [], "human", None, None, None, "")
        self.port = self.service.ports[0].getHost().port
        with self.server.connect() as control:
            control.execute("DROP TABLE IF EXISTS public.judged")
            control.execute("CREATE TABLE public.judged (n int)")
            control.execute("GRANT ALL ON public.judged TO app")

    def connect(self, **more):
        more.setdefault("autocommit", True)
        return self.psycopg.connect(
            host="127.0.0.1", port=self.port, user="app", password=self.token, dbname="shop", sslmode="disable", **more
        )

    def talk(self, conversation, **more):
        """Run a blocking conversation in a thread, on a connection that is closed afterwards."""

        def work():
            connection = self.connect(**more)
            try:
                return conversation(connection)
            finally:
                connection.close()

        return deferToThread(work)

    def refused(self, call, *arguments, state="42501"):
        with self.assertRaises(self.psycopg.Error) as caught:
            call(*arguments)
        self.assertEqual(caught.exception.sqlstate, state)
        return caught.exception

    def rows(self):
        return [row[0] for row in self.server.look("SELECT n FROM public.judged ORDER BY n")]

    @inlineCallbacks
    def test_simple(self):
        def talk(connection):
            error = self.refused(connection.execute, "INSERT INTO judged VALUES (1); SELECT 'forbidden'")
            return error.diag.message_primary, error.diag.message_detail, error.diag.message_hint, connection.execute("SELECT 7").fetchone()

        message, detail, hint, row = yield self.talk(talk)
        self.assertEqual(message, "that is forbidden here")
        self.assertRegex(detail, r'^Refused by guard "words"\. Session [0-9A-Z]{26}\.$')
        self.assertEqual((hint, row, self.rows()), ("Say something else.", (7,), []))

    @inlineCallbacks
    def test_inTransaction(self):
        def talk(connection):
            connection.execute("INSERT INTO judged VALUES (1)")
            self.refused(connection.execute, "SELECT 'forbidden'")
            self.refused(connection.execute, "SELECT 1", state="25P02")
            status = connection.info.transaction_status
            connection.commit()
            connection.execute("INSERT INTO judged VALUES (2)")
            connection.commit()
            return status

        status = yield self.talk(talk, autocommit=False)
        self.assertEqual(status, self.psycopg.pq.TransactionStatus.INERROR)
        self.assertEqual(self.rows(), [2])

    @inlineCallbacks
    def test_extended(self):
        """The text is refused at Parse, parameters at Bind; the server's own skip-to-Sync follows."""

        def talk(connection):
            self.refused(connection.execute, "SELECT 'forbidden', %s::int", [1])
            self.refused(connection.execute, "INSERT INTO judged SELECT 3 WHERE %s <> ''", ["forbidden"])
            connection.execute("INSERT INTO judged SELECT 4 WHERE %s <> ''", ["fine"])
            for _ in range(8):  # psycopg prepares it on the server after some repetitions
                connection.execute("INSERT INTO judged SELECT 5 WHERE %s = ''", ["fine"], prepare=True)
            self.refused(connection.execute, "INSERT INTO judged SELECT 5 WHERE %s = ''", ["forbidden"])
            return connection.execute("SELECT 8").fetchone()

        row = yield self.talk(talk)
        self.assertEqual((row, self.rows()), ((8,), [4]))

    @inlineCallbacks
    def test_pipelined(self):
        """One implicit transaction up to the Sync: what stood before the refused command is undone with it."""

        def talk(connection):
            def pipeline():
                with connection.pipeline() as pipeline:
                    connection.execute("INSERT INTO judged VALUES (1)")
                    connection.execute("INSERT INTO judged SELECT 2 WHERE 'forbidden' <> ''")
                    connection.execute("INSERT INTO judged VALUES (3)")
                    pipeline.sync()

            self.refused(pipeline)
            with connection.pipeline() as pipeline:
                connection.execute("INSERT INTO judged VALUES (4)")
                pipeline.sync()
            return True

        yield self.talk(talk)
        self.assertEqual(self.rows(), [4])

    @inlineCallbacks
    def test_copy(self):
        def talk(connection):
            def copy():
                with connection.cursor().copy("COPY judged FROM STDIN /* forbidden */") as copy:
                    copy.write("9\n")

            self.refused(copy)
            with connection.cursor().copy("COPY judged FROM STDIN") as copy:
                copy.write("6\n")

        yield self.talk(talk)
        self.assertEqual(self.rows(), [6])

    @inlineCallbacks
    def test_behindTheProtocol(self):
        """What SQL itself prepared is not understood, and so refused here; a name given anew does not hide the old meaning."""

        def talk(connection):
            connection.execute("PREPARE hidden AS INSERT INTO judged VALUES (1)")
            pg = connection.pgconn
            answer = pg.exec_prepared(b"hidden", [])
            first = answer.error_field(self.psycopg.pq.DiagnosticField.SQLSTATE)
            pg.prepare(b"twice", b"INSERT INTO judged SELECT 2 WHERE $1 = 'ask'")
            pg.prepare(b"twice", b"SELECT $1::text")  # fails: it exists
            connection.execute("SELECT 1")
            return first

        state = yield self.talk(talk)
        self.assertEqual(state, b"42501")
        self.assertEqual(self.rows(), [])

    @inlineCallbacks
    def test_nameOfAFailedParse(self):
        """A Parse that the server skipped or refused leaves the name with its old text here too."""

        def talk(connection):
            pg = connection.pgconn
            pg.prepare(b"evil", b"INSERT INTO judged SELECT 2 WHERE $1 <> ''")
            pg.prepare(b"evil", b"SELECT $1::text")
            answer = pg.exec_prepared(b"evil", [b"forbidden"])
            return answer.error_field(self.psycopg.pq.DiagnosticField.SQLSTATE)

        state = yield self.talk(talk)
        self.assertEqual((state, self.rows()), (b"42501", []))
        self.assertIn("INSERT", self.policy.judged[-1].text)

    @inlineCallbacks
    def test_brokenPolicy(self):
        """An exception in the policy refuses."""

        def talk(connection):
            self.refused(connection.execute, "INSERT INTO judged VALUES (1) /* broken */", state="XX000")

        yield self.talk(talk)
        self.flushLoggedErrors(RuntimeError)
        self.assertEqual(self.rows(), [])

    @inlineCallbacks
    def test_startupParameter(self):
        """Startup parameters count as SET commands."""
        error = yield self.assertFailure(self.talk(lambda _: None, application_name="forbidden"), self.psycopg.OperationalError)
        self.assertIn('startup parameter "application_name" is refused', str(error))

    @inlineCallbacks
    def test_startupParameterInQuotes(self):
        """A value can not end the text it is judged in."""
        yield self.talk(lambda _: None, application_name="it's -- a")
        self.assertIn("SET application_name = 'it''s -- a'", [command.text for command in self.policy.judged])

    @inlineCallbacks
    def test_heldAndApproved(self):
        notices = []

        def talk(connection):
            connection.add_notice_handler(lambda diagnostic: notices.append(diagnostic.message_primary))
            connection.execute("INSERT INTO judged SELECT 1 WHERE 'ask' <> ''")
            connection.execute("INSERT INTO judged SELECT 2 WHERE %s <> ''", ["ask"])
            return connection.execute("SELECT 1").fetchone()

        asked = self.approver.waiting
        done = self.talk(talk)
        approval, answer = yield asked
        self.assertEqual((approval.target, approval.command.text), ("shop", "INSERT INTO judged SELECT 1 WHERE 'ask' <> ''"))
        self.assertEqual(self.rows(), [])
        asked = self.approver.waiting
        answer.callback(ALLOW)
        approval, answer = yield asked
        self.assertEqual((approval.command.parameters, self.rows()), (("ask",), [1]))
        answer.callback(ALLOW)
        row = yield done
        self.assertEqual((row, self.rows()), ((1,), [1, 2]))
        self.assertEqual(len(notices), 2)
        self.assertIn("waits for approval", notices[0])

    @inlineCallbacks
    def test_heldAndDenied(self):
        def talk(connection):
            self.refused(connection.execute, "INSERT INTO judged SELECT 1 WHERE 'ask' <> ''")
            return connection.execute("SELECT 1").fetchone()

        asked = self.approver.waiting
        done = self.talk(talk)
        _, answer = yield asked
        answer.callback(block("bob said no", "four eyes"))
        row = yield done
        self.assertEqual((row, self.rows()), ((1,), []))

    @inlineCallbacks
    def test_heldPipeline(self):
        """What follows a held command waits in order, and what came before is answered meanwhile."""

        def talk(connection):
            with connection.pipeline() as pipeline:
                first = connection.execute("SELECT 1 AS a")
                pipeline.sync()
                row = first.fetchone()
                connection.execute("INSERT INTO judged SELECT count(*) FROM judged WHERE 'ask' <> ''")
                connection.execute("INSERT INTO judged SELECT 10 + count(*) FROM judged")
                pipeline.sync()
            return row

        asked = self.approver.waiting
        done = self.talk(talk)
        _, answer = yield asked
        self.assertEqual(self.rows(), [])
        answer.callback(ALLOW)
        row = yield done
        self.assertEqual((row, self.rows()), ((1,), [0, 11]))

    @inlineCallbacks
    def test_cancelDuringHold(self):
        def talk(connection):
            self.connection = connection
            self.refused(connection.execute, "INSERT INTO judged SELECT 1 WHERE 'ask' <> ''", state="57014")
            return connection.execute("SELECT 1").fetchone()

        asked = self.approver.waiting
        done = self.talk(talk)
        _, answer = yield asked
        # cancel() would keep the interpreter's lock, and the gateway runs in this process.
        yield deferToThread(self.connection.cancel_safe, timeout=PATIENCE)
        row = yield done
        self.assertEqual((row, self.rows()), ((1,), []))

    @inlineCallbacks
    def test_leavingDuringHold(self):
        """A client that leaves while its command is held takes it along."""
        def talk(connection):
            connection.pgconn.send_query(b"INSERT INTO judged SELECT 1 WHERE 'ask' <> ''")
            connection.pgconn.flush()
            self.connection = connection
            return self.left.wait(PATIENCE)

        self.left = Event()
        asked = self.approver.waiting
        done = self.talk(talk)
        _, answer = yield asked
        self.left.set()
        yield done
        yield self.approver.cancelled
        self.assertEqual(self.rows(), [])

    @inlineCallbacks
    def test_recorded(self):
        """The attempt, the replacement and our answer are in the recording; the bytes of each side come out right."""
        yield self.talk(lambda connection: self.refused(connection.execute, "SELECT 'forbidden'"))
        [path] = sorted(Path(self.service.settings.gateway.data).glob("recordings/*/*/*/*"))
        # It may be over by now, and packed.
        data = [frame for frame in readSession(path, openSegment) if frame.kind == DATA]
        attempted = b"".join(frame.payload for frame in data if (frame.side, frame.origin) == (CLIENT, ATTEMPTED))
        made = b"".join(frame.payload for frame in data if (frame.side, frame.origin) == (CLIENT, MADE))
        answered = b"".join(frame.payload for frame in data if (frame.side, frame.origin) == (TARGET, MADE))
        self.assertIn(b"SELECT 'forbidden'", attempted)
        self.assertIn(b"hoopx_refused_", made)
        self.assertIn(b"that is forbidden here", answered)
