# -*- test-case-name: tests.curator.test_apart -*-
"""
The index's own process: C{python -m hoopx.curator.indexer}, started by the curator (L{hoopx.curator.apart}), ended by the end of its input.

A line of JSON each: first the settings, then questions, each of which is answered before the next one comes. Before an answer there may be
lines that say that there is progress.
"""

from __future__ import annotations

import json
import os
from threading import Thread
from typing import IO, Any

from hoopx import registry
from hoopx.curator.indexing import Indexing
from hoopx.curator.settings import load


def main() -> None:
    """Answer until the input ends."""
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints goes to the log
    os.umask(0o077)
    serve(source, sink, Indexing(load(source.readline()), registry.protocols()))


class Sweeps:
    """
    Sweeps beside what is asked for: the first one of a new index may take minutes, and no segment waits for that.

    @param indexing: L{Indexing}, or what stands for it.
    """

    def __init__(self, indexing: Any) -> None:
        self._indexing = indexing
        self._thread: Thread | None = None
        self._error: Exception | None = None

    def again(self) -> None:
        """Begin one, when none is at work. @raise Exception: what the last one failed of."""
        if self._thread is not None and self._thread.is_alive():
            return
        error, self._error = self._error, None
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()
        if error is not None:
            raise error

    def _run(self) -> None:
        try:
            self._indexing.sweep()
        except Exception as error:
            self._error = error


def serve(source: IO[bytes], sink: IO[bytes], indexing: Any) -> None:
    """
    @param source: the questions.
    @param sink: the answers.
    @param indexing: L{Indexing}, or what stands for it.
    """

    def say(what: Any) -> None:
        sink.write(json.dumps(what).encode() + b"\n")
        sink.flush()

    sweeps = Sweeps(indexing)
    indexing.progress = lambda: say({"progress": True})
    for line in source:
        question = json.loads(line)
        try:
            work = sweeps.again if question["do"] == "sweep" else getattr(indexing, question["do"])
            answer = {"answer": work(*question["with"])}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        say(answer)


if __name__ == "__main__":
    main()
