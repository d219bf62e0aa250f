"""
L{hoopx.protocols.postgres.encodings}
"""

from __future__ import annotations

import codecs

from twisted.trial.unittest import SynchronousTestCase

from hoopx.protocols.postgres import encodings


class EncodingTests(SynchronousTestCase):
    def test_spellings(self):
        for name in ("UTF8", "utf-8", "Unicode"):
            self.assertEqual(encodings.codecOf(name), "utf-8")
        self.assertEqual(encodings.codecOf("iso_8859_5"), "iso8859-5")

    def test_unknown(self):
        self.assertEqual(encodings.codecOf("MULE_INTERNAL"), "ascii")

    def test_everyCodecIsThere(self):
        for codec in encodings._CODECS.values():
            codecs.lookup(codec)
            self.assertEqual(encodings.decoded(b"select 1", codec), "select 1")
            self.assertIsInstance(encodings.decoded(bytes(range(256)), codec), str)
