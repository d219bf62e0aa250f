# -*- test-case-name: tests.peers.test_versity -*-
"""
Another real S3 server with Object Lock, written by other people: VersityGW over a folder, on loopback.
"""

from __future__ import annotations

import atexit

from tests.peers.harness.finding import require
from tests.peers.harness.ports import answers, freePort
from tests.peers.harness.processes import Process, folder
from tests.peers.harness.s3server import ACCESS, LOCKED, PLAIN, SECRET, S3Server

_running: list[Versity] = []


class Versity(S3Server):
    """It has one user."""

    def __init__(self) -> None:
        self._program = require("versitygw")
        self._folder = folder("versity")
        self.port = freePort()

    def start(self) -> Versity:
        for name in ("data", "versions"):
            (self._folder / name).mkdir(exist_ok=True)
        argv = [
            self._program, "--port", f"127.0.0.1:{self.port}", "--access", ACCESS, "--secret", SECRET,
            "posix", "--versioning-dir", str(self._folder / "versions"), str(self._folder / "data"),
        ]  # fmt: skip
        self._process = Process(argv, self._folder / "log")
        self._process.ready(lambda: answers(self.port), "VersityGW")
        s3 = self.client()
        s3.create_bucket(Bucket=LOCKED, ObjectLockEnabledForBucket=True)
        s3.create_bucket(Bucket=PLAIN)
        return self


def versity() -> Versity:
    """The one of this run, started at its first use."""
    if not _running:
        _running.append(Versity().start())
        atexit.register(_running[0].stop)
    return _running[0]
