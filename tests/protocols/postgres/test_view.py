"""
L{hoopx.protocols.postgres.view}: frames in, what must be told out.
"""

from __future__ import annotations

import hashlib
from struct import pack
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyClass, verifyObject

from hoopx.frames import DATA
from hoopx.interfaces import ISessionView
from hoopx.protocols.postgres import asking, shelf, view
from hoopx.protocols.postgres.messages import message, query
from hoopx.protocols.postgres.view import PostgresView
from hoopx.telling import lines
from hoopx.values import CLIENT, PASSED, TARGET, Frame
from tests.protocols.postgres.playbook import (
    BOUND,
    COPY_BOTH,
    COPY_DONE,
    COPY_IN,
    COPY_OUT,
    FLUSH,
    NODATA,
    PARSED,
    READY,
    SUSPENDED,
    SYNC,
    attempts,
    bind,
    captured,
    columns,
    complete,
    copyData,
    describe,
    drops,
    error,
    execute,
    frames,
    hears,
    makes,
    notes,
    parameterTypes,
    parse,
    replaces,
    row,
    says,
    seen,
    short,
)

CAPTURED = ("psql", "pipeline", "asynchronous", "plain")


class SimpleTests(SynchronousTestCase):
    def test_interface(self):
        verifyClass(ISessionView, PostgresView)
        verifyObject(ISessionView, PostgresView())

    def test_query(self):
        command, result = seen(
            [
                says(query(b"select 1 as a")),
                hears(columns("a", "b") + row(b"1", None)),
                hears(row(b"2", b"x") + complete("SELECT 2") + READY),
            ]
        )
        self.assertEqual(
            command,
            {
                "kind": "command", "at": 0.001, "channel": 0, "sequence": 1, "number": 1, "type": "sql", "text": "select 1 as a",
                "parameters": [], "verdict": "allow", "guard": None,
            },
        )  # fmt: skip
        self.assertEqual(
            result,
            {
                "kind": "result", "at": 0.003, "channel": 0, "sequence": 3, "number": 1, "columns": ["a", "b"], "rows": 2,
                "tag": "SELECT 2", "error": None, "duration": 0.002, "sample": [["1", None], ["2", "x"]],
            },
        )  # fmt: skip

    def test_severalStatements(self):
        self.assertEqual(
            short(
                seen(
                    [
                        says(query(b"select 1; ; insert; selec")),
                        hears(columns("a") + row(b"1") + complete("SELECT 1") + complete("INSERT 0 7") + error() + READY),
                        says(query(b"")),
                        hears(message(b"I", b"") + READY),
                    ]
                )
            ),
            [
                ("command", 1, "select 1; ; insert; selec"),
                ("result", 1, 1, "SELECT 1"),
                ("result", 1, 7, "INSERT 0 7"),
                ("result", 1, 0, "42601"),
                ("command", 2, ""),
                ("result", 2, 0, None),
            ],
        )

    def test_firstFrame(self):
        """A message counts from the frame in which it begins, and is complete in the one in which it ends."""
        raw = query(b"select 1")
        told = seen([says(raw[:3]), notes("note"), says(raw[3:] + raw[:2]), says(raw[2:])])
        self.assertEqual([(line["kind"], line["sequence"], line["at"]) for line in told[:3]], [
            ("event", 2, 0.002), ("command", 1, 0.003), ("command", 3, 0.004),
        ])  # fmt: skip

    def test_unanswered(self):
        *_, last = seen([says(query(b"select pg_sleep(9)"))])
        self.assertEqual(last["error"]["message"], "no answer in the recording")

    def test_encoding(self):
        told = seen(
            [
                notes("startup", parameters={"user": "u", "client_encoding": "WIN1252"}),
                says(query("select '€'".encode("cp1252"))),
                hears(columns("a") + row("é".encode("cp1252")) + complete("SELECT 1")),
                hears(message(b"S", b"client_encoding\0UTF8\0") + READY),
                says(query("select 'é\\'".encode() + b"\xff")),
            ]
        )
        self.assertEqual(told[1]["text"], "select '€'")
        self.assertEqual(told[2]["sample"], [["é"]])
        self.assertEqual(told[3]["text"], "select 'é\\'\\xff")

    def test_noticesAndLogin(self):
        told = seen(
            [
                hears(message(b"R", pack(">I", 0)) + message(b"S", b"TimeZone\0UTC\0") + message(b"K", b"12345678") + READY),
                hears(error("00000", "careful", kind=b"N")),
                hears(message(b"A", pack(">I", 77) + b"chan\0payload\0")),
                hears(message(b"S", b"TimeZone\0CET\0")),
                hears(error("57P01", "going down")),
            ]
        )
        self.assertEqual([line["event"] for line in told], ["notice", "notification", "parameter", "error"])
        self.assertEqual((told[1]["name"], told[1]["payload"], told[1]["process"]), ("chan", "payload", 77))
        self.assertEqual(told[3]["message"], "going down")

    def test_functionCall(self):
        raw = message(b"F", pack(">IH", 952, 0) + pack(">H", 2) + pack(">i", 1) + b"5" + pack(">i", -1) + pack(">H", 0))
        told = seen([says(raw), hears(message(b"V", pack(">i", 2) + b"ok") + READY)])
        self.assertEqual(short(told), [("command", 1, "function 952", "5", None), ("result", 1, 1, None)])
        self.assertEqual(told[1]["sample"], [["ok"]])


