"""
The backend C{s3:} with another real server: what one server takes and what S3 is are not the same.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hoopx.storage.errors import StorageConflict
from tests.peers import test_bucket, test_gateways, test_s3
from tests.peers.harness.versity import versity
from tests.storage.contract import CONTENT, NAME


class Elsewhere:
    """Mixed in before a case of L{tests.peers.test_s3}."""

    def setUp(self) -> None:
        for module in (test_s3, test_bucket, test_gateways):
            self.patch(module, "seaweedfs", versity)  # type: ignore[attr-defined]
        super().setUp()  # type: ignore[misc]


class ComplianceTests(Elsewhere, test_s3.ComplianceTests):
    def test_hidden(self) -> None:
        """For this server a name is taken also below a marker: what was put before is found there, and nothing is put twice."""
        receipt = self.get(self.put())
        self.server.client().delete_object(Bucket=self.bucket, Key=self.prefix + NAME)
        self.assertEqual(sorted(each.deleted for each in self.get(self.backend.list(""))), [False, True])
        self.assertEqual(self.get(self.put()), receipt)
        self.assertEqual(self.read(receipt), CONTENT)
        self.failed(self.put(content=CONTENT + b"x"), StorageConflict)


class GovernanceTests(Elsewhere, test_s3.GovernanceTests):
    pass


class UnlockedTests(Elsewhere, test_s3.UnlockedTests):
    pass


class CredentialTests(Elsewhere, test_s3.CredentialCase):
    """It has one user alone: nobody who may not."""


class TroubleTests(Elsewhere, test_s3.TroubleTests):
    pass


class BucketTests(Elsewhere, SynchronousTestCase):
    """A gateway, and auditors who have the bucket."""

    begin = test_bucket.BucketTests.begin
    sealed = test_bucket.BucketTests.sealed
    work = test_bucket.BucketTests.work
    verify = test_bucket.BucketTests.verify
    keys = test_bucket.BucketTests.keys
    proven = test_bucket.BucketTests.proven
    test_locked = test_bucket.BucketTests.test_locked


class GatewaysTests(Elsewhere, SynchronousTestCase):
    """Several of them."""

    gateway = test_gateways.GatewaysTests.gateway
    session = test_gateways.GatewaysTests.session
    objects = test_gateways.GatewaysTests.objects
    of = test_gateways.GatewaysTests.of
    stored = test_gateways.GatewaysTests.stored
    verify = test_gateways.GatewaysTests.verify
    vkey = test_gateways.GatewaysTests.vkey
    test_apart = test_gateways.GatewaysTests.test_apart

    def setUp(self) -> None:
        super().setUp()
        test_gateways.GatewaysTests.setUp(self)  # type: ignore[arg-type]
