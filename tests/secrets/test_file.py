"""
Secrets in files.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import LogLevel, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hoopx.errors import TargetFailed
from hoopx.interfaces import ICredentialSource
from hoopx.secrets.broker import LARGEST
from hoopx.secrets.file import FileSource
from hoopx.values import Identity, Reference, Target


class Threads:
    """Calls at once, and counts."""

    def __init__(self) -> None:
        self.calls = 0

    def call(self, function, *arguments) -> Deferred:
        self.calls += 1
        return maybeDeferred(function, *arguments)


class FileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp()).absolute()
        self.threads = Threads()
        self.source = FileSource(self.threads)
        self.events: list = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)

    def fetch(self) -> Deferred:
        identity, target = Identity("local", "a", "a"), Target("t", "postgres", "tcp:a:1")
        return self.source.fetch(Reference("file", str(self.path)), identity, target)

    def write(self, content: bytes, mode: int = 0o600) -> None:
        self.path.write_bytes(content)
        self.path.chmod(mode)

    def refusal(self) -> str:
        failed = self.failureResultOf(self.fetch(), TargetFailed)
        self.assertIn(f"file:{self.path}", failed.value.message)
        return failed.value.message

    def test_interface(self) -> None:
        verifyObject(ICredentialSource, self.source)

    def test_newline(self) -> None:
        """An editor's newline is not part of the secret; everything else is."""
        for content, secret in [
            (b"a", b"a"),
            (b"a\n", b"a"),
            (b"a\r\n", b"a"),
            (b"a\n\n", b"a\n"),
            (b" a \n", b" a "),
            (b"a\nb\n", b"a\nb"),
            (b"\x00\xff\n", b"\x00\xff"),
        ]:
            self.write(content)
            self.assertEqual(self.successResultOf(self.fetch()), secret)
        self.assertEqual(self.threads.calls, 7)

    def test_rotation(self) -> None:
        """A secret that has changed is used at once."""
        self.write(b"old")
        self.successResultOf(self.fetch())
        self.write(b"new")
        self.assertEqual(self.successResultOf(self.fetch()), b"new")

    def test_absent(self) -> None:
        self.assertIn("No such file", self.refusal())

    def test_empty(self) -> None:
        for content in (b"", b"\n"):
            self.write(content)
            self.assertIn("it is empty", self.refusal())

    def test_size(self) -> None:
        self.write(b"x" * LARGEST + b"\n")
        self.assertEqual(len(self.successResultOf(self.fetch())), LARGEST)
        for content in (b"x" * (LARGEST + 1), b"x" * (LARGEST + 2) + b"\n", b"x" * LARGEST * 3):
            self.write(content)
            self.assertIn("longer than", self.refusal())

    def test_noFile(self) -> None:
        """Neither a directory nor a pipe that nobody writes to."""
        self.path.mkdir()
        self.assertIn(str(self.path), self.refusal())
        self.path.rmdir()
        os.mkfifo(self.path)
        self.assertIn("not a file", self.refusal())

    def test_permissions(self) -> None:
        """Open to others: it works, and is told once."""
        self.write(b"hunter2", 0o640)
        self.assertEqual(self.successResultOf(self.fetch()), b"hunter2")
        self.successResultOf(self.fetch())
        (warning,) = [event for event in self.events if event["log_level"] is LogLevel.warn]
        self.assertEqual((warning["reference"], warning["mode"]), (f"file:{self.path}", "0640"))
        self.assertNotIn("hunter2", repr(warning))

    def test_ownerOnly(self) -> None:
        for mode in (0o600, 0o400):
            self.write(b"x", stat.S_IRUSR | stat.S_IWUSR)
            self.path.chmod(mode)
            self.successResultOf(self.fetch())
        self.assertEqual(self.events, [])
