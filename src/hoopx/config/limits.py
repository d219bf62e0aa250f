# -*- test-case-name: tests.config.test_doubts -*-
"""
How many files a gateway may open, against how many sessions it is to hold.
"""

from __future__ import annotations

import resource
from typing import Final

PER_SESSION: Final = 3
"""Descriptors of a session: client, target, recording."""
BESIDES: Final = 256
"""Descriptors of the gateway itself: listeners, state, journal, control socket, recordings that are being closed."""


def descriptors(sessions: int, limit: int | None = None) -> str | None:
    """
    @param limit: how many files this process may ever open; C{None} for its hard limit.
    @return: what is wrong with it for as many sessions, or C{None}.
    """
    short = _short(sessions, limit)
    if short is None:
        return None
    needed, limit, fit = short
    return (
        f"{sessions} sessions need {needed} open files and this machine allows {limit}, enough for {fit}: "
        f"set LimitNOFILE={needed} (systemd) or ulimit -n {needed}, or lower max_sessions"
    )


def defaulted(sessions: int, limit: int | None = None) -> str | None:
    """
    @param sessions: as many as there may be when nobody has said how many.
    @param limit: as for L{descriptors}.
    @return: what this process's limit means for that, or C{None}: it is enough.
    """
    short = _short(sessions, limit)
    if short is None:
        return None
    needed, limit, fit = short
    return (
        f"started from here the gateway has room for {fit} sessions at once ({limit} open files), and not for the {sessions} of the "
        f"default. If that is enough, set max_sessions = {fit}. A service has limits of its own: LimitNOFILE={needed} (systemd)"
    )


def _short(sessions: int, limit: int | None) -> tuple[int, int, int] | None:
    """@return: files needed, the limit, and for how many sessions that is enough; C{None}: for all of them."""
    needed = _needed(sessions)
    if limit is None:
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if limit == resource.RLIM_INFINITY or limit >= needed:
        return None
    return needed, limit, max(0, (limit - BESIDES) // PER_SESSION)


def raiseDescriptors(sessions: int) -> str | None:
    """
    Raise this process's soft limit to what as many sessions need, as far as the hard limit allows: the usual soft limit of 1,024
    is enough for 256 sessions only.

    @return: like L{descriptors}.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _needed(sessions) if hard == resource.RLIM_INFINITY else min(_needed(sessions), hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return descriptors(sessions, hard)


def _needed(sessions: int) -> int:
    return sessions * PER_SESSION + BESIDES
