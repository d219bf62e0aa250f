# -*- test-case-name: tests.cli.test_sessions -*-
"""
C{hoopx sessions}: what has been recorded, and what lives. Reading works with no gateway running.
"""

from __future__ import annotations

from typing import Final, Mapping

import click

from hoopx.cli.main import Lazy, LazyGroup

COMMANDS: Final[Mapping[str, Lazy]] = {
    "list": Lazy("hoopx.cli.listing:command", "List sessions, newest first."),
    "show": Lazy("hoopx.cli.replay:show", "Show what was said in a session."),
    "replay": Lazy("hoopx.cli.replay:replay", "Show it again at the speed at which it was said."),
    "export": Lazy("hoopx.cli.export:command", "Write a session to a file: bytes, JSON lines, CSV, packets, events."),
    "tag": Lazy("hoopx.cli.marks:tag", "Put words of your own on a session."),
    "review": Lazy("hoopx.cli.marks:review", "Say that you have looked at a session, or confirm that somebody has."),
    "tail": Lazy("hoopx.cli.live:tail", "Follow a session that lives."),
    "kill": Lazy("hoopx.cli.live:kill", "End a session that lives."),
}


@click.group("sessions", cls=LazyGroup, commands=COMMANDS, no_args_is_help=True)
def command() -> None:
    """
    List, show, replay, export, review, follow and end sessions.

    SESSION is an id, or as much of its beginning as tells it from others.
    """
