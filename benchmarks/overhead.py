"""
What recording costs: hoopx against the same path with a recorder that drops, pgbench -S with 8 clients, interleaved. Prints the
ratio of the CPU time per transaction. Neither has a curator: what that costs, curator.py measures.

    python benchmarks/overhead.py --pairs 5 --seconds 5
"""

from __future__ import annotations

import argparse
import os
import sys

from fixtures import Bench, median
from options import alone, makeParser
from pgbench import run

HERE = os.path.dirname(os.path.abspath(__file__))


def measure(arguments: argparse.Namespace) -> list[dict]:
    with Bench() as bench:
        bench.startPostgres(scale=5)
        recorded, dropped = (
            bench.hoopx(arguments.tls, entry=[sys.executable, os.path.join(HERE, f"{name}.py")], name=name)
            for name in ("uncurated", "unrecorded")
        )
        for contender in (recorded, dropped):
            run(bench, contender, arguments.clients, "select", "simple", 1)
        turns = []
        for _ in range(arguments.pairs):
            turns.append(
                [run(bench, contender, arguments.clients, "select", "simple", arguments.seconds) for contender in (recorded, dropped)]
            )
    result = {
        "clients": arguments.clients,
        "tls": arguments.tls,
        "recorded": median([turn[0][1] for turn in turns]),
        "unrecorded": median([turn[1][1] for turn in turns]),
        "cpu_ratio": median([turn[0][1] / turn[1][1] for turn in turns]),
        "tps_ratio": median([turn[0][0] / turn[1][0] for turn in turns]),
    }
    print(line(result), flush=True)
    return [result]


def line(result: dict) -> str:
    return (
        f"recording {result['clients']} clients {'TLS' if result['tls'] else '   '} | recorded {result['recorded']:.1f} us |"
        f" dropped {result['unrecorded']:.1f} us | ratio: CPU {result['cpu_ratio']:.2f}, tps {result['tps_ratio']:.2f}"
    )


def options() -> argparse.ArgumentParser:
    parser = makeParser(__doc__)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--tls", action="store_true")
    return parser


if __name__ == "__main__":
    alone("overhead", options(), measure)
