"""
Memory of an idle session: the gateway's own (Pss), before and with 1,000 and 5,000 sessions that have logged in and asked one
thing. Behind the gateway is a stand-in for PostgreSQL, whose own memory would not fit. Prints KiB per session.

    python benchmarks/idle.py --sessions 1000,5000
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from fixtures import Bench, Contender, freePort
from options import addReactor, addTls, alone, makeParser
from wire import Connection

LOGINS = 32
"""Logins at once."""
SETTLE = 12.0
"""Seconds until segments are sealed and what logins needed is free again."""


def measure(arguments: argparse.Namespace) -> list[dict]:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    results = []
    counts = sorted(map(int, arguments.sessions.split(",")))
    possible = [count for count in counts if count * 3 + 200 < hard]
    if possible != counts:
        print(f"only {hard} descriptors: leaving out {sorted(set(counts) - set(possible))}", flush=True)
    for tls in {"off": [False], "on": [True], "both": [False, True]}[arguments.tls]:
        with Bench() as bench:
            bench.pgPort = freePort()
            bench.start("standin", [sys.executable, __file__.replace("idle.py", "standin.py"), str(bench.pgPort)], bench.pgPort)
            gateway = bench.hoopx(tls, arguments.reactor, trust=True)
            sessions: list[Connection] = [login(gateway)]
            time.sleep(1)
            empty = gateway.memory()
            for count in possible:
                began = time.perf_counter()
                with ThreadPoolExecutor(LOGINS) as pool:
                    sessions += pool.map(login, [gateway] * (count + 1 - len(sessions)))
                took = time.perf_counter() - began
                time.sleep(arguments.settle)
                used = gateway.memory()
                each = (used - empty) / (count + 1 - 1)
                result = {"sessions": count, "tls": tls, "kib": each, "gateway_mib": used / 1024, "seconds": took}
                print(line(result), flush=True)
                results.append(result)
            for session in sessions:
                session.socket.close()
    return results


def login(gateway: Contender) -> Connection:
    connection = Connection(gateway.port, "bench", gateway.password, "bench", gateway.tls)
    connection.query("select 1")
    return connection


def line(result: dict) -> str:
    return (
        f"idle {result['sessions']:5} sessions {'TLS' if result['tls'] else '   '} | {result['kib']:.1f} KiB each"
        f" (gateway {result['gateway_mib']:.0f} MiB; logged in within {result['seconds']:.0f} s)"
    )


def options() -> argparse.ArgumentParser:
    parser = makeParser(__doc__)
    parser.add_argument("--sessions", default="1000,5000")
    addTls(parser, "towards the clients")
    parser.add_argument("--settle", type=float, default=SETTLE, help="seconds before memory is looked at")
    addReactor(parser)
    return parser


if __name__ == "__main__":
    alone("idle", options(), measure)
