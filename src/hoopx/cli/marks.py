# -*- test-case-name: tests.cli.test_marks -*-
"""
C{hoopx sessions tag} and C{hoopx sessions review}
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final, Iterator

import click

from hoopx.cli.output import fail, json_option, say, show
from hoopx.cli.place import Place, pass_place
from hoopx.cli.recorded import identity_option, locate, named, openerOf

TAGS: Final = ("tag", "by", "at")
REVIEWS: Final = ("what", "by", "at", "note")


@click.command()
@click.argument("session")
@click.argument("tags", nargs=-1)
@click.option("--remove", is_flag=True, help="Take the tags off.")
@click.option("--list", "listed", is_flag=True, help="Show which tags there are.")
@json_option
@pass_place
def tag(place: Place, session: str, tags: tuple[str, ...], remove: bool, listed: bool, as_json: bool) -> None:
    """Put words of your own on a session, take them off, or list them."""
    if listed == bool(tags) or (listed and remove):
        raise click.UsageError("Give TAGS to put on, or with --remove to take off; or --list alone.")
    name = named(place, session)
    with marksOf(place) as marks:
        if listed:
            show([_dated(row, as_json) for row in marks.tagged(name)], TAGS, as_json, "tags")
            return
        done = marks.untag(name, tags) if remove else marks.tag(name, tags)
    if not done:
        say(f"Nothing to do: {name} {'has none of them' if remove else 'has them all'}.")


@click.command()
@click.argument("session")
@click.option("--sign-off", is_flag=True, help="Confirm, as a second person, that somebody has looked.")
@click.option("--note", default="", metavar="TEXT", help="What was found.")
@click.option("--list", "listed", is_flag=True, help="Show who has reviewed it.")
@identity_option
@json_option
@pass_place
def review(
    place: Place, session: str, sign_off: bool, note: str, listed: bool, identities: tuple[str, ...], as_json: bool
) -> None:
    """
    Say that you have looked at a session, or confirm that somebody has.

    Nobody reviews a session of their own, and nobody signs off what they have reviewed themselves.
    """
    if listed and (sign_off or note):
        raise click.UsageError("--list stands alone.")
    path = locate(place, session)
    name = os.path.basename(path)
    people = () if listed else _whose(place, path, identities)
    with marksOf(place) as marks:
        if not listed:
            marks.review(name, people, sign_off, note)
            say(f"{name} is {'signed off' if sign_off else 'reviewed'}.")
            return
        show([_dated(row, as_json) for row in marks.reviewed(name)], REVIEWS, as_json, "reviews")


def _whose(place: Place, path: str, identities: tuple[str, ...]) -> tuple[str, ...]:
    """
    @param path: a session's directory.
    @return: whose session it is, and who has acted in it, as the recording says, or, where that can not be read, the index. Ends the
        command where nobody can tell: it could be the reviewer's own.
    """
    from hoopx.cli.listing import lines
    from hoopx.cli.stores import fetching
    from hoopx.index.wanted import Filters
    from hoopx.recording import catalogue

    session, opener = os.path.basename(path), openerOf(identities)
    summary = catalogue.summarise(path, fetching(place, opener))
    more: list[Any] = []
    if summary is not None and summary.head:
        found = [summary.line()]
        more = [(summary.head.get("identity") or {}).get("subject")]
    else:
        found = lines(place, Filters(sessions=frozenset([session])), 1, 0, opener)
    if not found or not found[0]["user"]:
        hint = ": give --identity KEYFILE" if summary is not None and summary.state == "encrypted" else ""
        fail(f"nobody can tell whose session {session} is, and nobody reviews a session of their own{hint}")
    return tuple(str(name) for name in (found[0]["user"], found[0]["actor"], *more) if name)


@contextmanager
def marksOf(place: Place) -> Iterator[Any]:
    """@return: context manager of L{hoopx.state.marks.Marks}, in the name of whoever runs the command."""
    from hoopx.api.peer import myself
    from hoopx.state.marks import Marks
    from hoopx.state.store import Store

    store = Store.open(place.settings.state.url, place.data)
    try:
        yield Marks(store, myself(), time.time)
    finally:
        store.close()


def _dated(row: dict[str, Any], as_json: bool) -> dict[str, Any]:
    return row if as_json else row | {"at": datetime.fromtimestamp(row["at"]).strftime("%Y-%m-%d %H:%M:%S")}
