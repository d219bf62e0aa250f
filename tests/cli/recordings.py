"""
Recordings made by hand, for commands that read them.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from hoopx.frames import DATA, DONE, EVENT, HEAD, OPEN, SEAL, START, encode, pack
from hoopx.recording.fetching import Fetching
from hoopx.ulid import ulid
from hoopx.values import PASSED

BEGAN = 1_700_000_000.0


def record(data: Path, steps: list[tuple[int, int, bytes]], *, started: float = BEGAN, done: bool = True, id: str | None = None, **head: Any) -> str:
    """
    @param steps: (side, origin, bytes) of DATA one second after the other; side 0: the payload of an EVENT.
    @param done: has DONE; else the gateway has died.
    @return: the session's id.
    """
    session = id or ulid(started, os.urandom(10))
    folder = data / "recordings" / time.strftime("%Y/%m/%d", time.gmtime(started)) / session
    folder.mkdir(parents=True)
    said = {
        "session": session, "started": started, "actor": None, "target": "orders", "account": "app", "protocol": "postgres",
        "database": "shop", "client": "127.0.0.1:5", "labels": {"application": "psql"},
        "identity": {"name": "alice", "kind": "human", "groups": ["dev"]}, **head,
    }  # fmt: skip
    frames = [encode(0, 1, 0, HEAD, payload=pack(said))]
    frames += [
        encode(number * 10**9, number + 1, 0, DATA if side else EVENT, side, origin, 0, payload)
        for number, (side, origin, payload) in enumerate(steps, 1)
    ]
    if done:
        totals = {f"{what}_from_{side}": 0 for what in ("bytes", "frames") for side in ("client", "target")}
        for side, name in ((1, "client"), (2, "target")):
            totals[f"bytes_from_{name}"] = sum(
                len(data) for speaker, origin, data in steps if speaker == side and origin == PASSED
            )
        end = pack({**totals, "reason": "client-left", "duration": len(steps) + 1.0})
        frames.append(encode((len(steps) + 1) * 10**9, len(frames) + 1, 0, DONE, payload=end))
        frames.append(encode((len(steps) + 1) * 10**9, len(frames) + 1, 0, SEAL, payload=pack({})))
    (folder / ("000000.hxr" if done else OPEN)).write_bytes(START + b"".join(frames))
    return session


class NoRoom:
    """
    For one test: there is room for none of the segments that are fetched, so that only those in use lie on the disk.

    @ivar most: how many ever did at once.
    """

    def __init__(self, case: Any) -> None:
        self.most = 0
        makeRoom = Fetching._makeRoom

        def watched(fetching: Fetching) -> None:
            makeRoom(fetching)
            self.most = max(self.most, len(fetching._copies) + 1)

        case.patch(Fetching, "_makeRoom", watched)
        case.patch(Fetching.__init__, "__defaults__", (*Fetching.__init__.__defaults__[:-1], 0))  # type: ignore[index]
