"""
Tests for L{hoopx.demo.tour}: a step that did not do what it says fails. The tour that succeeds is C{tests.cli.test_demo}'s.
"""

import io
import json
import shlex
import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hoopx.demo import tour
from hoopx.demo.database import DemoFailed
from hoopx.demo.teller import Teller
from hoopx.demo.tour import Tour

INTERRUPTED = """
import signal, sys, time
signal.signal(signal.SIGINT, lambda *_: sys.exit("ERROR: other"))
open("ready", "w").close()
time.sleep(600)
"""
"""Hears of Ctrl-C, as psql does. A shell would not where we are a background job: it does not trap what such a one is made to ignore."""


class Fake:
    """Database and gateway in one; its C{psql} is a shell script."""

    port = 1

    def __init__(self, folder: Path) -> None:
        self.folder = self.bin = folder
        self.answers: dict[str, str] = {}

    def psql(self, script: str) -> None:
        program = self.folder / "psql"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    def hoopx(self, *arguments: str) -> str:
        return self.answers[arguments[arguments[0] in ("sessions", "tokens")]]

    def ask(self, text: str) -> str:
        return self.answers["ask"] if (self.folder / "ready").exists() else "0"


class TourTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        self.fake = Fake(folder)
        self.tour = Tour(self.fake, self.fake, Teller(io.StringIO()))  # type: ignore[arg-type]

    def fails(self, step: Any, *words: str) -> None:
        error = self.assertRaises(DemoFailed, step)
        for word in words:
            self.assertIn(word, str(error))

    def inVain(self, step: Any, *words: str) -> None:
        """It fails for what does not come. Whatever does come is waited for as long as it takes."""
        hurry = self.patch(tour, "PATIENCE", 0.3)
        self.fails(step, *words)
        hurry.restore()

    def test_token(self) -> None:
        self.fake.answers["issue"] = "usage: ..."
        self.fails(self.tour.token, "token")
        self.fake.answers["issue"] = "hx_abcdefgh\n"
        self.tour.token()
        self.assertEqual(self.tour.passfile.stat().st_mode & 0o777, 0o600)

    def test_query(self) -> None:
        self.fake.psql("echo '(0 rows)'")
        self.fails(self.tour.query, "another result")
        self.fake.psql("echo FATAL: no such target >&2; exit 2")
        self.fails(self.tour.query, "status 2", "no such target")

    def test_hangs(self) -> None:
        self.fake.psql("exec sleep 60")
        self.inVain(self.tour.query, "has not ended")

    def test_copy(self) -> None:
        self.fake.psql("for i; do file=$i; done; echo 1,2,3 > $file")
        self.fails(self.tour.copy, "1 lines instead of")

    def test_cancel(self) -> None:
        self.fake.answers["ask"] = "0\n"
        self.fake.psql("exec sleep 60")
        self.inVain(self.tour.cancel, "does not begin")
        self.fake.answers["ask"] = "1\n"
        self.fake.psql(f"exec {shlex.quote(sys.executable)} -ISc {shlex.quote(INTERRUPTED)}")
        self.fails(self.tour.cancel, "told otherwise")

    def test_list(self) -> None:
        one = {"session": "01", "state": "complete", "user": self.tour.user}
        self.fake.answers["list"] = json.dumps([one] * 3)
        self.inVain(self.tour.list, "not every session")
        self.fake.answers["list"] = json.dumps([one] * 3 + [{**one, "state": "live"}])
        self.inVain(self.tour.list, "not every session")
        self.fake.answers["list"] = json.dumps([one] * 4)
        self.tour.list()

    def test_replay(self) -> None:
        self.tour._sessions = [{"session": f"0{number}"} for number in range(4)]
        self.fake.answers["replay"] = ""
        self.fake.answers["show"] = json.dumps({"kind": "command", "parameters": ["Oslo"]})
        self.fails(self.tour.replay, "lacks the parameter")

    def test_export(self) -> None:
        self.tour._sessions = [{"session": "00"}]
        self.fake.answers["export"] = ""
        self.tour.passfile.write_text("*:*:*:*:hx_secret\n")
        file = self.fake.folder / "client.bytes"
        file.write_bytes(b"nothing")
        self.fails(self.tour.export, "lacks the statement")
        statement = b"Q" + (len(tour.QUERY) + 5).to_bytes(4, "big") + tour.QUERY.encode() + b"\0"
        file.write_bytes(statement + b"hx_secret")
        self.fails(self.tour.export, "holds the token")
        file.write_bytes(statement)
        self.tour.export()

    def test_search(self) -> None:
        self.tour._sessions = [{"session": "00"}]
        found = {"session": "00", "kind": "command", "user": self.tour.user, "parameters": ["Oslo"]}
        self.fake.answers["search"] = json.dumps([found])
        self.inVain(self.tour.search, "nobody")
        found["parameters"] = ["Lisbon"]
        self.fake.answers["search"] = json.dumps([found, {**found, "user": "eve"}])
        self.fails(self.tour.search, "somebody else")
        self.fake.answers["search"] = json.dumps([found])
        self.tour.search()

    def test_verify(self) -> None:
        self.tour._sessions = [{"session": "00"}, {"session": "01"}]
        one = {"session": "00", "state": "complete"}
        ledger = {"session": None, "state": "consistent", "ledger": "demo.00", "size": 4, "pending": 0}
        for said in (
            [one, ledger],
            [one, {"session": "01", "state": "TAMPERED"}, ledger],
            [one, {**one, "session": "01"}, {**ledger, "pending": 1}],
        ):
            self.fake.answers["verify"] = json.dumps(said)
            self.inVain(self.tour.verify, "not every session")
        self.fake.answers["verify"] = json.dumps([one, {**one, "session": "01"}, {**ledger, "state": "broken"}])
        self.fails(self.tour.verify, "broken")
        self.fake.answers["verify"] = json.dumps([one, {**one, "session": "01"}, ledger])
        self.tour.verify()
