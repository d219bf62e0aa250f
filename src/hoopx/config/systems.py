# -*- test-case-name: tests.config.test_loader -*-
"""
C{[targets]}: keys that every protocol has, and keys that are one protocol's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

from hoopx.config.settings import AccountSettings, TargetSettings
from hoopx.config.shape import Shape, isName, isReference, keys
from hoopx.config.words import shown
from hoopx.values import Account, Reference, Target

NAME: Final = 'a name of letters, digits, ".", "_" and "-"'
SECRETS: Final = ("password", "passphrase", "certificate", "private_key", "secret", "token")
"""Keys of accounts that hold secrets, whatever the protocol, while it is not known."""


def targets(shape: Shape, tables: Any, protocols: Mapping[str, Any]) -> dict[str, Target]:
    """
    @param tables: what C{targets} holds.
    @param protocols: name -> L{hoopx.interfaces.IProtocolRecorder}. A target of an unknown one keeps its further keys in
        C{options} as they are; L{hoopx.config.unsupported} tells of it.
    @return: name -> L{Target}, without those that have errors, which the shape has noted.
    """
    if not isinstance(tables, dict):
        shape.wrong(("targets",), f"expected one table per target, such as [targets.orders]; found {shown(tables)}")
        return {}
    made = {}
    for name, table in tables.items():
        before = len(shape.errors)
        target = _target(shape, name, table, protocols)
        if target is not None and len(shape.errors) == before:
            made[name] = target
    return made


def _target(shape: Shape, name: str, table: Any, protocols: Mapping[str, Any]) -> Target | None:
    path = ("targets", name)
    if not isName(name):
        shape.wrong(path, f"expected {NAME}: clients write it in connection strings")
    if not isinstance(table, dict):
        shape.wrong(path, f"expected a table, such as [targets.orders]; found {shown(table, path)}")
        return None
    wanted = table.get("protocol")
    recorder = protocols.get(wanted) if isinstance(wanted, str) else None
    ours, theirs = _split(table, TargetSettings, recorder and recorder.targetOptions, recorder is not None, {"accounts"})
    common = shape.structure(ours, TargetSettings, path, ["accounts", *_own(recorder and recorder.targetOptions)])
    options = _options(shape, theirs, recorder and recorder.targetOptions, path)
    accounts = _accounts(shape, table.get("accounts", {}), recorder, (*path, "accounts"))
    if common is None:
        return None
    return Target(
        name=name,
        protocol=common.protocol,
        endpoint=common.endpoint,
        tls=common.tls,
        authorities=common.authorities,
        serverName=common.serverName,
        labels=common.labels,
        accounts=accounts,
        via=common.via,
        options=options,
    )


def _accounts(shape: Shape, tables: Any, recorder: Any, path: tuple) -> dict[str, Account]:
    if not isinstance(tables, dict):
        shape.wrong(path, f"expected one table per account, such as [targets.orders.accounts.app]; found {shown(tables)}")
        return {}
    made = {}
    for name, table in tables.items():
        here = (*path, name)
        if not name or not name.isprintable() or "/" in name:
            shape.wrong(here, "expected a name that can be written in a connection string")
        if not isinstance(table, dict):
            shape.wrong(here, f"expected a table, such as [targets.orders.accounts.app]; found {shown(table, here)}")
            continue
        secrets: dict[str, Reference] = {}
        for key, value in table.items():
            if key in recorder.accountSecrets if recorder else isReference(value) or key in SECRETS:
                reference = shape.structure(value, Reference, (*here, key))
                if reference is not None:
                    secrets[key] = reference
        rest = {key: value for key, value in table.items() if key not in secrets}
        rest = {key: value for key, value in rest.items() if key not in (recorder.accountSecrets if recorder else SECRETS)}
        kind = recorder and recorder.accountOptions
        ours, theirs = _split(rest, AccountSettings, kind, recorder is not None, set())
        common = shape.structure(ours, AccountSettings, here, [*(recorder.accountSecrets if recorder else ()), *_own(kind)])
        options = _options(shape, theirs, kind, here)
        if common is not None:
            made[name] = Account(name, common.username or name, secrets, options)
    return made


def _split(table: dict, common: type, own: Any, known: bool, neither: set[str]) -> tuple[dict, dict]:
    """What is everybody's (and what nobody knows), and what is the protocol's own."""
    mine = keys(common)
    theirs = set(_own(own)) if known else set(table) - set(mine)
    split: tuple[dict, dict] = ({}, {})
    for key, value in table.items():
        if key not in neither:
            split[key in theirs and key not in mine][key] = value
    return split


def _own(kind: Any) -> list[str]:
    return list(keys(kind)) if kind else []


def _options(shape: Shape, table: dict, kind: Any, path: tuple) -> Any:
    if kind is None:
        return table or None
    attrs.resolve_types(kind)
    return shape.structure(table, kind, path)
