"""
A gateway whose state is in a PostgreSQL that goes away and comes back.
"""

from __future__ import annotations

import json
import os

from twisted.trial.unittest import SynchronousTestCase

from tests.peers.harness.gateway import Gateway, account, target
from tests.peers.harness.postgres import embedded
from tests.peers.harness.waiting import PATIENCE, until
from tests.peers.harness.wire import ServerError, Wire, query
from tests.peers.test_stores import database, hanging, ownServer


class OutageTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.server = ownServer()
        url = database(self, self.server)
        more = f'\n[state]\nurl = {{ file = "{os.path.abspath(url.name)}" }}\n'
        limits = 'login_timeout = "10s"'
        self.gateway = Gateway([target("shop", embedded(), account("app"))], more=more, gateway=limits, name="outage").start()
        self.addCleanup(self.gateway.stop)
        self.token = self.gateway.token()

    def login(self) -> Wire:
        connection = Wire(self.gateway.port, PATIENCE).login("app", self.token, "shop")
        self.addCleanup(connection.socket.close)
        return connection

    def refused(self) -> None:
        """Whatever the server does, in time: after C{login_timeout}, by the gateway's own clock, it would be told of that instead."""
        with self.assertRaises(ServerError) as caught, Wire(self.gateway.port, PATIENCE / 2) as connection:
            connection.login("app", self.token, "shop")
        self.assertIn("identities can not be checked", str(caught.exception))

    def lives(self, connection: Wire) -> None:
        connection.send(query("SELECT 1"))
        self.assertIn(b"C", dict(connection.untilReady()))

    def test_stopped(self) -> None:
        live = self.login()
        self.server.stop()
        try:
            for _ in range(2):
                self.lives(live)
                self.refused()
            self.assertEqual(json.loads(self.gateway.hoopx("status", "--json"))["sessions"], 1)
        finally:
            self.server._start()
        self.lives(self.login())
        self.lives(live)
        # And what polls the store has found it again.
        self.gateway.hoopx("tokens", "revoke", "--user", "tester@example.com")
        name = live.address
        until(lambda: self.gateway.session(name, None)["state"] != "live", "the session to end")
        self.assertEqual(self.gateway.session(name)["reason"], "revoked")

    def test_hangs(self) -> None:
        live = self.login()
        with hanging(self.server.process.pid):
            self.refused()
            self.lives(live)
        self.lives(self.login())
        self.lives(live)

    def test_notThereAtTheStart(self) -> None:
        """It says what is missing, and has not opened its port."""
        self.gateway.stop()
        self.server.stop()
        try:
            process = self.gateway.launch()
            until(lambda: "the state store can not be used" in self.gateway.log(), "the gateway to say why")
            process.stop()
        finally:
            self.server._start()
        self.assertNotIn("pw-super", self.gateway.log())
