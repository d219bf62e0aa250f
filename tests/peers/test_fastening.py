"""
The ledger in real buckets with Object Lock: nobody removes what a session that is kept still needs.
"""

from __future__ import annotations

import time
from typing import Any

from tests.curator import test_fastening
from tests.curator.test_fastening import DAY
from tests.peers import test_s3
from tests.peers.harness.finding import requireModule
from tests.peers.harness.s3server import LOCKED
from tests.peers.harness.seaweedfs import seaweedfs
from tests.peers.harness.versity import versity


class SeaweedTests(test_fastening.FasteningCase):
    bucket = LOCKED
    lock = "COMPLIANCE"
    start = staticmethod(seaweedfs)

    def begin(self) -> Any:
        requireModule("boto3")
        self.server = self.start()
        self.prefix = f"f{next(test_s3._numbers)}/"
        self.secrets = test_s3.Secrets()
        self.now = time.time()
        return test_s3.S3Case.made(self)  # type: ignore[arg-type]

    def test_locked(self) -> None:
        """Two years of sessions: each object has the lock that the youngest needs, and can not be removed."""
        from botocore.exceptions import ClientError

        for quarter in range(8):
            self.session(f"S{quarter}")
            self.grow(90)
            self.pass_(91 * DAY, looks=2)
            self.session(f"T{quarter}")
            self.pass_(0, looks=2)
        until = self.now + self.keep
        s3 = self.server.client()
        names = list(self.fastening._names(self.ledger.size))
        self.assertGreater(len([name for name in names if ".p/" not in name]), 4)
        for name in names:
            key = self.prefix + name
            said = s3.get_object_retention(Bucket=self.bucket, Key=key)["Retention"]
            self.assertEqual(said["Mode"], self.lock)
            self.assertGreaterEqual(said["RetainUntilDate"].timestamp(), until, name)
            version = s3.head_object(Bucket=self.bucket, Key=key)["VersionId"]
            self.assertRaises(ClientError, s3.delete_object, Bucket=self.bucket, Key=key, VersionId=version)
        self.assertEqual(self.alarms, [])


class VersityTests(SeaweedTests):
    start = staticmethod(versity)
