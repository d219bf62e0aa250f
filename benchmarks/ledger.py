"""
What an OPEN leaf costs before a session begins: appending one leaf to a ledger that has many, against the disk alone (one write of the
same bytes to a file and one fdatasync), interleaved. And a batch of 1,000, a checkpoint, opening, and memory.

    python benchmarks/ledger.py --leaves 1000000
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import tempfile
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fixtures import clocked, machine, median
from options import keep, makeParser

from hoopx.ledger.leaf import leaf
from hoopx.ledger.log import Ledger

DIGEST = "ab" * 32


def opened(number: int) -> bytes:
    return leaf("opened", time.time(), session=f"{number:026d}", key=DIGEST, head=DIGEST)


def measure(arguments: argparse.Namespace) -> dict:
    with tempfile.TemporaryDirectory(dir=arguments.directory) as folder:
        key = Ed25519PrivateKey.generate()
        ledger = Ledger.open(os.path.join(folder, "ledger"), key, "bench")
        with clocked() as filled:
            for start in range(0, arguments.leaves, 1000):
                ledger.append([opened(number) for number in range(start, start + 1000)])
        ledger.checkpoint()
        ledger.close()
        with clocked() as opening:
            ledger = Ledger.open(os.path.join(folder, "ledger"), key, "bench")
        bare = os.open(os.path.join(folder, "bare"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        disk, single, batch, signing = [], [], [], []
        for number in range(arguments.leaves, arguments.leaves + arguments.count):
            line = opened(number)
            with clocked() as took:
                os.write(bare, line)
                os.fdatasync(bare)
            disk.append(took[0] * 1000)
            with clocked() as took:
                ledger.append([line])
            single.append(took[0] * 1000)
        for turn in range(max(3, arguments.count // 50)):
            lines = [opened(10**9 + turn * 1000 + number) for number in range(1000)]
            with clocked() as took:
                ledger.append(lines)
            batch.append(took[0] * 1000)
            with clocked() as took:
                ledger.checkpoint()
            signing.append(took[0] * 1000)
        repeated = 1000
        with clocked() as found:
            for number in range(repeated):
                ledger.append([opened(number * (arguments.leaves // repeated))])
        assert ledger.size == arguments.leaves + arguments.count + len(batch) * 1000
        ledger.close()
        os.close(bare)
    return {
        "leaves": arguments.leaves,
        "disk": median(disk),
        "append": median(single),
        "p95": statistics.quantiles(single, n=20)[-1],
        "added": median([one - other for one, other in zip(single, disk)]),
        "batch": median(batch),
        "checkpoint": median(signing),
        "opening": opening[0] * 1000,
        "lookup": found[0],     # ms each: seconds for 1,000
        "rate": arguments.leaves / filled[0],
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def line(result: dict) -> str:
    return (
        "{leaves:,} leaves: append of one {append:.2f} ms (95 %: {p95:.2f}), of which ours {added:.2f}; disk alone {disk:.2f};"
        " of 1,000 {batch:.1f}; one that is there already {lookup:.3f}; checkpoint {checkpoint:.1f}; opening {opening:.0f};"
        " {rate:,.0f} leaves/s in batches; {memory:.0f} MiB"
    ).format(**result)


def options() -> argparse.ArgumentParser:
    parser = makeParser(__doc__)
    parser.add_argument("--leaves", type=int, default=100_000, help="in the ledger beforehand")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--directory", help="on the disk that is to be measured; else where temporary files go")
    return parser


if __name__ == "__main__":
    arguments = options().parse_args()
    print(machine())
    result = measure(arguments)
    print(line(result))
    keep(arguments.json, ledger=result)
