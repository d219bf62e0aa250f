# -*- test-case-name: tests.peers.test_s3 -*-
"""
What the real S3 servers of the tests have in common.
"""

from __future__ import annotations

from typing import Any

from hoopx.config.settings import S3Settings
from hoopx.storage.s3login import client
from hoopx.values import Reference
from tests.peers.harness.processes import Process

ACCESS, SECRET = "rootuser", "rootpass-123"
LOCKED, PLAIN = "recordings", "unlocked"
"""Buckets: there are not many. Tests have prefixes."""


class S3Server:
    """
    @ivar port: of S3.
    """

    port: int
    _process: Process | None = None

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
