# -*- test-case-name: tests.cli.test_init -*-
"""
C{hoopx init}: a configuration to begin with.
"""

from __future__ import annotations

import os
from pathlib import Path
from shlex import quote
from typing import Final

import click

from hoopx.cli.harmless import harmless
from hoopx.cli.output import fail, say
from hoopx.cli.place import Place, pass_place

TEMPLATE: Final = """\
# hoopx: the configuration. `hoopx check` explains every error in it.
# Secrets are references: { file = "secrets/name" } or { env = "NAME" }. Relative paths are relative to this file.
# Durations: "10s" "30m" "8h" "365d". Sizes: "1MiB".

[gateway]
name = "gw1"                        # in every recording
data = "data"                       # recordings, state, keys
max_sessions = 1000                 # three open files each
# login_timeout = "10s"
# idle_timeout = "30m"
# max_duration = "12h"
# disk_reserve = "64MiB"            # lets open recordings be closed properly when the disk is full
# disk_refuse_below = "256MiB"      # no new session under this

# [tls]                             # towards clients; without it hoopx makes an authority of its own under data/tls
# certificate = "gateway.pem"
# private_key = "gateway.key"

[[listeners]]
protocol = "postgres"
endpoint = "tcp:15432:interface=127.0.0.1"

# The systems behind the gateway. One table for each:

# [targets.orders]
# protocol = "postgres"
# endpoint = "tcp:db.internal:5432"
# database = "orders"
# tls = "verify"                    # or "off"; authorities = "ca.pem" for an authority of your own
# labels = { env = "prod" }
#   [targets.orders.accounts.app]   # the first account is the default one
#   username = "app"
#   password = { file = "secrets/orders-app" }    # chmod 600

# Who may open a session to what. Nothing is allowed that no grant allows:

# [[grants]]
# name = "analysts read orders"
# groups = ["analysts"]             # or users = ["alice@example.com"]; or kinds = ["agent"]
# targets = ["orders"]              # names, "*" patterns, or labels = { env = "prod" }
# accounts = ["app"]                # default: the target's first account only

[recording]
durability = "written"              # written: survives a killed gateway; synced: survives power loss
"""


@click.command("init", help="Write a commented hoopx.toml (or --config FILE) and the folders it speaks of.")
@click.option("--force", is_flag=True, help="Replace a configuration that is there.")
@pass_place
def command(place: Place, force: bool) -> None:
    from hoopx.config.limits import descriptors

    path = Path(place.path).absolute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, force)
        for name in ("data", "secrets"):
            folder = path.parent / name
            folder.mkdir(mode=0o700, exist_ok=True)
            folder.chmod(0o700)
    except FileExistsError:
        fail(f"{path} is there already; --force replaces it")
    except OSError as error:
        fail(f"{error.filename or path}: {error.strerror}")
    click.echo(harmless(f"{path} is written; recordings and state go to {path.parent / 'data'}, secrets to {path.parent / 'secrets'}."))
    problem = descriptors(place.settings.gateway.maxSessions)
    if problem:
        say(f"warning: {problem}")
    quoted = harmless(quote(place.path))
    shown = "" if place.path == "hoopx.toml" else f"--config {quoted} "
    click.echo("Next: add a target and a grant, then")
    click.echo(f"    hoopx {shown}check")
    click.echo(f"    hoopx {shown}tokens issue --user alice@example.com --group analysts")
    click.echo(f"    twistd -n hoopx --config {quoted}")


def _write(path: Path, force: bool) -> None:
    """Whole or not at all, and never over what somebody else has just written."""
    if not force:
        with open(path, "x", opener=_owned) as file:
            file.write(TEMPLATE)
        return
    fresh = path.with_name(path.name + ".new")
    with open(fresh, "w", opener=_owned) as file:
        file.write(TEMPLATE)
    os.replace(fresh, path)


def _owned(path: str, flags: int) -> int:
    return os.open(path, flags, 0o640)
