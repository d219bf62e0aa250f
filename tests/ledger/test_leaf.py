"""Leaves."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hoopx.ledger.leaf import FIELDS, MAX_LEAF, leaf, parse
from tests.ledger.rig import AT, DIGEST

GOOD = {
    "opened": {"session": "01J", "key": DIGEST, "head": DIGEST},
    "sealed": {"session": "01J", "segment": 0, "seal": DIGEST, "object": DIGEST, "size": 12},
    "done": {"session": "01J", "segments": 3, "end": DIGEST},
    "recovered": {"session": "01J", "segments": 3, "end": DIGEST},
    "erased": {"session": "01J", "audit": DIGEST},
    "hold-set": {"session": "01J", "audit": DIGEST},
    "hold-lifted": {"session": "01J", "audit": DIGEST},
    "audit": {"audit": DIGEST},
    "key-rotated": {"key": "gw+00000000+AAAA", "signature": "cd" * 64},
    "continued": {"origin": "gw.00000000", "checkpoint": "gw\n1\nAAA=\n\n\N{EM DASH} gw AAAA\n"},
}


class LeafTests(SynchronousTestCase):
    def test_shape(self):
        line = leaf("opened", 1790000000.1234, session="01J", key=DIGEST, head=DIGEST)
        self.assertEqual(
            line,
            f'{{"at":1790000000.123,"head":"{DIGEST}","key":"{DIGEST}","session":"01J","type":"opened","v":1}}'.encode(),
        )

    def test_everyType(self):
        self.assertEqual(GOOD.keys(), FIELDS.keys())
        for kind, fields in GOOD.items():
            line = leaf(kind, AT, **fields)
            self.assertEqual(parse(line), {**fields, "at": AT, "type": kind, "v": 1})
            self.assertNotIn(b"\n", line)
            line.decode("ascii")

    def test_wrongFields(self):
        """One missing, one too many, one of the wrong shape: for every field of every type."""
        for kind, fields in GOOD.items():
            self.assertRaises(ValueError, leaf, kind, AT, user="alice@example.com", **fields)
            for name in fields:
                self.assertRaises(ValueError, leaf, kind, AT, **{key: value for key, value in fields.items() if key != name})
                free = kind in ("key-rotated", "continued")
                for wrong in (None, "", -1, 1.5, True, [], *(() if free else ("x" * 65, "a b", "ü"))):
                    self.assertRaises(ValueError, leaf, kind, AT, **{**fields, name: wrong})

    def test_notOurs(self):
        self.assertRaises(ValueError, leaf, "unheard-of", AT)
        self.assertRaises(ValueError, leaf, "audit", float("nan"), audit=DIGEST)
        self.assertRaises(ValueError, leaf, "audit", float("inf"), audit=DIGEST)

    def test_tooLong(self):
        self.assertRaises(ValueError, leaf, "continued", AT, origin="o", checkpoint="x" * MAX_LEAF)
        self.assertRaises(ValueError, parse, b'{"at":1.0,"type":"later","v":1,"x":"' + b"x" * MAX_LEAF + b'"}')

    def test_canonicalOnly(self):
        line = leaf("audit", AT, audit=DIGEST)
        value = json.loads(line)
        for other in (
            json.dumps(value, sort_keys=True).encode(),
            json.dumps(dict(reversed(value.items())), separators=(",", ":")).encode(),
            line + b" ",
            line.replace(b'"v":1', b'"v":1,"v":1'),
            line.replace(b'"v":1', b'"v":2'),
            line.replace(b'"v":1', b'"v":true'),
            line.replace(b"1790000000.0", b"1790000000"),
            line.replace(b"audit", b"\\u0061udit"),
            line.replace(b"audit", "audït".encode()),
        ):
            self.assertNotEqual(other, line)
            self.assertRaises(ValueError, parse, other)

    def test_laterTypes(self):
        """A reader of today passes over what a later version says."""
        self.assertEqual(parse(b'{"at":1.0,"new":[1],"type":"later","v":1}')["new"], [1])

    @given(st.binary(max_size=200))
    def test_anyBytes(self, data):
        try:
            parse(data)
        except ValueError:
            pass

    @given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
    def test_anyJSON(self, value):
        try:
            parse(json.dumps(value).encode("ascii"))
        except ValueError:
            pass
