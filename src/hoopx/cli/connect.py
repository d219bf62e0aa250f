# -*- test-case-name: tests.cli.test_connect -*-
"""
C{hoopx connect}: the stock client of a target, with everything set. The token goes into a private file that lives as long as the
client: neither into its arguments nor into its environment.
"""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Callable, Final, Iterator

import click
from attrs import evolve

from hoopx.api.client import Client
from hoopx.cli.children import leave, starting
from hoopx.cli.gateway import client
from hoopx.cli.output import fail, say
from hoopx.cli.place import Place, pass_place
from hoopx.cli.route import Route, find, verified
from hoopx.errors import HoopxError

# What libpq would believe more than us, or instead of us.
OVERRIDING: Final = (
    "PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGPASSWORD", "PGPASSFILE", "PGSERVICE", "PGSERVICEFILE",
    "PGREQUIRESSL", "PGREQUIREAUTH", "PGCHANNELBINDING", "PGGSSENCMODE", "PGTARGETSESSIONATTRS", "PGREQUIREPEER",
)  # fmt: skip

MAX_TOKEN: Final = 64 * 1024


@click.command("connect", context_settings={"ignore_unknown_options": False})
@click.argument("target")
@click.option("--account", metavar="A", help="The account to use at the target; else the first that the grant allows.")
@click.option("--database", metavar="D", help="Another database of the target than its own.")
@click.option(
    "--token-file", type=click.Path(), envvar="HOOPX_TOKEN_FILE", metavar="FILE", help="Holds the access token; else $HOOPX_TOKEN_FILE."
)
@click.option("--user", metavar="U", help="Without a token: whose name a fresh one bears; else yours on this machine.")
@click.option("--group", "groups", multiple=True, metavar="G", help="Without a token: a group of the fresh one. Can be repeated.")
@click.option("--gateway", metavar="HOST:PORT", help="Where the gateway is; else as its configuration says.")
@click.option("--authorities", metavar="FILE", type=click.Path(exists=True), help="Verify the gateway with these.")
@click.option("--client", "program", type=click.Path(), metavar="PSQL", default="psql", show_default=True, help="The client to start.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@pass_place
def command(
    place: Place,
    target: str,
    account: str | None,
    database: str | None,
    token_file: str | None,
    user: str | None,
    groups: tuple[str, ...],
    gateway: str | None,
    authorities: str | None,
    program: str,
    arguments: tuple[str, ...],
) -> None:
    """
    Start psql on a target, through the gateway, with TLS verified in full.

    What stands after -- goes to psql. The token comes from a file; on the gateway's own machine, its operator needs none: one is
    made for this connection and revoked at its end.
    """
    settings = place.settings
    known = settings.targets.get(target)
    if known is not None and known.protocol != "postgres":
        fail(f"hoopx connect starts psql, and {target} speaks {known.protocol}")
    running = client(place)
    route = _route(place, target, gateway, authorities, running)
    found = shutil.which(program) or fail(f"{program} is not installed: say where it is with --client")
    with ExitStack() as undone:
        undone.enter_context(_orderly())
        first = next(iter(known.accounts), None) if known is not None else None
        name = user or getpass.getuser()
        if token_file is not None:
            token, role = _read(token_file), account or first or name
        else:
            token, role = undone.enter_context(_fresh(running, name, list(groups), target)), account or name
        folder = Path(undone.enter_context(_folder()))
        status = _run([found, "-d", conninfo(route, folder, target, database, role, token), *arguments])
    raise click.exceptions.Exit(status)


def conninfo(route: Route, folder: Path, target: str, database: str | None, user: str, token: str) -> str:
    """
    Write the password file.

    @return: libpq's connection string that names it.
    """
    passfile = folder / "token"
    entry = ":".join(part.replace("\\", "\\\\").replace(":", "\\:") for part in (route.host, str(route.port))) + f":*:*:{token}\n"
    descriptor = os.open(passfile, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(entry)
    parts = {
        "host": route.host,
        "hostaddr": route.address if route.address and route.address != "localhost" else None,
        "port": str(route.port),
        "dbname": f"{target}/{database}" if database else target,
        "user": user,
        "passfile": str(passfile),
        "sslmode": "verify-full" if route.authorities else "disable",
        "sslrootcert": route.authorities,
        "sslnegotiation": "direct" if route.direct else None,
        "gssencmode": "disable",
    }
    return " ".join(f"{key}={_quoted(value)}" for key, value in parts.items() if value is not None)


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _route(place: Place, target: str, gateway: str | None, authorities: str | None, running: Client) -> Route:
    if gateway is not None:
        host, _, port = gateway.rpartition(":")
        if not host or not port.isdecimal():
            raise click.UsageError("--gateway wants HOST:PORT")
        return verified(place.settings, place.data, host.strip("[]"), int(port), authorities, False)
    addresses: list[dict[str, Any]] = []
    with suppress(HoopxError):  # without a control socket the configured ports must do
        addresses = running.status().get("listeners", [])
    host, number, direct = find(place.settings, "postgres", target, addresses)
    return evolve(verified(place.settings, place.data, host, number, authorities, True), direct=direct)


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            token = file.read(MAX_TOKEN).strip()
    except (OSError, UnicodeError) as error:
        fail(f"the token file {path} can not be read: {getattr(error, 'strerror', None) or 'it is not text'}")
    if not token or any(letter.isspace() or letter in ":\\" for letter in token):
        fail(f"{path} does not hold an access token")
    return token


@contextmanager
def _fresh(running: Client, user: str, groups: list[str], target: str) -> Iterator[str]:
    """A token for this one connection."""
    token, id = running.issue(user=user, groups=groups, targets=[target], note="hoopx connect")
    try:
        yield token
    finally:
        try:
            running.revoke(id=id)
        except HoopxError as error:
            say(f"hoopx: the token of this connection could not be revoked ({error}): hoopx tokens revoke {id}")


@contextmanager
def _folder() -> Iterator[str]:
    made = tempfile.mkdtemp(prefix="hoopx-")
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextmanager
def _orderly() -> Iterator[None]:
    """Clean up on SIGTERM and SIGHUP too; Ctrl-C is the client's."""

    def end(number: int, frame: Any) -> None:
        leave(SystemExit(128 + number))

    def stay(number: int, frame: Any) -> None:
        """A function, not SIG_IGN, which the client would inherit."""

    wanted: dict[int, Callable[..., Any]] = {signal.SIGTERM: end, signal.SIGHUP: end, signal.SIGINT: stay}
    before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _run(command: list[str]) -> int:
    environment = {name: value for name, value in os.environ.items() if name not in OVERRIDING and not name.startswith("PGSSL")}
    sys.stdout.flush()
    child = None
    try:
        with starting():
            child = subprocess.Popen(command, env=environment)
        status = child.wait()
    except BaseException:
        if child is not None:
            child.terminate()
            child.wait()
        raise
    return status if status >= 0 else 128 - status
