"""
Every fault at the beginning, in the middle and at the end of a session: what the client sees, what the recording says, which alarm.

The faults of one world are met one after the other by one gateway, the first time that one of them is asked for. docs/operations/failures.rst
shows the same table.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from tests.packaging import ROOT
from tests.peers.harness.grid import MOMENTS, NONE, NOTHING, WORLDS, Cell, World

UNRECORDABLE = "57P03 no session can be recorded at the moment"
BROKEN = "58030 the gateway ends this session: the session can not be recorded any more"
UNKNOWN = "08001 identities can not be checked at this moment"
EXPIRED = "28P01 the access token is not valid"
LEFT = "complete, client-left"
FAILED = "complete, recording-failed"
RECOVERED = "recovered"

TABLE: dict[tuple[str, str], Cell] = {
    ("ENOSPC", "start"): Cell(UNRECORDABLE, NONE, ("disk",), "No new session can be recorded"),
    ("ENOSPC", "middle"): Cell(BROKEN, FAILED, ("disk", "recording-failed"), "No space left on device"),
    ("ENOSPC", "end"): Cell(NOTHING, LEFT, ("disk",), "No new session can be recorded"),
    ("EIO", "start"): Cell(UNRECORDABLE, NONE, ("disk", "recording-failed"), "Input/output error"),
    ("EIO", "middle"): Cell(BROKEN, RECOVERED, ("disk", "recording-failed"), "the next start recovers it"),
    ("EIO", "end"): Cell(BROKEN, RECOVERED, ("disk", "recording-failed"), "the next start recovers it"),
    ("EROFS", "start"): Cell(UNRECORDABLE, NONE, ("disk", "recording-failed"), "Read-only file system"),
    ("EROFS", "middle"): Cell(BROKEN, RECOVERED, ("disk", "recording-failed"), "the next start recovers it"),
    ("EROFS", "end"): Cell(BROKEN, RECOVERED, ("disk", "recording-failed"), "the next start recovers it"),
    ("slow disk", "start"): Cell(NOTHING, LEFT, (), "it goes through a thread"),
    ("slow disk", "middle"): Cell(NOTHING, LEFT, (), "it goes through a thread"),
    ("slow disk", "end"): Cell(NOTHING, LEFT, (), "it goes through a thread"),
    ("S3 500", "start"): Cell(NOTHING, LEFT, ("store-away",), "can not be had", ("store-away",)),
    ("S3 500", "middle"): Cell(NOTHING, LEFT, ("store-away",), "can not be had", ("store-away",)),
    ("S3 500", "end"): Cell(NOTHING, LEFT, ("store-away",), "can not be had", ("store-away",)),
    ("S3 timeout", "start"): Cell(NOTHING, LEFT, ("store-away",), "no answer in time", ("store-away",)),
    ("S3 timeout", "middle"): Cell(NOTHING, LEFT, ("store-away",), "no answer in time", ("store-away",)),
    ("S3 timeout", "end"): Cell(NOTHING, LEFT, ("store-away",), "no answer in time", ("store-away",)),
    ("S3 wrong credentials", "start"): Cell(NOTHING, LEFT, ("store-refused",), "the secret key is wrong", ("store-refused",)),
    ("S3 wrong credentials", "middle"): Cell(NOTHING, LEFT, ("store-refused",), "the secret key is wrong", ("store-refused",)),
    ("S3 wrong credentials", "end"): Cell(NOTHING, LEFT, ("store-refused",), "the secret key is wrong", ("store-refused",)),
    ("state database down", "start"): Cell(UNKNOWN, NONE, ("state",), "an identity could not be checked"),
    ("state database down", "middle"): Cell(NOTHING, LEFT, ("state",), "the state store can not be asked", ("state",)),
    ("state database down", "end"): Cell(NOTHING, LEFT, ("state",), "the state store can not be asked", ("state",)),
    ("curator killed", "start"): Cell(NOTHING, LEFT, ("curator-down",), "The curator has ended"),
    ("curator killed", "middle"): Cell(NOTHING, LEFT, ("curator-down",), "The curator has ended", ("curator-down",)),
    ("curator killed", "end"): Cell(NOTHING, LEFT, ("curator-down",), "The curator has ended"),
    ("clock a day forward", "start"): Cell(EXPIRED, NONE, ("clock",), "the clock was set forward"),
    ("clock a day forward", "middle"): Cell(NOTHING, LEFT, ("clock",), "the clock was set forward", ("clock",)),
    ("clock a day forward", "end"): Cell(NOTHING, LEFT, ("clock",), "the clock was set forward", ("clock",)),
    ("clock a day back", "start"): Cell(NOTHING, LEFT, ("clock",), "the clock was set back"),
    ("clock a day back", "middle"): Cell(NOTHING, LEFT, ("clock",), "the clock was set back", ("clock",)),
    ("clock a day back", "end"): Cell(NOTHING, LEFT, ("clock",), "the clock was set back", ("clock",)),
}

_found: dict[tuple[str, str], Cell] = {}
_failed: dict[Callable[[], World], BaseException] = {}


def found(fault: str, moment: str) -> Cell:
    """@return: what came of it, in a world that is made for it when there was none yet."""
    world = WORLDS[fault]
    if world in _failed:
        raise _failed[world]
    if (fault, moment) not in _found:
        try:
            _found.update(world().run(TABLE))
        except BaseException as error:  # once is enough
            _failed[world] = error
            raise
    return _found[fault, moment]


class GridTests(SynchronousTestCase):
    """A test for each cell."""

    def cell(self, fault: str, moment: str) -> None:
        self.assertEqual(found(fault, moment), TABLE[fault, moment])


class PageTests(SynchronousTestCase):
    def test_page(self) -> None:
        """The operator reads the table that is tested."""
        lines = [line.strip() for line in (ROOT / "docs/operations/failures.rst").read_text().splitlines()]
        self.assertEqual([line for line in lines if line.startswith('"')], rows())

    def test_whole(self) -> None:
        self.assertEqual(set(TABLE), {(fault, moment) for fault in WORLDS for moment in MOMENTS})


def rows() -> list[str]:
    """The table as the page has it: python -m tests.peers.test_grid prints it."""
    return [
        ", ".join(f'"{text}"' for text in (*key, cell.client, cell.recording, *(_words(said) for said in (cell.alarms, cell.events)), cell.log))
        for key, cell in TABLE.items()
    ]


def _words(kinds: tuple[str, ...]) -> str:
    return " ".join(kinds) or "none"


def _cell(fault: str, moment: str) -> None:
    name = f"test_{fault.replace(' ', '_')}_{moment}"
    setattr(GridTests, name, lambda self: self.cell(fault, moment))


for _fault, _moment in TABLE:
    _cell(_fault, _moment)

if __name__ == "__main__":
    print("\n".join(f"   {row}" for row in rows()))
