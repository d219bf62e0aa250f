# -*- test-case-name: tests.cli.test_verify -*-
"""
How C{hoopx verify} tells what it has found.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import click

from hoopx.cli.harmless import harmless
from hoopx.cli.output import dump, say
from hoopx.heading import LAST
from hoopx.recording.register import GIVEN, REMEMBERED, Register
from hoopx.recording.strict import Strict
from hoopx.recording.verify import Verdict

GONE: Final = "it is remembered, and not there any more"


class Report:
    """
    What is printed. A session at a time, for there may be very many.

    @param strict: what counts as falling short, or C{None}: nothing does.
    @ivar states: how many sessions there are of each.
    @ivar registers: verdicts on ledgers, by the evidence that each belongs to (L{begin}) and its origin: a store may have a second one of
        the same name, which must not speak for the first.
    @ivar gone: origins of ledgers that should be there, and are not.
    @ivar short: how many sessions and ledgers fall short.
    @ivar closed: how many encrypted segments no identity has opened; C{opened}: one has.
    """

    def __init__(self, as_json: bool, strict: Strict | None = None) -> None:
        self.states: Counter[str] = Counter()
        self.bytes = 0
        self.register: Register | None = None
        self.registers: dict[tuple[int, str], Register] = {}
        self._turn = 0
        self.gone: list[str] = []
        self.short = 0
        self.closed = 0
        self.opened = 0
        self._strict = strict
        self._json = as_json
        self._lines = 0
        self._older = 0
        self._unsigned = 0

    def begin(self) -> None:
        """Other evidence comes now; of the same one a ledger may be told twice, and the last word counts."""
        self._turn += 1

    def ledger(self, register: Register | None) -> None:
        self.register = register
        if register is not None:
            self.registers[self._turn, register.origin] = register

    def audit(self, data: str | None, own: bool, server: Callable[[], Iterable[Any]] | None) -> None:
        """
        Whether the audit is the one of which the ledger speaks.

        @param data: the folder, or C{None}: what is verified is none, and nobody's audit is in there.
        @param own: it is the gateway's data directory.
        @param server: reads the audit, where it is kept in a database server.
        """
        from hoopx.recording.acts import absent, verifyAudit, verifyServer

        for register in self.registers.values():
            book = register.book
            if book is None:
                continue
            if data is None:
                register.acts = absent(book.vouched, "a store or bundle")
            elif server is not None:
                register.acts = verifyServer(server, book.vouched, book.trail)
            else:
                register.acts = verifyAudit(data, book.vouched, book.trail, own)

    def session(self, verdict: Verdict) -> None:
        self.states[verdict.state] += 1
        self.bytes += verdict.bytes
        self.closed += verdict.closed
        self.opened += verdict.opened
        if self.register is not None and not verdict.logged and verdict.connected:
            book = self.register.book
            told = book is not None and book.attested(verdict.session).key is not None
            self._unsigned += told
            self._older += not told
        short = self._strict.session(verdict, self.register) if self._strict is not None else None
        self.short += short is not None
        if self._json:
            ledger = None if self.register is None else self.register.origin
            self._object({**line(verdict), "ledger": ledger, "short": short})
            return
        until = f", signed until {verdict.until / 1e9:.3f} s" if verdict.state in ("recovered", "live", "interrupted") else ""
        click.echo(f"{harmless(verdict.session)}  {verdict.state}{until}")
        for problem in verdict.problems:
            click.echo(f"    {harmless(str(problem))}")
        if verdict.closed:
            click.echo(f"    {_closed(verdict.closed)}")
        if short is not None:
            click.echo(f"    SHORT: {harmless(short)}")

    def _object(self, value: dict[str, Any]) -> None:
        click.echo(("[" if not self._lines else ",\n ") + dump(value), nl=False)
        self._lines += 1

    def end(self) -> None:
        """The ledgers, and the sum."""
        strict = self._strict.ledger if self._strict is not None else lambda register: []
        short = {each: strict(register) for each, register in self.registers.items()}
        none = strict(None) if not self.registers else []
        self.short += sum(bool(each) for each in short.values()) + bool(none)
        if self._json:
            for each, register in self.registers.items():
                self._object({**register.line(), "short": "; ".join(short[each]) or None})
            for origin in self.gone:
                empty = {"session": None, "state": "missing", "problem": GONE, "segment": None, "frame": None, "ledger": origin}
                self._object(empty)
            click.echo("]" if self._lines else "[]")
            return
        if not self.registers:
            say("ledger: there is none here. Sessions are checked by their own keys alone: a missing one is not missed.")
        for each, register in self.registers.items():
            for text in ledgerSaid(register):
                say(harmless(text))
            for text in short[each]:
                say(f"    SHORT: {harmless(text)}")
        for origin in self.gone:
            say(f"ledger {harmless(origin)}: {GONE}")
        if self._older:
            say(f"{_sessions(self._older)} older than the ledger, or it is not believed: checked by their own keys alone")
        if self._unsigned:
            say(f"{_sessions(self._unsigned)} in no signed checkpoint yet: checked by their own keys alone")
        if self.closed:
            say(f"{_closed(self.closed)}; give --identity to check those, too")
        counts = ", ".join(f"{count} {state}" for state, count in sorted(self.states.items()))
        say(f"{sum(self.states.values())} sessions ({self.bytes / 1e6:.1f} MB): {counts or 'none'}")


def sound(register: Register) -> bool:
    """Is a ledger in order, and the audit that it speaks of?"""
    return register.state == "consistent" and (register.acts is None or register.acts.sound)


def _closed(count: int) -> str:
    """What was checked of encrypted segments that nobody could open, and what was not."""
    said = "1 segment is encrypted and was not opened: the stored file is the one in the ledger, its frames and its seal"
    if count > 1:
        said = f"{count} segments are encrypted and were not opened: the stored files are the ones in the ledger, their frames and seals"
    return f"{said} were not checked"


def _sessions(count: int) -> str:
    return "1 session is" if count == 1 else f"{count} sessions are"


def line(verdict: Verdict) -> dict[str, Any]:
    """As C{--json} prints it."""
    first = verdict.problems[0] if verdict.problems else None
    return {
        "session": verdict.session,
        "state": verdict.state,
        "problem": first.reason if first else None,
        "segment": first.segment if first else None,
        "frame": first.frame if first else None,
        "until": verdict.until / 1e9,
        "key": verdict.key or None,
        "logged": verdict.logged,
        "unopened": verdict.closed,
    }


def ledgerSaid(register: Register) -> Iterator[str]:
    if register.state == "consistent":
        alone = "itself and what witnesses have signed" if register.witnesses else "itself only"
        against = {"checkpoint": GIVEN, "remembered": REMEMBERED}.get(register.against, alone)
        yield f"ledger {register.origin}: consistent with {against}, {register.size} leaves, {register.pending} not signed yet"
    else:
        yield f"ledger {register.origin}: TAMPERED. What it says of sessions is not believed."
        for problem in register.problems:
            yield f"    {problem}"
    for name, (size, at) in register.witnesses.items():
        yield f"    witnessed by {name} up to leaf {size}, {_when(at)}"
    acts = register.acts
    if acts is not None:
        yield f"audit: {f'{acts.rows} rows, {acts.logged} of them in the ledger' if acts.state == 'consistent' else acts.state}"
        yield from (f"    {problem}" for problem in acts.problems)


def _when(at: int) -> str:
    """@param at: what a witness says, and it may say anything."""
    from datetime import datetime, timezone

    if at > LAST:
        return "at no time"
    return datetime.fromtimestamp(at, timezone.utc).isoformat(timespec="seconds")


@contextmanager
def progress(where: str) -> Iterator[Callable[[Verdict], None]]:
    """On standard error, when results go elsewhere than to a terminal."""
    if sys.stdout.isatty() or not sys.stderr.isatty():
        yield lambda verdict: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("Verifying {task.description}: {task.completed:.0f} MB"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(where, total=None)
        yield lambda verdict: bar.update(task, advance=verdict.bytes / 1e6)
