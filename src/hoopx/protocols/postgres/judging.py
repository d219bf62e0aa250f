# -*- test-case-name: tests.peers.test_refusal -*-
"""
Commands of a session in which rules are in force: what is judged, and how a refusal is said.

A command is judged before its first effect can happen: a Query and a FunctionCall as they are, an extended one at Parse (its text
must not even be planned when it is blocked) and again at Bind, where text and parameters are both known. What was prepared
elsewhere (SQL PREPARE, DECLARE CURSOR) is not understood here and is judged as such.

A refused message is replaced by one that the target itself refuses; its ErrorResponse is rewritten on its way back. Order in a
pipeline, skipping to Sync and the transaction's state are so the server's own.
"""

from __future__ import annotations

from collections import deque
from secrets import token_hex
from typing import Any, Final

from hoopx.errors import ProtocolViolation, Refusal
from hoopx.protocols.postgres import errors, messages
from hoopx.values import ALLOW, CLIENT, MADE, TARGET, Block, Command

MARK: Final = "hoopx_refused_"
"""Begins the name of what does not exist at the target. With 16 hexadecimal digits it stays below a name's 63 bytes."""
FLIGHT_LIMIT: Final = 10_000
"""Messages sent ahead of their answers: psycopg's pipelines stay far below; each costs some 200 bytes here."""
NAMES_LIMIT: Final = 10_000
"""Prepared statements and portals that are remembered. One that is forgotten is not understood, and judged so."""
TEXT_LIMIT: Final = 16 * 1024 * 1024
"""Bytes of their texts."""


