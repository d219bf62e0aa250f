# -*- test-case-name: tests.recording.test_evidence -*-
"""
Where recordings are: in a data directory, in a folder that somebody copied elsewhere, or one session's own directory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from hoopx.recording.elsewhere import MARKER
from hoopx.ulid import ulidTime

DEPTH = 12
"""Folders below each other that are looked into: a stored object's name has six."""


def isData(path: str) -> bool:
    """Is it a data directory, or a copy of one?"""
    return os.path.isdir(os.path.join(path, "recordings"))


def sessionsBelow(path: str) -> Iterator[str]:
    """
    The directories that hold a session's segments, in the order of their names; of a data directory those in quarantine, too. A symbolic
    link with a session's name, to a directory that is not below the folder, stands for one; no link is looked into.

    @raise OSError: the folder itself can not be read.
    """
    if isData(path):
        top = os.path.join(path, "recordings")
        yield from _below(top, DEPTH, top)
        quarantine = os.path.join(path, "quarantine")
        if os.path.isdir(quarantine):
            yield from _below(quarantine, DEPTH, top)
    else:
        yield from _below(path, DEPTH, path)


def _below(path: str, depth: int, top: str) -> Iterator[str]:
    folders = []
    held = False
    with os.scandir(path) as entries:
        for entry in entries:
            held = held or ((entry.name.endswith(".hxr") or entry.name == MARKER) and not entry.is_dir(follow_symlinks=False))
            if entry.is_dir(follow_symlinks=False) or (entry.is_symlink() and _leadsAway(entry, top)):
                folders.append(entry.path)
    if held:
        yield path  # and those below: a file that somebody has put above sessions hides none of them
    if depth:
        for folder in sorted(folders):
            if os.path.islink(folder):
                yield folder
                continue
            try:
                yield from _below(folder, depth - 1, top)
            except FileNotFoundError:
                continue  # erased, or put into quarantine, meanwhile


def _leadsAway(link: os.DirEntry[str], top: str) -> bool:
    """Is a link where a session should be, and leads out of the folder? What it leads to within that is looked at where it is."""
    try:
        ulidTime(link.name)
    except ValueError:
        return False
    real, end = os.path.realpath(top), os.path.realpath(link.path)
    return os.path.isdir(end) and os.path.commonpath((real, end)) != real
