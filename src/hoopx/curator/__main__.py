# -*- test-case-name: tests.curator.test_main -*-
"""
The curator's process: C{python -m hoopx.curator}, started by the gateway, spoken to over its standard streams, ended by their end.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any, Final

SWITCH: Final = 0.001
"""Seconds after which a thread that packs or indexes lets another one have the interpreter: a new session waits behind it."""


def main() -> None:
    """Run until the gateway closes the input."""
    # AMP has these streams to itself: what a library prints goes to the log.
    source, sink = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # meant for the gateway, which closes the input when it is through
    os.umask(0o077)
    sys.setswitchinterval(SWITCH)

    if sys.platform == "linux":
        from hoopx.reactor import install

        install()  # for its clock, that nobody can set
    from twisted.internet import reactor as running
    from twisted.internet.stdio import StandardIO
    from twisted.logger import globalLogBeginner

    from hoopx.curator.answering import Answers
    from hoopx.curator.making import Maker

    reactor: Any = running
    globalLogBeginner.beginLoggingTo([_line], redirectStandardIO=False)  # type: ignore[list-item]
    maker = Maker(reactor)

    pipe: Any = StandardIO
    pipe(Answers(maker.workshop, reactor.stop), source, sink, reactor=reactor)
    maker.start()
    try:
        reactor.run(installSignalHandlers=False)
    finally:
        _exit(maker.close)


def _exit(close: Callable[[], None]) -> None:
    """Leave what threads are at: whatever it is, the next start does it, and one that hangs in a system call would keep the process."""
    try:
        close()
    except Exception:  # the next start does that as well
        pass
    try:
        sys.stderr.flush()
    except OSError:  # who read it is gone, too
        pass
    finally:
        os._exit(0)


def _line(event: Any) -> None:
    """A line of the log: its level, and what happened."""
    from twisted.logger import LogLevel, eventAsText, formatEvent

    level = event.get("log_level", LogLevel.info).name
    if level in ("debug", "info") and event.get("log_namespace", "").startswith("twisted"):
        return
    text = eventAsText(event, includeTimestamp=False, includeSystem=False) if "log_failure" in event else formatEvent(event)
    for line in text.splitlines():
        sys.stderr.write(f"{level} {line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
