# -*- test-case-name: tests.cli.test_ledger -*-
"""
C{hoopx ledger}: show the ledger, and prove what stands in it. Needs no running gateway, and no private key but for C{rotate}.
"""

from __future__ import annotations

import os
from base64 import b64encode
from typing import Any, Iterator

import click

from hoopx.cli.looking import act
from hoopx.cli.output import dump, fail, json_option, lines, say
from hoopx.cli.place import Place, pass_place


@click.group("ledger")
def command() -> None:
    """Show the ledger, and prove what stands in it."""


def _key(context: Any, parameter: Any, values: tuple[str, ...]) -> list[Any]:
    from hoopx.ledger.note import Verifier

    found = []
    for value in values:
        try:
            found.append(Verifier.parse(value))
        except ValueError as error:
            raise click.BadParameter(str(error)) from None
    return found


ledger_key = click.option(
    "--ledger-key", "keys", multiple=True, metavar="VKEY", callback=_key, help="The ledger's key as it was written down elsewhere."
)
witness_key = click.option(
    "--witness-key", "witnesses", multiple=True, metavar="VKEY", callback=_key, help="A witness's key, else those configured."
)
directory = click.option("--directory", type=click.Path(), metavar="DIR", help="A ledger elsewhere, such as a copy.")


@command.command()
@click.option("--vkey", "only", is_flag=True, help="Only the key that signs now, for witnesses and auditors.")
@click.option("--entries", is_flag=True, help="Every leaf, one a line: index and JSON.")
@ledger_key
@witness_key
@directory
@json_option
@pass_place
def show(
    place: Place, only: bool, entries: bool, keys: list[Any], witnesses: list[Any], directory: str | None, as_json: bool
) -> None:
    """Show name, size, root, keys and cosignatures of the ledger."""
    reader = _reader(place, directory)
    if only:
        chain = _told(lambda: reader.chain(keys[0] if keys else reader.first()))
        click.echo(chain[-1][1].vkey)
        return
    signed = _told(lambda: reader.checkpoint([*keys, *_witnesses(place, directory, witnesses)]))
    if entries:
        found = _told(lambda: list(_leaves(reader)))
        if as_json:
            lines(found)
        else:
            for one in found:
                click.echo(f"{one['index']}\t{dump(one['leaf'])}")
        return
    described = _described(reader, signed, keys, _witnesses(place, directory, witnesses))
    if as_json:
        click.echo(dump(described))
        return
    for name in ("origin", "size", "root"):
        click.echo(f"{name:<10}{described[name]}")
    for each in described["keys"]:
        click.echo(f"{'key':<10}{each['vkey']}" + (f"   since leaf {each['since'] - 1}" if each["since"] else ""))
    for each in described["cosignatures"]:
        click.echo(f"{'witness':<10}{each['name']}   {each['size']} leaves, {_moment(each['at'])}")
    if described["pending"]:
        click.echo(f"{'pending':<10}{described['pending']} leaves that no checkpoint has yet")
    if not described["cosignatures"]:
        say("No witness whose key is known has cosigned: who holds the ledger's key can roll it back.")


@command.command(short_help="Prove each leaf of a session.")
@click.argument("session")
@ledger_key
@witness_key
@directory
@json_option
@pass_place
def proof(place: Place, session: str, keys: list[Any], witnesses: list[Any], directory: str | None, as_json: bool) -> None:
    """
    Prove each leaf of a session: a C2SP tlog-proof, which holds with public keys alone. The leaf itself is in its extra line.

    SESSION is an id, or as much of its beginning as tells it from others.
    """
    from hoopx.ledger.errors import LedgerError
    from hoopx.ledger.proof import encode

    reader = _reader(place, directory)
    given = [*keys, *_witnesses(place, directory, witnesses)]
    newest = _told(lambda: reader.checkpoint(given))
    found = _told(lambda: reader.find(session.upper(), beginning=True))
    if len(names := sorted({str(leaf["session"]) for _, leaf in found}, reverse=True)) > 1:
        fail(f"{session} could be any of {', '.join(names[:5])}")
    if not found:
        fail(f"no leaf of session {session} is in the ledger's checkpoint of {newest.checkpoint.size} leaves")
    try:
        best = reader.checkpoint(given, witnessed=True)
    except (LedgerError, ValueError):
        best = newest
    proofs = []
    for index, leaf in found:
        # What witnesses have seen is worth more than what is newer.
        signed = best if index < best.checkpoint.size else newest
        proofs.append((index, leaf, _told(lambda at=index, by=signed: encode(reader.proof(at, by)))))
    if as_json:
        lines({"index": index, "leaf": leaf, "proof": text.decode("utf-8")} for index, leaf, text in proofs)
    else:
        click.echo("\n".join(text.decode("utf-8") for _, _, text in proofs), nl=False)


