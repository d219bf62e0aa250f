# -*- test-case-name: tests.policy.test_access -*-
"""
Who may open a session to what.

A grant speaks of an identity when both halves match: the subject (one of C{groups} or one of C{users}; absent: anybody) and who
acts (C{kinds}; absent: the subject itself). An agent that acts for a person is never just that person: a grant that does not
name its kind, nor the actor among C{users}, does not speak of it.

Nothing is allowed that no grant allows.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any, Final, Iterable, Iterator, Sequence

from zope.interface import implementer

from hoopx.errors import Refusal
from hoopx.interfaces import IAccessPolicy, IGrants
from hoopx.values import Account, Claim, Grant, Identity, Target

LISTED: Final = 20
"""Names that a refusal lists: more do not fit into an error message that somebody reads."""

NAME_SHOWN: Final = 100
"""Characters of an asked name that a refusal repeats."""

IMPLICIT: Final = Account("default", "")
"""The account of a target that has none: protocols without a login, such as raw TCP."""


@implementer(IGrants)
class Grants:
    """
    @param grants: grant settings (L{hoopx.config.GrantSettings}), in the order of the configuration.
    """

    def __init__(self, grants: Iterable[Any]) -> None:
        self._grants = tuple(grants)

    def forIdentity(self, identity: Identity) -> list[Any]:
        return [grant for grant in self._grants if speaksOf(grant, identity)]


@implementer(IAccessPolicy)
class AccessPolicy:
    """
    @param grants: L{IGrants}
    """

    def __init__(self, grants: IGrants) -> None:
        self._grants = grants

    def admit(self, identity: Identity, claim: Claim, target: Target | None) -> Grant:
        applicable = self._applicable(identity, target) if target is not None else []
        if target is None or not applicable:
            raise _notFound(claim.target)
        own = ownDatabase(target)
        accounts = _unique(account.name for _, allowed in applicable for account in allowed)
        wanted = accounts
        if claim.account in accounts:
            wanted = [claim.account]
        elif claim.account not in ("", identity.name, identity.name.partition("@")[0]):
            raise _refused("account", claim.account, accounts, target)
        database = claim.database or own
        offered: list[str] = []
        for grant, allowed in applicable:
            for account in allowed:
                if account.name not in wanted:
                    continue
                if own is None and database is None:
                    return _grant(grant, account, None)
                patterns = grant.databases or ([own] if own is not None else [])
                exact = not grant.databases
                if database is not None and any(database == each if exact else fnmatchcase(database, each) for each in patterns):
                    return _grant(grant, account, database)
                offered += patterns
        raise _refused("database", database or "", _unique(offered), target)

    def visible(self, identity: Identity, target: Target) -> list[tuple[Any, list[Account]]]:
        """@return: grant settings and the accounts each allows to an identity at a target; empty when it may not know of it."""
        return self._applicable(identity, target)

    def _applicable(self, identity: Identity, target: Target) -> list[tuple[Any, list[Account]]]:
        if identity.targets is not None and not any(fnmatchcase(target.name, each) for each in identity.targets):
            return []
        found = []
        for grant in self._grants.forIdentity(identity):
            # A second factor can not be seen yet: a grant that wants one gives nothing.
            if grant.mfa is None and covers(grant, target):
                allowed = list(_accounts(grant, target))
                if allowed:
                    found.append((grant, allowed))
        return found


def speaksOf(grant: Any, identity: Identity) -> bool:
    """C{True} when a grant's groups, users and kinds take in an identity."""
    if not (grant.groups or grant.users or grant.kinds):
        return False
    if grant.kinds and identity.kind not in grant.kinds:
        return False
    if grant.groups or grant.users:
        member = any(group in grant.groups for group in identity.groups)
        if not member and not _matches(grant.users, identity.name):
            return False
    if identity.actor is not None and not grant.kinds:
        return _matches(grant.users, identity.actor)
    return True


def covers(grant: Any, target: Target) -> bool:
    """C{True} when a grant's targets and labels take in a target. Both must, where both are given; one must be given."""
    if not (grant.targets or grant.labels):
        return False
    if grant.targets and not _matches(grant.targets, target.name):
        return False
    return all(target.labels.get(key) == value for key, value in grant.labels.items())


def ownDatabase(target: Target) -> str | None:
    """@return: the target's own database, the target's name where none is configured, C{None} where the protocol has none."""
    database = getattr(target.options, "database", None)
    return None if database is None else str(database or target.name)


def _accounts(grant: Any, target: Target) -> Iterator[Account]:
    accounts = target.accounts or {IMPLICIT.name: IMPLICIT}
    if not grant.accounts:
        yield next(iter(accounts.values()))
        return
    seen = set()
    for pattern in grant.accounts:
        for name, account in accounts.items():
            if name not in seen and fnmatchcase(name, pattern):
                seen.add(name)
                yield account


def _matches(patterns: Sequence[str], name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _grant(grant: Any, account: Account, database: str | None) -> Grant:
    return Grant(grant.name, account, database, tuple(grant.permit), grant.maxDuration, grant.approval)


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _shown(name: str) -> str:
    cut = name if len(name) <= NAME_SHOWN else name[:NAME_SHOWN] + "..."
    return "".join(letter if letter.isprintable() else "?" for letter in cut)


def _notFound(name: str) -> Refusal:
    """For an unknown target and a forbidden one: nothing here may depend on which it is."""
    return Refusal(
        "not-found",
        f'there is no target "{_shown(name)}" that you may use',
        "Check the name; if it is right, ask for a grant.",
    )


def _refused(what: str, asked: str, allowed: Sequence[str], target: Target) -> Refusal:
    names = ", ".join(_shown(name) for name in allowed[:LISTED]) or "none"
    more = f" and {len(allowed) - LISTED} more" if len(allowed) > LISTED else ""
    return Refusal(
        what,
        f'{what} "{_shown(asked)}" is not allowed at target "{_shown(target.name)}"; allowed: {names}{more}',
        f"Use one of these {what}s, or ask for a grant.",
    )
