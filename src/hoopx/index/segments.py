# -*- test-case-name: tests.index.test_rebuild -*-
"""
Reads sealed segments of a data directory for the index.
"""

from __future__ import annotations

import os
from typing import Iterator

from hoopx.frames import Opener, readSegment, segmentName
from hoopx.index.days import pathOf
from hoopx.recording.stored import openSegment
from hoopx.values import Frame


class Segments:
    """
    Callable(session, number), as L{hoopx.index.writer.IndexWriter} wants it.

    @param data: the gateway's data directory.
    @param opener: opens segments; with an auditor's identities also those that are encrypted (L{hoopx.recording.stored.opener}).
    """

    def __init__(self, data: str, opener: Opener = openSegment) -> None:
        self._data = data
        self._opener = opener

    def __call__(self, session: str, number: int) -> Iterator[Frame]:
        """
        @raise OSError: it is not there.
        @raise hoopx.frames.FrameError: it is damaged.
        @raise hoopx.recording.stored.Encrypted: the opener has no identity for it.
        """
        folder = pathOf(self._data, session)
        if folder is None:
            raise FileNotFoundError(2, "the session's recording is not here", session)
        name = segmentName(number)
        with self._opener(os.path.join(folder, name)) as file:
            yield from readSegment(file, name)
