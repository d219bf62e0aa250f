# -*- test-case-name: tests.cli.test_sessions -*-
"""
A recorded session as commands find and read it.
"""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import contextmanager
from typing import Any, Callable, Iterator, Sequence

import click
from attrs import frozen

from hoopx.cli.output import fail
from hoopx.cli.place import Place
from hoopx.cli.stores import fetching
from hoopx.errors import HoopxError
from hoopx.frames import HEADER, segmentName
from hoopx.reading import Opener
from hoopx.recording import catalogue
from hoopx.recording.auditors import identities as readIdentities
from hoopx.recording.catalogue import Summary
from hoopx.recording.elsewhere import MARKER, standIn
from hoopx.recording.fetching import Fetching
from hoopx.recording.stored import opener, openSegment, plainSize
from hoopx.recording.unmasked import Unmasked, unmasked
from hoopx.telling import heard
from hoopx.values import Frame


@frozen
class Recorded:
    """
    One session on the disk.

    @ivar summary: what it is.
    @ivar opener: opens its segments.
    @ivar auditors: identities that open what was masked: it then comes in the place of what was sent; C{None}: it is not asked for.
    """

    summary: Summary
    opener: Opener = openSegment
    auditors: tuple[Any, ...] | None = None

    def frames(self) -> Iterator[Frame]:
        """
        All frames that are there; never a sealed one.

        @raise hoopx.frames.FrameError: after the good ones, when the recording is damaged.
        @raise hoopx.reading.Unreadable: likewise, an original.
        @raise hoopx.recording.stored.Encrypted: at a segment that no identity opens. The command line shows it, exit status 1.
        """
        frames = catalogue.readSession(self.summary.path, self.opener)
        if self.auditors is not None:
            frames = unmasked(frames, self.summary.head, self.auditors)
        return filter(heard, frames)

    def view(self) -> Any:
        """A fresh L{hoopx.interfaces.ISessionView}. Ends the command when the session's protocol is not installed."""
        from hoopx.registry import protocols

        name = self.summary.head.get("protocol")
        if not name:
            fail(f"session {self.summary.session} can not be read: {self.summary.reason or 'its beginning is damaged or encrypted'}")
        known = protocols()
        if name not in known:
            fail(
                f"session {self.summary.session} speaks {name}, and no plugin for that is installed here; "
                "hoopx sessions export --format raw needs none"
            )
        return known[name].view()

    def size(self) -> int:
        """Bytes of its segments when they are unpacked, for progress; of those that are in a store, as they are there."""
        total = 0
        with os.scandir(self.summary.path) as entries:
            for entry in entries:
                if entry.name.endswith(".hxr"):
                    total += plainSize(entry.path, self.opener)
        if isinstance(self.opener, Fetching):
            total += sum(
                self.opener.size(os.path.join(self.summary.path, name)) or 0 for name in self.opener.away(self.summary.path)
            )
        return total


identity_option: Callable[[Any], Any] = click.option(
    "--identity",
    "identities",
    metavar="KEYFILE",
    multiple=True,
    envvar="HOOPX_IDENTITY",
    type=click.Path(dir_okay=False),
    help="An auditor's age key, for what is encrypted; can be repeated. Else $HOOPX_IDENTITY.",
)
"""Adds C{--identity}; the command's parameter is C{identities}."""


original_option: Callable[[Any], Any] = click.option(
    "--original",
    is_flag=True,
    help="With what was masked, in the place of what was sent instead. For auditors: needs --identity.",
)
"""Adds C{--original}; the command's parameter is C{original}."""


def openerOf(identities: Sequence[str]) -> Opener:
    """
    @param identities: paths of key files.
    @raise hoopx.recording.auditors.KeyProblem: one can not be used. The command line shows it, exit status 1.
    """
    return opener(readIdentities(identities))


def locate(place: Place, session: str) -> str:
    """
    @param session: an id or its beginning. What is here goes before what is in the store alone.
    @return: the session's directory; of one that is in the store alone one that stands for it, until the command ends.
    @raise hoopx.recording.catalogue.NotFound: and C{Ambiguous}: the command line shows them, exit status 1.
    @raise hoopx.recording.fetching.Away: it is not here, and the store can not be asked.
    """
    try:
        path = catalogue.find(str(place.data), session)
        missing = None
        if any(name == MARKER or name.endswith(".hxr") for name in os.listdir(path)):
            return path
    except FileNotFoundError:
        path, missing = "", catalogue.NotFound(f"session {session!r} was taken away just now")
    except catalogue.NotFound as error:
        path, missing = "", error
    from hoopx.cli.stock import Stock

    found = Stock(place).alone(os.path.basename(path) or session)
    if found is None:
        if missing is not None:
            raise missing
        return path
    folder = tempfile.TemporaryDirectory(prefix="hoopx-")
    click.get_current_context().call_on_close(folder.cleanup)
    return standIn(found, folder.name)


def _locked(path: str, opener: Opener) -> str:
    """Why the beginning of a session that lives, or did until a crash, can not be read."""
    try:
        catalogue.readHead(os.path.join(path, segmentName(0)), opener)
    except HoopxError as error:
        return str(error)
    return "its beginning was being packed: try again"


def find(place: Place, session: str, identities: Sequence[str] = (), original: bool = False) -> Recorded:
    """
    @param session: an id or its beginning.
    @param identities: paths of key files.
    @param original: with what was masked.
    @raise hoopx.recording.catalogue.NotFound: and C{Ambiguous}: the command line shows them, exit status 1.
    @raise hoopx.recording.auditors.KeyProblem: likewise; and L{hoopx.recording.fetching.Away}: it is in a store that can not be had.
    @raise hoopx.recording.originals.NotSealed: likewise; and L{hoopx.recording.stored.Encrypted}: nobody may open what was masked.
    """
    auditors = tuple(readIdentities(identities))
    opening = fetching(place, opener(auditors))
    summary = catalogue.summarise(locate(place, session), opening)
    if summary is None:
        raise catalogue.NotFound(f"nothing of session {session!r} is recorded yet")
    if summary.state == "encrypted":
        fail(f"session {summary.session} can not be read: {summary.reason}")
    if not summary.head and summary.state != "damaged":
        fail(f"session {summary.session} can not be read: {_locked(summary.path, opening)}")
    if not original:
        return Recorded(summary, opening)
    Unmasked(summary.head, auditors)  # says now what it would say in the middle
    return Recorded(summary, opening, auditors)


def named(place: Place, session: str) -> str:
    """
    @return: the id of a session that is there, whether it can be read or not.
    @raise hoopx.recording.catalogue.NotFound: and others: see L{locate}.
    """
    return os.path.basename(locate(place, session))


@contextmanager
def progress(title: str, total: int, wanted: bool) -> Iterator[Callable[[Frame], None]]:
    """
    A progress bar on standard error, when that is a terminal.

    @param total: bytes to read.
    @param wanted: C{False} when the work itself is seen on the terminal.
    @return: context manager of callable(frame), to be told of each frame that was read.
    """
    if not (wanted and sys.stderr.isatty()):
        yield lambda frame: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(binary_units=True), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total)
        read = told = 0

        def advance(frame: Frame) -> None:
            nonlocal read, told
            read += HEADER + len(frame.payload)
            if read - told >= STEP:
                told = read
                bar.update(task, completed=read)

        yield advance


STEP = 1 << 20
"""Bytes between two movements of the bar: many small frames must not spend their time on it."""
