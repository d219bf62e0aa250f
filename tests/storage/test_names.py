"""Names of stored objects lead nowhere else."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hoopx.storage.names import checked, objectName


class NameTests(SynchronousTestCase):
    def test_object(self) -> None:
        path = "/var/lib/hoopx/recordings/2026/01/02/01KE0000000000000000000000/000007.hxr"
        self.assertEqual(objectName("gw-1.a", path), "gw-1.a/2026/01/02/01KE0000000000000000000000/000007.hxr")
        self.assertRaises(ValueError, objectName, "../gw", path)
        self.assertRaises(ValueError, objectName, "", path)

    @given(st.text(alphabet="ab./\\-_ \0\n", max_size=12))
    def test_stays(self, name: str) -> None:
        try:
            checked(name)
        except ValueError:
            return
        self.assertTrue(os.path.normpath(os.path.join("/srv", name)).startswith("/srv/"))
        self.assertEqual(os.path.normpath(name), name)
