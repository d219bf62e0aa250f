# -*- test-case-name: tests.cli.test_targets -*-
"""
C{hoopx targets}: what is behind the gateway, and who may go there.
"""

from __future__ import annotations

from typing import Any

import click

from hoopx.cli.output import json_option, show
from hoopx.cli.place import Place, pass_place

COLUMNS = ["target", "protocol", "endpoint", "accounts", "database", "labels", "grants"]


@click.command("targets", help="List the targets, their accounts and who may use them; with --user only what that user may use.")
@click.option("--user", metavar="U", help="What this user may use.")
@click.option("--group", "groups", metavar="G", multiple=True, help="What members of this group may use; repeatable.")
@click.option("--kind", type=click.Choice(["human", "agent", "service"]), default="human", show_default=True)
@json_option
@pass_place
def command(place: Place, user: str | None, groups: tuple[str, ...], kind: str, as_json: bool) -> None:
    from hoopx.policy.access import AccessPolicy, Grants, covers, ownDatabase
    from hoopx.values import Identity

    settings = place.settings
    policy = AccessPolicy(Grants(settings.grants))
    rows = []
    for target in settings.targets.values():
        if user is None and not groups:
            accounts = list(target.accounts)
            grants = [grant.name for grant in settings.grants if covers(grant, target)]
        else:
            visible = policy.visible(Identity("", user or "", user or "", tuple(groups), kind), target)
            accounts = list(dict.fromkeys(account.name for _, allowed in visible for account in allowed))
            grants = [grant.name for grant, _ in visible]
            if not grants:
                continue
        row: dict[str, Any] = {
            "target": target.name,
            "protocol": target.protocol,
            "endpoint": target.endpoint,
            "accounts": accounts,
            "database": ownDatabase(target),
            "labels": dict(target.labels),
            "grants": grants,
        }
        rows.append(row)
    show(rows, COLUMNS, as_json, "targets")
