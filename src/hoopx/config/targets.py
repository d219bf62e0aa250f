# -*- test-case-name: tests.config.test_unsupported -*-
"""
Targets as the configuration file names them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from zope.interface import implementer

from hoopx.interfaces import ITargets
from hoopx.values import Target


@implementer(ITargets)
class ConfiguredTargets:
    """
    @param targets: name -> L{Target}.
    """

    def __init__(self, targets: Mapping[str, Target]) -> None:
        self._targets = targets

    def get(self, name: str) -> Target | None:
        return self._targets.get(name)

    def names(self) -> Iterable[str]:
        return list(self._targets)
