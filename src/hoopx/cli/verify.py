# -*- test-case-name: tests.cli.test_verify -*-
"""
C{hoopx verify}: whether recordings and ledger are what was written. Reads files and public keys only.
"""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from hoopx.cli.harmless import harmless
from hoopx.cli.output import EXIT_NO, dump, fail, json_option, say
from hoopx.cli.place import Place, pass_place
from hoopx.cli.recorded import identity_option, openerOf

if TYPE_CHECKING:
    from hoopx.ledger.note import Verifier
    from hoopx.recording.register import Register
    from hoopx.recording.verify import Verdict

MAX_CHECKPOINT: Final = 1 << 20
"""Bytes: what a signed note can have at the most."""


@click.command("verify")
@click.argument("path", required=False)
@click.option("--checkpoint", metavar="FILE", type=click.Path(dir_okay=False), help="Kept elsewhere: the ledger must contain it.")
@click.option("--witness-key", "witnesses", metavar="VKEY", multiple=True, help="A witness that must have signed. Can be repeated.")
@click.option("--ledger-key", metavar="VKEY", help="The ledger's key, written down elsewhere; else the one it names itself.")
@click.option("--ledger", metavar="DIR", type=click.Path(file_okay=False), help="Where the ledger is; else in PATH.")
@click.option("--store", metavar="STORE", help="What has no local copy: a folder of stored objects, or s3:BUCKET/PREFIX as configured.")
@click.option("--gateway", metavar="NAME", help="In a store that several gateways share: what is that one's.")
@identity_option
@json_option
@pass_place
def command(
    place: Place,
    path: str | None,
    checkpoint: str | None,
    witnesses: tuple[str, ...],
    ledger_key: str | None,
    ledger: str | None,
    store: str | None,
    gateway: str | None,
    identities: tuple[str, ...],
    as_json: bool,
) -> None:
    """
    Check recordings and ledger, offline, with public keys alone.

    PATH is a data directory, a folder that recordings were copied to, one session's directory, a store such as s3:BUCKET/PREFIX, or what
    sessions export --proof has written; else the data directory of the configuration.

    Exit status 1 when anything is tampered with, missing, or can not be checked.
    """
    from hoopx.cli.stores import stored
    from hoopx.recording.bucket import inStore
    from hoopx.recording.evidence import GOOD, Evidence

    where = path or str(place.data)
    key = _verifier(ledger_key, "--ledger-key") if ledger_key else None
    cosigners = [_verifier(vkey, "--witness-key", witness=True) for vkey in witnesses]
    note = _read(checkpoint) if checkpoint else None
    if not (ledger or store) and _isStore(where):
        where = f"file:{os.path.abspath(where)}"  # a store's copy, or a folder that is one
    if gateway is not None and os.path.exists(where):
        raise click.UsageError("--gateway belongs to a store, such as s3:BUCKET/PREFIX or file:/FOLDER: this is a folder of one gateway's.")
    told = _Report(as_json)
    opener = openerOf(identities)
    try:
        with _opened(where, key, note, cosigners) as found, _progress(where) as advance:
            if found is None:
                inquire = _inquiry(where, ledger, key, note, cosigners)
                evidence = Evidence(where, inquire, opener, stored(place, store) if store else None)
            elif isinstance(found, str):
                evidence = None
                objects = stored(place, found)
                alone = _inquiry("", ledger, key, note, cosigners) if ledger else None
                for each in inStore(objects, opener, key, note, cosigners, gateway, alone):
                    _run(each, told, advance)
            else:
                evidence = Evidence(found.folder, found.inquire, opener)
            if evidence is not None:
                _run(evidence, told, advance)
            if found is None:
                told.audit(where, own=path is None, server=path is None and place.settings.state.url != "sqlite:")
    except BrokenPipeError:  # who reads what is printed has had enough
        raise
    except OSError as error:
        fail(f"{where} can not be read: {error.strerror or error}")
    told.end()
    if not told.registers and not told.states:
        # A wrong or an emptied folder must not look like one in which everything is in order.
        fail(f"nothing was verified: neither recordings nor a ledger are in {where}")
    if not (told.states.keys() <= GOOD and all(map(_sound, told.registers.values()))):
        raise click.exceptions.Exit(EXIT_NO)


def _run(evidence: Any, told: _Report, advance: Callable[[Verdict], object]) -> None:
    for verdict in evidence.run(told.ledger):
        advance(verdict)
        told.session(verdict)


def _isStore(where: str) -> bool:
    """Is it a folder with what gateways have stored: C{<gateway>/ledger/checkpoint/<size>}, and so on?"""
    from hoopx.recording.register import isLedger

    if not os.path.isdir(where) or isLedger(os.path.join(where, "ledger")):
        return False
    try:
        return any(os.path.isdir(os.path.join(where, each, "ledger", "checkpoint")) for each in os.listdir(where))
    except OSError:  # told when it is read
        return False


@contextmanager
def _opened(where: str, key: Verifier | None, note: bytes | None, witnesses: list[Verifier]) -> Iterator[Any]:
    """@return: context manager of a bundle, of the name of a store, or C{None}: it is a folder."""
    from hoopx.recording.bundle import opened

    if not os.path.exists(where):
        if re.match(r"[a-z0-9]+:", where) is None:
            raise click.UsageError(f"{where} is not there.")
        yield where
        return
    with opened(where, key, note, witnesses) as found:
        yield found


