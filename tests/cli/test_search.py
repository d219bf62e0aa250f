from __future__ import annotations

import json

from hoopx.cli import listing
from hoopx.cli.listing import command as listed
from hoopx.cli.search import command, lines
from hoopx.cli.sessions import command as sessions
from hoopx.config.settings import RecordingSettings
from hoopx.state.engine import close
from tests.cli.gateway import GatewayCase
from tests.index.rig import BEGAN, asked, feed, record, writer

NASTY = "SELECT '\x1b[2J\u202e'\nFROM t\n-- 1\n-- 2\n-- 3"


class SearchTests(GatewayCase):
    def setUp(self) -> None:
        super().setUp()
        self.configure()
        self.writer, self.engine, self.reads = writer(self.data)
        self.addCleanup(close, self.engine)
        self.first = self.one([asked("SELECT name FROM customers"), asked("DELETE FROM orders")])
        self.second = self.one([asked(NASTY)], started=BEGAN + 60, identity={"name": "bob\x1b[31m", "kind": "human"}, target="web")

    def one(self, segments: list, **more: object) -> str:
        session = record(self.data, segments, **more)  # type: ignore[arg-type]
        feed(self.writer, self.reads, session)
        return session

    async def search(self, *arguments: str) -> tuple[int, str, str]:
        found: tuple[int, str, str] = await self.hoopx(command, *arguments)
        return found

    async def test_json(self) -> None:
        status, out, err = await self.search("from", "--json")
        self.assertEqual((status, err), (0, ""))
        found = json.loads(out)
        self.assertEqual([(one["session"], one["text"]) for one in found], [(self.second, NASTY), (self.first, "DELETE FROM orders"), (self.first, "SELECT name FROM customers")])
        for one in found:
            self.assertLessEqual({"session", "at", "kind", "text", "count", "user", "target"}, set(one))

    async def test_noText(self) -> None:
        """Bytes that are no text part words, as everything else that is none."""
        _, out, err = await self.search("from\udcffcustomers\udcfe", "--json")
        self.assertEqual(([one["text"] for one in json.loads(out)], err), (["SELECT name FROM customers"], ""))

    async def test_noTextFilters(self) -> None:
        """Nor does what is no text break a filter: nothing is called that."""
        for option in ("--user", "--target", "--protocol", "--label"):
            status, out, err = await self.search("from", option, "*\udcff*")
            self.assertEqual((status, out, err), (1, "", "hoopx: nothing was found\n"), option)
            self.assertEqual(await self.hoopx(listed, option, "*\udcff*", "--json"), (0, "[]\n", ""))
        self.assertEqual(await self.hoopx(listed, "--tag", "a\udcffb", "--json"), (0, "[]\n", ""))

    async def test_pointer(self) -> None:
        """What is found is where show and replay begin, by the number in JSON and by the one that people see."""
        _, out, _ = await self.search("orders", "--json")
        (found,) = json.loads(out)
        for at in (repr(found["at"]), lines(found)[0].split()[2]):
            for name, more in (("show", ["--json"]), ("show", []), ("replay", ["--speed", "0"])):
                _, out, _ = await self.hoopx(sessions, name, self.first, "--at", at, *more)
                self.assertIn("DELETE FROM orders", out)
                self.assertNotIn("customers", out)

    async def test_people(self) -> None:
        status, out, err = await self.search("from")
        self.assertEqual((status, err), (0, ""))
        for letter in ("\x1b", "\u202e"):
            self.assertNotIn(letter, out)
        self.assertIn("SELECT '\\x1b[2J\\u202e'", out)
        self.assertIn("... 2 more lines", out)
        self.assertIn(f"{self.first} --at 3.000", out)

    async def test_filters(self) -> None:
        for arguments, expected in (
            (["--user", "alice"], 2), (["--target", "web"], 1), (["--kind", "event"], 0), (["--limit", "1"], 1), (["--label", "application"], 3),
            (["--since", "2023-11-14T22:14:00Z"], 1), (["--state", "live"], 0), (["--protocol", "postgres", "--kind", "command"], 3),
        ):  # fmt: skip
            _, out, _ = await self.search("from", "--json", *arguments)
            self.assertEqual(len(json.loads(out)), expected, arguments)

    async def test_more(self) -> None:
        _, _, err = await self.search("from", "--limit", "2")
        self.assertIn("--limit 4", err)

    async def test_nothing(self) -> None:
        status, out, err = await self.search("xylophone")
        self.assertEqual((status, out), (1, ""))
        self.assertIn("nothing was found", err)
        self.assertNotIn("indexed", err)
        self.assertEqual(await self.search("xylophone", "--json"), (0, "[]\n", ""))
        for recording in (RecordingSettings(index="metadata"), RecordingSettings(encryptTo=("age1x",))):
            self.configure(recording=recording)
            _, _, err = await self.search("xylophone")
            self.assertIn("what is said is not indexed here", err)

    async def test_syntax(self) -> None:
        for said in ("'", '"', "--", "a'b\"c", "NEAR(", "*", ");DROP TABLE items"):
            status, _, err = await self.search("--", said)
            self.assertIn(status, (0, 1), said)
            self.assertNotIn("Traceback", err)
            self.assertNotIn("sqlite", err)

    async def test_noIndex(self) -> None:
        close(self.engine)
        for path in self.data.glob("index.sqlite*"):
            path.unlink()
        status, _, err = await self.search("select")
        self.assertEqual(status, 1)
        self.assertIn("hoopx reindex", err)

    async def test_damagedIndex(self) -> None:
        close(self.engine)
        (self.data / "index.sqlite").write_bytes(b"precious" * 1000)
        for name in ("index.sqlite-wal", "index.sqlite-shm"):
            (self.data / name).unlink(missing_ok=True)
        status, _, err = await self.search("select")
        self.assertEqual(status, 2)
        self.assertIn("hoopx reindex", err)

    # Lists

    async def test_list(self) -> None:
        """With an index and without one: the same."""
        late = record(self.data, [asked("SELECT 1")], started=BEGAN + 90)
        answers = []
        for _ in range(3):
            said = []
            for arguments in ([], ["--json"], ["--limit", "1"], ["--limit", "1", "--page", "2"], ["--json", "--skip", "1"], ["--json", "--user", "a*"], ["--json", "--page", "2"]):
                status, out, err = await self.hoopx(listed, *arguments)
                self.assertEqual(status, 0)
                said.append((out, err.replace(self.unusable(err), "")))
            answers.append(said)
            if len(answers) == 1:
                close(self.engine)
                for path in self.data.glob("index.sqlite*"):
                    path.unlink()
            else:
                (self.data / "index.sqlite").write_bytes(b"precious" * 1000)
        self.assertEqual(answers[0], answers[1])
        self.assertEqual(answers[0], answers[2])
        self.assertEqual([line["session"] for line in json.loads(answers[0][1][0])], [late, self.second, self.first])
        self.assertIn("--page 3", answers[0][3][1])

    def unusable(self, err: str) -> str:
        """What is said of an index that is none."""
        return "".join(line for line in err.splitlines(True) if "index can not be used" in line) or "\0"

    async def test_throughTheIndex(self) -> None:
        self.patch(listing, "select", lambda *arguments: self.fail("the disk was read through"))
        status, out, _ = await self.hoopx(listed, "--json")
        self.assertEqual((status, len(json.loads(out))), (0, 2))


class LinesTests(GatewayCase):
    def test_parameters(self) -> None:
        one = {
            "session": "S", "at": 1.0006, "kind": "command", "text": "x" * 300, "parameters": ["a\x1b", *"bcdefghijk"], "count": 3, "last": 61.0,
            "time": None, "user": None, "actor": "bot", "target": None,
        }  # fmt: skip
        first, text, values = lines(one)
        self.assertIn("S --at 1.000 ", first)
        self.assertIn("(bot)", first)
        self.assertIn("3 times until 01:01.000", first)
        self.assertTrue(text.endswith("x ..."))
        self.assertIn("a\\x1b, b, c", values)
        self.assertTrue(values.endswith(", ..."))


