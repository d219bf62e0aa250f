# -*- test-case-name: tests.retention.test_rules -*-
"""
How long a session is kept, and whether it must be: pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

from attrs import Factory, frozen

from hoopx.index.wanted import Filters, matches
from hoopx.recording.catalogue import Summary

DEFAULT: Final = 365 * 86400.0
"""Seconds that a session is kept which no rule speaks of."""


@frozen
class Rule:
    """How long sessions are kept: those at the targets (C{*} patterns), and with all the labels. Seconds."""

    keep: float
    targets: tuple[str, ...] = ()
    labels: Mapping[str, str] = Factory(dict)


class Keeping:
    """
    The longest rule that matches wins.

    @param rules: of the configuration.
    @param labels: target -> its labels, as the configuration has them now.
    """

    def __init__(self, rules: Sequence[Rule], labels: Mapping[str, Mapping[str, str]]) -> None:
        self._rules = rules
        self._labels = labels

    def seconds(self, target: str, labels: Mapping[str, str]) -> float:
        """
        @param target: C{""} when nobody here can tell any more (the curator's list was lost): then it is kept as long as anything is.
        @param labels: of the run, as its HEAD says them; the target's own are added, and can not be talked away.
        @return: how long a session at this target is kept, counted from its end.
        """
        if not target:
            return max([DEFAULT, *(rule.keep for rule in self._rules)])
        known = {**labels, **self._labels.get(target, {})}
        return max((rule.keep for rule in self._rules if _matches(rule, target, known)), default=DEFAULT)

    @property
    def least(self) -> float:
        """The shortest time that anything can be kept: what ended later need not be looked at."""
        return min([DEFAULT, *(rule.keep for rule in self._rules)])


def _matches(rule: Rule, target: str, labels: Mapping[str, str]) -> bool:
    if rule.targets and not any(fnmatchcase(target, pattern) for pattern in rule.targets):
        return False
    return all(labels.get(name) == value for name, value in rule.labels.items())


def heldBy(holds: Iterable[Mapping[str, Any]], session: str, head: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """
    @param holds: rows with C{session} or C{filter}, that still hold.
    @param head: what is known of the HEAD; C{None}: nothing, and every filter might mean it.
    @return: the hold that keeps a session, or C{None}.
    """
    for hold in holds:
        if hold["session"] is not None:
            if hold["session"] == session:
                return hold
        elif head is None or matches(filtersOf(hold["filter"]), Summary(session, "", dict(head), "complete", None, None, None, {})):
            return hold
    return None


def filtersOf(said: Mapping[str, Any]) -> Filters:
    """@param said: a hold's filter. A state says nothing here: what is to be erased is over."""
    known: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in said.items()}
    return Filters(**known).anyState()
