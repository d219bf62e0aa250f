# -*- test-case-name: tests.cli.test_tokens -*-
"""
C{hoopx tokens}: issue, list and revoke access tokens.
"""

from __future__ import annotations

import time
from typing import Any, Final

import click

from hoopx.cli.gateway import tokens
from hoopx.cli.output import fail, json_option, say, show
from hoopx.cli.place import Place, pass_place
from hoopx.config.amounts import duration

FIELDS: Final = ("id", "user", "groups", "kind", "actor", "targets", "created", "expires", "revoked")
COLUMNS: Final = ("id", "user", "groups", "kind", "actor", "targets", "created", "expires", "state")


class Duration(click.ParamType):
    name = "duration"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        try:
            return duration(value)
        except ValueError as error:
            self.fail(f"{value!r} is no duration: {error}, such as 30m or 8h", param, ctx)


@click.group("tokens")
def command() -> None:
    """Issue, list and revoke access tokens."""


@command.command()
@click.option("--user", required=True, metavar="U", help="Whose token it is.")
@click.option("--group", "groups", multiple=True, metavar="G", help="A group of the user's. Can be repeated.")
@click.option("--kind", type=click.Choice(["human", "agent", "service"]), default="human", show_default=True, help="What uses it.")
@click.option("--actor", metavar="A", help="Who acts on the user's behalf, such as an agent's name.")
@click.option("--target", "targets", multiple=True, metavar="T", help="Only for targets like this. Can be repeated.")
@click.option("--ttl", type=Duration(), metavar="8h", help="How long it is valid; else max_age in [identity.tokens].")
@click.option("--note", default="", metavar="TEXT", help="What it is for.")
@pass_place
def issue(place: Place, user: str, groups: tuple[str, ...], targets: tuple[str, ...], **more: Any) -> None:
    """Make a token and print it, alone, on standard output. It can not be shown again."""
    with tokens(place) as where:
        token, _ = where.issue(user=user, groups=list(groups), targets=list(targets) or None, **more)
    click.echo(token)


@command.command("list")
@json_option
@pass_place
def listed(place: Place, as_json: bool) -> None:
    """List tokens, newest first. Times in JSON are seconds since the epoch."""
    with tokens(place) as where:
        found = where.tokens()
    now = time.time()
    rows = []
    for one in found:
        row = {name: one[name] for name in FIELDS}
        if not as_json:
            row["state"] = "revoked" if one["revoked"] is not None else "expired" if one["expires"] <= now else "valid"
            row |= {name: moment(row[name]) for name in ("created", "expires")}
        rows.append(row)
    show(rows, COLUMNS, as_json, "tokens")


@command.command()
@click.argument("id", required=False)
@click.option("--user", metavar="U", help="Revoke all tokens of this user.")
@pass_place
def revoke(place: Place, id: str | None, user: str | None) -> None:
    """Revoke a token, or all of a user's. Sessions opened with it end within two seconds."""
    if (id is None) == (user is None):
        raise click.UsageError("Say which token: an ID of hoopx tokens list, or --user.")
    with tokens(place) as where:
        revoked = where.revoke(id=id, user=user)
    if not revoked and user is not None:
        fail(f"{user} has no token that could be revoked")
    say(f"Revoked: {', '.join(revoked)}." if revoked else "It was revoked before.")


def moment(seconds: float) -> str:
    """Such as C{2026-01-31T12:00:00Z}."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