class Judging:
    """
    The client's and the target's handlers of a judged session.

    @param conversation: whose lane and door are used.
    @param session: the L{hoopx.interfaces.ISession}.
    """

    def __init__(self, conversation: Any, session: Any) -> None:
        self._session = session
        self._lane: Any = None
        self._refusals: dict[str, Block] = {}
        self._flight: deque = deque()
        self._names: dict[tuple[str, bytes], str | None] = {}
        self._textBytes = 0
        self.clientHandlers = {
            b"Q": self._query, b"P": self._parse, b"B": self._bind, b"E": self._execute, b"C": self._close, b"F": self._function,
            b"S": self._sync,
        }  # fmt: skip
        self.targetHandlers = {b"1": self._done, b"2": self._done, b"E": self._failed, b"Z": self._ready}

    def startup(self, parameters: dict[str, str]) -> None:
        """Startup parameters count as SET commands; a replication connection as opaque."""
        policy = self._session.broker.policy
        for name, value in parameters.items():
            if name in ("user", "database"):
                continue
            if name == "replication" and value.lower() not in ("", "0", "off", "false", "no"):
                if "opaque" not in self._session.grant.permit:
                    raise Refusal("denied", "replication can not be judged, and rules are in force for this session")
                continue
            verdict = policy.judge(Command(0.0, 0, "sql", f"SET {name} = '{value}'", fields={"startup": name}), self._session)
            if verdict is not ALLOW:
                reason = verdict.reason if isinstance(verdict, Block) else "it would have to be approved"
                raise Refusal("denied", f'startup parameter "{name}" is refused: {reason}')

    def begin(self, lane: Any) -> None:
        self._lane = lane

    # The client's messages.

    def _query(self, raw: bytes) -> None:
        text = self._text(raw[5:-1])
        self._forgetIfRenamed(text)
        self._lane.submit(raw, self._command(b"Q", text), self._sendQuery)

    def _function(self, raw: bytes) -> None:
        oid = int.from_bytes(raw[5:9], "big")
        self._lane.submit(raw, self._command(b"F", f"function {oid}", understood=False), self._sendQuery)

    def _sendQuery(self, raw: bytes) -> None:
        self._note("ready", b"", None)
        self._lane.forward(CLIENT, raw)

    def _sync(self, raw: bytes) -> None:
        self._sendQuery(raw)

    def _parse(self, raw: bytes) -> None:
        (name, query), _ = messages.readStrings(raw, 2)
        text = self._text(query)
        verdict = self._lane.judge(self._command(b"P", text, parse=True))
        if isinstance(verdict, Block):
            self._lane.refuse(raw, self._command(b"P", text), verdict)
            return
        # A text to be held is held at Bind, where its parameters are known; Parse alone does nothing.
        self._forgetIfRenamed(text)
        self._note("statement", name, text)
        self._lane.forward(CLIENT, raw)

    def _bind(self, raw: bytes) -> None:
        portal, statement, formats, values = messages.readBind(raw)
        text = self._resolve("statement", statement)
        shown = [_parameter(value, _format(formats, index)) for index, value in enumerate(values)]
        command = self._command(b"B", text or "", understood=text is not None, parameters=shown, portal=portal)

        def send(raw: bytes) -> None:
            self._note("portal", portal, text)
            self._lane.forward(CLIENT, raw)

        self._lane.submit(raw, command, send)

    def _execute(self, raw: bytes) -> None:
        (portal,), _ = messages.readStrings(raw, 1)
        if self._resolve("portal", portal) is not None:
            self._lane.forward(CLIENT, raw)  # judged at its Bind
        else:
            command = self._command(b"E", "", understood=False)
            self._lane.submit(raw, command, lambda raw: self._lane.forward(CLIENT, raw))

    def _close(self, raw: bytes) -> None:
        # Closed or not, the name is better not understood than misunderstood.
        (name,), _ = messages.readStrings(raw[:5] + raw[6:], 1)
        self._names.pop(("statement" if raw[5:6] == b"S" else "portal", name), None)
        self._lane.forward(CLIENT, raw)

    def _text(self, query: bytes) -> str:
        return query.decode("utf-8", "backslashreplace")

    def _command(
        self, message: bytes, text: str, understood: bool = True, parameters: Any = (), parse: bool = False, portal: bytes = b""
    ) -> Command:
        fields = {"message": message, "understood": understood, "parse": parse, "portal": portal}
        return Command(0.0, self._lane.channel, "sql", text, tuple(parameters), fields=fields)

    # Which text a name stands for. A name counts only once the target has confirmed it: a Parse that the server skipped after an
    # error would otherwise put a harmless text over what the server really has.

    def _note(self, kind: str, name: bytes, text: str | None) -> None:
        if len(self._flight) >= FLIGHT_LIMIT:
            raise ProtocolViolation(f"more than {FLIGHT_LIMIT} messages without an answer can not be judged")
        self._flight.append((kind, name, text))

    def _resolve(self, kind: str, name: bytes) -> str | None:
        """@return: the one text that the name can stand for, or C{None}."""
        for entry in reversed(self._flight):
            if entry[0] == "ready":
                break
            if entry[:2] == (kind, name):
                return entry[2]
        texts = {entry[2] for entry in self._flight if entry[:2] == (kind, name)}
        texts.add(self._names.get((kind, name)))
        return texts.pop() if len(texts) == 1 else None

    def _forgetIfRenamed(self, text: str) -> None:
        """SQL can give names another meaning behind the protocol's back."""
        upper = text.upper()
        if "PREPARE" in upper or "DEALLOCATE" in upper or "DISCARD" in upper or "EXECUTE" in upper:
            self._names.clear()
            self._textBytes = 0

    def _done(self, raw: bytes) -> None:
        kind = "statement" if raw[:1] == b"1" else "portal"
        if self._flight and self._flight[0][0] == kind:
            _, name, text = self._flight.popleft()
            self._textBytes += len(text or "")
            if len(self._names) >= NAMES_LIMIT or self._textBytes > TEXT_LIMIT:
                self._names.clear()
                self._textBytes = len(text or "")
            self._names[kind, name] = text
        self._lane.forward(TARGET, raw)

    def _ready(self, raw: bytes) -> None:
        """Everything up to this answer's Sync is answered or was skipped."""
        while self._flight:
            kind, name, _ = self._flight.popleft()
            if kind == "ready":
                break
            if kind == "refusal":
                self._refusals.pop(name.decode(), None)
        self._lane.forward(TARGET, raw)

    # Refusals.

    def refuse(self, command: Command, verdict: Block) -> None:
        """Send what the target will refuse, in the refused message's place."""
        name = MARK + token_hex(8)
        self._refusals[name] = verdict
        kind = command.fields["message"]
        self._note("refusal", name.encode(), None)
        if kind == b"P":
            replacement = messages.parse(b"", name.encode())
        elif kind == b"B":
            replacement = messages.bind(b"", name.encode())
            # The Execute behind it is skipped by the server: no second refusal for one command.
            self._note("portal", command.fields["portal"], "")
        elif kind == b"E":
            replacement = messages.execute(name.encode())
        else:
            replacement = messages.query(name.encode())
            self._note("ready", b"", None)
        self._lane.forward(CLIENT, replacement, origin=MADE)

    def _failed(self, raw: bytes) -> None:
        verdict = None
        if self._refusals:
            text = messages.readFields(raw).get("M", "")
            start = text.find(MARK)
            if start >= 0:
                verdict = self._refusals.pop(text[start : start + len(MARK) + 16], None)
        if verdict is None:
            self._lane.forward(TARGET, raw)
        else:
            self._lane.attempt(TARGET, raw)
            self._lane.forward(TARGET, errors.blocked(verdict, self._session.id), origin=MADE)


def _format(formats: list[int], index: int) -> int:
    """Format codes: none = all text, one = for all, else one each (Bind)."""
    if not formats:
        return 0
    return formats[0] if len(formats) == 1 else formats[index] if index < len(formats) else 0


def _parameter(value: bytes | None, format: int) -> str | None:
    if value is None:
        return None
    return value.decode("utf-8", "backslashreplace") if format == 0 else "\\x" + value.hex()
