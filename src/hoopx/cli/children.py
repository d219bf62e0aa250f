# -*- test-case-name: tests.cli.test_children -*-
"""
Child processes that no signal leaves behind: what a handler raises in the moment in which one is started would leave a child that
runs on, and that nobody knows of.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class _State:
    starting = False
    told: BaseException | None = None


def leave(error: BaseException) -> None:
    """
    For handlers of signals.

    @raise BaseException: the error, at once; in L{starting} at its end.
    """
    if not _State.starting:
        raise error
    _State.told = error


def interrupt(number: int, frame: Any) -> None:
    """
    A handler of signals.

    @raise KeyboardInterrupt: as L{leave} does.
    """
    leave(KeyboardInterrupt())


@contextmanager
def starting() -> Iterator[None]:
    """
    For no more than C{Popen}, and to put down what it has started.

    @raise BaseException: at the end: what L{leave} was told meanwhile.
    """
    _State.starting, _State.told = True, None
    try:
        yield
    finally:
        _State.starting = False
        if _State.told is not None:
            raise _State.told


def finished(command: list[str], said: str | None = None, errors: int = subprocess.PIPE, **more: Any) -> subprocess.CompletedProcess:
    """
    Run a program to its end.

    @param said: what it gets on its standard input.
    @param errors: where its standard error goes, as for C{Popen}.
    @raise BaseException: what interrupts it; then it is killed, with all that it has started.
    """
    child = None
    given = subprocess.DEVNULL if said is None else subprocess.PIPE
    try:
        with starting():
            child = subprocess.Popen(
                command, stdin=given, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True, **more
            )
        out, err = child.communicate(said)
    except BaseException:
        if child is not None:
            end(child)
        raise
    return subprocess.CompletedProcess(command, child.returncode, out, err)


def end(child: subprocess.Popen) -> None:
    """Kill a child that leads a session of its own, with all that it has started."""
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    for pipe in (child.stdin, child.stdout, child.stderr):
        if pipe is not None:
            pipe.close()