class ExtendedTests(SynchronousTestCase):
    def test_unnamed(self):
        told = seen(
            [
                says(parse("select $1") + bind(b"x") + describe() + execute() + SYNC),
                hears(PARSED + BOUND + columns("c") + row(b"x") + complete("SELECT 1") + READY),
            ]
        )
        self.assertEqual(short(told), [("command", 1, "select $1", "x"), ("result", 1, 1, "SELECT 1")])
        self.assertEqual(told[1]["columns"], ["c"])

    def test_prepared(self):
        """Types come from ParameterDescription, columns from the statement's description, formats from Bind."""
        told = seen(
            [
                says(parse("select $1, $2", "s1") + describe("S", "s1") + FLUSH),
                hears(PARSED + parameterTypes(23, 25) + columns("n", "t", types=(23, 25))),
                says(bind(pack(">i", 41), b"y", name="s1", formats=(1, 0), results=(1, 0)) + execute() + SYNC),
                hears(BOUND + row(pack(">i", 42), b"z") + complete("SELECT 1") + READY),
            ]
        )
        self.assertEqual(short(told), [("command", 1, "select $1, $2", "41", "y"), ("result", 1, 1, "SELECT 1")])
        self.assertEqual(told[0]["statement"], "s1")
        self.assertEqual((told[1]["columns"], told[1]["sample"]), (["n", "t"], [["42", "z"]]))

    def test_unknownBinary(self):
        told = seen([says(parse("select $1") + bind(b"\0\1", formats=(1,)) + execute() + SYNC)])
        self.assertEqual(told[0]["parameters"], ["\\x0001"])

    def test_suspendedPortal(self):
        told = seen(
            [
                says(parse("select g") + bind(portal="p") + execute("p", 2) + FLUSH),
                hears(PARSED + BOUND + row(b"1") + row(b"2") + SUSPENDED),
                says(execute("p", 2) + SYNC),
                hears(row(b"3") + complete("SELECT 1") + READY),
            ]
        )
        self.assertEqual(
            short(told),
            [("command", 1, "select g"), ("result", 1, 2, None), ("command", 2, "select g"), ("result", 2, 1, "SELECT 1")],
        )
        self.assertTrue(told[1]["suspended"])
        self.assertTrue(told[2]["resumed"])

    def test_pipelineWithError(self):
        """After an error the server passes over everything until Sync, also what the client sends later."""
        told = seen(
            [
                says(parse("one") + bind() + execute() + parse("two") + bind() + execute() + parse("three") + bind() + execute()),
                hears(PARSED + BOUND + complete("INSERT 0 1") + PARSED + BOUND + error("23505")),
                says(parse("four") + bind() + execute() + query(b"five")),
                says(SYNC + parse("six") + bind() + execute() + SYNC),
                hears(READY + PARSED + BOUND + complete("DELETE 3") + READY),
            ]
        )
        self.assertEqual(
            short(told),
            [
                ("command", 1, "one"),
                ("command", 2, "two"),
                ("command", 3, "three"),
                ("result", 1, 1, "INSERT 0 1"),
                ("result", 2, 0, "23505"),
                ("result", 3, 0, "SKIPPED"),
                ("command", 4, "four"),
                ("result", 4, 0, "SKIPPED"),
                ("command", 5, "five"),
                ("result", 5, 0, "SKIPPED"),
                ("command", 6, "six"),
                ("result", 6, 3, "DELETE 3"),
            ],
        )

    def test_failedParse(self):
        """A statement that never came to its Execute is told of all the same."""
        told = seen([says(parse("selec") + describe("S") + SYNC), hears(error("42601") + READY), says(query(b"x"))])
        self.assertEqual(short(told)[:3], [("command", 1, "selec"), ("result", 1, 0, "42601"), ("command", 2, "x")])
        self.assertEqual(told[0]["step"], "parse")

    def test_failedParseInPipeline(self):
        """Its error belongs to its own Execute, and the name keeps its former meaning."""
        told = seen(
            [
                says(parse("good", "s") + SYNC),
                hears(PARSED + READY),
                says(parse("bad", "s") + bind(name="s") + execute() + SYNC),
                hears(error("42P05") + READY),
                says(bind(name="s") + execute() + SYNC),
                hears(BOUND + complete("SELECT 0") + READY),
            ]
        )
        self.assertEqual(
            short(told),
            [("command", 1, "bad"), ("result", 1, 0, "42P05"), ("command", 2, "good"), ("result", 2, 0, "SELECT 0")],
        )

    def test_failedBind(self):
        told = seen([says(parse("select $1::int") + bind(b"x") + SYNC), hears(PARSED + error("22P02") + READY)])
        self.assertEqual(short(told), [("command", 1, "select $1::int", "x"), ("result", 1, 0, "22P02")])

    def test_failedCommit(self):
        told = seen(
            [
                says(parse("insert") + bind() + execute() + SYNC),
                hears(PARSED + BOUND + complete("INSERT 0 1") + error("23503") + READY),
            ]
        )
        self.assertEqual(short(told), [("command", 1, "insert"), ("result", 1, 1, "INSERT 0 1"), ("result", 1, 0, "23503")])
        self.assertEqual(told[2]["step"], "commit")

    def test_noData(self):
        told = seen(
            [
                says(parse("set x") + bind() + describe() + execute() + SYNC),
                hears(PARSED + BOUND + NODATA + complete("SET") + READY),
            ]
        )
        self.assertEqual(told[1]["columns"], None)


