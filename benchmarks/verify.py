"""
How fast recordings are verified, on one core, against sha256sum of the same files in the same run. Prints MB/s and the ratio.

    python benchmarks/verify.py --megabytes 300 --runs 5
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from options import alone, makeParser

from hoopx.frames import DATA, HEAD, OPEN, encode, pack
from hoopx.recording.files import Files
from hoopx.recording.segment import Segment, begin
from hoopx.recording.signing import publicHex
from hoopx.recording.verify import verifySession
from hoopx.ulid import ulid
from hoopx.values import CLIENT, PASSED, TARGET

SIZES = {
    # What one statement of pgbench -S is: a question of about 60 bytes, an answer of about 100.
    "statements": ((CLIENT, 60), (TARGET, 100)),
    "bulk": ((TARGET, 65536),),
}
TOTALS = {f"{what}_from_{side}": 0 for what in ("bytes", "frames") for side in ("client", "target")}
SEGMENT = 1 << 20


def record(folder: str, megabytes: int, sizes: Any) -> str:
    """A session as the gateway writes it, sealed every MiB and checked now and then."""
    session = ulid(time.time())
    path = os.path.join(folder, session)
    os.makedirs(path)
    key = Ed25519PrivateKey.generate()
    files = Files()
    head = encode(0, 1, 0, HEAD, payload=pack({"session": session, "format": 1, "started": time.time(), "key": publicHex(key)}))
    segment = Segment(files, path, session, key, False, begin(files, os.path.join(path, OPEN), head), head)
    payloads = [(side, os.urandom(size)) for side, size in sizes]
    sequence, written, checked = 2, 0, 0
    while written < megabytes << 20:
        frames = []
        for _ in range(256 if len(payloads) > 1 else 1):
            for side, payload in payloads:
                frames.append(encode(sequence, sequence, 0, DATA, side, PASSED, payload=payload))
                sequence += 1
        data = b"".join(frames)
        segment.add(data)
        segment._count += len(frames) - 1  # added as one
        written += len(data)
        if segment.offset >= SEGMENT:
            segment.roll(sequence, sequence, TOTALS)
            for descriptor in segment._retired:
                os.close(descriptor)
            segment._retired = []
            sequence, checked = sequence + 2, 0
        elif segment.offset - checked > SEGMENT // 3:
            segment.check(sequence, sequence)
            checked, sequence = segment.offset, sequence + 1
    segment.finish(pack({**TOTALS, "reason": "client-left", "duration": 1.0}), sequence, sequence, TOTALS)
    return path


def measure(arguments: argparse.Namespace) -> list[dict]:
    results = []
    folder = tempfile.mkdtemp(prefix="hoopx-verify-")
    cores = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(cores)})
        for name, sizes in SIZES.items():
            path = record(folder, arguments.megabytes, sizes)
            names = [os.path.join(path, each) for each in sorted(os.listdir(path))]
            size = sum(map(os.path.getsize, names)) / 1e6
            ours, theirs = [], []
            for _ in range(arguments.runs):
                began = time.perf_counter()
                subprocess.run(["sha256sum", *names], check=True, stdout=subprocess.DEVNULL)
                theirs.append(size / (time.perf_counter() - began))
                began = time.perf_counter()
                verdict = verifySession(path)
                ours.append(size / (time.perf_counter() - began))
                assert verdict.state == "complete", verdict
            found = {"recording": name, "verify": statistics.median(ours), "sha256sum": statistics.median(theirs)}
            found["ratio"] = statistics.median([a / b for a, b in zip(ours, theirs)])
            print(line(found), flush=True)
            results.append(found)
            shutil.rmtree(path)
    finally:
        os.sched_setaffinity(0, cores)
        shutil.rmtree(folder, ignore_errors=True)
    return results


def line(result: dict) -> str:
    return (
        f"verify {result['recording']:10} | {result['verify']:.0f} MB/s | sha256sum {result['sha256sum']:.0f} MB/s |"
        f" ratio {result['ratio']:.2f}"
    )


def options() -> argparse.ArgumentParser:
    parser = makeParser(__doc__)
    parser.add_argument("--megabytes", type=int, default=300)
    parser.add_argument("--runs", type=int, default=5)
    return parser


if __name__ == "__main__":
    alone("verify", options(), measure)
