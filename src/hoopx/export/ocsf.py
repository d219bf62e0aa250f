# -*- test-case-name: tests.export.test_ocsf -*-
"""
A session as events of the Open Cybersecurity Schema Framework (https://schema.ocsf.io, 1.3.0), one JSON object a line: Authentication
(3002) for its beginning and end, Datastore Activity (6005) for its commands.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from hoopx.frames import HEAD
from hoopx.heading import endpoint, mapping, moment, names, sound, text, within
from hoopx.values import Command, FileTransfer, Frame, Notice, Result

VERSION: Final = "1.3.0"
IAM: Final = 3
AUTHENTICATION: Final = 3002
LOGON: Final = 1
LOGOFF: Final = 2
APPLICATION: Final = 6
DATASTORE: Final = 6005
ACTIVITIES: Final = {1: "Read", 2: "Update", 3: "Connect", 4: "Query", 5: "Write", 6: "Create", 7: "Delete", 99: "Other"}
CONNECT: Final = 3

_BY_TAG: Final = {
    "SELECT": 4, "FETCH": 4, "SHOW": 4, "EXPLAIN": 4, "UPDATE": 2, "MERGE": 2, "ALTER": 2, "INSERT": 5, "DELETE": 7, "DROP": 7,
    "TRUNCATE": 7, "CREATE": 6,
}  # fmt: skip
"""By the first word of what the server itself calls what it did; of the text, when it says nothing. All else is a query (4)."""

SUCCESS: Final = (1, "Success")
FAILURE: Final = (2, "Failure")
UNKNOWN: Final = (0, "Unknown")
ALLOWED: Final = {"action_id": 1, "action": "Allowed"}
DENIED: Final = {"action_id": 2, "action": "Denied", "disposition_id": 2, "disposition": "Blocked"}
UNDECIDED: Final = {"action_id": 0, "action": "Unknown"}
INFORMATIONAL: Final = (1, "Informational")
MEDIUM: Final = (3, "Medium")

TEXT: Final = 65535
"""Characters of a text that the schema allows; a longer statement stands in C{unmapped} as a whole."""

SESSION: Final = 1024
"""Characters of a session's id that are told. Ours has 26; the event's own id, which begins with it, is a text like others."""

WAITING: Final = 10_000
"""Commands whose results have not come. The oldest is told without one then."""


class Events:
    """
    @param head: HEAD's object.
    @param view: a fresh L{hoopx.interfaces.ISessionView}.
    @param version: hoopx's.
    """

    def __init__(self, head: Mapping[str, Any], view: Any, version: str) -> None:
        self._started = moment(head.get("started"))
        self._view = view
        self._head = head
        self._waiting: dict[Any, Command] = {}
        self._number = 0
        identity = mapping(head.get("identity"))
        kind = text(identity.get("kind"), TEXT) or "human"
        name, subject = text(identity.get("name"), TEXT), text(identity.get("subject"), TEXT)
        self._user = {
            "name": name if name or subject else "unknown",
            "uid": subject,
            "domain": text(identity.get("issuer"), TEXT),
            "groups": [{"name": group} for group in names(identity.get("groups"))] or None,
            "type_id": 1 if kind == "human" else 99,
            "type": "User" if kind == "human" else kind,
        }
        client = endpoint(head.get("client"))
        self._source = {"ip": str(client[0]), "port": client[1]} if client else {"name": "unix socket"}
        self._session = {"uid": text(head.get("session"), SESSION), "created_time": _milliseconds(self._started)}
        self._metadata = {
            "version": VERSION,
            "product": {"name": "hoopx", "vendor_name": "hoopx", "version": version},
            "log_name": "recording",
            "correlation_uid": self._session["uid"],
        }

    def feed(self, frame: Frame) -> bytes:
        if frame.kind == HEAD:
            return b"".join(_line(event) for event in self._logon())
        return b"".join(_line(event) for item in self._view.feed(frame) for event in self._event(item))

    def finish(self) -> bytes:
        found = [event for item in self._view.finish() for event in self._event(item)]
        return b"".join(_line(event) for event in [*found, *self._flush()])

    # -- what becomes of the things that a view tells

    def _event(self, item: Any) -> Iterator[dict[str, Any]]:
        if isinstance(item, Command):
            yield from self._command(item)
        elif isinstance(item, Result):
            command = self._waiting.pop((item.channel, item.fields.get("number")), None)
            if command is not None:
                yield self._datastore(command, item)
        elif isinstance(item, FileTransfer):
            event = self._database(item.at, 5 if "in" in item.operation.split() else 1, item.sequence)
            yield {**event, **ALLOWED, "unmapped": {"operation": item.operation, "path": item.path, "bytes": item.bytes}}
        elif isinstance(item, Notice):
            yield from self._notice(item)

    def _command(self, item: Command) -> Iterator[dict[str, Any]]:
        number = item.fields.get("number")
        if item.verdict == "block" or number is None:
            yield self._datastore(item, None)
            return
        while len(self._waiting) >= WAITING:
            yield self._datastore(self._waiting.pop(next(iter(self._waiting))), None)
        before = self._waiting.pop((item.channel, number), None)
        if before is not None:
            yield self._datastore(before, None)
        self._waiting[item.channel, number] = item

    def _notice(self, item: Notice) -> Iterator[dict[str, Any]]:
        if item.event == "connected":
            yield {**self._database(item.at, CONNECT, item.sequence), **ALLOWED, **_status(SUCCESS)}
        elif item.event == "refused" or (item.event == "policy" and item.fields.get("verdict") == "refused"):
            event = self._authentication(item.at, LOGON, item.sequence)
            detail = item.fields.get("message") or item.fields.get("code")
            yield {**event, **_status(FAILURE), "status_detail": text(detail, TEXT)}
        elif item.event in ("done", "recovered"):
            yield from self._flush()
            event = self._authentication(item.at, LOGOFF, item.sequence)
            told = {name: item.fields[name] for name in ("bytes_from_client", "bytes_from_target") if name in item.fields}
            detail = text(item.fields.get("reason"), TEXT) or item.event
            yield {**event, **_status(SUCCESS), "status_detail": detail, "unmapped": told}

    def _flush(self) -> Iterator[dict[str, Any]]:
        waiting, self._waiting = self._waiting, {}
        for command in waiting.values():
            yield self._datastore(command, None)

    # -- events

    def _base(self, at: float, category: int, kind: int, activity: int, sequence: int) -> dict[str, Any]:
        self._number += 1
        on = text(self._head.get("actor"), TEXT)
        target = text(self._head.get("target"), TEXT)
        return {
            "time": _milliseconds(within(self._started + at)),
            "category_uid": category,
            "class_uid": kind,
            "activity_id": activity,
            "type_uid": kind * 100 + activity,
            "severity_id": INFORMATIONAL[0],
            "severity": INFORMATIONAL[1],
            "metadata": {**self._metadata, "uid": f"{self._session['uid']}/{sequence}/{self._number}"},
            "actor": {"user": self._user, "session": self._session, "app_name": on},  # who acts on the user's behalf
            "src_endpoint": self._source,
            "dst_endpoint": {"name": target} if target else None,
        }

    def _authentication(self, at: float, activity: int, sequence: int) -> dict[str, Any]:
        return {
            **self._base(at, IAM, AUTHENTICATION, activity, sequence),
            "activity_name": "Logon" if activity == LOGON else "Logoff",
            "class_name": "Authentication",
            "category_name": "Identity & Access Management",
            "user": self._user,
            "session": self._session,
            "service": {"name": "hoopx"},
            "is_remote": True,
        }

    def _logon(self) -> Iterator[dict[str, Any]]:
        yield {**self._authentication(0, LOGON, 1), **_status(SUCCESS)}

    def _database(self, at: float, activity: int, sequence: int) -> dict[str, Any]:
        event = self._base(at, APPLICATION, DATASTORE, activity, sequence)
        known = self._head.get("protocol") == "postgres"
        name = text(self._head.get("database"), TEXT) or text(self._head.get("target"), TEXT) or "unknown"
        return {
            **event,
            "metadata": {**event["metadata"], "profiles": ["security_control"]},
            "activity_name": ACTIVITIES[activity],
            "class_name": "Datastore Activity",
            "category_name": "Application Activity",
            "type_id": 1,
            "type": "Database",
            "database": {"name": name, "type_id": 1 if known else 0, "type": "Relational" if known else "Unknown"},
        }

    def _datastore(self, command: Command, result: Result | None) -> dict[str, Any]:
        words = ((result.tag if result is not None else None) or command.text).split(None, 1)
        activity = _BY_TAG.get(words[0].upper(), 4) if words else 4
        event = self._database(command.at, activity, command.sequence)
        event["query_info"] = {
            "query_string": text(command.text, TEXT) or "", "query_time": event["time"], "uid": str(command.sequence),
        }  # fmt: skip
        more: dict[str, Any] = {"account": self._head.get("account")}
        if len(command.text) > TEXT:
            more["query_string"] = command.text
        if command.parameters:
            more["parameters"] = list(command.parameters)
        if command.verdict == "block":
            event.update(_status(FAILURE), **DENIED)
            event.update(severity_id=MEDIUM[0], severity=MEDIUM[1])
            event["status_detail"] = text(command.guard, TEXT) or "refused by policy"
        elif result is None:
            event.update(_status(UNKNOWN), **(ALLOWED if command.verdict == "allow" else UNDECIDED))
        else:
            event.update(ALLOWED, duration=round(result.duration * 1000))
            event.update(_status(SUCCESS if result.error is None else FAILURE))
            more["rows"], more["tag"] = result.rows, result.tag
            if result.error is not None:
                event["status_code"] = text(result.error.get("code"), TEXT)
                event["status_detail"] = text(result.error.get("message"), TEXT)
        event["unmapped"] = more
        return event


def _status(status: tuple[int, str]) -> dict[str, Any]:
    return {"status_id": status[0], "status": status[1]}


def _milliseconds(at: float) -> int:
    return round(at * 1000)


def _line(event: dict[str, Any]) -> bytes:
    return json.dumps(sound(_told(event))).encode("ascii") + b"\n"


def _told(event: Mapping[str, Any]) -> dict[str, Any]:
    """What is not known is not there: the schema has no nulls. What it does not speak of is left as it is."""
    found = {}
    for name, value in event.items():
        if isinstance(value, dict) and name != "unmapped":
            value = _told(value)
        if value is not None:
            found[name] = value
    return found
