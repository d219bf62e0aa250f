# -*- test-case-name: tests.cli.test_status -*-
"""
C{hoopx reload}: the running gateway reads its configuration again.
"""

from __future__ import annotations

import click

from hoopx.cli.gateway import client
from hoopx.cli.output import say
from hoopx.cli.place import Place, pass_place


@click.command("reload")
@pass_place
def command(place: Place) -> None:
    """Make the running gateway read its configuration again. A wrong one changes nothing."""
    for message in client(place).reload():
        say(message)
    say("Reloaded.")