class CopyTests(SynchronousTestCase):
    def test_in(self):
        told = seen(
            [
                says(query(b"copy t from stdin")),
                hears(COPY_IN),
                says(copyData(b"1\n") + copyData(b"22\n")),
                says(copyData(b"3\n") + COPY_DONE),
                hears(complete("COPY 3") + READY),
            ]
        )
        self.assertEqual(short(told), [("command", 1, "copy t from stdin"), ("file", "copy in", 7), ("result", 1, 3, "COPY 3")])
        self.assertEqual(told[1]["sha256"], hashlib.sha256(b"1\n22\n3\n").hexdigest())

    def test_inExtended(self):
        """The server passes over a Sync that it finds among the data."""
        self.assertEqual(
            short(
                seen(
                    [
                        says(parse("copy") + bind() + execute() + SYNC),
                        hears(PARSED + BOUND + COPY_IN),
                        says(copyData(b"1\n") + COPY_DONE + SYNC + query(b"next")),
                        hears(complete("COPY 1") + READY + complete("OTHER") + READY),
                    ]
                )
            ),
            [
                ("command", 1, "copy"),
                ("command", 2, "next"),
                ("file", "copy in", 2),
                ("result", 1, 1, "COPY 1"),
                ("result", 2, 0, "OTHER"),
            ],
        )

    def test_refusedBeforeItsData(self):
        """Data that nobody waits for are passed over."""
        self.assertEqual(
            short(
                seen(
                    [
                        says(query(b"copy nowhere") + copyData(b"1\n") + COPY_DONE + query(b"next")),
                        hears(error("42P01") + READY),
                        hears(complete("OTHER") + READY),
                    ]
                )
            ),
            [("command", 1, "copy nowhere"), ("command", 2, "next"), ("result", 1, 0, "42P01"), ("result", 2, 0, "OTHER")],
        )

    def test_failedInTheMiddle(self):
        self.assertEqual(
            short(
                seen(
                    [
                        says(query(b"copy t")),
                        hears(COPY_IN),
                        says(copyData(b"bad\n")),
                        hears(error("22P02") + READY),
                        says(copyData(b"late\n") + message(b"f", b"gone\0")),
                        says(query(b"next")),
                        hears(complete("OTHER") + READY),
                    ]
                )
            ),
            [
                ("command", 1, "copy t"),
                ("file", "copy in", 4),
                ("result", 1, 0, "22P02"),
                ("command", 2, "next"),
                ("result", 2, 0, "OTHER"),
            ],
        )

    def test_out(self):
        told = seen(
            [
                says(query(b"copy t to stdout")),
                hears(COPY_OUT + copyData(b"a\n")),
                hears(copyData(b"b\n") + COPY_DONE + complete("COPY 2") + READY),
            ]
        )
        self.assertEqual(short(told), [("command", 1, "copy t to stdout"), ("file", "copy out", 4), ("result", 1, 2, "COPY 2")])

    def test_both(self):
        self.assertEqual(
            short(
                seen(
                    [
                        says(query(b"START_REPLICATION")),
                        hears(COPY_BOTH + copyData(b"wal")),
                        says(copyData(b"r")),
                        hears(copyData(b"wal")),
                        says(COPY_DONE),
                        hears(COPY_DONE + complete("START_STREAMING") + READY),
                    ]
                )
            ),
            [
                ("command", 1, "START_REPLICATION"),
                ("file", "copy in", 1),
                ("file", "copy out", 6),
                ("result", 1, 0, "START_STREAMING"),
            ],
        )


