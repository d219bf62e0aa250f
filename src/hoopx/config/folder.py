# -*- test-case-name: tests.config.test_folder -*-
"""
Can the gateway write its data folder? Asked as whoever runs the command, before anybody waits for the gateway to start.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Iterator
from typing import Any, Final

from hoopx.config.lines import lineOf
from hoopx.config.settings import Settings
from hoopx.errors import ConfigurationError

PLACE: Final = ("gateway", "data")
WRITTEN: Final = ("recordings", "ledger", "keys", "policies", "tls", "state.sqlite", "curator.sqlite", "index.sqlite")
"""What of it is written again: once made by another user, it can not be."""


def unwritable(settings: Settings, access: Callable[..., bool] = os.access) -> list[ConfigurationError]:
    """
    @param access: L{os.access}.
    @return: what keeps the gateway from writing its data folder, when it runs as this user.
    """
    found = _problem(settings.gateway.data, access)
    return [] if found is None else [ConfigurationError(found, settings.path, "gateway.data", lineOf(settings.lines, PLACE))]


def _problem(data: str, access: Callable[..., Any]) -> str | None:
    me = _user(os.geteuid())
    for path in _paths(data):
        if not os.path.lexists(path):
            continue
        folder = os.path.isdir(path)
        if not folder and path != data and os.path.dirname(path) != data:
            return f"{data} can not be made: {path} is no folder"
        if path == data and not folder:
            return f"{data} is no folder: move it away, or choose another one"
        if not access(path, os.R_OK | os.W_OK | (os.X_OK if folder else 0), effective_ids=os.access in os.supports_effective_ids):
            what = f"{path} can not be written" if path == data or path.startswith(data + os.sep) else f"{data} can not be made in {path}"
            return f"{what} by {me}: {_why(path)}"
    return None


def _paths(data: str) -> Iterator[str]:
    """What has to be there and writable: the folder and what is in it, or the nearest one above it that there is."""
    if os.path.lexists(data):
        yield data
        yield from (os.path.join(data, name) for name in WRITTEN)
        return
    above = os.path.dirname(data)
    while not os.path.lexists(above) and above != os.path.dirname(above):
        above = os.path.dirname(above)
    yield above


def _why(path: str) -> str:
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        return "its file system is mounted read-only. Mount it writable, or choose another data folder"
    status = os.stat(path)
    owner = _user(status.st_uid)
    return (
        f"it is {owner}'s, with mode {status.st_mode & 0o7777:04o}. Run this, and the gateway, as {owner}, or hand it over: "
        f"chown -R {_user(os.geteuid())} {path}"
    )


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
