# -*- test-case-name: tests.cli.test_verify -*-
"""
C{hoopx verify}: whether recordings and ledger are what was written. Reads files and public keys only; without a path also the audit,
where the configuration keeps that in a database server.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import click
from attrs import frozen

from hoopx.cli.harmless import harmless
from hoopx.cli.output import EXIT_NO, EXIT_USAGE, fail, json_option, say
from hoopx.cli.place import Place, pass_place
from hoopx.cli.recorded import identity_option, openerOf
from hoopx.cli.tokens import Duration

if TYPE_CHECKING:
    from hoopx.cli.verdicts import Report
    from hoopx.ledger.note import Verifier
    from hoopx.recording.register import Register
    from hoopx.recording.remembered import Remembered
    from hoopx.recording.strict import Strict
    from hoopx.recording.verify import Verdict

MAX_CHECKPOINT: Final = 1 << 20
"""Bytes: what a signed note can have at the most."""


@click.command("verify")
@click.argument("path", required=False, type=click.Path())
@click.option("--checkpoint", metavar="FILE", type=click.Path(dir_okay=False), help="Kept elsewhere: the ledger must contain it.")
@click.option("--witness-key", "witnesses", metavar="VKEY", multiple=True, help="A witness that must have signed. Can be repeated.")
@click.option("--ledger-key", metavar="VKEY", help="The ledger's key, written down elsewhere; else the one it names itself.")
@click.option("--ledger", metavar="DIR", type=click.Path(file_okay=False), help="Where the ledger is; else in PATH.")
@click.option(
    "--store",
    type=click.Path(),
    metavar="STORE",
    help="What has no local copy: a folder of stored objects, or s3:BUCKET/PREFIX as configured.",
)
@click.option("--quorum", metavar="N", type=click.IntRange(min=1), help="How many of the witnesses must have signed; else all.")
@click.option("--remember", metavar="FILE", type=click.Path(), help="Keeps the newest checkpoint for the next time: must contain that.")
@click.option("--strict", is_flag=True, help="What is in order, and not logged, sealed, signed and witnessed, is a failure, too.")
@click.option("--grace", metavar="10m", type=Duration(), help="With --strict: what is younger may not be there yet.  [default: 10m]")
@click.option("--max-age", "fresh", metavar="1h", type=Duration(), help="With --strict: the witnesses must have signed since.")
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
    quorum: int | None,
    remember: str | None,
    strict: bool,
    grace: float | None,
    fresh: float | None,
    gateway: str | None,
    identities: tuple[str, ...],
    as_json: bool,
) -> None:
    """
    Check recordings and ledger, offline, with public keys alone.

    PATH is a data directory, a folder that recordings were copied to, one session's directory, a store such as s3:BUCKET/PREFIX, or what
    sessions export --proof has written; else the data directory of the configuration, and the audit at its database server if that is
    where it is kept.

    Exit status 1 when anything is tampered with, missing, or can not be checked; with --strict also when it is proven by less than a ledger
    whose key was given and witnesses.
    """
    from hoopx.cli.stores import stored
    from hoopx.cli.verdicts import Report, progress, sound
    from hoopx.recording.bucket import inStore
    from hoopx.recording.evidence import GOOD, Evidence

    where = path or str(place.data)
    key = _verifier(ledger_key, "--ledger-key") if ledger_key else None
    cosigners = [_verifier(vkey, "--witness-key", witness=True) for vkey in witnesses]
    if quorum is not None and quorum > len(cosigners):
        raise click.UsageError(f"--quorum {quorum} wants as many witnesses: there are {len(cosigners)} --witness-key.")
    if (grace is not None or fresh is not None) and not strict:
        raise click.UsageError("--grace and --max-age are for --strict.")
    note = _read(checkpoint) if checkpoint else None
    if not (ledger or store) and _isStore(where):
        where = f"file:{os.path.abspath(where)}"  # a store's copy, or a folder that is one
    if gateway is not None and os.path.exists(where):
        raise click.UsageError("--gateway belongs to a store, such as s3:BUCKET/PREFIX or file:/FOLDER: this is a folder of one gateway's.")
    memory = _memory(remember) if remember else None
    ask = _Asked(key, note, cosigners, quorum, memory)
    told = Report(as_json, _strict(ask, grace, fresh) if strict else None)
    opener = openerOf(identities)
    try:
        with _opened(where, ask) as found, progress(where) as advance:
            if found is None:
                inquire = _inquiry(where, ledger, ask)
                evidence = Evidence(where, inquire, opener, stored(place, store) if store else None)
            elif isinstance(found, str):
                evidence = None
                objects = stored(place, found)
                alone = _inquiry("", ledger, ask) if ledger else None
                remembered = memory if memory is not None else _nothing
                for each in inStore(objects, opener, key, note, cosigners, gateway, alone, quorum, remembered):
                    _run(each, told, advance)
            else:
                evidence = Evidence(found.folder, found.inquire, opener)
            if evidence is not None:
                _run(evidence, told, advance)
            told.audit(where if found is None else None, own=path is None, server=_server(place) if path is None else None)
    except BrokenPipeError:  # who reads what is printed has had enough
        raise
    except OSError as error:
        fail(f"{where} can not be read: {error.strerror or error}")
    if memory is not None and gateway is None:
        told.gone = memory.gone({register.origin for register in told.registers.values()})
    told.end()
    if memory is not None:
        _remember(memory, list(told.registers.values()))
    if not told.registers and not told.states:
        # A wrong or an emptied folder must not look like one in which everything is in order.
        fail(f"nothing was verified: neither recordings nor a ledger are in {where}")
    if identities and told.closed and not told.opened:
        fail("none of the identities given opens anything here: is it the right --identity, or $HOOPX_IDENTITY?")
    if not (told.states.keys() <= GOOD and all(map(sound, told.registers.values()))) or told.short or told.gone:
        raise click.exceptions.Exit(EXIT_NO)


def _server(place: Place) -> Callable[[], Iterator[Any]] | None:
    """Reads the audit, where the configuration keeps it in a database server."""
    url = place.settings.state.url
    if url == "sqlite:":
        return None
    from hoopx.state.reread import auditAgain

    return partial(auditAgain, url, place.data)


def _nothing(origin: str) -> bytes | None:
    return None


@frozen
class _Asked:
    """What the ledger is compared with; see L{hoopx.recording.register.verifyLedger}."""

    key: Verifier | None
    checkpoint: bytes | None
    witnesses: list[Verifier]
    quorum: int | None
    memory: Remembered | None


def _of(asked: _Asked, ledger: Any) -> Register:
    from hoopx.recording.register import verifyLedger

    if asked.memory is None:
        return verifyLedger(ledger, asked.key, asked.checkpoint, asked.witnesses, asked.quorum)
    return verifyLedger(ledger, asked.key, asked.checkpoint, asked.witnesses, asked.quorum, asked.memory)


def _strict(asked: _Asked, grace: float | None, fresh: float | None) -> Strict:
    from hoopx.recording.strict import GRACE, Strict

    quorum = len(asked.witnesses) if asked.quorum is None else asked.quorum
    name = asked.key.name if asked.key is not None else None
    return Strict(name, asked.witnesses, quorum, time.time(), GRACE if grace is None else grace, fresh)


def _memory(path: str) -> Remembered:
    from hoopx.recording.remembered import Remembered

    memory = Remembered(path)
    try:
        for origin in memory.origins():
            memory(origin)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--remember") from None
    except OSError as error:
        fail(f"{path} can not be read: {error.strerror or error}")
    return memory


def _remember(memory: Remembered, registers: list[Register]) -> None:
    """Keep what was seen, of ledgers that are sound. Of two with one name nobody knows which it is."""
    names = [register.origin for register in registers]
    if len(registers) > 1 and not memory.many:
        fail(f"there are {len(registers)} ledgers: --remember has to be a folder, that is there", EXIT_USAGE)
    try:
        for register in registers:
            if names.count(register.origin) == 1 and memory.keep(register):
                say(f"ledger {harmless(register.origin)}: remembered from now on. What was before is not compared with anything.")
    except OSError as error:
        fail(f"the checkpoint can not be remembered: {error.strerror or error}")


def _run(evidence: Any, told: Report, advance: Callable[[Verdict], object]) -> None:
    told.begin()
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
def _opened(where: str, asked: _Asked) -> Iterator[Any]:
    """@return: context manager of a bundle, of the name of a store, or C{None}: it is a folder."""
    from hoopx.recording.bundle import opened

    if not os.path.exists(where):
        if re.match(r"[a-z0-9]+:", where) is None:
            raise click.UsageError(f"{where} is not there.")
        yield where
        return
    with opened(where, asked.key, asked.checkpoint, asked.witnesses, asked.quorum) as found:
        if found is not None and asked.memory is not None:
            raise click.UsageError("A bundle holds a piece of a ledger: --remember has nothing to compare it with.")
        yield found


def _inquiry(where: str, ledger: str | None, asked: _Asked) -> Callable[[], Register] | None:
    from hoopx.recording.register import isLedger

    folder = ledger or os.path.join(where, "ledger")
    wanted = asked.key is not None or asked.checkpoint is not None or asked.witnesses or (asked.memory and asked.memory.origins())
    return partial(_of, asked, folder) if (where and isLedger(folder)) or ledger or wanted else None


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
