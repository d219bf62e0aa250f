# -*- test-case-name: tests.cli.test_output -*-
"""
How commands speak: a table on a terminal, tab-separated text elsewhere, JSON for scripts, errors on standard error.
"""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NoReturn

import click

from hoopx.cli.harmless import harmless

EXIT_NO: Final = 1
"""Denied, not found, tampered, failed."""
EXIT_USAGE: Final = 2
"""The question itself was wrong: options, configuration."""

json_option: Callable[[Any], Any] = click.option("--json", "as_json", is_flag=True, help="JSON for scripts.")
"""Adds C{--json}; the command's parameter is C{as_json}."""


def onTerminal() -> bool:
    """C{True} when a person reads standard output."""
    return sys.stdout.isatty()


def say(text: str) -> None:
    """Lines for people, on standard error: standard output is for results. Names of files and the like do nothing to the terminal."""
    click.echo(harmless(text, "\n"), err=True)


def dump(value: Any) -> str:
    """One line of JSON, in plain ASCII: harmless on a terminal. What JSON can not say is said as text."""
    return jsonlib.dumps(value, default=str).replace("\x7f", "\\u007f")


def show(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], as_json: bool, title: str = "") -> None:
    """
    Print records: with C{as_json} one array of the whole records; on a terminal a table of the columns; else a header line and
    one tab-separated line a record.
    """
    found = list(rows)
    if as_json:
        click.echo(dump([dict(row) for row in found]))
        return
    cells = [[_cell(row.get(column)) for column in columns] for row in found]
    if not onTerminal():
        for line in ([list(columns)] if cells else []) + cells:
            click.echo("\t".join(line))
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not cells:
        say(f"No {title}." if title else "Nothing.")
        return
    table = Table(box=SIMPLE_HEAD, title=title or None, title_justify="left")
    for number, column in enumerate(columns):
        # What a line is called by is there to be copied: it stays in one piece.
        table.add_column(column.replace("_", " "), overflow="fold", no_wrap=not number)
    for line in cells:
        # Text, not str: rich would read "[red]" in a value as markup.
        table.add_row(*(Text(cell) for cell in line))
    Console().print(table)


def lines(records: Iterable[Mapping[str, Any]]) -> None:
    """Print records as JSON, one object a line, each as soon as it is there."""
    for record in records:
        click.echo(dump(record))


def fail(message: str, status: int = EXIT_NO) -> NoReturn:
    """Say why on standard error and end the command."""
    say(f"hoopx: {harmless(message)}")
    raise click.exceptions.Exit(status)


def complain(error: BaseException) -> None:
    """
    Show an error of the package on standard error; every single one of a configuration that has several.

    @param error: with C{errors} (L{hoopx.config.ConfigurationErrors}) one line each.
    """
    several = getattr(error, "errors", None)
    if not several:
        say(f"hoopx: {harmless(str(error))}")
        hint = getattr(error, "hint", "")
        if hint:
            say(f"       {harmless(hint)}")
        return
    for one in several:
        say(f"hoopx: {harmless(str(one))}")
    if len(several) > 1:
        say(f"hoopx: {len(several)} errors in the configuration")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple, set, frozenset)):
        return harmless(", ".join(str(item) for item in value))
    if isinstance(value, Mapping):
        return harmless(", ".join(f"{key}={item}" for key, item in value.items()))
    return harmless(str(value))
