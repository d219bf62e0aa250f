# -*- test-case-name: tests.test_telling -*-
"""
What a view yields, as the JSON objects that C{show --json}, C{export --format jsonl} and C{tail} print, one a line.
"""

from __future__ import annotations

from typing import Any, Callable, Final, Iterable, Iterator, Mapping

from hoopx.frames import DATA, DONE, EVENT, RECOVERED, unpack
from hoopx.values import ORIGINAL, Command, FileTransfer, Frame, Notice, Output, Result

SECOND: Final = 1_000_000_000
"""In nanoseconds."""


def seconds(frame: Frame) -> float:
    """When the frame was recorded, in seconds since session start."""
    return frame.at / SECOND


def notice(frame: Frame) -> Notice | None:
    """
    What a frame that is no DATA says, whatever the protocol.

    @return: C{None} for frames that only hold the recording together.
    """
    if frame.kind not in _SPEAKING:
        return None
    try:
        fields = unpack(frame.payload)
    except ValueError:
        return undecodable(frame, "the frame holds no JSON object")
    event = _SPEAKING[frame.kind] or str(fields.pop("kind", None) or fields.pop("event", "event"))
    return Notice(seconds(frame), frame.channel, event, fields, frame.sequence)


def heard(frame: Frame) -> bool:
    """C{True} when a view is to have the frame: it has nothing to say of what is sealed, and where nothing was sent."""
    return frame.kind != DATA or (frame.origin != ORIGINAL and bool(frame.payload))


def undecodable(frame: Frame, reason: str, **fields: Any) -> Notice:
    """What stands in a recording and can not be understood."""
    return Notice(seconds(frame), frame.channel, "undecodable", {"reason": reason, **fields}, frame.sequence)


_SPEAKING: Final[Mapping[int, str]] = {EVENT: "", DONE: "done", RECOVERED: "recovered"}


def _command(item: Command) -> dict[str, Any]:
    return {
        "type": item.kind,
        "text": item.text,
        "parameters": list(item.parameters),
        "verdict": item.verdict,
        "guard": item.guard,
    }


def _result(item: Result) -> dict[str, Any]:
    return {
        "columns": None if item.columns is None else list(item.columns),
        "rows": item.rows,
        "tag": item.tag,
        "error": None if item.error is None else dict(item.error),
        "duration": round(item.duration, 9),
        "sample": [list(row) for row in item.sample],
    }


def _output(item: Output) -> dict[str, Any]:
    return {"stream": item.stream, "text": item.text}


def _file(item: FileTransfer) -> dict[str, Any]:
    return {"operation": item.operation, "path": item.path, "bytes": item.bytes, "sha256": item.sha256}


def _event(item: Notice) -> dict[str, Any]:
    return {"event": item.event}


_TELL: Final[Mapping[type, tuple[str, Callable[[Any], dict[str, Any]]]]] = {
    Command: ("command", _command),
    Result: ("result", _result),
    Output: ("output", _output),
    FileTransfer: ("file", _file),
    Notice: ("event", _event),
}


def tell(item: Command | Result | Output | FileTransfer | Notice) -> dict[str, Any]:
    """
    One thing as JSON can say it: C{at} (seconds since session start), C{kind}, C{channel}, C{sequence}, and

      - kind C{"command"}: type, text, parameters, verdict, guard;
      - kind C{"result"}: columns, rows, tag, error, duration, sample (the first rows);
      - kind C{"output"}: stream, text;
      - kind C{"file"}: operation, path, bytes, sha256;
      - kind C{"event"}: event, and the event's own fields.
    """
    kind, own = _TELL[type(item)]
    told = {"at": item.at, "kind": kind, **own(item), "channel": item.channel, "sequence": item.sequence}
    for name, value in getattr(item, "fields", {}).items():
        told.setdefault(name, value)
    return told


def lines(frames: Iterable[Frame], view: Any) -> Iterator[dict[str, Any]]:
    """
    A whole recording, one object at a time.

    @param frames: in order of sequence.
    @param view: a fresh L{hoopx.interfaces.ISessionView}.
    """
    for frame in frames:
        if heard(frame):
            for item in view.feed(frame):
                yield tell(item)
    for item in view.finish():
        yield tell(item)