class VerdictTests(SynchronousTestCase):
    def test_refusedQuery(self):
        """What the gateway puts in its place is not the client's, and what the client heard is the gateway's error."""
        told = seen(
            [
                attempts(query(b"drop table t")),
                notes("verdict", verdict="block", guard="no-drop", reason="not here", sequence=1),
                replaces(query(b"hoopx_refused_1")),
                drops(error("42601", "hoopx_refused_1")),
                makes(error("42501", "refused")),
                hears(READY),
                says(query(b"select 1")),
                hears(complete("SELECT 1") + READY),
            ]
        )
        self.assertEqual(
            short(told),
            [
                ("command", 1, "drop table t"),
                ("event", "verdict"),
                ("result", 1, 0, "42501"),
                ("command", 2, "select 1"),
                ("result", 2, 1, "SELECT 1"),
            ],
        )
        self.assertEqual((told[0]["verdict"], told[0]["guard"], told[0]["reason"]), ("block", "no-drop", "not here"))
        self.assertEqual(told[3]["verdict"], "allow")

    def test_refusedParse(self):
        told = seen(
            [
                attempts(parse("drop")),
                notes("verdict", verdict="block", guard="no-drop", reason="not here", sequence=1),
                replaces(parse("hoopx_refused_1")),
                says(bind() + execute() + SYNC),
                drops(error()),
                makes(error("42501")),
                hears(READY),
            ]
        )
        self.assertEqual(short(told)[1:], [("command", 1, "drop"), ("result", 1, 0, "42501")])
        self.assertEqual((told[1]["verdict"], told[1]["guard"]), ("block", "no-drop"))

    def test_refusedBind(self):
        told = seen(
            [
                says(parse("delete $1")),
                attempts(bind(b"7")),
                notes("verdict", verdict="block", guard="g", reason="r", sequence=2),
                says(SYNC),
                hears(PARSED),
                makes(error("42501")),
                hears(READY),
            ]
        )
        self.assertEqual(short(told)[1:], [("command", 1, "delete $1", "7"), ("result", 1, 0, "42501")])
        self.assertEqual((told[1]["verdict"], told[1]["guard"]), ("block", "g"))

    def test_held(self):
        told = seen(
            [
                notes("approval", state="asked", approval="A"),
                makes(error("00000", "wait", kind=b"N")),
                notes("verdict", verdict="allow", held=True),
                says(query(b"delete")),
                hears(complete("DELETE 1") + READY),
                says(query(b"more")),
            ]
        )
        self.assertEqual([line["event"] for line in told if line["kind"] == "event"], ["approval", "notice", "verdict"])
        first, second = (line for line in told if line["kind"] == "command")
        self.assertEqual((first["verdict"], first["held"]), ("allow", True))
        self.assertNotIn("held", second)

    def test_attemptedAtTheEnd(self):
        """What waited behind a hold when the session ended was never forwarded."""
        told = seen([attempts(query(b"late"))])
        self.assertEqual((told[0]["verdict"], told[0]["guard"]), ("block", None))


