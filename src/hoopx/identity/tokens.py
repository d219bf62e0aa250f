# -*- test-case-name: tests.identity.test_tokens -*-
"""
Access tokens: issued here, kept as hashes in the state store.
"""

from __future__ import annotations

import hmac
import os
from base64 import b32encode
from typing import Any, Callable, Final, Sequence

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger

from hoopx.errors import HoopxError, Refusal, Unauthorized
from hoopx.identity.format import digest, newToken, wellFormed
from hoopx.state.store import Store
from hoopx.state.thread import Threads
from hoopx.values import Identity

ISSUER: Final = "tokens"
KINDS: Final = ("human", "agent", "service")
SERVICE: Final = "service:"

# Names stand in recordings, logs and tables.
MAX_NAME: Final = 256
MAX_NAMES: Final = 256

# Verifications that wait for the state thread. Each takes a fraction of a millisecond: more of them than this is a flood, and
# refusing it at once keeps the wait of everybody else short.
MAX_PENDING: Final = 1000


class TokenError(HoopxError):
    """A token can not be issued or revoked as asked; the text says why and what to do."""


class Tokens:
    """
    Issues, verifies and revokes access tokens.

    @param threads: where the store's calls run.
    @param now: the wall clock, in seconds since the epoch.
    @param maxAge: the longest life a token may have, and its life when none is asked for, in seconds.
    @param random: C{os.urandom}.
    """

    log = Logger()

    def __init__(
        self,
        store: Store,
        threads: Threads,
        now: Callable[[], float],
        maxAge: float,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.maxAge = maxAge
        self._store = store
        self._threads = threads
        self._now = now
        self._random = random
        self._pending = 0

    def issue(
        self,
        user: str,
        groups: Sequence[str] = (),
        kind: str = "human",
        actor: str | None = None,
        targets: Sequence[str] | None = None,
        ttl: float | None = None,
        note: str = "",
    ) -> Deferred[tuple[str, str]]:
        """
        Make a token.

        @param targets: target patterns the token is restricted to; C{None} or empty for no restriction.
        @param ttl: seconds it is valid.
        @return: Deferred of C{(token, id)}: the token is never to be had again; the id is no secret.
        @raise TokenError: (through the Deferred)
        """
        try:
            life = self._check(user, groups, kind, actor, targets, ttl, note)
        except TokenError:
            return fail()
        token, id = newToken(self._random), b32encode(self._random(10)).decode("ascii").lower()
        created = self._now()
        row = {
            "id": id,
            "hash": digest(token),
            "user": user,
            "groups": sorted(set(groups)),
            "kind": kind,
            "actor": actor,
            "targets": sorted(set(targets)) if targets else None,
            "created": created,
            "expires": created + life,
            "revoked": None,
            "note": note,
        }
        return self._threads.call(self._store.addToken, row).addCallback(lambda _: (token, id))

    def issued(self) -> Deferred[list[dict[str, Any]]]:
        """
        @return: Deferred of dicts C{id, user, groups, kind, actor, targets, created, expires, revoked, note}, newest first; times
            in seconds since the epoch.
        """
        return self._threads.call(self._store.allTokens)

    def revoke(self, id: str | None = None, user: str | None = None) -> Deferred[list[str]]:
        """
        Revoke one token, or all of a user's.

        @return: Deferred of the ids revoked now.
        @raise TokenError: (through the Deferred) there is no such token, or not exactly one of both is given.
        """
        if (id is None) == (user is None):
            return fail(TokenError("say which token, or whose: an id or a user"))
        return self._threads.call(self._revoke, id, user)

    def verify(self, text: str) -> Deferred[Identity]:
        """@return: fails with L{Unauthorized}, which says the same for every cause, or another L{Refusal} under a flood."""
        if not wellFormed(text):
            return fail(Unauthorized())
        if self._pending >= MAX_PENDING:
            return fail(Refusal("limit", "too many logins at this moment", "Try again in a few seconds."))
        self._pending += 1
        hashed = digest(text)

        def done(result: Any) -> Any:
            self._pending -= 1
            return result

        found = self._threads.call(self._store.tokenByHash, hashed).addBoth(done)
        return found.addCallback(self._identify, hashed)

    def _identify(self, row: dict[str, Any] | None, hashed: str) -> Identity:
        if row is None or not hmac.compare_digest(row["hash"], hashed):
            raise Unauthorized()
        if row["revoked"] is not None or self._now() >= row["expires"]:
            raise Unauthorized()
        return Identity(
            issuer=ISSUER,
            subject=row["user"],
            name=row["user"],
            groups=tuple(row["groups"]),
            kind=row["kind"],
            actor=row["actor"],
            credential=row["id"],
            expires=row["expires"],
            targets=None if row["targets"] is None else tuple(row["targets"]),
        )

    def _revoke(self, id: str | None, user: str | None) -> list[str]:
        if id is not None and not self._store.hasToken(id):
            raise TokenError(f"there is no token with the id \"{id}\": hoopx tokens list shows them")
        return self._store.revokeTokens(self._now(), id, user)

    def _check(
        self,
        user: str,
        groups: Sequence[str],
        kind: str,
        actor: str | None,
        targets: Sequence[str] | None,
        ttl: float | None,
        note: str,
    ) -> float:
        if kind not in KINDS:
            raise TokenError(f"\"{kind}\" is no kind of identity: use {', '.join(KINDS)}")
        lists = (("group", groups), ("target", targets or ()))
        for what, names in (("user", [user]), ("actor", [] if actor is None else [actor]), *lists):
            if len(names) > MAX_NAMES:
                raise TokenError(f"a token can have at most {MAX_NAMES} {what}s")
            for name in names:
                if not isinstance(name, str) or not name.strip() or len(name) > MAX_NAME or not name.isprintable():
                    raise TokenError(f"the name of {'an' if what == 'actor' else 'a'} {what} has 1 to {MAX_NAME} printable characters")
        if len(note) > MAX_NAME or not (note == "" or note.isprintable()):
            raise TokenError(f"a note has at most {MAX_NAME} printable characters")
        if user.startswith(SERVICE) and kind != "service":
            raise TokenError(f"a user that begins with \"{SERVICE}\" is a service: use --kind service")
        if ttl is None:
            return self.maxAge
        if not 0 < ttl <= self.maxAge:
            raise TokenError(
                f"a token lives at most {self.maxAge:g} seconds here: ask for less, or raise max_age in [identity.tokens]"
            )
        return ttl
