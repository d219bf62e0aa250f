"""
What every database of the index has to answer alike: L{tests.index.test_search} asks SQLite, L{tests.peers.test_stores} PostgreSQL.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, select

from hoopx.index import filters, things
from hoopx.index import listing as lists
from hoopx.index import search as module
from hoopx.index.entries import KINDS, Entry, digest
from hoopx.index.filters import like
from hoopx.index.listing import listing
from hoopx.index.search import QueryError, search
from hoopx.index.tables import labels, sessions
from hoopx.index.wanted import Filters
from hoopx.ulid import ulid
from hoopx.values import CLIENT, TARGET
from tests.index.rig import BEGAN, READY, asked, contents, feed, record, writer

PATTERNS = ("alice", "a*", "*", "?lice", "[ab]*", "[!a]*", "*[*", "a[]*", "[]x]*", "[^a]*", "*@example.com", "al%", "a_ice", "ALICE", "[a-c]*", "*.*", "a\\*", "", "é*", "[!é]*", "a.ice", "*(*")
NAMES = ("alice", "Alice", "bob", "a*", "alice@example.com", "[x", "a[b", "]x", "^a", "a.ice", "al%", "a\\x", "été", "a\nb", "f(x)", "")


class SearchCases:
    """
    @ivar data: a data directory; C{engine}, its index.
    """

    data: Path
    engine: Engine

    def begin(self, engine: Engine, data: Path) -> None:
        self.data, self.engine = data, engine
        self.writer, _, self.reads = writer(data, engine=engine)

    def record(self, *said: str, started: float = BEGAN, user: str = "alice", **head: Any) -> str:
        identity = {"name": user, "kind": "human", "groups": []}
        session = record(self.data, [asked(text) for text in said], started=started, identity=identity, **head)
        feed(self.writer, self.reads, session)
        return session

    def texts(self: Any, said: str, **more: Any) -> list[str]:
        return [one["text"] for one in search(self.engine, said, **more)]

    def sessions(self: Any, said: str, **more: Any) -> list[str]:
        return [one["session"] for one in search(self.engine, said, **more)]

    def test_words(self: Any) -> None:
        self.record("SELECT name FROM customers", "DELETE FROM orders_2024 WHERE id = 7")
        self.assertEqual(self.texts("customers"), ["SELECT name FROM customers"])
        self.assertEqual(self.texts("from DELETE"), ["DELETE FROM orders_2024 WHERE id = 7"])
        self.assertEqual(self.texts("delete customers"), [])
        self.assertEqual(len(self.texts("from")), 2)
        self.assertEqual(len(self.texts("2024")), 1)

    def test_phrases(self: Any) -> None:
        self.record("SELECT a FROM b", "SELECT b FROM a")
        self.assertEqual(self.texts('"a from b"'), ["SELECT a FROM b"])
        self.assertEqual(self.texts('"from a"'), ["SELECT b FROM a"])
        self.assertEqual(self.texts('"a b"'), [])

    def test_prefixes(self: Any) -> None:
        self.record("DELETE FROM orders", "SELECT 1 FROM orderly")
        self.assertEqual(len(self.texts("order*")), 2)
        self.assertEqual(self.texts("orders*"), ["DELETE FROM orders"])
        self.assertEqual(self.texts("d*"), ["DELETE FROM orders"])
        self.assertEqual(self.texts('"delete from ord"*'), ["DELETE FROM orders"])

    def test_caseAndAccents(self: Any) -> None:
        self.record("SELECT 'Crème Brûlée'")
        for said in ("creme", "CRÈME", '"crème brulee"', "BRÛL*"):
            self.assertEqual(len(self.texts(said)), 1, said)

    def test_nothing(self: Any) -> None:
        self.assertEqual(self.texts("anything"), [])
        self.assertRaises(QueryError, search, self.engine, "* -- ;")

    def test_syntaxIsText(self: Any) -> None:
        """Whatever is typed is searched for, and no database reads it."""
        self.record("SELECT 'it''s'", "it's a \"trap\": (x OR y) AND NOT z*")
        for said in ("it's", 'a "trap', "'; DROP TABLE items; --", "a & b | !c", "x:*", "<->", 'a"b"c', "\\' a", "NEAR(a b)", "text:a", "a\0b", "%", "\ud800 a", "''' a"):
            try:
                self.texts(said)
            except QueryError:
                pass
        self.assertEqual(len(self.texts("it's a trap or y NOT z")), 1)

    def test_nasty(self: Any) -> None:
        """Words in any script, zeros, halves of surrogates, very long ones: they can be written and found."""
        said = ["日本語 テキスト", "привет мир", "a\0b", "x" * 5000, "z" * 3000 + " y", "0x1F 1e5 -5 3.14 a@b.example", "\ufffd \u202e", "'\\'"]
        from hoopx.index.entries import Entry, digest

        with self.writer._transactions.begin() as connection:
            row = self.writer._made("0" * 26, connection)
            from hoopx.index.entries import storable

            found = {digest("command", storable(text), ""): Entry("command", storable(text), "", 1.0, 1.0, 1) for text in said}
            things.put(connection, row, found)
            self.writer._write(connection, row, True)
        for word in ("日本語", "ПРИВЕТ", '"привет мир"', "x" * 5000, "0x1f", "1e5", '"3 14"', "a@b.example", "прив*", "y"):
            self.assertEqual(len(self.texts(word)), 1, word[:20])

    def test_shape(self: Any) -> None:
        session = self.record("SELECT 'x'", "SELECT 'x'", actor="bot")
        (found,) = search(self.engine, "x")
        self.assertEqual(
            found,
            {
                "session": session, "at": 1.0, "kind": "command", "text": "SELECT 'x'", "parameters": [], "count": 2, "last": 3.0,
                "sequence": 2, "time": BEGAN + 1, "user": "alice", "actor": "bot", "target": "orders", "account": "app",
                "protocol": "postgres", "state": "complete",
            },
        )  # fmt: skip

    def test_errors(self: Any) -> None:
        fault = b"SERROR\0C42P01\0Mrelation zebras is missing\0\0"
        answer = b"E" + (len(fault) + 4).to_bytes(4, "big") + fault + READY
        session = record(self.data, [[asked("SELECT 1")[0], (TARGET, 1, answer)]])
        feed(self.writer, self.reads, session)
        self.assertEqual([one["kind"] for one in search(self.engine, "zebras 42P01")], ["result"])
        self.assertEqual(self.texts("zebras", kinds=["command"]), [])
        self.assertEqual(len(self.texts("zebras", kinds=["command", "result"])), 1)

    def test_output(self: Any) -> None:
        session = record(self.data, [[(CLIENT, 1, b"make install\n"), (TARGET, 1, b"no rule "), (TARGET, 1, b"to make\n")]], protocol="raw")
        feed(self.writer, self.reads, session)
        self.assertEqual([one["kind"] for one in search(self.engine, '"rule to make"')], ["output"])

    def test_newestFirst(self: Any) -> None:
        """Whatever the order in which they were indexed."""
        late = self.record("SELECT 1", "SELECT 2", started=BEGAN + 100)
        early = self.record("SELECT 3", started=BEGAN)
        middle = self.record("SELECT 4", started=BEGAN + 50)
        self.assertEqual(self.sessions("select"), [late, late, middle, early])
        self.assertEqual(self.texts("select", limit=3), ["SELECT 2", "SELECT 1", "SELECT 4"])

    def test_filters(self: Any) -> None:
        alice = self.record("SELECT 1", target="orders")
        bob = self.record("SELECT 1", started=BEGAN + 10, user="bob@example.com", target="web", labels={"run": "r7", "application": "x"}, protocol="postgres")
        raw = record(self.data, [[(CLIENT, 1, b"select\n")]], started=BEGAN + 20, protocol="raw", labels={})
        feed(self.writer, self.reads, raw)
        for wanted, expected in (
            ({"user": "bob*"}, [bob]), ({"user": "alice"}, [raw, alice]), ({"target": "web"}, [bob]), ({"protocol": "raw"}, [raw]),
            ({"since": BEGAN + 10}, [raw, bob]), ({"since": BEGAN + 10.001}, [raw]), ({"until": BEGAN + 10}, [alice]),
            ({"since": BEGAN + 10, "until": BEGAN + 20}, [bob]), ({"labels": ("run=r*",)}, [bob]), ({"labels": ("run",)}, [bob]),
            ({"labels": ("application=psql",)}, [alice]), ({"labels": ("run=r7", "application=y")}, []),
            ({"states": ("complete",)}, [raw, bob, alice]), ({"states": ("recovered", "live")}, []), ({"since": -1e18, "until": 1e18}, [raw, bob, alice]),
        ):  # fmt: skip
            for few in (300, 0):  # session by session, and words first
                self.patch(module, "FEW", few)
                self.patch(module, "FEW_AT_SERVER", few)
                self.assertEqual(self.sessions("select", filters=Filters(**wanted)), expected, (wanted, few))

    def test_patterns(self: Any) -> None:
        """The database's own patterns say what Python's do."""
        with self.engine.begin() as connection:
            for number, name in enumerate(NAMES):
                connection.execute(labels.insert().values(session=f"{number:026d}", name="n", value=name))
            for pattern in PATTERNS:
                found = connection.execute(select(labels.c.value).where(labels.c.name == "n", like(labels.c.value, pattern, connection.dialect.name))).scalars()
                self.assertEqual(sorted(found), sorted(name for name in NAMES if fnmatchcase(name, pattern)), pattern)

    def test_listing(self: Any) -> None:
        for number in range(5):
            self.record("SELECT 1", started=BEGAN + number, user=f"user{number}")
        lines = listing(self.engine, str(self.data), "gw1", limit=2, skip=1)
        self.assertEqual([line["user"] for line in lines], ["user3", "user2"])
        lines = listing(self.engine, str(self.data), "gw1", Filters(user="*[13]"))
        self.assertEqual([line["user"] for line in lines], ["user3", "user1"])

    def test_listedMeanwhile(self: Any) -> None:
        """What the curator writes while a list is made puts nobody into it twice, and nobody out of it."""
        live = record(self.data, [asked("SELECT 1"), asked("SELECT 2")])
        self.writer.segment(live, 0, self.reads(live, 0))
        begun = record(self.data, [asked("SELECT 1"), asked("SELECT 2")], started=BEGAN + 1)

        def meanwhile(*where: Any) -> Any:
            self.writer.segment(live, 1, self.reads(live, 1))
            self.writer.segment(begun, 0, self.reads(begun, 0))
            return strangers(*where)

        strangers = lists.strangers
        self.patch(lists, "strangers", meanwhile)
        self.assertEqual([line["session"] for line in listing(self.engine, str(self.data), "gw1")], [begun, live])

    def test_manyOrFew(self: Any) -> None:
        """The same is found whichever way it is looked for, few as they are here."""
        for number in range(12):
            self.record(
                f"SELECT {number}", "SELECT 'each'", started=BEGAN + number, user=f"user{number % 3}", target=f"t{number % 4}",
                labels={"run": f"r{number % 5}", "odd": "yes"} if number % 2 else {"run": "none"},
            )  # fmt: skip
        wanted = [
            Filters(user="user1"), Filters(user="user*"), Filters(user="*1", target="t[12]"), Filters(labels=("odd",)), Filters(user="nobody*"),
            Filters(labels=("run=r*",)), Filters(labels=("run=none", "odd")), Filters(labels=("run=r3", "odd=y*"), user="*", target="t3"),
            Filters(labels=("nothing",)), Filters(since=BEGAN + 3, until=BEGAN + 9, target="t*", labels=("run",), protocol="p*"),
        ]  # fmt: skip
        found = []
        for few in (0, 1000):
            for name, value in ((filters, "FEW"), (filters, "LABELLED"), (module, "FEW"), (module, "FEW_AT_SERVER"), (module, "RARE")):
                self.patch(name, value, few)
            found.append([])
            for each in wanted:
                listed = [line["session"] for line in listing(self.engine, str(self.data), "gw1", each, 5, 1)]
                found[-1] += [listed, *(self.sessions(said, filters=each) for said in ("select", "each", "7", "sel*"))]
            found[-1] += [self.texts("select", kinds=kinds) for kinds in (["output"], ["result", "event"], ["command"])]
        self.assertEqual(*found)
        self.assertEqual([len(each) for each in found[0][: 5 * len(wanted) : 5]], [3, 5, 1, 5, 0, 5, 0, 0, 0, 5])

    def test_kinds(self: Any) -> None:
        """Things of several kinds in several sessions: those that are asked for, the newest first, up to the limit; whatever is known of them."""
        number = {}
        with self.writer._transactions.begin() as connection:
            for begun in range(3):
                row = self.writer._made(ulid(BEGAN + begun), connection)
                said = [(kind, f"{kind} {begun} {n} said") for n in range(3) for kind in ("command", "output", "event", "command", "result")]
                found = {digest(*one, ""): Entry(*one, "", 1.0, 1.0, 1) for one in said}
                row["started"], row["target"] = BEGAN + begun, f"t{begun}"
                things.put(connection, row, found)
                self.writer._write(connection, row, True)
                number[begun] = [text for _, text in dict.fromkeys(said)][::-1]
        self.patch(module, "CHUNK", 2)
        whole = number[2] + number[1] + number[0]
        for kinds in ((), ("command",), ("output",), ("output", "event"), ("result", "command"), ("file",), ("file", "output"), KINDS):
            expected = [text for text in whole if not kinds or text.split()[0] in kinds]
            for rare, few in ((2000, 300), (2000, 0), (0, 300), (0, 0)):
                self.patch(module, "RARE", rare)
                self.patch(module, "FEW", few)
                self.patch(module, "FEW_AT_SERVER", few)
                for limit in (1, 4, 5, 7, 50):
                    self.assertEqual(self.texts("said", kinds=kinds, limit=limit), expected[:limit], (kinds, rare, limit))
                for wanted, chosen in ((Filters(target="t[02]"), number[2] + number[0]), (Filters(until=BEGAN + 2), number[1] + number[0])):
                    asked = self.texts("said", kinds=kinds, limit=6, filters=wanted)
                    self.assertEqual(asked, [text for text in chosen if text in expected][:6], (kinds, rare, few))
            self.assertEqual(self.texts("output said", kinds=kinds), [text for text in expected if "output" in text])
        self.writer.erase(*{one["session"] for one in search(self.engine, "said", Filters(target="t1"))})
        self.assertEqual(self.texts("said", kinds=("event", "result")), [text for text in number[2] + number[0] if text[0] in "er"])

    def test_erased(self: Any) -> None:
        gone, stays = self.record("SELECT 'zanzibar'"), self.record("SELECT 'trumpet'", started=BEGAN + 1)
        self.assertTrue(self.writer.erase(gone))
        self.assertEqual((self.texts("zanzibar"), self.sessions("trumpet")), ([], [stays]))
        with self.engine.connect() as connection:
            self.assertEqual(list(connection.execute(select(sessions.c.session)).scalars()), [stays])

    def test_limits(self: Any) -> None:
        self.patch(things, "ITEMS", 3)
        session = self.record(*(f"SELECT {number}" for number in range(9)), *(f"SELECT {number}" for number in range(9)))
        self.assertEqual(self.sessions('"more than"'), [session])
        self.assertEqual([one["count"] for one in search(self.engine, "select")], [2, 2, 2])
        self.assertEqual([one["count"] for one in search(self.engine, "different")], [12])

    def test_twice(self: Any) -> None:
        session = self.record("SELECT 1", "SELECT 2")
        before = contents(self.engine)
        feed(self.writer, self.reads, session)
        self.assertEqual(contents(self.engine), before)
