"""From the configuration's words to a backend."""

from __future__ import annotations

import sys
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hoopx import registry
from hoopx.config import parse
from hoopx.errors import ConfigurationError
from hoopx.interfaces import IStorageBackend
from hoopx.storage.folder import FolderBackend, InPlace
from hoopx.storage.memory import MemoryBackend
from hoopx.storage.s3 import S3Backend
from hoopx.storage.select import backend
from tests.recording.rig import Now


class SelectTests(SynchronousTestCase):
    def made(self, store: str, more: str = "") -> Any:
        settings = parse(f"[recording]\nstore = '{store}'\n{more}", "/x.toml")
        return backend(store, settings, Now(), None, registry.storageBackends())

    def test_plugins(self) -> None:
        found = registry.storageBackends()
        self.assertEqual(list(found), ["file", "memory", "s3"])
        for plugin in found.values():
            verifyObject(IStorageBackend, plugin)
            self.assertRaises(RuntimeError, plugin.put, "a", "b", None)
            for name in ("open", "stat", "delete", "list"):
                self.assertRaises(RuntimeError, getattr(plugin, name), None)
            for name in ("hold", "retain"):
                self.assertRaises(RuntimeError, getattr(plugin, name), None, None)

    def test_made(self) -> None:
        self.assertIsInstance(self.made("file:"), InPlace)
        self.assertIs(type(self.made("file:/mnt/x")), FolderBackend)
        self.assertIsInstance(self.made("memory:"), MemoryBackend)
        self.assertIsInstance(self.made("s3:bucket/prefix"), S3Backend)
        self.assertIsInstance(self.made("s3:bucket", "[recording.s3]\nobject_lock='none'\n"), S3Backend)

    def test_wrong(self) -> None:
        for store, said in [
            ("file", '"file:", "memory:", "s3:"'),
            ("ftp:x", "expected one of the stores"),
            ("", "expected one of the stores"),
            ("file:recordings", "whole path"),
            ("s3:", "expected a bucket"),
            ("s3:/x", "expected a bucket"),
            ("s3:Bucket", "expected a bucket"),
            ("s3:bucket/../x", "expected a bucket"),
            ("s3:bucket/a b", "expected a bucket"),
        ]:
            error = self.assertRaises(ConfigurationError, self.made, store)
            self.assertIn(said, error.message)
            self.assertEqual(error.key, "recording.store")

    def test_noBoto(self) -> None:
        """Without the extra: what to install."""
        before = sys.modules.get("boto3")
        sys.modules["boto3"] = None  # type: ignore[assignment]
        self.addCleanup(sys.modules.__setitem__ if before else sys.modules.pop, "boto3", before)
        error = self.assertRaises(ConfigurationError, self.made, "s3:bucket")
        self.assertIn('pip install "hoopx[s3]"', error.message)
