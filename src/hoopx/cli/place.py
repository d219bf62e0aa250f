# -*- test-case-name: tests.cli.test_main -*-
"""
Which configuration a command works on.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from hoopx.config import Settings


class Place:
    """
    The configuration file of this invocation, read at its first use.

    @ivar path: as given on the command line or by C{$HOOPX_CONFIG}.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._settings: Settings | None = None

    @property
    def settings(self) -> Settings:
        """
        @return: L{hoopx.config.Settings}
        @raise hoopx.errors.ConfigurationError: the file is missing or wrong. L{hoopx.cli.main.main} shows it.
        """
        if self._settings is None:
            from hoopx.config import load

            self._settings = load(self.path)
        return self._settings

    @property
    def data(self) -> Path:
        """The data directory, absolute."""
        return Path(self.settings.gateway.data)


pass_place = click.make_pass_decorator(Place)
"""Decorates a command: its first argument is the L{Place}."""