def _inquiry(
    where: str, ledger: str | None, key: Verifier | None, note: bytes | None, witnesses: list[Verifier]
) -> Callable[[], Register] | None:
    from hoopx.recording.register import isLedger, verifyLedger

    folder = ledger or os.path.join(where, "ledger")
    if (where and isLedger(folder)) or ledger or key is not None or note is not None or witnesses:
        return lambda: verifyLedger(folder, key, note, witnesses)
    return None


def _verifier(vkey: str, option: str, witness: bool = False) -> Verifier:
    from hoopx.ledger.note import COSIGNATURE, ED25519, Verifier

    try:
        found = Verifier.parse(vkey)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from None
    if found.kind != (COSIGNATURE if witness else ED25519):
        raise click.BadParameter("this is the key of a " + ("ledger" if witness else "witness"), param_hint=option)
    return found


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_CHECKPOINT + 1)
    except OSError as error:
        fail(f"the checkpoint {path} can not be read: {error.strerror}")
    if len(data) > MAX_CHECKPOINT:
        fail(f"{path} is too long to be a checkpoint")
    from hoopx.ledger.note import NoteError, parseCheckpoint, split

    try:
        parseCheckpoint(split(data)[0])
    except NoteError as error:
        # Else the ledger would be called tampered with, for a slip of whoever looks.
        raise click.BadParameter(f"{path} is no checkpoint: {error}", param_hint="--checkpoint") from None
    return data


class _Report:
    """What is printed. A session at a time, for there may be very many."""

    def __init__(self, as_json: bool) -> None:
        self.states: Counter[str] = Counter()
        self.bytes = 0
        self.register: Register | None = None
        self.registers: dict[str, Register] = {}
        self._json = as_json
        self._lines = 0
        self._older = 0
        self._unsigned = 0

    def ledger(self, register: Register | None) -> None:
        self.register = register
        if register is not None:
            self.registers[register.origin] = register

    def audit(self, data: str, own: bool, server: bool) -> None:
        """
        Whether the audit is the one of which the ledger speaks.

        @param own: it is the gateway's data directory.
        @param server: the audit is kept in a database server.
        """
        from hoopx.recording.acts import Acts, verifyAudit

        register = self.register
        if register is not None and register.book is not None:
            book = register.book
            register.acts = Acts(state="elsewhere") if server else verifyAudit(data, book.vouched, book.trail, own)

    def session(self, verdict: Verdict) -> None:
        self.states[verdict.state] += 1
        self.bytes += verdict.bytes
        if self.register is not None and not verdict.logged and verdict.connected:
            book = self.register.book
            told = book is not None and book.attested(verdict.session).key is not None
            self._unsigned += told
            self._older += not told
        if self._json:
            self._object({**line(verdict), "ledger": None if self.register is None else self.register.origin})
            return
        until = f", signed until {verdict.until / 1e9:.3f} s" if verdict.state in ("recovered", "live", "interrupted") else ""
        click.echo(f"{harmless(verdict.session)}  {verdict.state}{until}")
        for problem in verdict.problems:
            click.echo(f"    {harmless(str(problem))}")

    def _object(self, value: dict[str, Any]) -> None:
        click.echo(("[" if not self._lines else ",\n ") + dump(value), nl=False)
        self._lines += 1

    def end(self) -> None:
        if self._json:
            for register in self.registers.values():
                self._object(register.line())
            click.echo("]" if self._lines else "[]")
            return
        if not self.registers:
            say("ledger: there is none here. Sessions are checked by their own keys alone: a missing one is not missed.")
        for register in self.registers.values():
            for text in _ledgerSaid(register):
                say(harmless(text))
        if self._older:
            say(f"{_sessions(self._older)} older than the ledger, or it is not believed: checked by their own keys alone")
        if self._unsigned:
            say(f"{_sessions(self._unsigned)} in no signed checkpoint yet: checked by their own keys alone")
        counts = ", ".join(f"{count} {state}" for state, count in sorted(self.states.items()))
        say(f"{sum(self.states.values())} sessions ({self.bytes / 1e6:.1f} MB): {counts or 'none'}")


def _sound(register: Register) -> bool:
    return register.state == "consistent" and (register.acts is None or register.acts.state in ("consistent", "elsewhere"))


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
    }


def _ledgerSaid(register: Register) -> Iterator[str]:
    if register.state == "consistent":
        against = "the checkpoint given" if register.against == "checkpoint" else "itself only"
        yield f"ledger {register.origin}: consistent with {against}, {register.size} leaves, {register.pending} not signed yet"
    else:
        yield f"ledger {register.origin}: TAMPERED. What it says of sessions is not believed."
        for problem in register.problems:
            yield f"    {problem}"
    for name, (size, at) in register.witnesses.items():
        from datetime import datetime, timezone

        when = datetime.fromtimestamp(at, timezone.utc).isoformat(timespec="seconds")
        yield f"    witnessed by {name} up to leaf {size}, {when}"
    acts = register.acts
    if acts is not None:
        how = {"consistent": f"{acts.rows} rows, {acts.logged} of them in the ledger", "elsewhere": "not in this folder, and not checked"}
        yield f"audit: {how.get(acts.state, acts.state)}"
        yield from (f"    {problem}" for problem in acts.problems)


@contextmanager
def _progress(where: str) -> Iterator[Callable[[Verdict], None]]:
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
