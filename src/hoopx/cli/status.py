# -*- test-case-name: tests.cli.test_status -*-
"""
C{hoopx status}: how the running gateway is.
"""

from __future__ import annotations

import time
from typing import Any, Iterator

import click

from hoopx.cli.gateway import client
from hoopx.cli.output import dump, harmless, json_option
from hoopx.cli.place import Place, pass_place
from hoopx.metrics.health import unrecordable


@click.command("status")
@json_option
@pass_place
def command(place: Place, as_json: bool) -> None:
    """Show how the running gateway is. Exit status 1 when none runs, or when nothing new can be recorded."""
    found = client(place).status()
    if as_json:
        click.echo(dump(found))
    else:
        for name, text in _said(found):
            click.echo(f"{name:12} {harmless(text)}")
    if unrecordable(found):
        raise click.exceptions.Exit(1)


def _said(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "gateway", f"{found.get('node', '')} (hoopx {found.get('version', '')})"
    if "uptime" in found:
        yield "up for", _span(found["uptime"])
    yield "sessions", str(found.get("sessions", ""))
    for listener in found.get("listeners", ()):
        yield "listens", f"{listener.get('protocol', '')} on {listener.get('address') or listener.get('endpoint', '')}"
    if "recordings" in found:
        yield "recordings", str(found["recordings"])
    why = unrecordable(found)
    yield "records", f"NO: {'; '.join(why)}" if why else "yes"
    if found.get("state"):
        yield "identities", f"NO: {found['state']}"
    if found.get("audit"):
        yield "audited", f"NO: {found['audit']}"
    if found.get("curator"):
        yield from _curator(found["curator"])
    for name, count in sorted((found.get("counters") or {}).items()):
        yield name.replace("_", " "), str(count)


def _curator(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    again = found.get("starts", 1) - 1
    state = str(found.get("state", "")) + (f", started again {again} times" if again > 0 else "")
    waiting = found.get("waiting")
    yield "curator", state + (f", {waiting} sessions wait for it" if waiting else "")
    ledger = found.get("ledger")
    if ledger:
        yield "ledger", f"{ledger['origin']}, {ledger['size']} leaves, {ledger['signed']} of them signed"
        for witness in ledger.get("witnesses", ()):
            said = f"NOT: {witness['problem']}" if witness.get("problem") else f"{witness['size']} leaves"
            yield "witness", f"{witness['url']} {said}"
        if ledger.get("witnesses"):
            yield "witnessed", f"{ledger['published']} leaves, by at least {ledger['quorum']}"
    store, backlog = found.get("store"), found.get("backlog") or {}
    if store:
        state = "" if store["state"] == "ok" else f"; NOT to be had: {store['state']}"
        yield "store", f"{store['store']}, {store['stored']} segments stored since its start{state}"
    if backlog.get("segments"):
        oldest = f", the oldest for {_span(time.time() - backlog['oldest'])}" if backlog.get("oldest") else ""
        yield "backlog", f"{backlog['segments']} segments, {backlog['bytes']} bytes{oldest}"
    quarantined = found.get("quarantined") or {}
    if quarantined.get("count"):
        yield "quarantined", f"{quarantined['count']}: {' '.join(quarantined['sessions'])}"
    if found.get("unknown"):
        yield "unknown", f"{found['unknown']} sessions: no rule is known to be theirs, and they are not erased"
    if found.get("problems"):
        yield "not stored", f"{found['problems']} segments, for reasons that time does not mend: see the log"


def _span(seconds: float) -> str:
    days, rest = divmod(int(seconds), 86400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    return (f"{days} d " if days else "") + f"{hours:02}:{minutes:02}:{rest:02}"