class LimitTests(SynchronousTestCase):
    def test_sample(self):
        rows = [hears(row(str(number).encode())) for number in range(1000)]
        told = seen([says(query(b"q")), hears(columns("n")), *rows, hears(complete("SELECT 1000") + READY)])
        self.assertEqual((told[1]["rows"], len(told[1]["sample"])), (1000, shelf.SAMPLE_ROWS))

    def test_wideRows(self):
        wide = hears(row(b"x" * 100_000, b"\xff" * 100_000))
        told = seen(
            [says(query(b"q")), hears(columns("a", "b", types=(25, 17))), *[wide] * 30, hears(complete("SELECT 30") + READY)]
        )
        self.assertLess(
            sum(len(value) for line in told[1]["sample"] for value in line), shelf.SAMPLE_BYTES + 3 * shelf.VALUE_LIMIT
        )
        self.assertTrue(told[1]["sample"][0][0].endswith("… (100000 bytes)"))

    def test_hugeMessage(self):
        """A message beyond the limit is told with its beginning, and counted."""
        self.patch(view, "MESSAGE", 1000)
        text = b"select '" + b"x" * 5000 + b"'"
        steps = [
            says(query(text) + query(b"next")),
            hears(columns("c") + row(b"y" * 5000) + complete("SELECT 1") + READY),
            hears(COPY_OUT + copyData(b"z" * 3000) + complete("COPY 1") + READY),
        ]
        told = seen(steps)
        self.assertEqual(told[0]["text"], text[: 1000 - 5].decode())
        self.assertEqual(told[0]["clipped"], len(text) + 1)
        self.assertEqual(told[1]["text"], "next")
        self.assertEqual(told[2]["rows"], 1)
        self.assertEqual((told[3]["bytes"], told[3]["sha256"]), (3000, None))
        self.assertEqual(_pieces(steps, 7), _gist(told))

    def test_hugeBind(self):
        self.patch(view, "MESSAGE", 1000)
        told = seen([says(parse("insert $1") + bind(b"y" * 5000) + execute() + SYNC)])
        self.assertEqual((told[0]["text"], told[0]["parameters"], told[0]["clipped"]), ("insert $1", [], True))

    def test_pipelineWithoutEnd(self):
        """Answers are lost to view, said once, and found again when both sides are in step."""
        self.patch(asking, "PENDING", 10)
        one = parse("x") + bind() + execute()
        told = seen(
            [
                says(one * 10 + SYNC),
                hears((PARSED + BOUND + complete("INSERT 0 1")) * 10 + READY),
                says(query(b"again")),
                hears(complete("SELECT 0") + READY),
            ]
        )
        gist = short(told)
        self.assertEqual(gist.count(("event", "undecodable")), 1)
        self.assertEqual(gist[-2:], [("command", 11, "again"), ("result", 11, 0, "SELECT 0")])

    def test_parametersWithoutEnd(self):
        self.patch(asking, "PENDING_BYTES", 1000)
        steps = [says((parse("x") + bind(b"y" * 100) + execute()) * 5), hears((PARSED + BOUND + complete("INSERT 0 1")) * 5)] * 5
        gist = short(seen([*steps, says(SYNC), hears(READY)]))
        self.assertEqual(gist.count(("event", "undecodable")), 0)
        gist = short(seen([says(parse("x") + bind(b"y" * 100) * 10)]))
        self.assertEqual(gist, [("event", "undecodable")])

    def test_statementsWithoutEnd(self):
        with mock.patch.object(shelf, "SHELF_ITEMS", 5):
            kept = shelf.Shelf(5, 100)
            for number in range(20):
                kept.put(b"%d" % number, number, 10)
            kept.put(b"19", 99, 90)
        self.assertEqual((len(kept), kept.get(b"19"), kept.get(b"2"), kept.get(b"18")), (2, 99, None, 18))


def _gist(told):
    """Without what depends on the frames: times and numbers."""
    return [{key: value for key, value in line.items() if key not in ("at", "sequence", "duration")} for line in told]


def _cut(found, sizes):
    """The same bytes in other frames: every frame cut into pieces of the given sizes, again and again."""
    pieces, number = [], 0
    for frame in found:
        if frame.kind != DATA:
            pieces.append(frame)
            continue
        position = 0
        while position < len(frame.payload):
            size = sizes[number % len(sizes)]
            number += 1
            pieces.append(frame._replace(payload=frame.payload[position : position + size]))
            position += size
    return [frame._replace(sequence=number) for number, frame in enumerate(pieces, 1)]


def _pieces(steps, *sizes):
    return _gist(list(lines(_cut(frames(steps), sizes), PostgresView())))


