"""All live recordings are told what is wrong with the gateway: a few at a time, and not too often."""

import re
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

import hoopx
from hoopx.alarming import KINDS, MINUTE, PAUSE, TURN, AlarmNotes
from hoopx.ulid import ulid

RAISED = re.compile(r'(?:\b_?(?:alarm|aloud)\(\s*|\balarm=)"([a-z-]+)"')
"""How the sources name an alarm."""


class Session:
    ending = None
    broken = False

    def __init__(self):
        self.notes = []
        self.failures = []

    def note(self, kind, **fields):
        if self.broken:
            raise OSError(5, "gone")
        self.notes.append((kind, fields["alarm"], fields["why"]))

    def failed(self, failure):
        self.failures.append(failure)


class AlarmingTests(SynchronousTestCase):
    def setUp(self):
        self.clock = Clock()
        self.sessions = {}
        self.notes = AlarmNotes(self.clock, self.sessions)

    def session(self):
        name = ulid(1.8e9 + len(self.sessions))
        session = self.sessions[name] = Session()
        return session

    def tell(self, alarm="ledger", why="it is away", **fields):
        self.notes.tell({"alarm": alarm, "why": why, **fields})

    def told(self):
        return [len(session.notes) for session in self.sessions.values()]

    def test_all(self):
        """In turns, so that ten thousand do not hold up anybody."""
        count = 10_000
        for _ in range(count):
            self.session()
        self.tell()
        self.assertEqual(sum(self.told()), TURN)
        self.clock.advance(PAUSE)
        self.assertEqual(sum(self.told()), 2 * TURN)
        self.clock.pump([PAUSE] * (count // TURN))
        self.assertEqual(set(self.told()), {1})
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_oncePerMinute(self):
        """Of one kind; whoever came since is told at once."""
        session = self.session()
        self.tell()
        self.tell()
        self.tell("store-away")
        self.assertEqual([alarm for _, alarm, _ in session.notes], ["ledger", "store-away"])
        later = self.session()
        self.clock.advance(MINUTE - 1)
        self.tell()
        self.assertEqual((len(session.notes), len(later.notes)), (2, 1))
        self.clock.advance(1)
        self.tell()
        self.assertEqual((len(session.notes), len(later.notes)), (3, 1))

    def test_whoLeaves(self):
        for _ in range(3 * TURN):
            self.session()
        self.tell()
        gone = self.sessions.popitem()[1]
        self.clock.pump([PAUSE] * 4)
        self.assertEqual(gone.notes, [])
        self.tell("other")
        self.sessions.clear()
        self.clock.advance(MINUTE)
        self.tell()
        self.assertEqual(self.notes._told["ledger"], {})

    def test_named(self):
        """One that speaks of a session is not told to the others."""
        one, other = self.session(), self.session()
        name = next(iter(self.sessions))
        self.tell(why=f"the recording {name} is odd")
        self.tell("odd", session=name)
        self.assertEqual((len(one.notes), other.notes), (2, []))
        self.tell("store-away", why=f"the store can not be had: gw/{name}/000000.hxr")  # the first of all that wait for it
        self.assertEqual((len(one.notes), len(other.notes)), (3, 1))

    def test_recordingsTrouble(self):
        session = self.session()
        self.tell("disk")
        self.assertEqual(session.notes, [])

    def test_fails(self):
        """One that can not be written ends its session, and is no trouble of the others'."""
        bad, good = self.session(), self.session()
        bad.broken = True
        self.tell()
        self.assertEqual((len(bad.failures), len(good.notes)), (1, 1))

    def test_ending(self):
        session = self.session()
        session.ending = "client-left"
        self.tell()
        self.assertEqual(session.notes, [])

    def test_kinds(self):
        self.session()
        for number in range(2 * KINDS):
            self.tell(str(number))
        self.assertEqual(self.told(), [KINDS])


class DocumentedTests(SynchronousTestCase):
    def test_page(self):
        """docs/operations/monitoring.rst lists the alarms that there are."""
        root = Path(hoopx.__file__).parent
        raised = set()
        for path in root.rglob("*.py"):
            if "witness" not in path.relative_to(root).parts:  # the witness's own are in its log
                raised.update(RAISED.findall(path.read_text()))
        page = (Path(__file__).resolve().parent.parent / "docs" / "operations" / "monitoring.rst").read_text()
        table = page.partition("\nAlarms\n------\n")[2].partition("\nWhat to be woken for\n")[0]
        self.assertEqual(sorted(re.findall(r"^``([a-z-]+)``", table, flags=re.MULTILINE)), sorted(raised))