@command.command("keys", short_help="Show every key that has signed the ledger.")
@directory
@json_option
@pass_place
def keys_(place: Place, directory: str | None, as_json: bool) -> None:
    """Every key that has signed the ledger, one vkey a line, the first one first: for witnesses (--ledgers FILE) and auditors."""
    reader = _reader(place, directory)
    chain = _told(lambda: reader.chain(reader.first()))
    if as_json:
        click.echo(dump([{"vkey": verifier.vkey, "since": since} for since, verifier in chain]))
        return
    for _, verifier in chain:
        click.echo(verifier.vkey)


new_key = click.option(
    "--new-key",
    type=click.Path(),
    metavar="REFERENCE",
    help="The new key, kept elsewhere: the path of its PEM file, or env:VARIABLE. Never the key itself.",
)


@command.command()
@new_key
@pass_place
def rotate(place: Place, new_key: str | None) -> None:
    """
    Bring in a new key, signed by the old one. The gateway must not be running.

    A key in the data directory is replaced by a new one and destroyed. One that signing_key names is followed by the one that
    --new-key names: let signing_key name that one afterwards. Cut short, it can be called again.
    """
    from hoopx.cli.references import fetched, reference
    from hoopx.ledger.rotation import rotate as begin

    configured = place.settings.recording.signingKey
    if configured is not None and new_key is None:
        fail("the key is kept elsewhere (signing_key): make the new one there, too, and name it with --new-key")
    old = fetched(place, configured) if configured is not None else None
    new = fetched(place, reference(new_key)) if new_key is not None else None
    done = _told(lambda: begin(str(place.data), place.settings.gateway.name, old, new))
    if not done.before:
        act(place, "ledger.rotate", done.vkey)
    say("This key signs the ledger already:" if done.before else "The ledger has a new key. Tell it to the witnesses and auditors:")
    click.echo(done.vkey)
    _name(new_key)


@command.command(short_help="Begin a new ledger where the old one can not go on.")
@new_key
@pass_place
def renew(place: Place, new_key: str | None) -> None:
    """
    Put a ledger aside that can not go on, and begin a new one that names its last checkpoint. The gateway must not be running.

    With signing_key the new ledger's key is kept elsewhere, too, and --new-key names it.
    """
    from hoopx.cli.references import fetched, reference
    from hoopx.ledger.renewal import renew as begin

    if place.settings.recording.signingKey is not None and new_key is None:
        fail("the key is kept elsewhere (signing_key), and a new ledger needs a new one: name it with --new-key")
    new = fetched(place, reference(new_key)) if new_key is not None else None
    vkey = _told(lambda: begin(str(place.data), place.settings.gateway.name, key=new))
    act(place, "ledger.renew", vkey)
    say("There is a new ledger, with a new key. Tell it to the witnesses and auditors:")
    click.echo(vkey)
    _name(new_key)


def _name(new_key: str | None) -> None:
    if new_key is not None:
        say(f"Before the gateway is started, signing_key in [recording] has to name the new key: {new_key}")


def _reader(place: Place, directory: str | None) -> Any:
    from hoopx.ledger.reader import LedgerReader

    return LedgerReader(directory or os.path.join(str(place.data), "ledger"))


def _witnesses(place: Place, directory: str | None, given: list[Any]) -> list[Any]:
    from hoopx.witness.client import witnessKey

    if given or directory is not None:
        return [witnessKey(one.vkey) for one in given]
    return [witnessKey(one.key) for one in place.settings.recording.witnesses]


def _told(work: Any) -> Any:
    """What can be wrong with a ledger is an answer, not a fault."""
    from hoopx.errors import HoopxError

    try:
        return work()
    except PermissionError:  # what to do about it is said for all commands
        raise
    except (HoopxError, OSError, ValueError) as error:
        fail(str(error))


def _leaves(reader: Any) -> Iterator[dict[str, Any]]:
    from hoopx.ledger.leaf import parse

    for index, line in reader.entries():
        yield {"index": index, "leaf": parse(line)}


def _described(reader: Any, signed: Any, keys: list[Any], witnesses: list[Any]) -> dict[str, Any]:
    from hoopx.ledger.errors import LedgerError

    checkpoint = signed.checkpoint
    chain, pending = reader.chain(keys[0] if keys else reader.first()), len(_told(reader.pending))
    cosigned = [{"name": one.name, "at": one.timestamp, "size": checkpoint.size} for one in signed.witnesses]
    names = {one["name"] for one in cosigned}
    try:
        older = reader.checkpoint([*keys, *witnesses], witnessed=True)
        for one in older.witnesses:
            if one.name not in names:
                cosigned.append({"name": one.name, "at": one.timestamp, "size": older.checkpoint.size})
    except (LedgerError, ValueError):
        pass
    return {
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": b64encode(checkpoint.root).decode("ascii"),
        "keys": [{"vkey": verifier.vkey, "since": since} for since, verifier in chain],
        "cosignatures": cosigned,
        "pending": pending,
        "checkpoint": signed.note.decode("utf-8"),
    }


def _moment(seconds: int) -> str:
    from hoopx.cli.tokens import moment

    try:
        return moment(seconds)
    except (OverflowError, ValueError, OSError):
        return "at no time"
