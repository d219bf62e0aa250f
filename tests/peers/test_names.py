"""
Names of prepared statements and portals: whatever a client does to the order of messages and answers, what is judged at Bind is
what the target runs.
"""

from __future__ import annotations

from twisted.internet.defer import inlineCallbacks
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from tests.peers import test_refusal
from tests.peers.harness.waiting import PATIENCE
from tests.peers.harness.wire import SYNC, Wire, bind, close, execute, fields, message, parse, query

HARMLESS = "SELECT 1"
HELD = "INSERT INTO judged SELECT 666 WHERE 'ask' <> ''"
"""Passes at Parse; at Bind a person has to be asked, and nobody answers."""


class NamesTests(TestCase):
    timeout = 300
    setUp = test_refusal.RefusalTests.setUp
    rows = test_refusal.RefusalTests.rows

    def wire(self) -> Wire:
        return Wire(self.port, PATIENCE).login("app", self.token, "shop")

    @inlineCallbacks
    def attack(self, disturb, understood=True):
        """
        Let x be confirmed as harmless too late, when it is something else already.

        @param disturb: callable(wire): makes the answers come later than who counts them believes.
        @param understood: whether it can be told afterwards what a name stands for: then a person is asked.
        """

        def talk():
            with self.wire() as wire:
                disturb(wire)
                for said in (parse("x", HARMLESS), b"", close("S", "x") + parse("x", HELD), b"", b"", b""):
                    wire.send(said + SYNC)
                    wire.untilReady()
                wire.send(bind("", "x") + execute() + SYNC)
                kind, raw = wire.receive()
                if kind == b"E":
                    wire.untilReady()
                    wire.send(parse("y", "SELECT 7") + SYNC)
                    wire.untilReady()
                    wire.send(bind("", "y") + execute() + SYNC)
                    return fields(raw)["C"], [kind for kind, _ in wire.untilReady()]
                return kind, raw

        kind, said = yield deferToThread(talk)
        self.assertEqual(self.rows(), [])
        if kind != b"N":
            # What it stood for could not be told; from that refusal on it can.
            self.assertEqual((kind, said), ("42501", [b"2", b"D", b"C", b"Z"]))
        self.assertEqual(kind == b"N", understood)

    def test_skippedQuery(self):
        """After an error in the extended protocol the server passes over simple queries as well: they get no ReadyForQuery."""

        def disturb(wire):
            wire.send(parse("", "SELEKT") + query(HARMLESS) * 2 + SYNC)
            wire.untilReady()

        return self.attack(disturb)

    def test_skippedCall(self):
        def disturb(wire):
            wire.send(parse("", "SELEKT") + message(b"F", bytes(10)) * 2 + SYNC)
            wire.untilReady()

        return self.attack(disturb)

    def test_skippedQueryLater(self):
        """The same when the error is known before the queries come."""

        def disturb(wire):
            wire.send(parse("", "SELEKT") + message(b"H"))
            wire.receive()
            wire.send(query(HARMLESS) * 2 + SYNC)
            wire.untilReady()

        return self.attack(disturb)

    def test_syncDuringCopy(self):
        """While the server takes COPY data it passes over Sync."""

        def disturb(wire):
            wire.send(query("COPY judged FROM STDIN") + SYNC * 2 + message(b"c"))
            wire.untilReady()

        return self.attack(disturb)

    def test_syncDuringCopyLater(self):
        """The same when it is known that data is taken."""

        def disturb(wire):
            wire.send(query("COPY judged FROM STDIN"))
            wire.receive()
            wire.send(SYNC * 2 + message(b"c"))
            wire.untilReady()

        return self.attack(disturb)

    def test_syncBeforeCopyFails(self):
        """Whether a Sync came before the error or behind it nobody can say: no name counts, until a refusal comes back."""

        def disturb(wire):
            wire.send(query("COPY judged FROM STDIN"))
            wire.receive()
            wire.send(SYNC * 2 + message(b"f", b"\0"))
            wire.untilReady()

        return self.attack(disturb, understood=False)

    @inlineCallbacks
    def test_renamedAtExecute(self):
        """SQL that gives a name another meaning does so when it is run, not when it is parsed."""

        def talk():
            with self.wire() as wire:
                for name, text in (("d", "DEALLOCATE x"), ("p", "PREPARE x AS INSERT INTO judged SELECT 666 WHERE 'a' || 'sk' <> ''")):
                    wire.send(parse(name, text) + SYNC)
                    wire.untilReady()
                wire.send(parse("x", HARMLESS) + SYNC)
                wire.untilReady()
                wire.send(b"".join(bind("", name) + execute() for name in "dp") + SYNC)
                wire.untilReady()
                wire.send(bind("", "x") + execute() + SYNC)
                return fields(wire.untilReady()[0][1]).get("C")

        state = yield deferToThread(talk)
        self.assertEqual((state, self.rows()), ("42501", []))

    def test_syncDuringExtendedCopy(self):
        """Drivers send Sync with the Execute of a COPY, and another behind its data."""

        def disturb(wire):
            wire.send(parse("", "COPY judged FROM STDIN") + bind("", "") + execute() + SYNC * 3 + message(b"c") + SYNC)
            wire.untilReady()

        return self.attack(disturb)
