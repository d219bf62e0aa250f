# -*- test-case-name: tests.curator.test_apart -*-
"""
The index's own process: C{python -m hoopx.curator.indexer}, started by the curator (L{hoopx.curator.apart}), ended by the end of its input.

A line of JSON each: first the settings, then questions, each of which is answered before the next one comes. Before an answer there may be
lines that say that there is progress.
"""

from __future__ import annotations

import json
import os
import sys
from typing import IO, Any

from hoopx import registry
from hoopx.curator.indexing import Indexing
from hoopx.curator.leisure import Leisure
from hoopx.curator.settings import CuratorSettings, load


def main() -> None:
    """Answer until the input ends."""
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints goes to the log
    os.umask(0o077)
    indexing = made(load(source.readline()))
    try:
        serve(source, sink, indexing)
    finally:
        indexing.close()


def made(settings: CuratorSettings) -> Indexing:
    """What answers in this process: it takes its time."""
    indexing = Indexing(settings, registry.protocols(), lambda text: print(text, file=sys.stderr, flush=True))
    indexing.pause = Leisure()
    return indexing


def serve(source: IO[bytes], sink: IO[bytes], indexing: Any) -> None:
    """
    @param source: the questions.
    @param sink: the answers.
    @param indexing: L{Indexing}, or what stands for it.
    """
    def say(what: Any) -> None:
        sink.write(json.dumps(what).encode() + b"\n")
        sink.flush()

    indexing.progress = lambda: say({"progress": True})
    for line in source:
        question = json.loads(line)
        try:
            answer = {"answer": getattr(indexing, question["do"])(*question["with"])}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        say(answer)


if __name__ == "__main__":
    main()
