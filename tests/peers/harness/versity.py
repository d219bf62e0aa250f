# -*- test-case-name: tests.peers.test_versity -*-
"""
Another real S3 server with Object Lock, written by other people: VersityGW over a folder, on loopback.
"""

from __future__ import annotations

import atexit
from typing import Any

from hoopx.config.settings import S3Settings
from hoopx.storage.s3login import client
from hoopx.values import Reference
from tests.peers.harness.finding import require
from tests.peers.harness.ports import answers, freePort
from tests.peers.harness.processes import Process, folder
from tests.peers.harness.seaweedfs import ACCESS, LOCKED, PLAIN, SECRET

_running: list[Versity] = []


class Versity:
    """
    @ivar port: of S3.
    """

    def __init__(self) -> None:
        self._program = require("versitygw")
        self._folder = folder("versity")
        self.port = freePort()
        self._process: Process | None = None

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

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop()

    def client(self) -> Any:
        return client(self.settings(), ACCESS, SECRET)

    def settings(self, port: int | None = None, **more: Any) -> S3Settings:
        """@param port: of a proxy before it."""
        return S3Settings(
            endpoint=f"http://127.0.0.1:{port or self.port}", accessKey=Reference("file", "access"),
            secretKey=Reference("file", "secret"), **more,
        )  # fmt: skip


def versity() -> Versity:
    """The one of this run, started at its first use."""
    if not _running:
        _running.append(Versity().start())
        atexit.register(_running[0].stop)
    return _running[0]
