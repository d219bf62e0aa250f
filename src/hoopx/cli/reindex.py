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

from hoopx.cli.output import EXIT_NO, fail, harmless, say
from hoopx.cli.place import Place, pass_place

TOLD: Final = 5
"""Recordings that can not be read of which each is named; more are counted."""


@click.command("reindex")
@click.option("--fresh", is_flag=True, help="Keep nothing of the present index, not even of recordings that are not here any longer.")
@pass_place
def command(place: Place, fresh: bool) -> None:
    """
    Make the index again from the recordings.

    The gateway can go on meanwhile, and so can searches.
    """
    from hoopx.index.rebuild import Rebuild
    from hoopx.index.segments import Segments
    from hoopx.index.store import address
    from hoopx.recording import catalogue
    from hoopx.registry import protocols

    settings, data = place.settings, str(place.data)
    where = address(settings.index.url, place.data)
    total = sum(1 for _ in catalogue.paths(data))
    with _progress(total) as step:
        rebuild = Rebuild(
            where, data, settings.gateway.name, Segments(data), protocols(), settings.recording.fullIndex, step, not fresh
        )
        count = rebuild.run()
    say(f"{count} sessions are in the index.")
    for session, why in list(rebuild.failed.items())[:TOLD]:
        say(f"hoopx: {session} can not be read: {harmless(why)}")
    if rebuild.failed:
        fail(f"{len(rebuild.failed)} recordings can not be read in full; of them the index knows what it knew before", EXIT_NO)


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
