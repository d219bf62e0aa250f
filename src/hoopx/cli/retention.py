# -*- test-case-name: tests.cli.test_retention -*-
"""
C{hoopx retention run}, C{hold}, C{release} and C{holds}
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import click

from hoopx.cli.gateway import client
from hoopx.cli.listing import kept
from hoopx.cli.marks import marksOf
from hoopx.cli.output import fail, json_option, say, show
from hoopx.cli.place import Place, pass_place
from hoopx.cli.recorded import named

DONE: Final = ("session", "target", "ended", "kept", "done", "why")
HOLDS: Final = ("id", "session", "filter", "reason", "by", "at")
DAY: Final = 86400.0


@click.group("retention")
def command() -> None:
    """Erase what need not be kept any longer, and hold what must be."""


@command.command(short_help="Erase the sessions whose time is over.")
@click.option("--dry-run", is_flag=True, help="Only say what would be erased.")
@click.option("--confirm-clock", is_flag=True, help="This machine's clock is right: go on although it has jumped.")
@json_option
@pass_place
def run(place: Place, dry_run: bool, confirm_clock: bool, as_json: bool) -> None:
    """
    Erase the sessions whose time is over: stored objects, local files, index. The ledger keeps a leaf that says so.

    The gateway does the same by itself every hour. A session that is held stays. Exit status 1 when one could not be erased.
    """
    found = client(place).retention(dry_run, confirm_clock)
    show(found if as_json else [_row(line) for line in found], DONE, as_json, "sessions")
    if any(line["done"] == "failed" for line in found):
        raise click.exceptions.Exit(1)


@command.command(short_help="Keep sessions from being erased.")
@click.argument("session", required=False)
@kept
@click.option("--reason", required=True, metavar="TEXT", help="Why; it is in the audit.")
@pass_place
def hold(place: Place, session: str | None, reason: str, **wanted: Any) -> None:
    """Keep SESSION, or all sessions that the filters name, also those to come, from being erased, until the hold is released."""
    if wanted.pop("states"):
        raise click.UsageError("Sessions change their state, and a hold is on what stays: leave --state out, and use other filters.")
    given = {name: value for name, value in wanted.items() if value not in (None, ())}
    if (session is None) == (not given):
        raise click.UsageError("Give a SESSION, or filters such as --user or --target.")
    name = None if session is None else named(place, session)
    with marksOf(place) as marks:
        id, _ = marks.hold(reason, name, None if session is not None else given)
    say(f"Hold {id} is set.")


@command.command()
@click.argument("hold", type=int)
@pass_place
def release(place: Place, hold: int) -> None:
    """Lift a hold."""
    from hoopx.state.marks import MarkError

    with marksOf(place) as marks:
        try:
            marks.lift(hold)
        except MarkError as error:
            fail(str(error))
    say(f"Hold {hold} is lifted.")


@command.command()
@click.option("--all", "everything", is_flag=True, help="Those that were lifted, too.")
@json_option
@pass_place
def holds(place: Place, everything: bool, as_json: bool) -> None:
    """List the holds."""
    with marksOf(place) as marks:
        rows = marks.holding(everything)
    show(rows if as_json else [row | {"at": _moment(row["at"])} for row in rows], HOLDS, as_json, "holds")


def _row(line: dict[str, Any]) -> dict[str, Any]:
    return line | {"ended": _moment(line["ended"]), "kept": f"{line['keep'] / DAY:.4g} days"}


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M:%S")
