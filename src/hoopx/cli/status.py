# -*- test-case-name: tests.cli.test_status -*-
"""
C{hoopx status}: how the running gateway is.
"""

from __future__ import annotations

from typing import Any, Iterator

import click

from hoopx.cli.gateway import client
from hoopx.cli.output import dump, harmless, json_option
from hoopx.cli.place import Place, pass_place


@click.command("status")
@json_option
@pass_place
def command(place: Place, as_json: bool) -> None:
    """Show how the running gateway is. Exit status 1 when none runs, or when it can not record."""
    found = client(place).status()
    if as_json:
        click.echo(dump(found))
    else:
        for name, text in _said(found):
            click.echo(f"{name:12} {harmless(text)}")
    if found.get("disk"):
        raise click.exceptions.Exit(1)


def _said(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "gateway", f"{found.get('node', '')} (hoopx {found.get('version', '')})"
    if "uptime" in found:
        yield "up for", _span(found["uptime"])
    yield "sessions", str(found.get("sessions", ""))
    for listener in found.get("listeners", ()):
        yield "listens", f"{listener.get('protocol', '')} on {listener.get('address') or listener.get('endpoint', '')}"
    if "recordings" in found:
        yield "recordings", str(found["recordings"])
    yield "records", f"NO: {found['disk']}" if found.get("disk") else "yes"
    for name, count in sorted((found.get("counters") or {}).items()):
        yield name.replace("_", " "), str(count)


def _span(seconds: float) -> str:
    days, rest = divmod(int(seconds), 86400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    return (f"{days} d " if days else "") + f"{hours:02}:{minutes:02}:{rest:02}"
