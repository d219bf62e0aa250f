# -*- test-case-name: tests.recording.test_evidence -*-
"""
Where recordings are: in a data directory, in a folder that somebody copied elsewhere, or one session's own directory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from hoopx.recording.elsewhere import MARKER

DEPTH = 12
"""Folders below each other that are looked into: a stored object's name has six."""


def isData(path: str) -> bool:
    """Is it a data directory, or a copy of one?"""
    return os.path.isdir(os.path.join(path, "recordings"))


def sessionsBelow(path: str) -> Iterator[str]:
    """
    The directories that hold a session's segments, in the order of their names; of a data directory those in quarantine, too.

    @raise OSError: the folder itself can not be read.
    """
    if isData(path):
        yield from _below(os.path.join(path, "recordings"), DEPTH)
        quarantine = os.path.join(path, "quarantine")
        if os.path.isdir(quarantine):
            yield from _below(quarantine, DEPTH)
    else:
        yield from _below(path, DEPTH)


def _below(path: str, depth: int) -> Iterator[str]:
    folders = []
    held = False
    with os.scandir(path) as entries:
        for entry in entries:
            held = held or ((entry.name.endswith(".hxr") or entry.name == MARKER) and not entry.is_dir())
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
    if held:
        yield path  # and those below: a file that somebody has put above sessions hides none of them
    if depth:
        for folder in sorted(folders):
            try:
                yield from _below(folder, depth - 1)
            except FileNotFoundError:
                continue  # erased, or put into quarantine, meanwhile
