"""
L{hoopx.protocols.postgres.flight}: which answer belongs to what, and what a name stands for.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hoopx.errors import ProtocolViolation
from hoopx.protocols.postgres import flight
from hoopx.protocols.postgres.flight import COPY_ENDS, Flight


class FlightTests(SynchronousTestCase):
    def setUp(self):
        self.flight = Flight()

    def say(self, *kinds):
        for kind in kinds:
            self.flight.sent(kind)

    def prepare(self, name, text):
        self.flight.sent(b"P", name, text)
        self.say(b"S")
        self.flight.done(b"P")
        self.flight.ready()

    def test_confirmed(self):
        self.prepare(b"x", "SELECT 1")
        self.assertEqual(self.flight.resolve(b"P", b"x"), "SELECT 1")
        self.assertIsNone(self.flight.resolve(b"P", b"y"))
        self.assertIsNone(self.flight.resolve(b"B", b"x"))
        self.assertEqual(len(self.flight), 0)

    def test_underWay(self):
        """In one pipeline the latest counts; behind a Sync only what all agree on."""
        self.prepare(b"x", "SELECT 1")
        self.flight.sent(b"P", b"x", "SELECT 2")
        self.assertEqual(self.flight.resolve(b"P", b"x"), "SELECT 2")
        self.say(b"S")
        self.assertIsNone(self.flight.resolve(b"P", b"x"))

    def test_failedParse(self):
        self.prepare(b"x", "SELECT 1")
        self.flight.sent(b"P", b"x", "SELECT 2")
        self.say(b"D", b"Q", b"S")
        self.flight.failed()
        self.flight.ready()
        self.assertEqual((self.flight.resolve(b"P", b"x"), len(self.flight), self.flight.blind), ("SELECT 1", 0, False))

    def test_skipping(self):
        """What comes between an error and the next Sync is nothing to the server."""
        self.flight.sent(b"P", b"x", "SELEKT")
        self.flight.failed()
        self.assertTrue(self.flight.skipping)
        self.say(b"Q", b"Q", b"F")
        self.flight.sent(b"P", b"x", "SELECT 1")
        self.say(b"S")
        self.assertFalse(self.flight.skipping)
        self.assertEqual((len(self.flight), self.flight.resolve(b"P", b"x")), (1, None))

    def test_commitFails(self):
        """An error at Sync is followed by its ReadyForQuery."""
        self.say(b"E", b"S")
        self.flight.completed()
        self.flight.failed()
        self.flight.ready()
        self.assertEqual((self.flight.skipping, self.flight.blind, len(self.flight)), (False, False, 0))

    def test_wrongAnswer(self):
        """An answer that is not due: no name counts, until the error at a name of ours comes back."""
        self.prepare(b"x", "SELECT 1")
        self.say(b"Q")
        self.flight.done(b"P")
        self.assertTrue(self.flight.blind)
        self.assertIsNone(self.flight.resolve(b"P", b"x"))
        self.flight.ready()
        self.prepare(b"x", "SELECT 2")
        self.assertIsNone(self.flight.resolve(b"P", b"x"))
        self.flight.sent(b"B", b"", "", "mark")
        self.say(b"E", b"S")
        self.flight.refused("mark")
        self.flight.ready()
        self.assertEqual((self.flight.blind, len(self.flight)), (False, 0))
        self.assertIsNone(self.flight.resolve(b"P", b"x"))
        self.prepare(b"x", "SELECT 3")
        self.assertEqual(self.flight.resolve(b"P", b"x"), "SELECT 3")

    def test_copy(self):
        self.say(b"E", b"S", b"S", COPY_ENDS, b"S")
        self.flight.copying()
        self.flight.completed()
        self.flight.ready()
        self.assertEqual((self.flight.blind, len(self.flight)), (False, 0))

    def test_twoCopiesInOneQuery(self):
        self.say(b"Q", COPY_ENDS, b"S", COPY_ENDS)
        for _ in range(2):
            self.flight.copying()
            self.flight.completed()
        self.flight.ready()
        self.assertEqual((self.flight.blind, len(self.flight)), (False, 0))

    def test_commandDuringCopy(self):
        """The server ends the connection, or (older ones) takes it for a failure of the COPY."""
        self.say(b"Q", b"Q")
        self.flight.copying()
        self.assertTrue(self.flight.blind)

    def test_copyFails(self):
        self.say(b"E", COPY_ENDS, b"S")
        self.flight.copying()
        self.flight.failed()
        self.flight.ready()
        self.assertEqual((self.flight.blind, self.flight.skipping, len(self.flight)), (False, False, 0))

    def test_forgotten(self):
        """Also what is being made just now."""
        self.flight.sent(b"P", b"x", "SELECT 1")
        self.flight.forget()
        self.flight.sent(b"P", b"y", "SELECT 2")
        self.flight.done(b"P")
        self.flight.done(b"P")
        self.assertEqual((self.flight.resolve(b"P", b"x"), self.flight.resolve(b"P", b"y")), (None, "SELECT 2"))

    def test_dropped(self):
        self.flight.sent(b"P", b"x", "SELECT 1")
        self.flight.drop(b"P", b"x")
        self.say(b"C")
        self.assertIsNone(self.flight.resolve(b"P", b"x"))
        self.flight.done(b"P")
        self.assertIsNone(self.flight.resolve(b"P", b"x"))

    def test_memory(self):
        """Texts under way and texts of names have a limit of bytes; one that is beyond it is not understood."""
        text = "x" * (flight.TEXT_LIMIT // 4)
        for index in range(10):
            self.flight.sent(b"P", b"%d" % index, text + str(index))
        self.assertLessEqual(sum(len(entry.text or "") for entry in self.flight._queue), flight.TEXT_LIMIT)
        self.assertIsNone(self.flight.resolve(b"P", b"9"))
        for _ in range(10):
            self.flight.done(b"P")
        self.assertLessEqual(sum(map(len, self.flight._names.values())), flight.TEXT_LIMIT)
        self.assertEqual((self.flight._weight, self.flight._making), (0, {}))

    def test_sameNameAgain(self):
        """What is replaced weighs nothing any more: an old name is kept, however often another one is made anew."""
        self.prepare(b"old", "SELECT 1")
        text = "x" * (flight.TEXT_LIMIT // 4)
        for _ in range(10):
            self.prepare(b"", text)
        self.assertEqual(self.flight.resolve(b"P", b"old"), "SELECT 1")

    def test_tooMuch(self):
        self.patch(flight, "FLIGHT_LIMIT", 3)
        self.say(b"S", b"S", b"S")
        self.assertRaises(ProtocolViolation, self.say, b"S")

    def test_manyDropped(self):
        self.patch(flight, "NAMES_LIMIT", 3)
        self.say(b"S")
        for index in range(10):
            self.flight.drop(b"P", b"%d" % index)
        self.assertLessEqual(len(self.flight._dropped), 3)
