"""
COPY of 300 MB out of PostgreSQL and into it: directly, through pgbouncer in session mode and through hoopx, interleaved. Prints
the rates, the ratios to direct as the median of the pairs, and the proxies' CPU time.

    python benchmarks/bulk.py
    python benchmarks/bulk.py --megabytes 100 --pairs 3 --tls both
"""

from __future__ import annotations

import argparse
import os

from fixtures import Bench, Contender, clocked, median
from options import addContenders, addReactor, addTls, alone, makeParser

ROW = 100
"""Bytes of a row of text, about: pgbench's accounts have as many."""


def prepare(bench: Bench, megabytes: int) -> str:
    """A table to read, one to write, and the file to write it from. @return: the file's path."""
    rows = megabytes * 1_000_000 // ROW
    bench.psql(
        f"create unlogged table source as select i as id, repeat('x', {ROW} - 1 - length(i::text) - 1) as filler "
        f"from generate_series(1, {rows}) i; create unlogged table sink (id bigint, filler text)"
    )
    bench.psql("vacuum source")
    path = bench.path("rows.txt")
    bench.psql(f"\\copy source to '{path}'")
    return path


def copyOut(bench: Bench, contender: Contender, path: str) -> float:
    with clocked() as took:
        bench.psql("\\copy source to '/dev/null'", contender.port, password=contender.password, tls=contender.tls)
    return took[0]


def copyIn(bench: Bench, contender: Contender, path: str) -> float:
    bench.psql("truncate sink")
    with clocked() as took:
        bench.psql(f"\\copy sink from '{path}'", contender.port, password=contender.password, tls=contender.tls)
    return took[0]


def measure(arguments: argparse.Namespace) -> list[dict]:
    results = []
    with Bench() as bench:
        bench.startPostgres()
        path = prepare(bench, arguments.megabytes)
        size = os.path.getsize(path) / 1e6
        for tls in {"off": [False], "on": [True], "both": [False, True]}[arguments.tls]:
            contenders = [bench.direct(tls)]
            if not arguments.no_pgbouncer:
                contenders.append(bench.pgbouncer(tls))
            if not arguments.no_hoopx:
                contenders.append(bench.hoopx(tls, arguments.reactor))
            for also in arguments.also if not tls else []:
                name, _, command = also.partition("=")
                contenders.append(bench.other(name, command))
            for direction, act in (("out", copyOut), ("in", copyIn)):
                turns = []
                cpu = {contender.name: 0.0 for contender in contenders}
                for _ in range(arguments.pairs):
                    turn = {}
                    for contender in contenders:
                        before = contender.cpu()
                        turn[contender.name] = act(bench, contender, path)
                        cpu[contender.name] += contender.cpu() - before
                    turns.append(turn)
                result: dict = {"direction": direction, "tls": tls, "megabytes": size}
                for contender in contenders:
                    name = contender.name
                    result[name] = {
                        "rate": size / median([turn[name] for turn in turns]),
                        "ratio": median([turn["direct"] / turn[name] for turn in turns]),
                        "cpu": cpu[name] / len(turns) / size * 1000,
                    }
                print(line(result), flush=True)
                results.append(result)
    return results


def line(result: dict) -> str:
    title = f"COPY {result['direction']:3} {result['megabytes']:.0f} MB {'TLS' if result['tls'] else '   '}"
    parts = []
    for name, numbers in result.items():
        if isinstance(numbers, dict):
            more = "" if name == "direct" else f" (ratio {numbers['ratio']:.2f}, CPU {numbers['cpu']:.2f} ms/MB)"
            parts.append(f"{name} {numbers['rate']:.0f} MB/s{more}")
    return f"{title} | " + " | ".join(parts)


def options() -> argparse.ArgumentParser:
    parser = makeParser(__doc__)
    parser.add_argument("--megabytes", type=int, default=300)
    parser.add_argument("--pairs", type=int, default=5, help="interleaved turns (5)")
    addTls(parser)
    parser.add_argument("--no-pgbouncer", action="store_true")
    addReactor(parser)
    addContenders(parser)
    return parser


if __name__ == "__main__":
    alone("bulk", options(), measure)
