# -*- test-case-name: tests.peers.test_s3 -*-
"""
A real S3 server with Object Lock: SeaweedFS, on loopback.
"""

from __future__ import annotations

import atexit
import json
import signal
from pathlib import Path

from tests.peers.harness.finding import require
from tests.peers.harness.ports import answers, freePort
from tests.peers.harness.processes import Process, folder
from tests.peers.harness.s3server import ACCESS, LOCKED, PLAIN, SECRET, S3Server

READER, READER_SECRET = "reader", "reader-secret"

_running: list[SeaweedFS] = []


class SeaweedFS(S3Server):
    """It has two users, one of whom may only read. A bucket takes volumes of its own."""

    def __init__(self) -> None:
        self._weed = require("weed")
        self._folder = folder("weed")
        # Each of its services has one more, for gRPC; what it would take by itself may be anybody's.
        self._ports = [freePort() for _ in range(4)]
        self._more = [freePort() for _ in range(4)]
        self.port = self._ports[0]
        identities = [
            {"name": "all", "credentials": [{"accessKey": ACCESS, "secretKey": SECRET}], "actions": ["Admin", "Read", "List", "Tagging", "Write"]},
            {"name": "reader", "credentials": [{"accessKey": READER, "secretKey": READER_SECRET}], "actions": ["Read", "List"]},
        ]  # fmt: skip
        (self._folder / "s3.json").write_text(json.dumps({"identities": identities}))
        (self._folder / "data").mkdir(exist_ok=True)

    def start(self) -> SeaweedFS:
        s3, master, volume, filer = self._ports
        more = [f"-{name}.port.grpc={port}" for name, port in zip(("s3", "master", "volume", "filer"), self._more)]
        argv = [
            self._weed, "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={self._folder}/data",
            f"-master.port={master}", "-master.telemetry=false", "-master.volumeSizeLimitMB=64",
            f"-volume.port={volume}", "-volume.max=60", "-filer", f"-filer.port={filer}",
            "-s3", f"-s3.port={s3}", f"-s3.config={self._folder}/s3.json", "-s3.port.iceberg=0", "-s3.port.lance=0",
            f"-s3.localSocket={self._folder}/s3.sock", f"-filer.localSocket={self._folder}/filer.sock", "-s3.autoCreateBucket=false", *more,
        ]  # fmt: skip
        # Its proper end takes 10 to 25 seconds, and there is nothing that it must finish.
        self._process = Process(argv, self._folder / "log", ending=signal.SIGKILL)
        self._process.ready(lambda: answers(self.port) and self._buckets(), "SeaweedFS")
        return self

    def stop(self) -> None:
        super().stop()
        for left in Path("/tmp").glob("seaweedfs-*-grpc-*.sock"):
            if any(left.stem.endswith(f"-{port}") for port in self._more):
                left.unlink(missing_ok=True)

    def _buckets(self) -> bool:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            s3 = self.client()
            known = {each["Name"] for each in s3.list_buckets()["Buckets"]}
            if LOCKED not in known:
                s3.create_bucket(Bucket=LOCKED, ObjectLockEnabledForBucket=True)
            if PLAIN not in known:
                s3.create_bucket(Bucket=PLAIN)
            s3.put_object(Bucket=PLAIN, Key="ready", Body=b"")
        except (ClientError, BotoCoreError):
            return False
        return True


def seaweedfs() -> SeaweedFS:
    """The one of this run, started at its first use."""
    if not _running:
        _running.append(SeaweedFS().start())
        atexit.register(_running[0].stop)
    return _running[0]
