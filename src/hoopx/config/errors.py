# -*- test-case-name: tests.config.test_loader -*-
"""
Everything that is wrong with a configuration, told at once.
"""

from __future__ import annotations

from collections.abc import Iterable

from hoopx.errors import ConfigurationError


class ConfigurationErrors(ConfigurationError):
    """
    All errors of one file, in the order of their lines.

    @ivar errors: list of L{ConfigurationError}, at least one.
    """

    def __init__(self, errors: Iterable[ConfigurationError]) -> None:
        self.errors = sorted(errors, key=lambda error: error.line or 0)
        first = self.errors[0]
        super().__init__(first.message, first.path, first.key, first.line)

    def __str__(self) -> str:
        return "\n".join(str(error) for error in self.errors)
