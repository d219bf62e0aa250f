"""
What is asked of a large state: 100,000 tokens, a million rows of the audit, 100,000 tags and reviews, 1,000 holds. Prints milliseconds,
and fails when one that a login or a page waits for takes 100.

    python benchmarks/state.py
    python benchmarks/state.py --postgresql
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, Callable

from fixtures import PASSWORD, Bench, clocked
from options import keep, makeParser
from search import PAGE, timed
from sqlalchemy import insert, text

from hoopx.state import tables
from hoopx.state.marks import Marks
from hoopx.state.store import Store
from hoopx.ulid import ulid
from hoopx.values import Reference

BEGAN = 1_700_000_000.0
BATCH = 10_000


def generate(store: Store, count: int) -> list[str]:
    """@return: the sessions that are spoken of."""
    sessions = [ulid(BEGAN + number, number.to_bytes(10, "big")) for number in range(count)]
    tokens = (
        {"id": f"{n:032x}", "hash": f"{n:064x}", "user": f"user{n % 500}@example.com", "groups": ["dev"], "kind": "human", "actor": None,
         "targets": None, "created": BEGAN + n, "expires": BEGAN * 2, "revoked": None, "note": ""} for n in range(count)
    )  # fmt: skip
    audit = (
        {"at": BEGAN + n, "actor": "uid 0 (root)", "action": "session.show", "subject": sessions[n % count], "details": {"offline": True},
         "hash": f"{n:064x}"} for n in range(10 * count)
    )  # fmt: skip
    tags = ({"session": each, "tag": f"case-{n % 20}", "by": "uid 0", "at": BEGAN} for n, each in enumerate(sessions))
    reviews = ({"session": each, "by": "uid 0", "what": "reviewed", "note": "", "at": BEGAN} for each in sessions)
    holds = ({"session": each, "filter": None, "reason": "a lawsuit", "by": "uid 0", "at": BEGAN} for each in sessions[: count // 100])
    revoked = ({"credential": f"{n:032x}", "at": BEGAN} for n in range(count))
    several = (
        (tables.tokens, tokens), (tables.audit, audit), (tables.tags, tags), (tables.reviews, reviews), (tables.holds, holds),
        (tables.revocations, revoked),
    )  # fmt: skip
    for table, rows in several:
        while batch := [row for _, row in zip(range(BATCH), rows)]:
            with store.writing() as connection:
                connection.execute(insert(table), batch)
    with store.writing() as connection:
        connection.execute(text("ANALYZE"))  # as a server's own housekeeping does
    return sessions


def questions(store: Store, sessions: list[str]) -> dict[str, Callable[[], list]]:
    marks = Marks(store, "uid 1 (alice)", lambda: BEGAN)
    count = len(sessions)
    last = {"at": BEGAN, "actor": "uid 0", "action": "search", "subject": "x", "details": {}}
    return {
        "a token, for a login": lambda: [store.tokenByHash(f"{count // 2:064x}")],
        "a token that is none": lambda: [store.tokenByHash("none")],
        "revocations since a second": lambda: store.revocationsAfter(count - 3, 1000),
        "a row of the audit": lambda: store.addAudit([last]),
        "the newest rows of the audit": lambda: store.auditRows(100),
        "rows for the ledger": lambda: store.auditAfter(5 * count, 500),
        "tags of a session": lambda: marks.tagged(sessions[count // 2]),
        "sessions with a tag": lambda: marks.withTags(["case-7"], 20_001),
        "reviews of a session": lambda: marks.reviewed(sessions[count // 2]),
        "all holds": lambda: marks.holding(),
    }


def measure(count: int, bench: Bench | None = None) -> dict[str, Any]:
    data = Path(tempfile.mkdtemp(prefix="hoopx-state-"))
    url: Any = "sqlite:"
    if bench is not None:
        bench.startPostgres()
        (data / "url").write_text(f"postgresql://bench:{PASSWORD}@127.0.0.1:{bench.pgPort}/bench")
        url = Reference("file", str(data / "url"))
    try:
        store = Store.open(url, data)
        with clocked() as took:
            sessions = generate(store, count)
        print(f"{count} tokens, {10 * count} rows of the audit, made in {took[0]:.0f} s", flush=True)
        result = [timed(title, ask) for title, ask in questions(store, sessions).items()]
        store.close()
        for one in result:
            over = "" if one["worst"] < PAGE else f"   more than {PAGE:.0f}"
            times = f"first {one['first']:6.1f} median {one['median']:6.1f} worst {one['worst']:6.1f} ms"
            print(f"{one['what']:30} {one['found']:5} found | {times}{over}")
        return {"tokens": count, "state": result}
    finally:
        shutil.rmtree(data, ignore_errors=True)


if __name__ == "__main__":
    parser = makeParser(__doc__)
    parser.add_argument("--tokens", type=int, default=100_000, help="and so many tags and reviews, and ten times as many rows of the audit")
    parser.add_argument("--postgresql", action="store_true", help="in a PostgreSQL of its own, instead of in a file")
    arguments = parser.parse_args()
    if arguments.postgresql:
        with Bench() as bench:
            result = measure(arguments.tokens, bench)
    else:
        result = measure(arguments.tokens)
    keep(arguments.json, state=result)
    sys.exit(1 if any(one["worst"] >= PAGE for one in result["state"]) else 0)
