# -*- test-case-name: tests.cli.test_live -*-
"""
C{hoopx sessions tail} and C{hoopx sessions kill}: what needs the running gateway.
"""

from __future__ import annotations

import json
from typing import Any

import click

from hoopx.api.client import Refused
from hoopx.cli.gateway import client
from hoopx.cli.output import fail, harmless, json_option, say
from hoopx.cli.place import Place, pass_place


@click.command()
@click.argument("session")
@json_option
@pass_place
def tail(place: Place, session: str, as_json: bool) -> None:
    """Follow a live session, until it ends or Ctrl-C."""
    try:
        for line in client(place).tail(session):
            click.echo(line if as_json else _said(json.loads(line)))
    except Refused as error:
        if error.status != 404:
            raise
        fail(f"{error}: hoopx sessions replay shows finished ones")
    except KeyboardInterrupt:
        pass


@click.command()
@click.argument("session")
@click.option("--reason", default="", metavar="TEXT", help="For the recording and the client.")
@pass_place
def kill(place: Place, session: str, reason: str) -> None:
    """End a live session at once."""
    try:
        client(place).kill(session, reason)
    except Refused as error:
        if error.status != 404:
            raise
        fail(f"{error}: hoopx sessions list shows which live")
    say(f"Ended {session}.")


def _said(one: dict[str, Any]) -> str:
    """One object in one line, for people."""
    kind = one.get("kind", "")
    if kind == "command":
        text = str(one.get("text", ""))
        if one.get("parameters"):
            text += "  " + ", ".join("NULL" if value is None else str(value) for value in one["parameters"])
        if one.get("verdict", "allow") != "allow":
            text += f"  [{one['verdict']}]"
    elif kind == "result":
        error = one.get("error")
        text = f"ERROR {error.get('code', '')} {error.get('message', '')}" if error else str(one.get("tag") or "")
        text = f"{text}  {1000 * (one.get('duration') or 0):.1f} ms"
    elif kind == "output":
        text = str(one.get("text", ""))
    elif kind == "file":
        text = f"{one.get('operation', '')} {one.get('path', '')} {one.get('bytes', '')} bytes"
    else:
        rest = {name: value for name, value in one.items() if name not in ("at", "kind", "event", "channel", "sequence")}
        text = f"{one.get('event', '')} " + " ".join(f"{name}={value}" for name, value in rest.items())
    return f"{one.get('at', 0.0):10.3f}  {kind:8} {harmless(text)}"
