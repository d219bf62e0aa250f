# -*- test-case-name: tests.state.test_persons -*-
"""
Whether two names may be one person's. Where nobody can tell, they may.

Names come from issuers of tokens and certificates, who write them as they like, and from this machine's users. What is compared is
said in docs/howto/search.rst; names of one person that have nothing in common (C{alice}, and the account C{a.smith}) are not found.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from hoopx.state.rows import AS

_ACTOR: Final = re.compile(r"uid \d+ \((.+)\)", re.DOTALL)
_PREFIX: Final = re.compile(r"(?:service|agent|user):")


def forms(name: str) -> frozenset[str]:
    """
    A name in all the ways that it is meant by: as a whole; without what goes before C{:} in C{service:x}; without a realm
    (C{alice@example.com}, C{CORP\\alice}, C{alice/admin@REALM}); without what stands behind a C{+} (C{alice+agent@example.com}).

    Of each, compatible characters are one (NFKC), case does not count, and neither does what can not be seen or is white space.

    @return: none of a name in which nothing is left.
    """
    found: set[str] = set()
    waiting = [_folded(name)]
    while waiting:
        one = waiting.pop()
        if one and one not in found:
            found.add(one)
            waiting += [_PREFIX.sub("", one, count=1), one.rpartition("\\")[2]]
            waiting += [one.partition(sign)[0] for sign in "@/+"]
    return frozenset(found)


def actors(by: str) -> list[frozenset[str]] | None:
    """
    @param by: as the audit names people: C{"uid 1000 (alice) as uid 0 (root)"}.
    @return: the forms of each of these names, of who it is first; C{None}: one is not named, and may be anybody.
    """
    found = [_ACTOR.fullmatch(one) for one in by.split(AS)]
    named = [forms(one.group(1)) for one in found if one is not None]
    return named if len(named) == len(found) and all(named) else None


def isOwn(by: str, name: str) -> bool:
    """@return: whether whoever acts may be the one whom an issuer calls that; also as the user that somebody has become."""
    found, other = actors(by), forms(name)
    return found is None or not other or any(one & other for one in found)


def perhapsOne(one: str, other: str) -> bool:
    """
    @return: whether two actors may be the same person. A user that no login is known of may be whoever has become that user: who has
        logged in can start commands of which the kernel does not know it, such as by a service manager.
    """
    mine, theirs = actors(one), actors(other)
    if mine is None or theirs is None:
        return True
    return any(mine[0] & name for name in theirs) or any(theirs[0] & name for name in mine)


def _folded(name: str) -> str:
    """Folded until nothing changes any more: each step can make work for the others."""
    while True:
        seen = "".join(letter for letter in name if unicodedata.category(letter)[0] not in "CZ")
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", seen).casefold())
        if folded == name:
            return name
        name = folded
