# -*- test-case-name: tests.identity.test_revocation -*-
"""
Learns of revocations, whoever made them.
"""

from __future__ import annotations

from typing import Any, Callable, Final, Iterable

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from hoopx.state.store import Store
from hoopx.state.thread import Threads

# A revoked credential's sessions end within 2 s: one question a second leaves a second for the answer and the end.
POLL_SECONDS: Final = 1.0

# Taken from the store in one question; further ones come with the next, at once.
BATCH: Final = 1000

# Told again with every question for so long: a login that was verified just before the revocation becomes a session after it.
# No login takes longer.
AGAIN_SECONDS: Final = 60.0

# Told again at most: the newest. A revocation of more tokens at once is of one user, whose logins are few.
MAX_AGAIN: Final = 10_000


class Revocations:
    """
    Asks the state store once a second for what was revoked since, also by another process.

    @param threads: where the store's calls run.
    @param clock: L{twisted.internet.interfaces.IReactorTime}.
    @param onRevoked: callable(list of credential ids): ends their sessions. Told of a credential more than once.
    @param alarm: callable(alarm, fields): the store can not be asked. Told once per outage.
    @ivar trouble: why the store can not be asked, or C{None}. Whoever asks every second is the first to see it.
    """

    log = Logger()

    def __init__(
        self,
        store: Store,
        threads: Threads,
        clock: Any,
        onRevoked: Callable[[list[str]], Any],
        alarm: Callable[[str, dict[str, Any]], Any] = lambda alarm, fields: None,
    ) -> None:
        self._store = store
        self._threads = threads
        self._onRevoked = onRevoked
        self._last = 0
        self._known: str | None = None  # whose it was
        self._alarm = alarm
        self.trouble: str | None = None
        self._clock = clock
        self._recent: dict[str, float] = {}
        self._loop = LoopingCall(self.poll)
        self._loop.clock = clock

    def start(self) -> Deferred[None]:
        """@return: fires when the present end of the list is known; only then may somebody be admitted."""

        def known(rows: list[tuple[int, str]]) -> None:
            if rows:
                self._last, self._known = rows[0]
            self._loop.start(POLL_SECONDS, now=False)

        def found(last: int) -> Deferred[Any]:
            return self._threads.call(self._store.revocationsAfter, last - 1, 1)

        return self._threads.call(self._store.lastRevocation).addCallback(found).addCallback(known)

    def stop(self) -> None:
        if self._loop.running:
            self._loop.stop()

    def told(self, credentials: Iterable[str]) -> None:
        """Revoked by this process just now: do not wait for the next question."""
        now = self._clock.seconds()
        fresh = list(credentials)
        self._recent |= dict.fromkeys(fresh, now)
        while len(self._recent) > MAX_AGAIN:
            del self._recent[next(iter(self._recent))]
        if fresh:
            self._tell(fresh)

    def poll(self) -> Deferred[None]:
        """Ask now. @return: fires when everything that was revoked is told; never fails."""
        since = self._clock.seconds() - AGAIN_SECONDS
        self._recent = {credential: at for credential, at in self._recent.items() if at > since}
        if self._recent:
            self._tell(list(self._recent))
        return self._ask()

    def _ask(self) -> Deferred[None]:
        # With the last one that is known: where it is not there, the store is an older copy, whose numbers have begun again.
        asked: Deferred[Any] = self._threads.call(self._store.revocationsAfter, self._last - 1, BATCH + 1)
        asked.addCallback(self._answered)
        return asked.addErrback(self._failed)

    def _answered(self, rows: list[tuple[int, str]]) -> Deferred[None] | None:
        if self.trouble is not None:
            self.trouble = None
            self.log.info("the state store answers again")
        if self._last and rows[:1] != [(self._last, self._known)]:
            self.log.warn("The state store is another one than before, or an older copy: all that it says was revoked is told again.")
            self._last, self._known = 0, None
            return self._ask()
        fresh = rows[1:] if self._last else rows
        if not fresh:
            return None
        self._last, self._known = fresh[-1]
        self.told([credential for _, credential in fresh])
        return self._ask() if len(fresh) >= BATCH else None

    def _tell(self, credentials: list[str]) -> None:
        try:
            self._onRevoked(credentials)
        except Exception:
            self.log.failure("sessions of revoked credentials could not all be ended")

    def _failed(self, why: Failure) -> None:
        if self.trouble is None:  # once per outage
            self.trouble = "the state store can not be asked"
            self.log.failure("the state store can not be asked for revocations; asking again every second", why)
            self._alarm("state", {"why": f"{self.trouble}: identities can not be checked, and revocations are not seen"})
