# -*- test-case-name: tests.curator.test_keeping -*-
"""
How long a session is kept: the longest rule that matches wins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final

from hoopx.curator.settings import YEAR, Rule

DEFAULT: Final = YEAR


class Keeping:
    """
    @param rules: of the configuration.
    @param labels: target -> its labels, as the configuration has them now.
    """

    def __init__(self, rules: Sequence[Rule], labels: Mapping[str, Mapping[str, str]]) -> None:
        self._rules = rules
        self._labels = labels

    def seconds(self, target: str, labels: Mapping[str, str]) -> float:
        """
        @param labels: of the run, as its HEAD says them; the target's own are added.
        @return: how long a session at this target is kept, counted from its end; 365 days when no rule matches.
        """
        known = {**labels, **self._labels.get(target, {})}
        matching = [rule.keep for rule in self._rules if _matches(rule, target, known)]
        return max(matching, default=DEFAULT)


def _matches(rule: Rule, target: str, labels: Mapping[str, str]) -> bool:
    if rule.targets and not any(fnmatchcase(target, pattern) for pattern in rule.targets):
        return False
    return all(labels.get(name) == value for name, value in rule.labels.items())
