# -*- test-case-name: tests.curator.test_survey -*-
"""
Looks for sealed segments: at the start, and when hints were lost.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Set

from hoopx.frames import segmentName


def survey(data: str, over: Set[str]) -> Iterator[tuple[str, str]]:
    """
    @param data: the data directory.
    @param over: sessions that nothing is to be done for.
    @return: C{(session, path)} of every other session that has a directory, oldest first.
    """
    days = [os.path.join(data, "recordings")]
    for _ in range(3):
        days = [path for day in days for path in _below(day)]
    for day in days:
        for path in _below(day):
            session = os.path.basename(path)
            if session not in over:
                yield session, path


def _below(path: str) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return sorted(entry.path for entry in entries if entry.is_dir(follow_symlinks=False))
    except (FileNotFoundError, NotADirectoryError):
        return []


def sealed(path: str, number: int) -> str | None:
    """
    @param path: a session's directory.
    @return: path of the segment, when it is there and has no second name: while it is being sealed its name stands beside
        C{open.hxr}, and whoever seals it, or recovers, relies on both being one file.
    """
    name = os.path.join(path, segmentName(number))
    try:
        return name if os.stat(name).st_nlink == 1 else None
    except FileNotFoundError:
        return None
