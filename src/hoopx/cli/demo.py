# -*- test-case-name: tests.cli.test_demo -*-
"""
C{hoopx demo}.
"""

from __future__ import annotations

import signal
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from hoopx.cli.children import interrupt
from hoopx.cli.output import fail


@click.command("demo")
@click.option("--once", is_flag=True, help="End after the tour, with status 0 if every step did what it said.")
@click.option(
    "--folder", type=click.Path(), metavar="DIR", help="Where everything goes: new or empty. Else a fresh one for temporary files."
)
def command(once: bool, folder: str | None) -> None:
    """
    Show everything on one machine, with a real PostgreSQL and stock psql.

    Needs no network, and leaves nothing but its folder. Without --once it then waits for you to try it yourself; Ctrl-C ends it.
    """
    from hoopx.demo.database import Database, binaries, freePort
    from hoopx.demo.gateway import DemoGateway
    from hoopx.demo.teller import Teller
    from hoopx.demo.tour import Tour

    binaries()
    place, say = _place(folder), Teller()
    for number in (signal.SIGINT, signal.SIGTERM):  # a background job of a shell ignores the first
        signal.signal(number, interrupt)
    signal.signal(signal.SIGHUP, interrupt)
    try:
        with ExitStack() as stopped:
            began = time.monotonic()
            say.note(f"Everything of this demo is in {place}")
            database, gateway = Database(place / "postgresql"), DemoGateway(place)
            stopped.callback(database.stop)
            database.start()
            gateway.configure(freePort(), database.port, database.password)
            stopped.callback(gateway.stop)
            gateway.start()
            say.note(f"PostgreSQL with a small shop, and a gateway in front of it: up in {time.monotonic() - began:.1f} s.")
            tour = Tour(database, gateway, say)
            tour.run()
            if not once:
                _wait(tour, gateway, database, say)
    except KeyboardInterrupt:
        say.note("")
        if once:
            fail("interrupted before the end of the tour")
    finally:
        say.note(f"\nStopped. Configuration, recordings and state are left in {place}")


def _place(folder: str | None) -> Path:
    """The demo's folder. User nobody, as whom PostgreSQL runs when we are root, must get through it."""
    if folder is None:
        place = Path(tempfile.mkdtemp(prefix="hoopx-demo-"))
    else:
        place = Path(folder).absolute()
        try:
            place.mkdir(parents=True, exist_ok=True)
            used = any(place.iterdir())
        except OSError as error:
            fail(f"{place} can not be used: {error.strerror}")
        if used:
            fail(f"{place} is not empty: name a new folder")
    place.chmod(0o711)
    return place


def _wait(tour: Any, gateway: Any, database: Any, say: Any) -> None:
    say.heading("Now you: paste this in another terminal")
    say.command(f"PGPASSFILE={tour.passfile} {database.bin / 'psql'} '{tour.where()}'")
    say.note("and look at it with")
    say.command(f"hoopx --config {gateway.configuration} sessions list")
    say.note("Ctrl-C here ends everything.")
    while True:
        gateway.watch()
        time.sleep(0.5)
