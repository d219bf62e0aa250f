# -*- test-case-name: tests.cli.test_sessions -*-
"""
C{hoopx sessions list}
"""

from __future__ import annotations

import os
import time
from datetime import datetime
from itertools import islice
from typing import Any, Final, Iterator

import click

from hoopx.cli.harmless import harmless
from hoopx.cli.output import complain, json_option, say, show
from hoopx.cli.place import Place, pass_place
from hoopx.cli.recorded import identity_option, openerOf
from hoopx.cli.rendering import lasting, quantity
from hoopx.cli.text import Text, Words
from hoopx.config.amounts import duration
from hoopx.errors import ConfigurationError
from hoopx.index.wanted import Filters, begun, matches
from hoopx.reading import Opener
from hoopx.recording import catalogue
from hoopx.recording.catalogue import Summary
from hoopx.recording.stored import openSegment
from hoopx.ulid import ulidTime

COLUMNS: Final = ("session", "user", "target", "account", "protocol", "started", "lasted", "state", "sent", "received")
STATES: Final = ("opening", "live", "complete", "recovered", "damaged", "encrypted")
PAGE: Final = 50
"""Sessions that people are shown at once; scripts get all."""

TAGGED: Final = 20_000
"""Tagged sessions that are looked through: each is a parameter of one question to the index, which has at most 32,766."""


class Moment(click.ParamType):
    """A moment: C{2h} (ago), C{2024-02-29}, C{2024-02-29T12:00}, with a zone or in this machine's own."""

    name = "moment"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        try:
            return time.time() - duration(value)
        except ValueError:
            pass
        try:
            return datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp()
        except (ValueError, OverflowError, OSError):
            self.fail(f"{value!r} is no moment such as 2h (ago), 2024-02-29 or 2024-02-29T12:00", param, ctx)


def _filters(kind: click.ParamType) -> Any:
    def filtered(command: Any) -> Any:
        for option in reversed(
            (
                click.option("--user", type=kind, metavar="PATTERN", help="The identity's name; * stands for anything, here and below."),
                click.option("--target", type=kind, metavar="PATTERN", help="Name of the target."),
                click.option("--protocol", type=kind, metavar="PATTERN", help="Name of the protocol."),
                click.option("--since", type=Moment(), metavar="WHEN", help="Begun at or after: 2h (ago), 2024-02-29, 2024-02-29T12:00."),
                click.option("--until", type=Moment(), metavar="WHEN", help="Begun before."),
                click.option("--state", "states", type=click.Choice(STATES), multiple=True, help="Can be repeated."),
                click.option(
                    "--label", "labels", type=kind, metavar="NAME=PATTERN", multiple=True, help="A run label, such as application=psql."
                ),
            )
        ):
            command = option(command)
        return command

    return filtered


filtered: Final = _filters(Words())
"""Adds the filters: C{user}, C{target}, C{protocol}, C{since}, C{until}, C{states}, C{labels}."""

kept: Final = _filters(Text(empty=False))
"""The same for what is kept: a filter that nothing can ever match is a mistake there."""


@click.command("list")
@filtered
@click.option(
    "--tag", "tags", type=Words(), metavar="TAG", multiple=True, help="That somebody has put on it; can be repeated: all of them."
)
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help=f"At most so many; else {PAGE}, and all with --json.")
@click.option("--page", type=click.IntRange(min=1), metavar="N", help=f"The Nth page of --limit, or {PAGE}, sessions.")
@click.option("--skip", type=click.IntRange(min=0), default=0, metavar="N", help="Leave out the newest N.")
@identity_option
@json_option
@pass_place
def command(
    place: Place,
    as_json: bool,
    limit: int | None,
    page: int | None,
    skip: int,
    identities: tuple[str, ...],
    tags: tuple[str, ...],
    **wanted: Any,
) -> None:
    """
    List sessions, newest first.

    Times in JSON are seconds since the epoch; for people they are this machine's.
    """
    if limit is None and (page is not None or not as_json):
        limit = PAGE
    if page is not None:
        skip += (page - 1) * (limit or 0)
    found = lines(place, Filters(**wanted, sessions=tagged(place, tags)), None if limit is None else limit + 1, skip, openerOf(identities))
    shown = found[:limit]
    if as_json:
        show(shown, COLUMNS, True)
        return
    show([_row(line) for line in shown], COLUMNS, False, "sessions")
    if len(found) > len(shown):
        say(f"There are more: --page {page + 1}." if page else f"There are more: --skip {skip + len(shown)}, or --limit.")


def tagged(place: Place, tags: tuple[str, ...]) -> frozenset[str] | None:
    """@return: sessions with all of these tags; C{None}: none are asked for."""
    if not tags:
        return None
    from hoopx.cli.marks import marksOf

    with marksOf(place) as marks:
        found = marks.withTags(tags, TAGGED + 1)
    if len(found) > TAGGED:
        say(f"hoopx: more than {TAGGED} sessions have that: these are the newest of them.")
    return frozenset(found[:TAGGED])


def lines(
    place: Place, filters: Filters, limit: int | None, skip: int, opener: Opener = openSegment
) -> list[dict[str, Any]]:
    """
    Sessions as C{--json} prints them: through the index where there is one, else, and more slowly, from the recordings alone.
    """
    from hoopx.index.store import NoIndex, address, openForReading

    data, settings = str(place.data), place.settings
    try:
        engine = openForReading(address(settings.index.url, place.data))
    except NoIndex:
        engine = None
    except ConfigurationError as error:
        complain(error)
        engine = None
    if engine is not None:
        from sqlalchemy.exc import SQLAlchemyError

        from hoopx.index.listing import listing
        from hoopx.state.engine import close

        try:
            return listing(engine, data, settings.gateway.name, filters, limit, skip, opener)
        except SQLAlchemyError as error:
            say(f"hoopx: the index can not be read, so this takes longer: {harmless(str(error).splitlines()[0])}")
        finally:
            close(engine)
    stop = None if limit is None else skip + limit
    return [summary.line() for summary in islice(select(data, filters, opener), skip, stop)]


def select(data: str, filters: Filters, opener: Opener = openSegment) -> Iterator[Summary]:
    """The sessions of a data directory that are wanted, newest first, read one by one."""
    for path in catalogue.paths(data):
        name = os.path.basename(path)
        if begun(filters, name):
            found = catalogue.summarise(path, opener)
            if found is not None and matches(filters, found):
                yield found
        elif filters.since is not None and began(name) < filters.since:
            return  # the ids of all others are older


def began(name: str) -> float:
    """When a session began; what is none began never."""
    try:
        return ulidTime(name)
    except ValueError:
        return float("inf")


def _row(line: dict[str, Any]) -> dict[str, Any]:
    row = dict(line)
    started, ended = line["started"], line["ended"]
    row["started"] = "" if started is None else datetime.fromtimestamp(started).strftime("%Y-%m-%d %H:%M:%S")
    row["lasted"] = "" if started is None or ended is None else lasting(ended - started)
    row["sent"] = quantity(line["bytes_from_client"])
    row["received"] = quantity(line["bytes_from_target"])
    return row