class CapturedTests(SynchronousTestCase):
    """Real sessions of psql 15, psycopg 3, asyncpg and pg8000."""

    def setUp(self):
        self.sessions = {name: captured(name) for name in CAPTURED}

    def told(self, name):
        return list(lines(self.sessions[name], PostgresView()))

    def test_everyCommandHasItsResult(self):
        for name in CAPTURED:
            told = self.told(name)
            commands = [line["number"] for line in told if line["kind"] == "command"]
            results = [line for line in told if line["kind"] == "result"]
            self.assertEqual(commands, list(range(1, len(commands) + 1)))
            self.assertEqual(set(commands), {line["number"] for line in results})
            self.assertEqual([line for line in told if line.get("event") == "undecodable"], [])
            self.assertEqual([line for line in results if line["error"] and line["error"]["severity"] == "UNKNOWN"], [])

    def test_psql(self):
        gist = short(self.told("psql"))
        for expected in (
            ("result", 4, 1, "INSERT 0 1"),
            ("result", 5, 0, "22012"),
            ("file", "copy in", 19),
            ("file", "copy out", 240),
            ("event", "notification"),
            ("result", 26, 40, "SELECT 40"),
        ):
            self.assertIn(expected, gist)

    def test_pipeline(self):
        gist = short(self.told("pipeline"))
        self.assertIn(("command", 6, "insert into t values ($1, $2)", "1", "again"), gist)
        self.assertEqual([item[3] for item in gist if item[:2] in (("result", 5), ("result", 6), ("result", 7))], [
            "INSERT 0 1", "23505", "SKIPPED",
        ])  # fmt: skip

    def test_binaryValuesReadLikeText(self):
        """The server's own text of each type is what we make of its binary format."""
        wide = [line for line in self.told("pipeline") if line["kind"] == "result" and len(line["columns"] or ()) > 20]
        binary, text = (line["sample"][0] for line in wide)
        different = [name for name, left, right in zip(wide[0]["columns"], binary, text) if left != right]
        self.assertEqual(different, ["regclass"])

    def test_asyncpg(self):
        gist = short(self.told("asynchronous"))
        self.assertIn(
            ("command", 5, "insert into t values ($1, $2, $3, $4, $5, $6)", "1", "é", "00000000-0000-0000-0000-000000000005",
             "2024-02-29 01:02:03.000004+00", "-12.50", "{1,NULL}"),
            gist,
        )  # fmt: skip

    @settings(max_examples=25, deadline=None)
    @given(some.sampled_from(CAPTURED), some.lists(some.integers(1, 300), min_size=1, max_size=5))
    def test_everySplit(self, name, sizes):
        session = self.sessions[name]
        self.assertEqual(_gist(lines(_cut(session, sizes), PostgresView())), _gist(lines(session, PostgresView())))

    def test_everyByte(self):
        session = self.sessions["plain"]
        self.assertEqual(_gist(lines(_cut(session, [1]), PostgresView())), _gist(lines(session, PostgresView())))


MESSAGES = some.tuples(
    some.sampled_from((CLIENT, TARGET)),
    some.integers(0, 4),
    some.one_of(
        some.binary(max_size=60),
        some.builds(
            message,
            some.sampled_from([bytes([letter]) for letter in b"QPBDESFCHdcfXp123TDCIZEGWVNASRKnstv"]),
            some.one_of(
                some.binary(max_size=40), some.sampled_from([query(b"x")[5:], parse("x")[5:], bind()[5:], row(b"1")[5:]])
            ),
        ),
    ),
)


class GarbageTests(SynchronousTestCase):
    @settings(max_examples=300, deadline=None)
    @given(some.lists(MESSAGES, max_size=30))
    def test_anything(self, steps):
        """Any bytes are told of somehow; nothing raises, and the view stays usable."""
        for line in seen(steps):
            self.assertIn(line["kind"], ("command", "result", "file", "event"))

    @settings(max_examples=100, deadline=None)
    @given(some.integers(0, 12), some.binary(max_size=60))
    def test_anyFrame(self, kind, payload):
        PostgresView().feed(Frame(0, 1, 0, kind, 1, PASSED, 0, payload))

    def test_undecodable(self):
        told = seen([says(query(b"before") + b"\xff\xff\xff\xff\xff"), says(query(b"after")), hears(complete("X") + READY)])
        self.assertEqual(short(told), [("command", 1, "before"), ("event", "undecodable"), ("result", 1, 0, "X")])
        self.assertEqual(told[1]["side"], "client")

    def test_noEndlessList(self):
        told = seen([says(message(b"P", b"")) for _ in range(500)])
        self.assertEqual(len(told), view.GARBAGE)
