"""
What the set-up of a session takes: connect, log in, one query, close; directly, through pgbouncer and through hoopx, interleaved.
Prints the median of each, and what each adds to direct. pgbouncer keeps server connections; hoopx opens one for each session and
has its recording's beginning on the disk before.

    python benchmarks/connect.py --count 200
"""

from __future__ import annotations

import argparse
import statistics

from fixtures import Bench, Contender, clocked, median
from options import addReactor, addTls, alone, makeParser
from wire import Connection


def once(contender: Contender) -> float:
    """@return: milliseconds."""
    with clocked() as took:
        connection = Connection(contender.port, "bench", contender.password, "bench", contender.tls)
        connection.query("select 1")
        connection.close()
    return took[0] * 1000


def measure(arguments: argparse.Namespace) -> list[dict]:
    results = []
    with Bench() as bench:
        bench.startPostgres()
        for tls in {"off": [False], "on": [True], "both": [False, True]}[arguments.tls]:
            contenders = [bench.direct(tls), bench.pgbouncer(tls), bench.hoopx(tls, arguments.reactor)]
            for contender in contenders:
                once(contender)
            before = {contender.name: contender.cpu() for contender in contenders}
            turns = [{contender.name: once(contender) for contender in contenders} for _ in range(arguments.count)]
            result: dict = {"tls": tls}
            for contender in contenders:
                name = contender.name
                result[name] = {
                    "ms": median([turn[name] for turn in turns]),
                    "p95": statistics.quantiles([turn[name] for turn in turns], n=20)[-1],
                    "added": median([turn[name] - turn["direct"] for turn in turns]),
                    "cpu": (contender.cpu() - before[name]) / len(turns) * 1000,
                }
            print(line(result), flush=True)
            results.append(result)
    return results


def line(result: dict) -> str:
    parts = []
    for name, numbers in result.items():
        if isinstance(numbers, dict):
            more = "" if name == "direct" else f" (added {numbers['added']:.1f} ms, CPU {numbers['cpu']:.1f} ms)"
            parts.append(f"{name} {numbers['ms']:.1f} ms{more}")
    return f"session set-up {'TLS' if result['tls'] else '   '} | " + " | ".join(parts)


def options() -> argparse.ArgumentParser:
    parser = makeParser(__doc__)
    parser.add_argument("--count", type=int, default=200, help="interleaved turns (200)")
    addTls(parser)
    addReactor(parser)
    return parser


if __name__ == "__main__":
    alone("connect", options(), measure)
