"""
The backend C{s3:} with another real server: what one server takes and what S3 is are not the same.
"""

from __future__ import annotations

from hoopx.storage.errors import StorageConflict
from tests.peers import test_bucket, test_gateways, test_s3
from tests.peers.harness.versity import versity
from tests.storage.contract import CONTENT, NAME


class Elsewhere:
    """Mixed in before a case of another module: its server is this one."""

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


class LockedTests(Elsewhere, test_bucket.LockedTests):
    pass


class ApartTests(Elsewhere, test_gateways.ApartTests):
    pass
