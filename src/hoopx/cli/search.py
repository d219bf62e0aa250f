# -*- test-case-name: tests.cli.test_search -*-
"""
C{hoopx search}
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any, Final

import click

from hoopx.cli.harmless import harmless
from hoopx.cli.listing import filtered
from hoopx.cli.looking import look
from hoopx.cli.output import EXIT_NO, dump, fail, json_option, say
from hoopx.cli.place import Place, pass_place
from hoopx.cli.rendering import moment
from hoopx.cli.text import Words
from hoopx.index.entries import KINDS, storable

LIMIT: Final = 50
LINES: Final = 3
"""Lines of a text that people are shown; the rest is in the session."""
WIDTH: Final = 200
"""Characters of each."""
UNSAID: Final = "; what is said is not indexed here, only who was where and when: see index in [recording]"


@click.command("search")
@click.argument("query", nargs=-1, required=True, type=Words())
@filtered
@click.option("--kind", "kinds", type=click.Choice(KINDS), multiple=True, help="Only such things. Can be repeated.")
@click.option("--limit", type=click.IntRange(min=1), default=LIMIT, show_default=True, metavar="N", help="At most so many.")
@json_option
@pass_place
def command(place: Place, query: tuple[str, ...], kinds: tuple[str, ...], limit: int, as_json: bool, **wanted: Any) -> None:
    """
    Find what was said in any session: commands, parameters, errors, output, file names, verdicts.

    All words must be there, in any order. "Several words" in quotes must follow one another, and a word that ends in * is the
    beginning of a word. The newest session comes first.
    """
    from hoopx.index.search import Filters, search
    from hoopx.index.store import address, openForReading
    from hoopx.state.engine import close

    said = storable(" ".join(query))  # a terminal may send what is no text
    engine = openForReading(address(place.settings.index.url, place.data))
    try:
        look(place, "search", said, kinds=list(kinds), limit=limit, **{name: value for name, value in wanted.items() if value})
        found = search(engine, said, Filters(**wanted), limit, kinds)
    finally:
        close(engine)
    if as_json:
        click.echo(dump(found))
        return
    for one in found:
        for line in lines(one):
            click.echo(line)
    if not found:
        fail("nothing was found" + ("" if place.settings.recording.fullIndex else UNSAID), EXIT_NO)
    if len(found) == limit:
        say(f"There may be more: --limit {limit * 2}, or rarer words.")


def lines(one: dict[str, Any]) -> list[str]:
    """One thing that was found, for people: whose it is, how to see it, and its first lines."""
    when = "" if one["time"] is None else datetime.fromtimestamp(one["time"]).strftime("%Y-%m-%d %H:%M:%S")
    times = f", {one['count']} times until {moment(one['last'])}" if one["count"] > 1 else ""
    begin = math.floor(one["at"] * 1000) / 1000  # rounded up it would be left out
    first = (
        f"{one['session']} --at {begin:.3f}  {when}  {one['user'] or ''}"
        f"{' (' + one['actor'] + ')' if one['actor'] else ''} at {one['target'] or ''}  {one['kind']}{times}"
    )
    text = one["text"].strip("\n").split("\n")
    shown = [f"    {harmless(line[:WIDTH], chr(9))}{' ...' if len(line) > WIDTH else ''}" for line in text[:LINES]]
    if len(text) > LINES:
        shown.append(f"    ... {len(text) - LINES} more lines")
    if one["parameters"]:
        values = ", ".join(harmless(value[:WIDTH]) for value in one["parameters"][:10])
        shown.append(f"    with {values}{', ...' if len(one['parameters']) > 10 else ''}")
    return [harmless(first), *shown]
