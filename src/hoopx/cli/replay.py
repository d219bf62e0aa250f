# -*- test-case-name: tests.cli.test_sessions -*-
"""
C{hoopx sessions show} and C{hoopx sessions replay}
"""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any, Callable, Final, Iterator, Mapping

import click

from hoopx.cli.harmless import harmless
from hoopx.cli.looking import asked, look
from hoopx.cli.output import dump, fail, json_option, onTerminal
from hoopx.cli.place import Place, pass_place
from hoopx.cli.recorded import Recorded, find, identity_option, original_option
from hoopx.cli.rendering import exhibit, lasting, presenter, quantity
from hoopx.frames import FrameError
from hoopx.reading import Unreadable
from hoopx.telling import lines

IDLE: Final = 2.0
"""Seconds that a replay waits at most where nothing was said; an idle afternoon is not seen again."""


@click.command()
@click.argument("session")
@click.option("--at", type=click.FloatRange(min=0), default=0.0, metavar="S", help="Begin so many seconds after the session did.")
@identity_option
@original_option
@json_option
@pass_place
def show(place: Place, session: str, at: float, identities: tuple[str, ...], original: bool, as_json: bool) -> None:
    """Show what was said in a session: statements, parameters, results, events. With --json one object a line."""
    recorded = find(place, session, identities, original)
    look(place, "show", recorded.summary.session, **asked(original))
    found = paced(told(recorded), 0.0, 0.0, at, time.sleep)
    if as_json:
        for line in found:
            click.echo(dump(line))
        return
    present(recorded, found)


@click.command()
@click.argument("session")
@click.option(
    "--speed", type=click.FloatRange(min=0), metavar="X", help="2 is twice as fast, 0 waits for nothing (so it is in a pipe)."
)
@click.option("--idle-limit", type=click.FloatRange(min=0), default=IDLE, show_default=True, metavar="S", help="Longest wait.")
@click.option("--at", type=click.FloatRange(min=0), default=0.0, metavar="S", help="Begin so many seconds after the session did.")
@identity_option
@original_option
@pass_place
def replay(
    place: Place, session: str, speed: float | None, idle_limit: float, at: float, identities: tuple[str, ...], original: bool
) -> None:
    """Show a session again at the speed at which it was said."""
    recorded = find(place, session, identities, original)
    look(place, "replay", recorded.summary.session, **asked(original))
    if speed is None:
        speed = 1.0 if onTerminal() else 0.0
    try:
        present(recorded, paced(told(recorded), speed, idle_limit, at, time.sleep))
    except KeyboardInterrupt:
        click.echo()


def told(recorded: Recorded) -> Iterator[dict[str, Any]]:
    """The lines of a session; a damaged recording ends the command, after what is good."""
    try:
        yield from lines(recorded.frames(), recorded.view())
    except (FrameError, Unreadable) as error:
        fail(f"the recording is damaged here: {error}")


def present(recorded: Recorded, found: Iterator[Mapping[str, Any]]) -> None:
    """Show lines to a person, below what session they are of."""
    out = presenter()
    for line in header(recorded):
        click.echo(line)
    for item in exhibit(found):
        out.show(item)


def paced(
    found: Iterator[Mapping[str, Any]], speed: float, limit: float, begin: float, sleep: Callable[[float], None]
) -> Iterator[Mapping[str, Any]]:
    """
    Lines when it is time for them.

    @param speed: C{0} waits for nothing.
    @param limit: longest wait, in seconds.
    @param begin: seconds since session start before which nothing is shown.
    """
    now = begin
    for line in found:
        at = float(line["at"])
        if at < begin:
            continue
        if speed and at > now:
            sleep(min((at - now) / speed, limit))
        now = max(now, at)
        yield line


def header(recorded: Recorded) -> Iterator[str]:
    """What session it is, in a few harmless lines."""
    summary = recorded.summary
    head, line = summary.head, summary.line()
    identity = head.get("identity") or {}
    who = f"{line['user']} ({line['kind']})" + (f", {line['actor']} acting" if line["actor"] else "")
    groups = f", in {', '.join(map(str, identity.get('groups') or ()))}" if identity.get("groups") else ""
    database = f", database {head['database']}" if head.get("database") else ""
    yield harmless(f"session  {summary.session}")
    yield harmless(f"who      {who}{groups}, from {line['client']}")
    yield harmless(f"where    {line['target']} as {line['account']}{database} ({line['protocol']})")
    if summary.started is not None:
        when = datetime.fromtimestamp(summary.started).astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
        yield f"when     {when}" + ("" if summary.ended is None else f", for {lasting(summary.ended - summary.started)}")
    sent, received = quantity(line["bytes_from_client"]), quantity(line["bytes_from_target"])
    yield harmless(
        f"state    {summary.state}{f' ({summary.reason})' if summary.reason else ''}, {sent} sent, {received} received"
    )
    labels = " ".join(f"{name}={value}" for name, value in (head.get("labels") or {}).items())
    if labels:
        yield harmless(f"labels   {labels}")
    yield ""
