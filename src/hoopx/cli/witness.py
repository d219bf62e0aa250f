# -*- test-case-name: tests.cli.test_witness -*-
"""
C{hoopx witness}: cosign the checkpoints of ledgers, on a machine that is not theirs.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

import click

from hoopx.cli.output import fail, say

DEFAULT: Final = "tcp:8464:interface=127.0.0.1"


@click.command("witness")
@click.option(
    "--data", type=click.Path(), default="witness", metavar="DIR", show_default=True, help="What the witness remembers, and its key."
)
@click.option("--name", metavar="NAME", help="Its name for ever, such as witness.example.com; needed at the first start.")
@click.option("--listen", "endpoint", default=DEFAULT, metavar="ENDPOINT", show_default=True, help="A Twisted endpoint.")
@click.option("--ledger", "vkeys", multiple=True, metavar="VKEY", help="Key of a ledger to witness. Can be repeated.")
@click.option(
    "--ledgers", "files", type=click.Path(), multiple=True, metavar="FILE", help="A file of such keys, one a line. Can be repeated."
)
@click.option("--vkey", "only", is_flag=True, help="Print the witness's own key (made at its first use), and end.")
def command(data: str, name: str | None, endpoint: str, vkeys: tuple[str, ...], files: tuple[str, ...], only: bool) -> None:
    """
    Witness ledgers: cosign each checkpoint that has grown out of the one before, over the C2SP tlog-witness protocol, and nothing else.

    A ledger's key is what `hoopx ledger show --vkey` prints.
    """
    from hoopx.ledger.note import isName
    from hoopx.witness.state import State

    if name is not None and not isName(name):
        raise click.UsageError(f"{name!r} can not be the name of a key: no spaces, no +")
    verifiers = [] if only else _ledgers(vkeys, files)
    try:
        state = State(str(Path(data).absolute()), name)
    except (OSError, ValueError) as error:
        fail(f"{data}: {error}")
    try:
        if only:
            click.echo(state.cosigner.vkey)
        else:
            _run(state, verifiers, endpoint)
    finally:
        state.close()


def _ledgers(vkeys: tuple[str, ...], files: tuple[str, ...]) -> list[Any]:
    from hoopx.ledger.note import ED25519, Verifier

    lines = list(vkeys)
    for file in files:
        try:
            lines += Path(file).read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise click.UsageError(f"{file}: {error}") from None
    found = []
    for line in lines:
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                found.append(Verifier.parse(line))
            except ValueError as error:
                raise click.UsageError(str(error)) from None
            if found[-1].kind != ED25519:
                raise click.UsageError(f"{line.strip()} is the key of a witness, not of a ledger")
    if not found:
        raise click.UsageError("Say which ledgers it witnesses: --ledger VKEY, or --ledgers FILE.")
    return found


def _run(state: Any, verifiers: list[Any], endpoint: str) -> None:
    import sys

    if "twisted.internet.reactor" not in sys.modules and sys.platform == "linux":
        from hoopx.reactor import install

        install()  # for its clock, that nobody can set
    from twisted.internet import reactor as running
    from twisted.internet.endpoints import serverFromString
    from twisted.logger import globalLogBeginner, textFileLogObserver

    from hoopx.recording.threads import Threads
    from hoopx.witness.service import WitnessService, alarm, makeResource, makeSite
    from hoopx.witness.witness import Witness

    reactor: Any = running
    try:
        server = serverFromString(reactor, endpoint)
    except (ValueError, TypeError, KeyError) as error:
        raise click.UsageError(f"{endpoint!r} is no Twisted endpoint: {error}") from None
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stderr)], redirectStandardIO=False)
    witness = Witness(state, verifiers, time.time, alarm)
    cosigner = state.cosigner
    resource = makeResource(witness, cosigner.name, cosigner.vkey, Threads(reactor, reactor.getThreadPool()))
    service = WitnessService(server, makeSite(resource, reactor))
    failed: list[Any] = []

    def listens(port: Any) -> None:
        say(f"The witness {cosigner.name} listens on {endpoint} for {len({one.name for one in verifiers})} ledgers.")
        say(f"Its key is {cosigner.vkey}")

    def not_(why: Any) -> None:
        failed.append(why.getErrorMessage())
        reactor.stop()

    service.listening.addCallbacks(listens, not_)
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    reactor.callWhenRunning(service.startService)
    reactor.run()
    if failed:
        fail(f"{endpoint}: {failed[0]}")
