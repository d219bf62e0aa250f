# -*- test-case-name: tests.cli.test_away -*-
"""
Stores, for commands that read what is in them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from hoopx.cli.place import Place
from hoopx.reading import Opener
from hoopx.recording.fetching import Fetching


def stored(place: Place, reference: str) -> Any:
    """
    @param reference: C{s3:BUCKET/PREFIX}, as the configuration says how it is reached; C{file:/FOLDER}, or a folder.
    @return: L{hoopx.storage.reading.StoredObjects} or L{hoopx.storage.reading.StoredFiles}.
    """
    from hoopx.storage.reading import Here, StoredFiles, StoredObjects

    if os.path.isdir(reference):
        return StoredFiles(reference)
    if reference.startswith("file:/"):  # an auditor who was given a copy has no configuration
        from hoopx.storage.folder import FolderBackend

        return StoredObjects(FolderBackend(os.path.normpath(reference.removeprefix("file:")), Here()))
    from hoopx import registry
    from hoopx.config.unsupported import references
    from hoopx.secrets.declared import startSources
    from hoopx.storage.select import backend

    secrets = startSources(registry.credentialSources(), Here(), [each for _, each in references(place.settings)])
    return StoredObjects(backend(reference, place.settings, Here(), secrets, registry.storageBackends()))


def fetching(place: Place, opener: Opener) -> Fetching:
    """@return: an opener that fetches what is not here, until the command ends."""
    found = Fetching(opener, lambda reference: stored(place, reference), progress)
    context = click.get_current_context(silent=True)
    if context is not None:
        context.call_on_close(found.close)
    return found


@contextmanager
def progress(title: str, total: int) -> Iterator[Callable[[int], object]]:
    """A bar on standard error while something is fetched, when that is a terminal; afterwards nothing is seen of it."""
    if not sys.stderr.isatty():
        yield lambda count: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(binary_units=True), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total or None)
        yield lambda count: bar.update(task, advance=count)
