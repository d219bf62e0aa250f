"""Frames of small sessions, as a gateway records them."""

from __future__ import annotations

from hoopx.frames import DATA, DONE, EVENT, HEAD, pack
from hoopx.protocols.postgres.messages import query
from hoopx.values import ATTEMPTED, CLIENT, MADE, PASSED, TARGET, Frame
from tests.protocols.postgres.playbook import READY, columns, complete, error, row

HEADER = {
    "session": "01J0000000000000000000000S", "started": 1_700_000_000.25, "actor": None, "target": "orders", "account": "app",
    "protocol": "postgres", "database": "shop", "client": "198.51.100.7:50123",
    "identity": {"name": "alice", "subject": "u-1", "issuer": "local", "kind": "human", "groups": ["dev"]},
}  # fmt: skip

TALK = [
    (CLIENT, PASSED, query(b"select 1 as a")),
    (TARGET, PASSED, columns("a") + row(b"1") + complete("SELECT 1") + READY),
    (CLIENT, ATTEMPTED, query(b"drop table victim")),
    (CLIENT, MADE, query(b"this can not parse (")),
    (TARGET, MADE, error("42501", "no: =1+1") + READY),
    (CLIENT, PASSED, query(b"insert into t values (2)")),
    (TARGET, PASSED, complete("INSERT 0 1") + READY),
]


def frames(talk=TALK, done=True, **head):
    found = [Frame(0, 1, 0, HEAD, 0, 0, 0, pack({**HEADER, **head}))]
    found.append(Frame(10**9, 2, 0, EVENT, 0, 0, 0, pack({"event": "connected"})))
    for number, (side, origin, payload) in enumerate(talk, 3):
        found.append(Frame(number * 10**9, number, 0, DATA, side, origin, 0, payload))
    if done:
        end = {"reason": "client-left", "duration": 9.0, "bytes_from_client": 5, "bytes_from_target": 6}
        found.append(Frame((len(found) + 1) * 10**9, len(found) + 1, 0, DONE, 0, 0, 0, pack(end)))
    return found


def written(exporter, found=None):
    return b"".join([exporter.feed(frame) for frame in (frames() if found is None else found)]) + exporter.finish()
