# -*- test-case-name: tests.cli.test_sessions -*-
"""
C{hoopx sessions export}
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import IO, Final, Iterator, Mapping

import click

from hoopx.cli.looking import look
from hoopx.cli.output import dump, fail, onTerminal, say
from hoopx.cli.place import Place, pass_place
from hoopx.cli.recorded import Recorded, find, identity_option, progress
from hoopx.cli.rendering import quantity
from hoopx.frames import DATA, FrameError
from hoopx.telling import tell
from hoopx.values import ATTEMPTED, CLIENT, MADE, PASSED, TARGET, Frame

SENT: Final[Mapping[str, frozenset]] = {
    "client": frozenset({(CLIENT, PASSED), (CLIENT, ATTEMPTED)}),
    "target": frozenset({(TARGET, PASSED), (TARGET, ATTEMPTED)}),
}
"""Whose speech and which origins are what a side sent."""
RECEIVED: Final[Mapping[str, frozenset]] = {
    "client": frozenset({(TARGET, PASSED), (TARGET, MADE)}),
    "target": frozenset({(CLIENT, PASSED), (CLIENT, MADE)}),
}
"""Whose speech and which origins are what a side received."""
SIDE: Final = click.Choice(["client", "target"])


@click.command("export")
@click.argument("session")
@click.option(
    "--format", "form", type=click.Choice(["raw", "jsonl"]), required=True, help="raw: bytes of a side. jsonl: as show --json."
)
@click.option("--from", "source", type=SIDE, help="With raw: exactly what that side sent, refused things included.")
@click.option("--to", "destination", type=SIDE, help="With raw: exactly what that side received.")
@click.option("-o", "--output", type=click.Path(dir_okay=False), metavar="FILE", help="Else standard output.")
@identity_option
@pass_place
def command(
    place: Place,
    session: str,
    form: str,
    source: str | None,
    destination: str | None,
    output: str | None,
    identities: tuple[str, ...],
) -> None:
    """Write a session to a file: the bytes of a side, or JSON lines."""
    if form == "raw":
        if (source is None) == (destination is None):
            raise click.UsageError(
                "--format raw needs one of --from client|target (what it sent), --to client|target (what it received)."
            )
        if output is None and onTerminal():
            raise click.UsageError("Raw bytes would steer this terminal: give -o FILE, or send them into a pipe.")
    elif source or destination:
        raise click.UsageError("--from and --to belong to --format raw; JSON lines tell of both sides.")
    recorded = find(place, session, identities)
    look(place, "export", recorded.summary.session, format=form, side=source or destination)
    chunks = _raw(recorded, SENT[source] if source else RECEIVED[str(destination)]) if form == "raw" else _lines(recorded)
    written = 0
    with (
        _opened(output) as file,
        progress(f"Exporting {recorded.summary.session}", recorded.size(), output is not None or not onTerminal()) as advance,
    ):
        try:
            for frame, chunk in chunks:
                if chunk:
                    file.write(chunk)
                    written += len(chunk)
                if frame is not None:
                    advance(frame)
        except FrameError as error:
            file.flush()
            fail(f"the recording is damaged, what is before is exported: {error}")
        file.flush()
    if output is not None:
        say(f"{quantity(written)} written to {output}.")


def _raw(recorded: Recorded, wanted: frozenset) -> Iterator[tuple[Frame | None, bytes]]:
    for frame in recorded.frames():
        yield frame, frame.payload if frame.kind == DATA and (frame.side, frame.origin) in wanted else b""


def _lines(recorded: Recorded) -> Iterator[tuple[Frame | None, bytes]]:
    view = recorded.view()
    for frame in recorded.frames():
        yield frame, b"".join(dump(tell(item)).encode() + b"\n" for item in view.feed(frame))
    yield None, b"".join(dump(tell(item)).encode() + b"\n" for item in view.finish())


@contextmanager
def _opened(path: str | None) -> Iterator[IO[bytes]]:
    """Recordings are nobody else's business: a new file is the user's alone."""
    if path is None:
        yield sys.stdout.buffer
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    except OSError as error:
        fail(f"{path} can not be written: {error.strerror}")
    with open(descriptor, "wb", buffering=1 << 18) as file:
        yield file
