# -*- test-case-name: tests.demo.test_teller -*-
"""
How the tour looks on a terminal, or in a log.
"""

from __future__ import annotations

import io

from rich.console import Console
from rich.text import Text


class Teller:
    """
    Headings, commands, and what they said.

    @param file: where to; C{None} for standard output.
    """

    def __init__(self, file: io.TextIOBase | None = None) -> None:
        self._console = Console(file=file, highlight=False, soft_wrap=True)  # type: ignore[arg-type]

    def heading(self, text: str) -> None:
        self._console.print()
        self._console.print(Text(text, style="bold cyan"))

    def command(self, text: str) -> None:
        """As a person would type it."""
        prompt = "" if text.startswith("shop=>") else "$ "
        self._console.print(Text("  " + prompt + text.strip().replace("\n", "\n  "), style="bold"))

    def output(self, text: str) -> None:
        """Text of others: printed as it is, indented."""
        for line in text.strip("\n").splitlines():
            self._console.print(Text("  " + line.rstrip()))

    def table(self, text: str) -> None:
        """Tab-separated text of others, in columns."""
        rows = [line.split("\t") for line in text.splitlines()]
        widths = [max(map(len, column)) for column in zip(*rows)]
        self.output("\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)) for row in rows))

    def note(self, text: str) -> None:
        self._console.print(Text(text))
