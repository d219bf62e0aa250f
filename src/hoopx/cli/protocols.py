# -*- test-case-name: tests.cli.test_protocols -*-
"""
C{hoopx protocols}: what can be recorded, and whose code does it.
"""

from __future__ import annotations

import click
from attrs import asdict

from hoopx.cli.output import harmless, json_option, onTerminal, say, show


@click.command("protocols", help="List the protocols that are installed.")
@json_option
def command(as_json: bool) -> None:
    from hoopx import registry

    rows = []
    for name, recorder in registry.protocols().items():
        try:
            whose = asdict(registry.identity(recorder))
        except Exception as error:
            # The drop-in can be read and what it names can not: that is worth a line, not the whole list.
            whose = {"name": name, "distribution": "", "version": "", "sha256": ""}
            say(f"hoopx: protocol {name}: its code can not be loaded: {harmless(f'{type(error).__name__}: {error}')}")
        rows.append({**whose, "summary": recorder.summary})
    columns = ["name", "summary", "distribution", "version"]
    show(rows, columns if onTerminal() else [*columns, "sha256"], as_json, "protocols")
    for module, reason in registry.failures():
        say(f"hoopx: {module} can not be loaded: {harmless(reason)}")
