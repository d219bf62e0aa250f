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

from secrets import token_hex
from typing import Any, Callable, Final

from hoopx.errors import Refusal
from hoopx.protocols.postgres import errors, messages
from hoopx.protocols.postgres.flight import COPY_ENDS, Flight
from hoopx.values import ALLOW, CLIENT, MADE, TARGET, Block, Command

MARK: Final = "hoopx_refused_"
"""Begins the name of what does not exist at the target. With 16 hexadecimal digits it stays below a name's 63 bytes."""
RENAMING: Final = ("PREPARE", "DEALLOCATE", "DISCARD", "EXECUTE", "DECLARE", "CLOSE")
"""Words of statements that give names another meaning behind the protocol's back."""


class Judging:
    """
    The client's and the target's handlers of a judged session.

    @param session: the L{hoopx.interfaces.ISession}.
    """

    def __init__(self, session: Any) -> None:
        self._session = session
        self._lane: Any = None
        self._refusals: dict[str, Block] = {}
        self._flight = flight = Flight()
        self.clientHandlers = {
            b"Q": self._query, b"P": self._parse, b"B": self._bind, b"E": self._execute, b"C": self._close, b"F": self._function,
            b"S": self._counted, b"D": self._counted, b"c": self._copyEnds, b"f": self._copyEnds,
        }  # fmt: skip
        self.targetHandlers = {
            b"1": self._told(lambda: flight.done(b"P")), b"2": self._told(lambda: flight.done(b"B")),
            b"3": self._told(lambda: flight.done(b"C")), b"n": self._told(lambda: flight.done(b"D")),
            b"T": self._told(flight.described), b"C": self._told(flight.completed), b"I": self._told(flight.completed),
            b"s": self._told(flight.completed), b"G": self._told(flight.copying), b"E": self._failed,
            b"Z": self._told(flight.ready),
        }  # fmt: skip

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
            quoted = value.replace("'", "''")
            verdict = policy.judge(Command(0.0, 0, "sql", f"SET {name} = '{quoted}'", fields={"startup": name}), self._session)
            if verdict is not ALLOW:
                reason = verdict.reason if isinstance(verdict, Block) else "it would have to be approved"
                raise Refusal("denied", f'startup parameter "{name}" is refused: {reason}')

    def begin(self, lane: Any) -> None:
        self._lane = lane

    # The client's messages.

    def _query(self, raw: bytes) -> None:
        text = self._text(raw[5:-1])

        def send(raw: bytes) -> None:
            self._forgetIfRenamed(text)
            self._counted(raw)

        self._lane.submit(raw, self._command(b"Q", text), send)

    def _function(self, raw: bytes) -> None:
        oid = int.from_bytes(raw[5:9], "big")
        self._lane.submit(raw, self._command(b"F", f"function {oid}", understood=False), self._counted)

    def _counted(self, raw: bytes) -> None:
        self._flight.sent(raw[:1])
        self._lane.forward(CLIENT, raw)

    def _copyEnds(self, raw: bytes) -> None:
        self._flight.sent(COPY_ENDS)
        self._lane.forward(CLIENT, raw)

    def _parse(self, raw: bytes) -> None:
        (name, query), _ = messages.readStrings(raw, 2)
        text = self._text(query)
        verdict = self._lane.judge(self._command(b"P", text, parse=True))
        if isinstance(verdict, Block):
            self._lane.refuse(raw, self._command(b"P", text), verdict)
            return
        # A text to be held is held at Bind, where its parameters are known; Parse alone does nothing.
        self._flight.sent(b"P", name, text)
        self._lane.forward(CLIENT, raw)

    def _bind(self, raw: bytes) -> None:
        portal, statement, formats, values = messages.readBind(raw)
        text = self._flight.resolve(b"P", statement)
        shown = [_parameter(value, _format(formats, index)) for index, value in enumerate(values)]
        command = self._command(b"B", text or "", understood=text is not None, parameters=shown, portal=portal)

        def send(raw: bytes) -> None:
            self._flight.sent(b"B", portal, text)
            self._lane.forward(CLIENT, raw)

        self._lane.submit(raw, command, send)

    def _execute(self, raw: bytes) -> None:
        (portal,), _ = messages.readStrings(raw, 1)
        text = self._flight.resolve(b"B", portal)

        def send(raw: bytes) -> None:
            self._forgetIfRenamed(text)
            self._counted(raw)

        if text is not None or self._flight.skipping:
            send(raw)  # judged at its Bind, or passed over by the server
        else:
            self._lane.submit(raw, self._command(b"E", "", understood=False), send)

    def _close(self, raw: bytes) -> None:
        (name,), _ = messages.readStrings(raw[:5] + raw[6:], 1)
        self._flight.drop(b"P" if raw[5:6] == b"S" else b"B", name)
        self._counted(raw)

    def _text(self, query: bytes) -> str:
        return query.decode("utf-8", "backslashreplace")

    def _command(
        self, message: bytes, text: str, understood: bool = True, parameters: Any = (), parse: bool = False, portal: bytes = b""
    ) -> Command:
        fields = {"message": message, "understood": understood, "parse": parse, "portal": portal}
        return Command(0.0, self._lane.channel, "sql", text, tuple(parameters), fields=fields)

    def _forgetIfRenamed(self, text: str | None) -> None:
        """SQL can give names another meaning behind the protocol's back. C{None}: who knows."""
        upper = None if text is None else text.upper()
        if upper is None or any(word in upper for word in RENAMING):
            self._flight.forget()

    def _told(self, answered: Callable[[], None]) -> Callable[[bytes], None]:
        """@return: a handler of the target's messages that counts them."""

        def handle(raw: bytes) -> None:
            answered()
            self._lane.forward(TARGET, raw)

        return handle

    # Refusals.

    def refuse(self, command: Command, verdict: Block) -> None:
        """Send what the target will refuse, in the refused message's place."""
        name = MARK + token_hex(8)
        kind = command.fields["message"]
        if not self._flight.skipping:
            self._refusals[name] = verdict
        # A refused Bind makes a portal of which nothing is known but that the server passes over its Execute: no second refusal.
        self._flight.sent(b"Q" if kind == b"F" else kind, command.fields["portal"], "", name)
        if kind == b"P":
            replacement = messages.parse(b"", name.encode())
        elif kind == b"B":
            replacement = messages.bind(b"", name.encode())
        elif kind == b"E":
            replacement = messages.execute(name.encode())
        else:
            replacement = messages.query(name.encode())
        self._lane.forward(CLIENT, replacement, origin=MADE)

    def _failed(self, raw: bytes) -> None:
        mark, verdict = "", None
        if self._refusals:
            text = messages.readFields(raw).get("M", "")
            start = text.find(MARK)
            if start >= 0:
                mark = text[start : start + len(MARK) + 16]
                verdict = self._refusals.pop(mark, None)
        if verdict is None:
            self._flight.failed()
            self._lane.forward(TARGET, raw)
        else:
            self._flight.refused(mark)
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
