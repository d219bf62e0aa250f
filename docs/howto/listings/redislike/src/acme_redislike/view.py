"""Reading a recording of Redis: commands, and what came back."""

from zope.interface import implementer

from acme_redislike.codec import RespCodec, words
from hoopx import telling
from hoopx.frames import DATA
from hoopx.interfaces import ISessionView
from hoopx.values import ATTEMPTED, CLIENT, MADE, TARGET, Command, Frame, Result


@implementer(ISessionView)
class RedisView:
    def __init__(self) -> None:
        self._codecs = {CLIENT: RespCodec(client=True), TARGET: RespCodec(client=False)}
        self._asked: list[float] = []

    def feed(self, frame: Frame) -> list:
        if frame.kind != DATA:
            return [notice] if (notice := telling.notice(frame)) else []
        if frame.origin == (MADE if frame.side == CLIENT else ATTEMPTED):
            return []  # the client did not say it, or did not hear it
        tell = self._command if frame.side == CLIENT else self._reply
        return [tell(frame, telling.seconds(frame), raw) for _, raw in self._codecs[frame.side].feed(frame.payload)]

    def _command(self, frame: Frame, at: float, raw: bytes) -> Command:
        self._asked.append(at)
        text = b" ".join(words(raw)).decode("utf-8", "backslashreplace")
        verdict = "block" if frame.origin == ATTEMPTED else "allow"
        return Command(at, frame.channel, "redis", text, (), verdict, None, frame.sequence)

    def _reply(self, frame: Frame, at: float, raw: bytes) -> Result:
        line = raw.partition(b"\r\n")[0].decode("utf-8", "backslashreplace")
        code, _, message = line[1:].partition(" ")
        failed = {"code": code, "message": message} if line[0] == "-" else None
        rows = max(0, int(line[1:])) if line[0] == "*" else 1
        duration = at - self._asked.pop(0) if self._asked else 0.0
        return Result(at, frame.channel, None, rows, line, failed, duration, (), frame.sequence)

    def finish(self) -> list:
        return []
