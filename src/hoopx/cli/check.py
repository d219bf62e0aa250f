# -*- test-case-name: tests.cli.test_check -*-
"""
C{hoopx check}: every error in the configuration and in the files that it names, and what is hardly meant; whether the data folder can be
written.
"""

from __future__ import annotations

from typing import Any

import click

from hoopx.cli.output import EXIT_NO, dump, harmless, json_option, say
from hoopx.cli.place import Place, pass_place
from hoopx.errors import ConfigurationError


@click.command("check", help="Tell every error in the configuration, and what to do about it.")
@json_option
@pass_place
def command(place: Place, as_json: bool) -> None:
    from hoopx.config.contents import unusable
    from hoopx.config.doubts import doubts, hints
    from hoopx.config.folder import unwritable
    from hoopx.config.unsupported import unreadable, unsupported

    errors: list[ConfigurationError]
    warnings: list[ConfigurationError] = []
    good: list[ConfigurationError] = []
    try:
        settings = place.settings
    except ConfigurationError as error:
        errors = list(getattr(error, "errors", [error]))
    else:
        errors = [*unsupported(settings), *unreadable(settings), *unusable(settings), *unwritable(settings)]
        warnings = doubts(settings)
        good = hints(settings)
    told = (("error", errors), ("warning", warnings), ("hint", good))
    found = [(severity, each) for severity, some in told for each in _byLine(some)]
    if as_json:
        click.echo(dump([_record(severity, each) for severity, each in found]))
    else:
        for severity, each in found:
            say(f"{severity}: {harmless(str(each))}")
        if not errors:
            click.echo(f"{harmless(place.path)}: no errors" + (f", {_count(warnings, 'warning')}" if warnings else ""))
        else:
            click.echo(f"{harmless(place.path)}: {_count(errors, 'error')}" + (f", {_count(warnings, 'warning')}" if warnings else ""))
    if errors:
        raise click.exceptions.Exit(EXIT_NO)


def _byLine(errors: list[ConfigurationError]) -> list[ConfigurationError]:
    return sorted(errors, key=lambda error: error.line or 0)


def _record(severity: str, error: ConfigurationError) -> dict[str, Any]:
    return {"severity": severity, "file": error.path, "line": error.line, "key": error.key, "message": error.message}


def _count(things: list, name: str) -> str:
    return f"{len(things)} {name}" + ("" if len(things) == 1 else "s")
