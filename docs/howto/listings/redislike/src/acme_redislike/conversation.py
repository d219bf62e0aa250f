"""One connection to Redis: clients say C{AUTH [ACCOUNT@]TARGET TOKEN}, the gateway logs in with the account's password."""

from zope.interface import implementer

from acme_redislike.codec import RespCodec, command, error, words
from hoopx.errors import Refusal, TargetFailed
from hoopx.interfaces import IConversation
from hoopx.values import CLIENT, MADE, TARGET, Block, Claim, Command, Token

UNKNOWN = command(b"HOOPX.REFUSED")
"""A command that no Redis knows: its error comes back where the refusal has to stand."""


@implementer(IConversation)
class RedisConversation:
    lane, masks = None, ()

    def __init__(self) -> None:
        self.clientCodec, self.targetCodec = RespCodec(client=True), RespCodec(client=False)
        self.clientHandlers = {"login": self._login, "command": self._login}
        self.targetHandlers = {"reply": self._answer, "error": self._answer}
        self._refused: list[bytes] = []

    # Before the session is live: the client's login, then ours.

    def begin(self, door) -> None:
        self._door = door
        if door.startsTLS:
            door.startTLS(CLIENT).addErrback(lambda _: door.close("violation"))

    def _login(self, raw: bytes) -> None:
        door, said = self._door, words(raw)
        if len(said) != 3 or said[0].upper() != b"AUTH":
            return door.reply(error("NOAUTH", "Authentication required: AUTH TARGET TOKEN"))
        if door.requireTLS and not door.secure:
            raise Refusal("tls-required", "this gateway asks for TLS", "redis-cli --tls")
        account, _, target = said[1].decode("utf-8", "replace").rpartition("@")
        token = Token(said[2].decode("utf-8", "replace"))
        door.admit(Claim("redislike", door.pinned or target, account, token, None, {}, door.address))

    def targetReady(self, session, credential) -> None:
        self._session, door = session, self._door
        login = command(b"AUTH", credential.username.encode(), credential.secrets["password"])
        if session.target.tls == "off":
            door.ask(login)
        else:
            door.startTLS(TARGET).addCallbacks(lambda _: door.ask(login), door.failed)

    def _answer(self, raw: bytes) -> None:
        if raw != b"+OK\r\n":
            raise TargetFailed("the target refused the account's password", "The gateway's operator has to look at it.")
        self._door.live()
        self.lane = self._session.lane(0, masks=self.masks)
        self.targetHandlers = {"error": self._comesBack}
        again = Block("one login for each connection: a second token is neither recorded nor sent on")
        self.clientHandlers = {"login": lambda raw: self.refuse(self.lane, None, again)}
        if self._session.judged:
            self.clientHandlers["command"] = self._judge
        self.lane.forward(TARGET, raw, origin=MADE)

    def refused(self, refusal: Refusal) -> None:
        code = {"unauthorized": "WRONGPASS", "unavailable": "ERR"}.get(refusal.code, "NOPERM")
        self._door.reply(error(code, f"{refusal.message}. {refusal.hint}"))

    # Live: what has no handler is recorded and forwarded as it is.

    def _judge(self, raw: bytes) -> None:
        said = Command(0, 0, "redis", b" ".join(words(raw)).decode("utf-8", "replace"))
        self.lane.submit(raw, said, lambda raw: self.lane.forward(CLIENT, raw))

    def refuse(self, lane, command: Command | None, verdict: Block) -> None:
        """Redis itself refuses in our place, in the order of its replies; inside MULTI, it refuses EXEC too."""
        self._refused.append(error("NOPERM", verdict.reason))
        lane.forward(CLIENT, UNKNOWN, origin=MADE)

    def _comesBack(self, raw: bytes) -> None:
        if not self._refused or b"HOOPX.REFUSED" not in raw:
            return self._reply(raw)
        self.lane.attempt(TARGET, raw)
        self.lane.forward(TARGET, self._refused.pop(0), origin=MADE)

    def _reply(self, raw: bytes) -> None:
        self.lane.forward(TARGET, raw)

    def waiting(self, lane, approval) -> None:
        """Redis has no word for it."""

    def end(self, reason: str, message: str) -> bytes:
        return error("ERR", message)
