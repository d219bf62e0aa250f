# -*- test-case-name: tests.index.test_entries -*-
"""
What a view yields, as what can be searched for: kind, text, parameters, when.

A function of the frames alone: whoever reads the same frames in the same order gets the same entries.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Callable, Final, Iterable, Mapping

from attrs import define

from hoopx.values import Command, FileTransfer, Notice, Output, Result

TEXT: Final = 8 * 1024
"""Characters of one text. A statement that is longer is found by its beginning; a thousand-row INSERT is 33 KB of values."""
PARAMETERS: Final = 2 * 1024
"""Characters of all parameters of a command together."""
BLOCK: Final = 1024
"""Characters of output that become one entry: lines that belong together are found together, and the pointer is near."""
PAUSE: Final = 5.0
"""Seconds after which output begins a new entry, so that what is found in it was said at about the time it tells."""
STREAMS: Final = 64
"""Streams of output that are put together at once; a session with more channels has shorter entries."""

KINDS: Final = ("command", "result", "output", "file", "event")
"""As C{sessions show} names them. A result is there for its error, an event for what it says."""

SILENT: Final = frozenset(
    {
        "admitted", "connect", "connected", "credential", "policy", "tls", "login", "half-close", "channel-open", "channel-close",
        "slow-disk", "done", "recovered",
    }  # fmt: skip
)
"""Events of every session: they would be found with every word."""


@define
class Entry:
    """
    @ivar at: seconds since session start, the first time; C{last}, the last.
    @ivar sequence: of the frame in which it stands first.
    @ivar count: how many times.
    """

    kind: str
    text: str
    parameters: str
    at: float
    last: float
    sequence: int
    count: int = 1


class Entries:
    """
    Takes what a view yields. The same thing said again is one entry, counted.

    @ivar commands: how many there were.
    """

    def __init__(self) -> None:
        self.commands = 0
        self._found: dict[int, Entry] = {}
        self._running: dict[tuple[int, str], Entry] = {}

    def taken(self) -> tuple[dict[int, Entry], int]:
        """@return: entries by hash, in the order in which they were first said, and how many commands; both since the last call."""
        found, self._found = self._found, {}
        commands, self.commands = self.commands, 0
        return found, commands

    def add(self, items: Iterable[Any]) -> None:
        """@param items: from a view."""
        for item in items:
            take = _TAKE.get(type(item))
            if take is not None:
                take(self, item)

    def finish(self) -> None:
        """The session has ended: output that waits for the rest of its line is an entry now."""
        for stream in list(self._running):
            self._flush(stream)

    def _command(self, item: Command) -> None:
        self.commands += 1
        parameters = "\n".join("" if value is None else value[:PARAMETERS] for value in item.parameters) if item.parameters else ""
        self._put("command", item.text, parameters, item.at, item.sequence)
        if item.verdict != "allow":
            self._put("event", f"{item.verdict} {item.guard or ''} {item.fields.get('reason') or ''}".strip(), "", item.at, item.sequence)

    def _result(self, item: Result) -> None:
        error = item.error
        if error and error.get("severity") != "SKIPPED":
            words = (str(error.get(name) or "") for name in ("code", "message", "detail", "hint"))
            self._put("result", " ".join(word for word in words if word), "", item.at, item.sequence)

    def _file(self, item: FileTransfer) -> None:
        self._put("file", f"{item.operation} {item.path}", item.sha256 or "", item.at, item.sequence)

    def _notice(self, item: Notice) -> None:
        if item.event not in SILENT:
            self._put("event", f"{item.event} {_words(item.fields)}".strip(), "", item.at, item.sequence)

    def _output(self, item: Output) -> None:
        stream = (item.channel, item.stream)
        running = self._running.get(stream)
        if running is not None and item.at - running.at > PAUSE:
            self._flush(stream)
            running = None
        if running is None:
            if len(self._running) >= STREAMS:
                self._flush(next(iter(self._running)))
            running = self._running[stream] = Entry("output", "", "", item.at, item.at, item.sequence)
        running.text += item.text
        while len(running.text) >= BLOCK:
            end = running.text.rfind("\n", 0, TEXT) + 1
            if not end and len(running.text) < TEXT:
                break
            said, rest = running.text[: end or TEXT], running.text[end or TEXT :]
            self._put("output", said, "", running.at, running.sequence)
            running.text, running.at, running.sequence = rest, item.at, item.sequence
        if not running.text:
            del self._running[stream]

    def _flush(self, stream: tuple[int, str]) -> None:
        running = self._running.pop(stream)
        self._put("output", running.text, "", running.at, running.sequence)

    def _put(self, kind: str, text: str, parameters: str, at: float, sequence: int) -> None:
        text, parameters = storable(text[:TEXT]), storable(parameters[:PARAMETERS])
        if not text.strip():
            return
        name = digest(kind, text, parameters)
        found = self._found.get(name)
        if found is None:
            self._found[name] = Entry(kind, text, parameters, at, at, sequence)
        else:
            found.count += 1
            # A result's time is its command's: things are not told strictly in the order of their times.
            found.at, found.last = min(found.at, at), max(found.last, at)


_TAKE: Final[Mapping[type, Callable[[Entries, Any], None]]] = {
    Command: Entries._command,
    Result: Entries._result,
    Output: Entries._output,
    FileTransfer: Entries._file,
    Notice: Entries._notice,
}


def digest(kind: str, text: str, parameters: str) -> int:
    """What tells one entry of a session from another: 64 bits, signed. Two of a session's entries are alike by chance in 10^10."""
    made = blake2b(f"{kind}\0{text}\0{parameters}".encode(), digest_size=8).digest()
    return int.from_bytes(made, "big", signed=True)


def storable(text: str) -> str:
    """Text as any database takes it: no zero, no half of a surrogate pair."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _words(value: Any, depth: int = 0) -> str:
    """The values of an event's fields, whatever their shape."""
    if isinstance(value, Mapping) and depth < 4:
        return " ".join(_words(each, depth + 1) for each in value.values())
    if isinstance(value, (list, tuple)) and depth < 4:
        return " ".join(_words(each, depth + 1) for each in value)
    return "" if value is None or isinstance(value, (bool, float)) else str(value)
