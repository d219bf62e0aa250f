# -*- test-case-name: tests.cli.test_sessions -*-
"""
C{hoopx sessions export}
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import IO, Any, Final, Iterator, Mapping

import click

from hoopx import __version__
from hoopx.cli.harmless import harmless
from hoopx.cli.looking import asked, look
from hoopx.cli.output import dump, fail, onTerminal, say
from hoopx.cli.place import Place, pass_place
from hoopx.cli.recorded import Recorded, find, identity_option, locate, original_option, progress
from hoopx.cli.rendering import quantity
from hoopx.frames import DATA, FrameError
from hoopx.reading import Unreadable
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
    "--format",
    "form",
    type=click.Choice(["raw", "jsonl", "csv", "pcapng", "ocsf"]),
    help="raw: bytes of a side. jsonl: as show --json. csv: for a spreadsheet. pcapng: for Wireshark. ocsf: events for a SIEM.",
)
@click.option("--from", "source", type=SIDE, help="With raw: exactly what that side sent, refused things included.")
@click.option("--to", "destination", type=SIDE, help="With raw: exactly what that side received.")
@click.option("-o", "--output", type=click.Path(dir_okay=False), metavar="FILE", help="Else standard output.")
@click.option(
    "--proof",
    is_flag=True,
    help="Instead: a zip file of the segments as they are stored, the ledger's leaves with their proofs, the checkpoint and its keys.",
)
@identity_option
@original_option
@pass_place
def command(
    place: Place,
    session: str,
    form: str | None,
    source: str | None,
    destination: str | None,
    output: str | None,
    proof: bool,
    identities: tuple[str, ...],
    original: bool,
) -> None:
    """
    Write a session to a file: the bytes of a side, its commands and results, packets, or events.

    pcapng holds what client and gateway said to each other, with TCP/IP headers that are made up. What --proof writes is for a third
    party: hoopx verify checks it with nothing else.
    """
    if proof:
        if form or source or destination or original:
            raise click.UsageError("--proof takes the recording as it is, in no other format.")
        _prove(place, session, output)
        return
    if form is None:
        raise click.UsageError("Say in which --format, or --proof.")
    if form == "raw":
        if (source is None) == (destination is None):
            raise click.UsageError(
                "--format raw needs one of --from client|target (what it sent), --to client|target (what it received)."
            )
    elif source or destination:
        raise click.UsageError("--from and --to belong to --format raw; the others tell of both sides.")
    if form in ("raw", "pcapng") and output is None and onTerminal():
        raise click.UsageError("These bytes would steer this terminal: give -o FILE, or send them into a pipe.")
    recorded = find(place, session, identities, original)
    look(place, "export", recorded.summary.session, format=form, side=source or destination, **asked(original))
    if form == "raw":
        chunks = _raw(recorded, SENT[source] if source else RECEIVED[str(destination)])
    else:
        chunks = _made(recorded, exporter(form, recorded))
    seen = form == "csv" and output is None and onTerminal()  # what was said in it would steer the terminal
    written = 0
    with (
        _opened(output) as file,
        progress(f"Exporting {recorded.summary.session}", recorded.size(), output is not None or not onTerminal()) as advance,
    ):
        try:
            for frame, chunk in chunks:
                if chunk and seen:
                    chunk = harmless(chunk.decode().replace("\r\n", "\n"), "\n").encode()
                if chunk:
                    file.write(chunk)
                    written += len(chunk)
                if frame is not None:
                    advance(frame)
        except (FrameError, Unreadable) as error:
            file.flush()
            fail(f"the recording is damaged, what is before is exported: {error}")
        file.flush()
    if output is not None:
        say(f"{quantity(written)} written to {output}.")


def _raw(recorded: Recorded, wanted: frozenset) -> Iterator[tuple[Frame | None, bytes]]:
    for frame in recorded.frames():
        yield frame, frame.payload if frame.kind == DATA and (frame.side, frame.origin) in wanted else b""


def _prove(place: Place, session: str, output: str | None) -> None:
    from hoopx.cli.stores import stored
    from hoopx.ledger.errors import LedgerError
    from hoopx.recording import bundle
    from hoopx.recording.elsewhere import away, placed, together
    from hoopx.storage.errors import StorageError

    folder = locate(place, session)
    id = os.path.basename(folder)
    path = output or f"{id}.zip"
    where = placed(folder)
    look(place, "export", id, format="proof")
    names = sorted({name for name in os.listdir(folder) if name.endswith(".hxr") and name[:-4].isdecimal()} | where.objects.keys())
    try:
        with together(where, stored(place, where.store) if away(where) else None) as whole:
            count = bundle.write(path, id, names, whole, _ledger(place))
    except StorageError as error:
        fail(f"the segments of session {id} are in {where.store}, and can not be fetched: {error}")
    except (ValueError, LedgerError) as error:
        fail(f"session {id} can not be proven: {error}")
    except OSError as error:
        fail(f"{path} can not be written: {error.strerror}")
    say(f"{quantity(os.path.getsize(path))} written to {path}: {len(names)} segments, {count} proofs.")


def _ledger(place: Place) -> Any:
    """@return: the ledger's directory, or, where it is lost, the store's copy, for L{hoopx.ledger.reader.LedgerReader}."""
    from hoopx.cli.stores import stored
    from hoopx.recording.register import isLedger
    from hoopx.storage.reading import StoredLedger

    folder, settings = os.path.join(place.data, "ledger"), place.settings
    if isLedger(folder) or not settings.recording.remote:
        return folder
    objects = stored(place, settings.recording.store)
    return StoredLedger(objects, objects.names(f"{settings.gateway.name}/ledger/"), settings.gateway.name)


def exporter(form: str, recorded: Recorded) -> Any:
    """@return: C{feed(frame) -> bytes} and C{finish() -> bytes}."""
    head = recorded.summary.head
    if form == "pcapng":
        from hoopx.export.pcapng import Capture

        return Capture(head, f"hoopx {__version__}")
    if form == "csv":
        from hoopx.export.table import Table

        return Table(head, recorded.view())
    if form == "ocsf":
        from hoopx.export.ocsf import Events

        return Events(head, recorded.view(), __version__)
    return Lines(recorded.view())


class Lines:
    """JSON lines, as C{sessions show --json} prints them."""

    def __init__(self, view: Any) -> None:
        self._view = view

    def feed(self, frame: Frame) -> bytes:
        return b"".join(dump(tell(item)).encode() + b"\n" for item in self._view.feed(frame))

    def finish(self) -> bytes:
        return b"".join(dump(tell(item)).encode() + b"\n" for item in self._view.finish())


def _made(recorded: Recorded, exporter: Any) -> Iterator[tuple[Frame | None, bytes]]:
    for frame in recorded.frames():
        yield frame, exporter.feed(frame)
    yield None, exporter.finish()


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
