# -*- test-case-name: tests.cli.test_sessions -*-
"""
C{hoopx sessions list}
"""

from __future__ import annotations

import os
import time
from datetime import datetime
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any, Callable, Final, Iterator

import click

from hoopx.cli.output import json_option, say, show
from hoopx.cli.place import Place, pass_place
from hoopx.cli.recorded import identity_option, openerOf
from hoopx.cli.rendering import lasting, quantity
from hoopx.config.amounts import duration
from hoopx.frames import Opener, ulidTime
from hoopx.recording import catalogue
from hoopx.recording.catalogue import Summary
from hoopx.recording.stored import openSegment

COLUMNS: Final = ("session", "user", "target", "account", "protocol", "started", "lasted", "state", "sent", "received")
STATES: Final = ("opening", "live", "complete", "recovered", "damaged", "encrypted")
PAGE: Final = 50
"""Sessions that people are shown at once; scripts get all."""


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


@click.command("list")
@click.option("--user", metavar="PATTERN", help="The identity's name; * stands for anything, here and below.")
@click.option("--target", metavar="PATTERN", help="Name of the target.")
@click.option("--protocol", metavar="PATTERN", help="Name of the protocol.")
@click.option("--since", type=Moment(), metavar="WHEN", help="Begun at or after: 2h (ago), 2024-02-29, 2024-02-29T12:00.")
@click.option("--until", type=Moment(), metavar="WHEN", help="Begun before.")
@click.option("--state", "states", type=click.Choice(STATES), multiple=True, help="Can be repeated.")
@click.option("--label", "labels", metavar="NAME=PATTERN", multiple=True, help="A run label, such as application=psql.")
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help=f"At most so many; else {PAGE}, and all with --json.")
@click.option("--skip", type=click.IntRange(min=0), default=0, metavar="N", help="Leave out the newest N.")
@identity_option
@json_option
@pass_place
def command(place: Place, as_json: bool, limit: int | None, skip: int, identities: tuple[str, ...], **wanted: Any) -> None:
    """
    List sessions, newest first.

    Times in JSON are seconds since the epoch; for people they are this machine's.
    """
    found = islice(select(str(place.data), opener=openerOf(identities), **wanted), skip, None)
    if limit is None and not as_json:
        limit = PAGE
    page = list(found if limit is None else islice(found, limit))
    more = next(found, None) is not None
    if as_json:
        show([summary.line() for summary in page], COLUMNS, True)
        return
    show([_row(summary) for summary in page], COLUMNS, False, "sessions")
    if more:
        say(f"There are more: --skip {skip + len(page)}, or --limit.")


def select(
    data: str,
    user: str | None = None,
    target: str | None = None,
    protocol: str | None = None,
    since: float | None = None,
    until: float | None = None,
    states: tuple[str, ...] = (),
    labels: tuple[str, ...] = (),
    opener: Opener = openSegment,
) -> Iterator[Summary]:
    """
    The sessions of a data directory that are wanted, newest first, read one by one.

    @param labels: C{name=pattern}, or C{name} alone.
    """
    tests: list[Callable[[Summary], bool]] = []
    if user is not None:
        tests.append(lambda found: fnmatchcase(str((found.head.get("identity") or {}).get("name")), user))
    if target is not None:
        tests.append(lambda found: fnmatchcase(str(found.head.get("target")), target))
    if protocol is not None:
        tests.append(lambda found: fnmatchcase(str(found.head.get("protocol")), protocol))
    if states:
        tests.append(lambda found: found.state in states)
    tests += [_labelled(*label.partition("=")[::2]) for label in labels]
    for path in catalogue.paths(data):
        try:
            began = ulidTime(os.path.basename(path))
        except ValueError:
            continue
        if since is not None and began < since:
            return  # the ids of all others are older
        if until is not None and began >= until:
            continue
        found = catalogue.summarise(path, opener)
        if found is not None and all(test(found) for test in tests):
            yield found


def _labelled(name: str, pattern: str) -> Callable[[Summary], bool]:
    def test(found: Summary) -> bool:
        labels = found.head.get("labels") or {}
        return name in labels and fnmatchcase(str(labels[name]), pattern or "*")

    return test


def _row(summary: Summary) -> dict[str, Any]:
    line = summary.line()
    started, ended = summary.started, summary.ended
    line["started"] = "" if started is None else datetime.fromtimestamp(started).strftime("%Y-%m-%d %H:%M:%S")
    line["lasted"] = "" if started is None or ended is None else lasting(ended - started)
    line["sent"] = quantity(line["bytes_from_client"])
    line["received"] = quantity(line["bytes_from_target"])
    return line
