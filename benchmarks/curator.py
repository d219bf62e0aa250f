"""
What the curator costs: a gateway with everything on (ledger, checkpoints, compression, full index) against the same gateway without a
curator, pgbench -S, interleaved.

  - spare: one client, so that a core is free for the curator; and 8 clients that ask for half of what the machine can do;
  - busy: 8 clients as fast as they can, on all cores.

Before each turn nothing waits for a curator any more: how long that took, and how much waited, is told too. Then what it adds to the
set-up of a session (the OPEN leaf), while nothing else goes on and while 8 clients do; and the curator's memory.

    python benchmarks/curator.py --pairs 5 --seconds 15
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import time
from typing import Any

from connect import once
from fixtures import Bench, Contender, cpuOf, median, program
from options import alone, makeParser

MAGIC = b"\x89HXR"
"""What a segment begins with that is not packed yet."""
WARM = 3.0
"""Seconds before the first turn."""
DRAIN = 300.0
"""Seconds in which a curator has to be through with what a turn has left."""
SESSIONS = 60
"""Set-ups that are measured, of each way."""


def pgbench(clients: int, seconds: float, rate: float = 0) -> list[str]:
    argv = [program("pgbench", "postgresql-contrib"), "-n", "-S", "-c", str(clients), "-j", "1", "-T", str(max(1, round(seconds)))]
    return [*argv, *(["-R", str(round(rate))] if rate else []), "bench"]


def waiting(contender: Contender) -> tuple[int, int]:
    """@return: segments that are not packed yet, those included that are still to be sealed, and their bytes."""
    count = size = 0
    for folder, _, names in os.walk(os.path.join(contender.home or "", "data", "recordings")):
        for name in names:
            if not name.endswith(".hxr"):
                continue
            path = os.path.join(folder, name)
            try:
                with open(path, "rb") as file:
                    if file.read(len(MAGIC)) == MAGIC:
                        count, size = count + 1, size + os.fstat(file.fileno()).st_size
            except FileNotFoundError:
                continue
    return count, size


def drained(contender: Contender) -> float:
    """No session lives: wait until the curator is through. @return: seconds. @raise RuntimeError: it does not come through."""
    began = time.monotonic()
    while waiting(contender)[0]:
        if time.monotonic() - began > DRAIN:
            raise RuntimeError(f"after {DRAIN:.0f} s the curator is not through: {waiting(contender)} segments, bytes")
        time.sleep(0.2)
    return time.monotonic() - began


class Turn:
    """One run of pgbench through one gateway, and what its curator did of it meanwhile and afterwards."""

    def __init__(self, bench: Bench, contender: Contender, clients: int, seconds: float, rate: float) -> None:
        before, beside = contender.cpu(), used(contender)
        output = bench.run(pgbench(clients, seconds, rate), contender.port, contender.password)
        transactions = int(_said(r"actually processed: (\d+)", output))
        self.transactions = transactions
        self.tps = _said(r"^tps = ([\d.]+)", output)
        self.latency = _said(r"latency average = ([\d.]+)", output)
        self.cpu = (contender.cpu() - before) / transactions * 1e6
        self.left = waiting(contender)[1] / 2**20 if contender.curator() else 0.0
        self.during = (used(contender) - beside) / transactions * 1e6
        self.drain = drained(contender) if contender.curator() else 0.0
        self.beside = (used(contender) - beside) / transactions * 1e6


def used(contender: Contender) -> float:
    """@return: seconds of CPU that a gateway's curator has used, its index's process included."""
    return sum(map(cpuOf, contender.curator()))


def _said(pattern: str, output: str) -> float:
    return float(re.search(pattern, output, re.MULTILINE).group(1))  # type: ignore[union-attr]


def compare(bench: Bench, contenders: list[Contender], name: str, clients: int, seconds: float, pairs: int, rate: float = 0) -> dict:
    turns = []
    for number in range(pairs):
        pair = [Turn(bench, each, clients, seconds, rate) for each in (contenders if number % 2 else contenders[::-1])]
        turns.append(pair if number % 2 else pair[::-1])
    with_, without = zip(*turns)
    result = {
        "name": name, "clients": clients, "rate": rate, "pairs": pairs, "seconds": seconds,
        "tps": median([one.tps for one in with_]), "tps_without": median([one.tps for one in without]),
        "tps_ratio": median([a.tps / b.tps for a, b in turns]),
        "cpu": median([one.cpu for one in with_]), "cpu_without": median([one.cpu for one in without]),
        "cpu_ratio": median([a.cpu / b.cpu for a, b in turns]),
        "latency": median([one.latency for one in with_]), "latency_without": median([one.latency for one in without]),
        "curator": median([one.beside for one in with_]), "curator_during": median([one.during for one in with_]),
        "left": max(one.left for one in with_), "drain": max(one.drain for one in with_),
        "transactions": sum(one.transactions for one in with_), "turns": [[a.tps, b.tps] for a, b in turns],
    }  # fmt: skip
    print(line(result), flush=True)
    return result


def line(result: dict) -> str:
    return (
        "{name:14} {clients} clients | tps {tps:.0f} to {tps_without:.0f} without: {tps_ratio:.2f} | latency {latency:.3f} ms to"
        " {latency_without:.3f} | gateway {cpu:.1f} us to {cpu_without:.1f}: {cpu_ratio:.2f} | curator {curator:.1f} us, of which"
        " {curator_during:.1f} meanwhile; {left:.0f} MiB left, done {drain:.1f} s later"
    ).format(**result)


def setups(contenders: list[Contender], count: int) -> dict[str, list[float]]:
    """@return: milliseconds of each set-up, by contender."""
    found: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for _ in range(count):
        for contender in contenders:
            found[contender.name].append(once(contender))
            time.sleep(0.02)
    return found


def openings(bench: Bench, contenders: list[Contender], count: int, busy: bool) -> dict:
    """What a set-up takes with and without a curator, while nothing else goes on or (C{busy}) while 8 clients of the same gateway do."""
    found: dict[str, list[float]] = {}
    for contender in contenders:
        if busy and contender.name != "direct":
            environment = bench.environment(contender.port, contender.password)
            load = subprocess.Popen(pgbench(8, 3600), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                time.sleep(WARM)
                found |= setups([contender], count)
            finally:
                load.terminate()
                load.wait()
            drained(contender) if contender.curator() else None
    if not busy:
        found = setups(contenders, count)
    result: dict[str, Any] = {"busy": busy}
    for name, times in found.items():
        result[name] = {"ms": median(times), "p95": statistics.quantiles(times, n=20)[-1], "worst": max(times)}
    result["added"] = result["hoopx"]["ms"] - result["uncurated"]["ms"]
    words = [
        f"{name} {one['ms']:.1f} ms (95 %: {one['p95']:.1f}, worst {one['worst']:.1f})" for name, one in result.items() if name in found
    ]
    print(f"set-up {'busy' if busy else 'idle'} | " + " | ".join(words) + f" | the curator adds {result['added']:.1f} ms", flush=True)
    return result


def memory(pids: list[int]) -> float:
    """@return: the most MiB that processes ever had in memory, added."""
    total = 0.0
    for pid in pids:
        with open(f"/proc/{pid}/status") as file:
            total += _said(r"^VmHWM:\s+(\d+)", file.read()) / 1024
    return total


def measure(arguments: argparse.Namespace) -> dict:
    with Bench() as bench:
        bench.startPostgres(scale=5)
        program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "uncurated.py")
        with_ = bench.hoopx()
        without = bench.hoopx(entry=[sys.executable, program], name="uncurated")
        pair = [with_, without]
        statements = 0
        most = [Turn(bench, each, 8, arguments.warm, 0) for each in pair]
        statements += most[0].transactions
        curator = with_.curator()
        result: dict[str, Any] = {"memory_begin": memory(curator)}
        half = most[1].tps / 2
        result["runs"] = runs = []
        for name, clients, rate in (("spare core", 1, 0), ("half the load", 8, half), ("busy", 8, 0)):
            runs.append(compare(bench, pair, name, clients, arguments.seconds, arguments.pairs, rate))
            statements += runs[-1]["transactions"]
        result["openings"] = [openings(bench, [bench.direct(), *pair], arguments.sessions, busy) for busy in (False, True)]
        while statements < arguments.statements:
            turn = Turn(bench, with_, 8, arguments.seconds, 0)
            statements += turn.transactions
        result["statements"], result["memory"] = statements, memory(curator)
        assert with_.curator() == curator, "the curator has died meanwhile"
    print(f"curator's memory: at the most {result['memory']:.0f} MiB ({result['memory_begin']:.0f} at first); {statements:,} statements")
    return result


def options() -> argparse.ArgumentParser:
    parser = makeParser(__doc__)
    parser.add_argument("--seconds", type=float, default=15, help="of each turn (15)")
    parser.add_argument("--pairs", type=int, default=5, help="interleaved turns (5)")
    parser.add_argument("--warm", type=float, default=WARM, help="seconds before that (3)")
    parser.add_argument("--sessions", type=int, default=SESSIONS, help="set-ups that are measured (60)")
    parser.add_argument("--statements", type=int, default=1_000_000, help="after which the curator's memory is looked at (1,000,000)")
    return parser


if __name__ == "__main__":
    alone("curator", options(), measure)
