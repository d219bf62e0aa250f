"""
L{hoopx.protocols.postgres.conversation}: what a target may say of its session's cancel key.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hoopx.errors import ProtocolViolation
from hoopx.protocols.postgres import messages
from hoopx.protocols.postgres.conversation import PostgresConversation
from hoopx.values import TARGET


class Door:
    def __init__(self):
        self.offered = []

    def offer(self, key, answer):
        self.offered.append(key)


class Lane:
    def __init__(self):
        self.sent = []

    def forward(self, side, sent, recorded=None, origin=1):
        self.sent.append((side, sent))


class KeyTests(SynchronousTestCase):
    def setUp(self):
        self.conversation = PostgresConversation()
        self.conversation.lane = Lane()
        self.door = Door()
        self.conversation.begin(self.door)

    def test_own(self):
        """The client is told the target's process id and a secret that the target does not know."""
        self.conversation._keyData(messages.backendKeyData(7, b"abcd"))
        [(side, said)] = self.conversation.lane.sent
        self.assertEqual((side, messages.readKeyData(said)), (TARGET, self.door.offered[0]))
        self.assertNotEqual(self.door.offered[0], (7, b"abcd"))

    def test_twice(self):
        """Each key is remembered until the session ends: a target gives one."""
        self.conversation._keyData(messages.backendKeyData(7, b"abcd"))
        self.assertRaises(ProtocolViolation, self.conversation._keyData, messages.backendKeyData(7, b"abcd"))
        self.assertEqual(len(self.door.offered), 1)
