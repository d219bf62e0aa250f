# -*- test-case-name: tests.metrics.test_health -*-
"""
Whether the gateway can take sessions, from what C{hoopx status} says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def unready(status: Mapping[str, Any]) -> list[str]:
    """
    @param status: L{hoopx.gateway.Gateway.status}; what is not in it is not judged.
    @return: why no new session should be sent here, one sentence each; empty when there is no reason.
    """
    found = []
    if status.get("draining"):
        found.append("the gateway is stopping")
    found += [f"sessions can not be recorded: {why}" for why in unrecordable(status)]
    if status.get("state"):
        found.append(f"identities can not be checked: {status['state']}")
    if status.get("audit"):
        found.append(f"what is done is not audited: {status['audit']}")
    listeners = status.get("listeners")
    if listeners is not None and (not listeners or not all(each.get("address") for each in listeners)):
        found.append("not every listener is up")
    return found


def unrecordable(status: Mapping[str, Any]) -> list[str]:
    """
    @param status: L{hoopx.gateway.Gateway.status}.
    @return: why no new session can be recorded, words each: of every one the ledger must have been told.
    """
    found = [status["disk"]] if status.get("disk") else []
    curator = status.get("curator")
    if curator is not None and curator.get("state") != "ready":
        found.append(f"the curator is {curator.get('state', 'not there')}")
    elif curator is not None and (trouble := (curator.get("ledger") or {}).get("trouble")):
        found.append(f"the ledger can not be written: {trouble}")
    return found
