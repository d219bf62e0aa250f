# -*- test-case-name: tests.index.test_writer -*-
"""
Rows of sessions: from what frames say, and from what the catalogue says.
"""

from __future__ import annotations

from typing import Any, Callable, Final, Mapping

from hoopx.frames import DONE, EVENT, HEAD, LINK, RECOVERED, unpack
from hoopx.heading import mapping
from hoopx.index.entries import storable
from hoopx.index.tables import TWINS
from hoopx.recording.catalogue import Summary
from hoopx.ulid import ulidTime
from hoopx.values import Frame

Row = dict[str, Any]

INTERRUPTED: Final = "interrupted"
"""What the catalogue says of a session whose gateway has died and not come back yet: not the last word."""
NAMES: Final = 64
"""Labels of a session that are kept."""
MOST: Final = 2**63 - 1
"""What a database can count."""
NAME: Final = 512
"""Characters of anything that a client may have chosen; of a label's name an eighth. PostgreSQL's indexes take 2,700 bytes."""


def blank(session: str) -> Row:
    """A session of which nothing is known but its id."""
    text = ("user", "kind", "actor", "target", "account", "database", "protocol", "client", "started", "ended", "reason")
    counts = ("bytes_from_client", "bytes_from_target", "commands", "verdicts", "alarms", "segments", "items", "characters", "variants")
    return {
        "session": session, "node": "", **dict.fromkeys(text), **dict.fromkeys(counts, 0), "state": "live", "partial": False,
        "started": _began(session),
    }  # fmt: skip


def _began(session: str) -> float | None:
    try:
        return ulidTime(session)
    except ValueError:
        return None


def firstNumber(session: str) -> int:
    """The smallest number the session may have."""
    try:
        return int(ulidTime(session) * 1000) << TWINS
    except ValueError:
        return 0


def fromHead(row: Row, head: Mapping[str, Any]) -> None:
    """Fill in what HEAD says."""
    identity = mapping(head.get("identity"))
    said = {
        "node": head.get("node") or "", "user": identity.get("name"), "kind": identity.get("kind"), "actor": head.get("actor"),
        "target": head.get("target"), "account": head.get("account"), "database": head.get("database"),
        "protocol": head.get("protocol"), "client": head.get("client"),
    }  # fmt: skip
    row |= {name: None if value is None else storable(str(value)[:NAME]) for name, value in said.items()}
    row["started"] = float(head["started"])


def labelsOf(head: Mapping[str, Any]) -> dict[str, str]:
    """The run labels of a session."""
    found = mapping(head.get("labels"))
    return {storable(str(name)[: NAME // 8]): storable(str(value)[:NAME]) for name, value in list(found.items())[:NAMES]}


def _count(value: Any) -> int:
    return max(0, min(int(value), MOST))


def _reason(value: Any) -> str | None:
    return None if value is None else storable(str(value)[:NAME])


def fromSummary(row: Row, summary: Summary) -> None:
    """Fill in what the catalogue says."""
    if summary.head:
        fromHead(row, {"started": summary.started or 0.0, **summary.head})  # of one that is away, not all of HEAD is noted
    row |= {
        "started": summary.started, "ended": summary.ended, "state": summary.state, "reason": _reason(summary.reason),
        "bytes_from_client": _count(summary.totals.get("bytes_from_client", 0)),
        "bytes_from_target": _count(summary.totals.get("bytes_from_target", 0)),
    }  # fmt: skip
    if summary.reason == INTERRUPTED:
        row["ended"] = None


def fromFrame(row: Row, frame: Frame) -> None:
    """
    Fill in what one frame says of its session as a whole.

    @raise ValueError: (or C{KeyError}, C{TypeError}, C{OverflowError}) it says it wrongly.
    """
    fill = _FRAMES.get(frame.kind)
    if fill is not None:
        fill(row, unpack(frame.payload), frame)


def _head(row: Row, value: dict, frame: Frame) -> None:
    fromHead(row, value)


def _totals(row: Row, value: dict, frame: Frame) -> None:
    row |= {name: _count(value[name]) for name in ("bytes_from_client", "bytes_from_target")}


def _link(row: Row, value: dict, frame: Frame) -> None:
    if row["ended"] is None:  # else the catalogue has said what it all came to, before the segments were read
        _totals(row, value, frame)


def _done(row: Row, value: dict, frame: Frame) -> None:
    _totals(row, value, frame)
    row |= {"state": "complete", "reason": _reason(value.get("reason")), "ended": row["started"] + frame.at / 1e9}


def _recovered(row: Row, value: dict, frame: Frame) -> None:
    _totals(row, value, frame)
    reason = "recovered" if value.get("connected", True) else "never connected"
    row |= {"state": "recovered", "reason": reason, "ended": row["started"] + frame.at / 1e9}


def _event(row: Row, value: dict, frame: Frame) -> None:
    event = value.get("kind") or value.get("event")
    if event == "verdict" and value.get("verdict") != "allow":
        row["verdicts"] += 1
    elif event == "alarm":
        row["alarms"] += 1


_FRAMES: Final[Mapping[int, Callable[[Row, dict, Frame], None]]] = {
    HEAD: _head, LINK: _link, DONE: _done, RECOVERED: _recovered, EVENT: _event,
}  # fmt: skip
