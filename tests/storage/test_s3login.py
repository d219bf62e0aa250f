"""Credentials of S3: fetched once, again when they are refused, and a client made anew only when they are others."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from hoopx.errors import TargetFailed
from hoopx.storage import s3login
from hoopx.storage.errors import StorageRefused
from hoopx.storage.s3login import Login, Without
from hoopx.values import Reference
from tests.recording.rig import Later, Now

TEMPORARY = Without(
    accessKey=Reference("file", "a"), secretKey=Reference("file", "s"), sessionToken=Reference("file", "t")
)


class Secrets:
    def __init__(self) -> None:
        self.known: dict[str, Any] = {"a": b"a1\n", "s": b"s1", "t": b"t1\n"}
        self.asked = 0

    def fetch(self, reference: Reference, identity: Any, target: Any) -> Any:
        self.asked += 1
        found = self.known[reference.name]
        return found if isinstance(found, Deferred) else succeed(found)


class LoginTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.secrets = Secrets()
        self.made: list[tuple] = []

    def connect(self, settings: Any, *keys: str | None) -> Any:
        self.made.append(keys)
        return object()

    def login(self, settings: Any = TEMPORARY, threads: Any = None) -> Login:
        return Login("bucket", settings, threads or Now(), self.secrets, self.connect)

    def test_once(self) -> None:
        login = self.login()
        first = self.successResultOf(login.ready())
        self.assertIs(self.successResultOf(login.ready()), first)
        self.assertEqual((self.made, self.secrets.asked), ([("a1", "s1", "t1")], 3))

    def test_role(self) -> None:
        """Without any, boto3 finds its own."""
        self.successResultOf(self.login(Without()).ready())
        self.assertEqual((self.made, self.secrets.asked), ([(None, None, None)], 0))

    def test_renewed(self) -> None:
        """Refused: others are used, the same ones are told to be the same, and one that was renewed meanwhile is not renewed again."""
        login = self.login()
        first = self.successResultOf(login.ready())
        self.assertIsNone(self.successResultOf(login.renewed(first)))
        self.assertIs(self.successResultOf(login.ready()), first)
        self.secrets.known["t"] = b"t2"
        second = self.successResultOf(login.renewed(first))
        self.assertIsNot(second, first)
        self.assertEqual(self.made, [("a1", "s1", "t1"), ("a1", "s1", "t2")])
        asked = self.secrets.asked
        self.assertIs(self.successResultOf(login.renewed(first)), second)
        self.assertIs(self.successResultOf(login.ready()), second)
        self.assertEqual(self.secrets.asked, asked)

    def test_together(self) -> None:
        """Several calls are refused at once: one look."""
        login = self.login()
        first = self.successResultOf(login.ready())
        self.secrets.known["t"] = slow = Deferred()
        waiting = [login.renewed(first) for _ in range(4)]
        slow.callback(b"t2")
        self.assertEqual(len({id(self.successResultOf(each)) for each in waiting}), 1)
        self.assertEqual((len(self.made), self.secrets.asked), (2, 6))

    def test_missing(self) -> None:
        """A secret that can not be had: refused, in whose words is known, and looked for again the next time."""
        self.secrets.known["t"] = fail(TargetFailed("the secret file:t can not be had"))
        login = self.login()
        for asked in (login.ready(),):
            self.assertIn("file:t", str(self.failureResultOf(asked, StorageRefused).value))
        self.secrets.known["t"] = fail(RuntimeError("AKIA"))
        self.assertNotIn("AKIA", str(self.failureResultOf(login.ready(), StorageRefused).value))
        self.secrets.known["t"] = "tökén".encode()
        self.assertIn("file:t is no key", str(self.failureResultOf(login.ready(), StorageRefused).value))
        self.secrets.known["t"] = b"t3"
        self.successResultOf(login.ready())

    def test_noClient(self) -> None:
        from botocore.exceptions import ProfileNotFound

        def connect(*_: Any) -> Any:
            raise ProfileNotFound(profile="x")

        login = Login("bucket", Without(), Now(), None, connect)
        self.failureResultOf(login.ready(), StorageRefused)

    def test_threads(self) -> None:
        """A client takes a while to make: not on the caller's thread."""
        threads = Later()
        asked = self.login(threads=threads).ready()
        self.assertEqual(self.made, [])
        threads.runAll()
        self.successResultOf(asked)


class ClientTests(SynchronousTestCase):
    def test_limits(self) -> None:
        """Waits and tries are bounded, and the environment is not needed."""
        others = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        self.patch(os, "environ", {**others, "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull})
        made = s3login.client(Without(endpoint="http://127.0.0.1:1"), "access", "secret", "token")
        config = made.meta.config
        self.assertEqual((config.connect_timeout, config.read_timeout), (s3login.CONNECT, s3login.READ))
        self.assertEqual(config.retries["total_max_attempts"], s3login.ATTEMPTS)
        self.assertEqual(made.meta.region_name, "us-east-1")
        self.assertEqual(config.s3["addressing_style"], "path")
        self.assertEqual(made._request_signer._credentials.token, "token")
