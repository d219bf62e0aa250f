"""Tiles and bundles."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hoopx.ledger.tiles import Edge, Tiles, decodeBundle, encodeBundle, tilePath, tilesOf, widthOf
from hoopx.ledger.tree import EMPTY
from tests.ledger.rig import grown, mth


class PathTests(SynchronousTestCase):
    def test_paths(self):
        """The examples of the specification."""
        self.assertEqual(tilePath(0, 1234067), "tile/0/x001/x234/067")
        self.assertEqual(tilePath("entries", 0, 112), "tile/entries/000.p/112")
        self.assertEqual(tilePath(3, 999), "tile/3/999")
        self.assertEqual(tilePath(63, 1000, 1), "tile/63/x001/000.p/1")

    def test_70000(self):
        """The specification's tree of 70,000 leaves."""
        self.assertEqual(list(tilesOf(70_000)), [(0, 273, 112), (1, 1, 17), (2, 0, 1)])
        self.assertEqual([widthOf(0, 272, 70_000), widthOf(0, 273, 70_000), widthOf(0, 274, 70_000)], [256, 112, 0])
        self.assertEqual([widthOf(1, 0, 70_000), widthOf(1, 1, 70_000), widthOf(2, 0, 70_000)], [256, 17, 1])
        self.assertEqual(list(tilesOf(256)), [(1, 0, 1)])
        self.assertEqual(list(tilesOf(0)), [])


class EdgeTests(SynchronousTestCase):
    def test_roots(self):
        big = grown(100_000)
        edge = Edge()
        self.assertEqual(edge.root(), EMPTY)
        for size in range(1, 601):
            edge.add(big.hashes[size - 1])
            if size < 20 or size in (255, 256, 257, 511, 512, 513, 600):
                self.assertEqual(edge.root(), mth(big.hashes[:size]))
        self.assertEqual(edge.size, 600)

    def test_fullTiles(self):
        big = grown(100_000)
        edge = Edge()
        found = [tile for one in big.hashes[:65_536] for tile in edge.add(one)]
        self.assertEqual([(level, number) for level, number, _ in found[-2:]], [(0, 255), (1, 0)])
        self.assertEqual([number for level, number, _ in found if level == 0], list(range(256)))
        self.assertEqual(found[0][2], b"".join(big.hashes[:256]))
        self.assertEqual(found[-1][2][:32], mth(big.hashes[:256]))
        self.assertEqual(edge.tile(2, 0), mth(big.hashes[:65_536]))
        self.assertEqual(edge.root(), mth(big.hashes[:65_536]))

    def test_tile(self):
        edge = Edge()
        for one in grown(100_000).hashes[:300]:
            edge.add(one)
        self.assertEqual(len(edge.tile(0, 1)), 44 * 32)
        self.assertIsNone(edge.tile(0, 0))
        self.assertIsNone(edge.tile(0, 2))
        self.assertIsNone(edge.tile(5, 0))


class TilesTests(SynchronousTestCase):
    def test_bounded(self):
        """The cache forgets, and asks again for a tile that has grown."""
        asked = []

        def load(level, number, width):
            asked.append((number, width))
            return bytes(32) * width

        size = [10]
        tiles = Tiles(load, lambda: size[0])
        tiles.node(0, 3)
        tiles.node(0, 9)
        size[0] = 20
        tiles.node(0, 15)
        self.assertEqual(asked, [(0, 10), (0, 20)])
        size[0] = 256 * 1000
        for number in range(1000):
            tiles.node(0, number * 256)
        self.assertLessEqual(len(tiles._cache), 128)


class BundleTests(SynchronousTestCase):
    @given(st.lists(st.binary(max_size=300), max_size=20))
    def test_round(self, entries):
        self.assertEqual(decodeBundle(encodeBundle(entries)), entries)

    @settings(max_examples=100)
    @given(st.lists(st.binary(max_size=40), min_size=1, max_size=5), st.data())
    def test_cut(self, entries, data):
        """Cut anywhere, a bundle is either refused or has fewer whole entries."""
        whole = encodeBundle(entries)
        cut = data.draw(st.integers(0, len(whole) - 1))
        try:
            found = decodeBundle(whole[:cut])
        except ValueError:
            return
        self.assertEqual(found, entries[: len(found)])
        self.assertLess(len(found), len(entries))
