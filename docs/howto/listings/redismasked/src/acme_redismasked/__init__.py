"""Redis, with the numbers of payment cards hidden from the client: their last four digits are left."""

import re

from acme_redislike.conversation import RedisConversation
from hoopx.values import TARGET

CARD = re.compile(rb"\b(\d{4}[ -]?){3}(?=\d{4}\b)")


class MaskedConversation(RedisConversation):
    masks = (TARGET,)

    def _answer(self, raw: bytes) -> None:
        super()._answer(raw)
        self.targetHandlers["reply"] = self._reply

    def _reply(self, raw: bytes) -> None:
        """A reply, or an error of Redis' own, which can repeat what it was given. As long as before: the lengths in it stay right."""
        shown = CARD.sub(lambda found: b"*" * len(found[0]), raw)
        if shown == raw:
            self.lane.forward(TARGET, raw)
        else:
            self.lane.masked(TARGET, shown, raw)
