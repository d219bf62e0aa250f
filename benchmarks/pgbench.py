"""
pgbench through pgbouncer in session mode and through hoopx, interleaved: transactions per second, and the proxy's CPU time per
transaction. Prints the ratios, hoopx to pgbouncer, as the median of the pairs.

    python benchmarks/pgbench.py
    python benchmarks/pgbench.py --clients 8 --modes simple --scripts select --tls --pairs 5 --seconds 5
    python benchmarks/pgbench.py --also "relay=python relay.py {listen} {target}"
"""

from __future__ import annotations

import argparse
import re
from typing import Any

from fixtures import Bench, Contender, median, program
from options import addContenders, addReactor, addTls, alone, makeParser

SCRIPTS = {"select": ["-S"], "tpcb": []}
MODES = {"simple": ["-M", "simple"], "prepared": ["-M", "prepared"]}


def run(bench: Bench, contender: Contender, clients: int, script: str, mode: str, seconds: float) -> tuple[float, float]:
    """@return: transactions per second, CPU microseconds of the proxy per transaction."""
    argv = [
        program("pgbench", "postgresql-contrib"), "-n", "-c", str(clients), "-j", "1", "-T", str(max(1, round(seconds))),
        *SCRIPTS[script], *MODES[mode], "bench",
    ]  # fmt: skip
    before = contender.cpu()
    output = bench.run(argv, contender.port, contender.password, contender.tls)
    used = contender.cpu() - before
    transactions = int(re.search(r"actually processed: (\d+)", output).group(1))  # type: ignore[union-attr]
    tps = float(re.search(r"^tps = ([\d.]+)", output, re.MULTILINE).group(1))  # type: ignore[union-attr]
    return tps, used / transactions * 1e6


def compare(bench: Bench, contenders: list[Contender], clients: int, script: str, mode: str, seconds: float, pairs: int) -> dict:
    """One line of the table: every contender in turn, C{pairs} times; ratios are taken within a turn."""
    turns: list[dict[str, tuple[float, float]]] = []
    for _ in range(pairs):
        turns.append({c.name: run(bench, c, clients, script, mode, seconds) for c in contenders})
    result: dict[str, Any] = {"script": script, "mode": mode, "clients": clients, "tls": contenders[0].tls}
    for contender in contenders:
        name = contender.name
        result[name] = {"tps": median([turn[name][0] for turn in turns]), "cpu": median([turn[name][1] for turn in turns])}
    for contender in contenders:
        if "pgbouncer" in result and contender.name not in ("direct", "pgbouncer"):
            result[contender.name] |= {
                "tps_ratio": median([turn[contender.name][0] / turn["pgbouncer"][0] for turn in turns]),
                "cpu_ratio": median([turn[contender.name][1] / turn["pgbouncer"][1] for turn in turns if turn["pgbouncer"][1]] or [0.0]),
            }
    return result


def line(result: dict) -> str:
    title = f"{result['script']:6} {result['mode']:8} {result['clients']:2} clients {'TLS' if result['tls'] else '   '}"
    parts = []
    for name, numbers in result.items():
        if isinstance(numbers, dict):
            text = f"{name} {numbers['tps']:.0f}/s"
            if numbers["cpu"]:
                text += f" {numbers['cpu']:.1f} us"
            if "tps_ratio" in numbers:
                text += f" (ratio: tps {numbers['tps_ratio']:.2f}, CPU {numbers['cpu_ratio']:.2f})"
            parts.append(text)
    return f"{title} | " + " | ".join(parts)


def measure(arguments: argparse.Namespace) -> list[dict]:
    results = []
    with Bench() as bench:
        bench.startPostgres(scale=arguments.scale)
        for tls in {"off": [False], "on": [True], "both": [False, True]}[arguments.tls]:
            contenders = [] if arguments.no_direct else [bench.direct(tls)]
            contenders.append(bench.pgbouncer(tls))
            if not arguments.no_hoopx:
                contenders.append(bench.hoopx(tls, arguments.reactor))
            for also in arguments.also if not tls else []:
                name, _, command = also.partition("=")
                contenders.append(bench.other(name, command))
            for script in arguments.scripts.split(","):
                for mode in arguments.modes.split(","):
                    for clients in map(int, arguments.clients.split(",")):
                        result = compare(bench, contenders, clients, script, mode, arguments.seconds, arguments.pairs)
                        print(line(result), flush=True)
                        results.append(result)
    return results


def options() -> argparse.ArgumentParser:
    parser = makeParser(__doc__)
    parser.add_argument("--clients", default="1,8", help="numbers of clients, with commas (1,8)")
    parser.add_argument("--scripts", default="select,tpcb", help="select, tpcb, with commas")
    parser.add_argument("--modes", default="simple,prepared", help="simple, prepared, with commas")
    addTls(parser)
    parser.add_argument("--seconds", type=float, default=5, help="of each run (5)")
    parser.add_argument("--pairs", type=int, default=5, help="interleaved turns (5)")
    parser.add_argument("--scale", type=int, default=5, help="of pgbench's tables (5)")
    addReactor(parser)
    addContenders(parser)
    parser.add_argument("--no-direct", action="store_true")
    return parser


if __name__ == "__main__":
    alone("pgbench", options(), measure)
