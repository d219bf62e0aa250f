"""
What a real client said at a real server is found, beside a gateway that runs.
"""

from __future__ import annotations

import json
import os
import socket
import time
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.peers.harness.finding import requireModule
from tests.peers.harness.gateway import Gateway, account, target
from tests.peers.harness.postgres import embedded
from tests.peers.harness.waiting import PATIENCE


class SearchTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.gateway = Gateway([target("shop", embedded(), account("app"))], name="search").start()
        self.addCleanup(self.gateway.stop)

    def connect(self, user: str = "tester@example.com") -> Any:
        psycopg = requireModule("psycopg")
        return psycopg.connect(
            host="127.0.0.1", port=self.gateway.port, user="app", password=self.gateway.token(user=user), dbname="shop",
            autocommit=True, application_name="finder",
        )  # fmt: skip

    def search(self, *arguments: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.gateway.call("search", *arguments, "--json"))
        return found

    def test_found(self) -> None:
        began = time.time()
        with self.connect() as first:
            address = _here(first)
            first.execute("SELECT %s::text AS haystack", ["needle in a parameter"])
            for _ in range(5):
                first.execute("SELECT 'said five times'")
            with self.assertRaises(requireModule("psycopg").Error):
                first.execute("SELECT * FROM zebras")
        ended = self.gateway.session(address, seconds=PATIENCE)
        live = self.connect("bob@example.com")
        self.addCleanup(live.close)
        live.execute("SELECT 'still here'")
        listed = self.gateway.sessions()
        self.assertEqual(self.gateway.hoopx("reindex"), "")

        (found,) = self.search('"needle in a"')
        self.assertEqual((found["session"], found["user"], found["target"], found["kind"]), (ended["session"], "tester@example.com", "shop", "command"))
        self.assertEqual(found["parameters"], ["needle in a parameter"])
        self.assertTrue(began - 1 < found["time"] < time.time() + 1, found)
        (found,) = self.search("five", "--kind", "command")
        self.assertEqual(found["count"], 5)
        (found,) = self.search("zebras", "--kind", "result", "--label", "application=finder", "--state", "complete")
        self.assertIn("42P01", found["text"])
        self.assertEqual(self.search("zebras", "--user", "bob*"), [])

        # The pointer leads to it.
        shown = self.gateway.show(found["session"], "--at", repr(found["at"]))
        self.assertEqual(shown[0]["error"]["code"], "42P01")

        # The list through the index is that of the disk, the session that lives included.
        self.assertEqual([_fixed(line) for line in self.gateway.sessions()], [_fixed(line) for line in listed])
        self.assertEqual([line["state"] for line in self.gateway.sessions()], ["live", "complete"])
        late = self.connect("carol@example.com")
        late.execute("SELECT 1")
        self.assertEqual([line["user"] for line in self.gateway.sessions("--limit", "2")], ["carol@example.com", "bob@example.com"])
        late.close()
        live.close()
        self.gateway.session(listed[0]["client"], seconds=PATIENCE)
        self.assertEqual({line["state"] for line in self.gateway.sessions("--user", "bob*")}, {"complete"})
        self.gateway.hoopx("reindex")
        self.assertEqual([one["user"] for one in self.search('"still here"')], ["bob@example.com"])


def _here(connection: Any) -> str:
    """The client's own address, as the gateway sees it."""
    with socket.socket(fileno=os.dup(connection.fileno())) as ours:
        host, port = ours.getsockname()[:2]
    return f"{host}:{port}"


def _fixed(line: dict[str, Any]) -> dict[str, Any]:
    """What can not have changed while the session lived on."""
    return {name: value for name, value in line.items() if not name.startswith("bytes_")}
