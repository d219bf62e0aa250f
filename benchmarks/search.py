"""
Search and lists over a large index: 100,000 sessions with 10,000,000 commands and some output, generated straight into the tables.
Commands repeat, as they do in real sessions; with --distinct every one is different from all others of its session. Prints milliseconds,
and fails when a search takes 300 or a page of the list 100.

    python benchmarks/search.py                         # about two minutes, half a GiB of disk
    python benchmarks/search.py --distinct 100          # about fifteen minutes, ten GiB of disk
    python benchmarks/search.py --postgresql --sessions 10000 --distinct 100
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Iterator

from fixtures import PASSWORD, Bench, clocked
from options import keep, makeParser
from sqlalchemy import URL, insert, select, text

from hoopx.index.days import changedDays, note
from hoopx.index.entries import digest
from hoopx.index.listing import listing
from hoopx.index.rows import blank, firstNumber
from hoopx.index.search import search
from hoopx.index.store import openForWriting
from hoopx.index.tables import itemId, items, labels, sessions
from hoopx.index.traces import Traces
from hoopx.index.wanted import Filters
from hoopx.index.words import TABLES, writeWords
from hoopx.index.writer import IndexWriter
from hoopx.state.engine import close
from hoopx.ulid import ulid

SEARCH, PAGE = 300.0, 100.0
"""Milliseconds that are allowed."""
BEGAN = 1_700_000_000
ROUNDS = 5
BATCH = 1000
DAYS = 30
OTHERS = 5
"""Pieces of output of each session; and one result."""
VERBS = (
    "SELECT {c} FROM {t} WHERE {d} = 'customer{n}'",
    "UPDATE {t} SET {c} = {n} WHERE id = {m}",
    "INSERT INTO {t} ({c}, {d}) VALUES ({n}, {m})",
    "DELETE FROM {t} WHERE {c} < {n}",
    "SELECT {t}.{c}, count(*) FROM {t} JOIN {u} USING (id) GROUP BY 1 ORDER BY {d}",
    "COMMIT",
)


def words(count: int) -> list[str]:
    """Made-up names, the first ones used most."""
    syllables = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]
    generator = random.Random(1)
    return ["".join(generator.choice(syllables) for _ in range(3)) for _ in range(count)]


def statements(generator: random.Random, names: list[str], weights: list[float], count: int) -> Iterator[str]:
    chosen = iter(generator.choices(names, cum_weights=weights, k=4 * count))
    for _ in range(count):
        verb = generator.choice(VERBS)
        yield verb.format(
            c=next(chosen), d=next(chosen), t=next(chosen), u=next(chosen), n=generator.randrange(10**6), m=generator.randrange(10**4)
        )


def generate(data: Path, count: int, commands: int, distinct: int, server: URL | None = None) -> Any:
    """An index of C{count} sessions, with as many directories of recordings, in which there is nothing."""
    engine = openForWriting(data / "index.sqlite" if server is None else server)
    generator = random.Random(2)
    names = words(20_000)
    weights, total = [], 0.0
    for rank in range(len(names)):
        total += 1 / (rank + 10)
        weights.append(total)
    writing = engine.execution_options(write=True)
    for begin in range(0, count, BATCH):
        rows, said, things = [], [], []
        for number in range(begin, min(begin + BATCH, count)):
            started = BEGAN + number * (DAYS * 86400 / count)
            session = ulid(started, generator.randbytes(10))
            key = firstNumber(session)
            row = blank(session) | {
                "number": key, "node": "gw", "user": f"user{generator.randrange(500)}@example.com", "kind": "human",
                "target": f"target{generator.randrange(50)}", "account": "app", "database": "shop", "protocol": "postgres",
                "client": "10.0.0.1:5", "started": started, "ended": started + 60, "state": "complete", "reason": "client-left",
                "commands": commands, "segments": 1, "items": distinct, "bytes_from_client": 10_000, "bytes_from_target": 100_000,
            }  # fmt: skip
            rows.append(row)
            said.append({"session": session, "name": "application", "value": f"app{generator.randrange(20)}"})
            for item, statement in enumerate(statements(generator, names, weights, distinct), 1):
                statement = statement if statement != "COMMIT" else f"COMMIT -- {item}"
                things.append({
                    "id": itemId(key, item), "session": key, "hash": digest("command", statement, ""), "kind": "command",
                    "text": statement, "parameters": "", "at": item * 0.5, "last": item * 0.5 + 10, "count": commands // distinct,
                    "sequence": item * 2,
                })  # fmt: skip
            said_ = [("output", f"{' '.join(generator.choices(names, cum_weights=weights, k=8))} total {n}") for n in range(OTHERS)]
            said_.append(("result", f"42P01 relation {generator.choice(names)} does not exist"))
            for item, (kind, text_) in enumerate(said_, distinct + 1):
                things.append({
                    "id": itemId(key, item), "session": key, "hash": digest(kind, text_, ""), "kind": kind, "text": text_, "parameters": "",
                    "at": 1.0, "last": 1.0, "count": 1, "sequence": item * 2,
                })  # fmt: skip
            day = time.strftime("%Y/%m/%d", time.gmtime(started))
            os.makedirs(data / "recordings" / day / session)
        with writing.begin() as connection:
            connection.execute(insert(sessions), rows)
            connection.execute(insert(labels), said)
            connection.execute(insert(items), things)
            if server is not None:
                writeWords(connection, things)
    if server is not None:
        with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(text("SET statement_timeout = 0"))
            connection.execute(text("VACUUM ANALYZE"))  # as its own housekeeping does, which the benchmarks' server has not
            connection.invalidate()
    with writing.begin() as connection:
        if server is None:
            for kind, name in TABLES.items():
                chosen = f"SELECT id, text, parameters FROM items WHERE kind = '{kind}'"
                connection.execute(text(f"INSERT INTO {name} (rowid, text, parameters) {chosen}"))
        for day in list(changedDays(connection, str(data), "gw")):
            note(connection, "gw", day, day.unknown, time.time() + 60)
    return engine


def questions(engine: Any) -> dict[str, Callable[[], list]]:
    """What is searched for."""
    names = words(20_000)
    common, rare = names[0], names[-1]
    now = BEGAN + DAYS * 86400

    def asked(said: str, limit: int = 50, kinds: tuple[str, ...] = (), **wanted: Any) -> Callable[[], list]:
        return lambda: search(engine, said, Filters(**wanted), limit, kinds)

    return {
        "a rare word": asked(rare),
        "a common word": asked(common),
        "a word of every session": asked("select"),
        "two common words": asked(f"update {common}"),
        "common and rare": asked(f"select {rare}"),
        "a phrase": asked(f'"delete from {common}"'),
        "a rare phrase": asked(f'"select {rare} from"'),
        "a common beginning": asked("sel*"),
        "a longer beginning": asked(f"{common[:5]}*"),
        "a letter": asked("b*"),
        "two letters": asked("b* d*"),
        "a letter and a rare word": asked(f"b* {rare}"),
        "a digit": asked("1*"),
        "nothing there": asked("xylophone"),
        "two words never together": asked(f"{rare} {names[-2]}"),
        "of one user": asked("select", user="user7@example.com"),
        "of one user, rare": asked(rare, user="user7@example.com"),
        "of some users": asked("select", user="user7*"),
        "of one target": asked(f"update {common}", target="target7"),
        "of one target, rare": asked(rare, target="target7"),
        "of the last day": asked(common, since=now - 86400.0),
        "of the first day": asked("select", until=BEGAN + 86400.0),
        "with a label": asked(common, labels=("application=app7",)),
        "five hundred": asked("select", limit=500),
        "of a kind that is not there": asked("select", kinds=("file",)),
        "of a kind, and said in others": asked("select", kinds=("output",)),
        "commands, said in others": asked("total", kinds=("command",)),
        "of two kinds": asked(f"{common}", kinds=("output", "result")),
        "of a kind, at one target": asked(common, kinds=("output",), target="target7"),
        "a long beginning": asked("customer*"),
        "a longer, rarer beginning": asked("customer12*"),
        "a long beginning and a word": asked("select customer1*"),
        "a long beginning in a phrase": asked(f'"{common} customer"*'),
        "a long beginning, of one user": asked("customer9*", user="user7@example.com"),
        "a phrase nobody said": asked('"from where"'),
        "of three words": asked('"from where from"'),
        "of four words": asked('"where from where from"'),
        "common words that never meet": asked("select update"),
        "four that never meet": asked("select from where set"),
        "a phrase that never meets": asked('"update where"'),
        "nobody said, one target": asked('"from where"', target="target7"),
        "nobody said, one user": asked('"from where from"', user="user7@example.com"),
        "nobody said, some users": asked('"from where"', user="user1*", target="target7"),
        "nobody said, the last day": asked('"from where from"', since=now - 86400.0),
        "nobody said, a day between": asked('"from where from"', since=now - 15 * 86400.0, until=now - 14 * 86400.0),
        "never meet, one user": asked("select update", user="user7@example.com"),
        "never meet, some users": asked("select update", user="user1*", target="target7"),
    }


def pages(engine: Any, data: str) -> dict[str, Callable[[], list]]:
    """Which pages of the list are looked at."""

    def asked(limit: int = 50, skip: int = 0, **wanted: Any) -> Callable[[], list]:
        return lambda: listing(engine, data, "gw", Filters(**wanted), limit + 1, skip)

    some: dict[str, Any] = {"user": "user*", "target": "target7", "labels": ("application=app7",), "states": ("complete",)}
    return {
        "the first page": asked(),
        "page 1,000": asked(skip=50_000),
        "the last page": asked(skip=99_950),
        "of a thousand": asked(1000),
        "of a thousand, deep": asked(1000, 90_000),
        "of one user": asked(user="user7@example.com"),
        "of some users": asked(user="user7*"),
        "of some users, deep": asked(skip=2000, user="user7*"),
        "of a target": asked(target="target7"),
        "of a target, deep": asked(skip=1900, target="target7"),
        "with a label, deep": asked(skip=4900, labels=("application=app7",)),
        "of any target, deep": asked(skip=90_000, target="target*"),
        "with any label, deep": asked(skip=90_000, labels=("application",)),
        "of nobody": asked(user="nobody*"),
        "with a label": asked(labels=("application=app7",)),
        "with no such label": asked(labels=("application=none",)),
        "in a state": asked(states=("complete",)),
        "in a rare state": asked(states=("recovered",)),
        "of the first day": asked(until=BEGAN + 86400.0),
        "everything at once": asked(since=BEGAN + 86400.0, **some),
    }


def timed(title: str, ask: Callable[[], list]) -> dict[str, Any]:
    took = []
    found = 0
    for _ in range(ROUNDS):
        with clocked() as one:
            found = len(ask())
        took.append(one[0] * 1000)
    return {"what": title, "found": found, "first": took[0], "median": statistics.median(took), "worst": max(took)}


def measure(arguments: argparse.Namespace, bench: Bench | None = None) -> dict[str, Any]:
    data = Path(tempfile.mkdtemp(prefix="hoopx-search-", dir=arguments.directory))
    server = None
    if bench is not None:
        bench.startPostgres()
        server = URL.create("postgresql+psycopg", "bench", PASSWORD, "127.0.0.1", bench.pgPort, "bench")
    try:
        with clocked() as took:
            engine = generate(data, arguments.sessions, arguments.commands, arguments.distinct, server)
        size = sum(path.stat().st_size for path in data.glob("index.sqlite*"))
        if bench is not None:
            size = int(bench.psql("select pg_database_size('bench')"))
        result: dict[str, Any] = {
            "sessions": arguments.sessions, "commands": arguments.sessions * arguments.commands,
            "items": arguments.sessions * arguments.distinct, "mib": size / 2**20, "seconds": took[0],
        }  # fmt: skip
        print(
            f"{result['sessions']} sessions, {result['commands']} commands, {result['items']} items: "
            f"{result['mib']:.0f} MiB, made in {took[0]:.0f} s", flush=True,
        )  # fmt: skip
        for name, several, limit in (("search", questions(engine), SEARCH), ("list", pages(engine, str(data)), PAGE)):
            result[name] = [timed(title, ask) for title, ask in several.items()]
            for one in result[name]:
                over = "" if one["worst"] < limit else f"   more than {limit:.0f}"
                times = f"first {one['first']:6.1f} median {one['median']:6.1f} worst {one['worst']:6.1f} ms"
                print(f"{name:6} {one['what']:28} {one['found']:4} found | {times}{over}", flush=True)
        with engine.connect() as connection:
            gone = connection.execute(select(sessions.c.session).limit(1)).scalar_one()
        with clocked() as took:
            IndexWriter(engine, lambda session, number: (), {}).erase(gone)
        result["erase"] = took[0]
        with clocked() as took:
            Traces(engine).remove()
        result["traces"] = took[0]
        print(f"erasing a session: {result['erase']:.3f} s; until nothing is left of it in the files: {took[0]:.1f} s", flush=True)
        close(engine)
        return result
    finally:
        shutil.rmtree(data, ignore_errors=True)


def failed(result: dict[str, Any]) -> bool:
    return any(one["worst"] >= limit for name, limit in (("search", SEARCH), ("list", PAGE)) for one in result[name])


def options() -> argparse.ArgumentParser:
    parser = makeParser(__doc__)
    parser.add_argument("--sessions", type=int, default=100_000)
    parser.add_argument("--commands", type=int, default=100, help="of each session")
    parser.add_argument("--distinct", type=int, default=12, help="of them, the rest are repetitions")
    parser.add_argument("--directory", metavar="DIR", help="where the index is made, else the system's temporary directory")
    parser.add_argument("--postgresql", action="store_true", help="in a PostgreSQL of its own, instead of in a file")
    return parser


if __name__ == "__main__":
    arguments = options().parse_args()
    if arguments.postgresql:
        with Bench() as bench:
            result = measure(arguments, bench)
    else:
        result = measure(arguments)
    keep(arguments.json, search=result)
    sys.exit(1 if failed(result) else 0)
