# -*- test-case-name: tests.index.test_rebuild -*-
"""
Reads sealed segments of a data directory for the index.
"""

from __future__ import annotations

import os
from typing import Iterator

from hoopx.frames import readSegment, segmentName
from hoopx.index.days import pathOf
from hoopx.values import Frame


class Segments:
    """
    Callable(session, number), as L{hoopx.index.writer.IndexWriter} wants it.

    @param data: the gateway's data directory.
    """

    def __init__(self, data: str) -> None:
        self._data = data

    def __call__(self, session: str, number: int) -> Iterator[Frame]:
        """
        @raise OSError: it is not there.
        @raise hoopx.frames.FrameError: it is damaged.
        """
        folder = pathOf(self._data, session)
        if folder is None:
            raise FileNotFoundError(2, "the session's recording is not here", session)
        name = segmentName(number)
        with open(os.path.join(folder, name), "rb") as file:
            yield from readSegment(file, name)
