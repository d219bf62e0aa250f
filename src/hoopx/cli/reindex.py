# -*- test-case-name: tests.cli.test_reindex -*-
"""
C{hoopx reindex}
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import Any, Callable, Final, Iterator

import click

from hoopx.cli.looking import act
from hoopx.cli.output import EXIT_NO, fail, harmless, say
from hoopx.cli.place import Place, pass_place
from hoopx.cli.recorded import identity_option, openerOf
from hoopx.cli.stock import Stock

TOLD: Final = 5
"""Recordings that can not be read of which each is named; more are counted."""


@click.command("reindex")
@click.option("--fresh", is_flag=True, help="Keep nothing of the present index, not even of recordings that are not here any longer.")
@identity_option
@pass_place
def command(place: Place, fresh: bool, identities: tuple[str, ...]) -> None:
    """
    Make the index again from the recordings: those in the data directory, and those in the store of the configuration of which there is
    no local copy any more.

    The gateway can go on meanwhile, and so can searches.
    """
    from hoopx.index.rebuild import Rebuild
    from hoopx.index.segments import Segments
    from hoopx.index.store import address
    from hoopx.recording.fetching import Fetching
    from hoopx.registry import protocols

    settings, data = place.settings, str(place.data)
    where = address(settings.index.url, place.data)
    opener = openerOf(identities)
    stock = Stock(place)
    away = stock.look()
    if away and fresh:
        fail(f"{away}. Nothing was changed: with --fresh what is only there would be lost from the index. Try again when it is back")
    if away:
        say(f"hoopx: {harmless(away)}: of what is only there the index knows what it knew before")
    act(place, "index.reindex", "", fresh=fresh)
    fetching = Fetching(opener, stock.store, placed=stock.places.placed)
    total = sum(1 for _ in stock.places.paths())
    try:
        with _progress(total) as step:
            rebuild = Rebuild(
                where, data, settings.gateway.name, Segments(stock.places, fetching), protocols(), settings.recording.fullIndex, step,
                not fresh, stock.places, stock.look,
            )  # fmt: skip
            count = rebuild.run()
    finally:
        fetching.close()
    say(f"{count} session{' is' if count == 1 else 's are'} in the index.")
    for session, why in list(rebuild.failed.items())[:TOLD]:
        say(f"hoopx: {session} can not be read: {harmless(why)}")
    if len(rebuild.failed) > TOLD:
        say(f"hoopx: and {len(rebuild.failed) - TOLD} more")
    if rebuild.failed:
        say(f"{len(rebuild.failed)} recordings can not be read in full; of them the index knows what it knew before")
    gave = stock.gave()
    if gave:
        fail(f"the store can not be had ({harmless(gave)}): when it can, run hoopx reindex again", EXIT_NO)
    if away:
        fail("the store could not be looked through: when it can be had, run hoopx reindex again", EXIT_NO)
    if rebuild.failed:
        raise click.exceptions.Exit(EXIT_NO)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[str], Any]]:
    """A bar on standard error, when that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda path: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Indexing", total=total)
        yield lambda path: bar.update(task, advance=1, description=os.path.basename(path))
