"""
Lines of keys, against a parser that knows nothing of lines: every value is a number of its own, which the text shows once.
"""

from __future__ import annotations

import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hoopx.config.lines import lineOf, locate

try:
    import tomllib
except ImportError:
    import tomli as tomllib

KEYS = st.one_of(st.text("abcde_-1", min_size=1, max_size=4), st.text(max_size=3))
VALUES = st.recursive(
    st.sampled_from(["number", "text", "lines"]),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=12,
)
NOISE = {"text": "a \" # [b] = {c} ' \\ %d", "lines": "first\n# [no]\nkey = 1\n'''%d"}


def numbered(value, counter):
    if isinstance(value, dict):
        return {key: numbered(inner, counter) for key, inner in value.items()}
    if isinstance(value, list):
        return [numbered(inner, counter) for inner in value]
    counter[0] += 1
    number = 7_000_000 + counter[0]
    return number if value == "number" else NOISE[value] % number


def leaves(value, path=()):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves(inner, (*path, index))
    else:
        yield path, value


class LinesTests(SynchronousTestCase):
    @settings(max_examples=60, deadline=None)
    @given(st.dictionaries(KEYS, VALUES, max_size=4), st.booleans())
    def test_everyLeaf(self, shape, multiline) -> None:
        """Whatever the nesting and quoting, each leaf is found on the line that shows its number."""
        data = numbered(shape, [0])
        text = tomli_w.dumps(data, multiline_strings=multiline)
        self.assertEqual(tomllib.loads(text), data)
        found = locate(text)
        for path, value in leaves(data):
            number = str(value)[-7:]
            line = 1 + text.count("\n", 0, text.index(number))
            if isinstance(value, str) and "\n" in value and multiline:
                line -= 4  # the number is on the fourth line after the opening quotes
            self.assertEqual(found[path], line, (path, text))

    def test_forms(self) -> None:
        text = (
            """\
# a comment with [table] and key = 1
top = "x" # behind
[a.b]
c = [ 1, # one
  { d = 2, "e.f" = 3 },
]
[[list]]
name = 'it''s' if false
""".replace("'it''s' if false", "'it is'")
            + """\
[list.sub]
x = 1
[[list]]
[list.sub]
x = \"\"\"
[fake]
\"\"\"
y.z."w w" = true
[[list.deep]]
q = 1
[a]
own = 1
"""
        )
        tomllib.loads(text)
        found = locate(text)
        for path, line in [
            (("top",), 2),
            (("a", "b"), 3),
            (("a", "b", "c"), 4),
            (("a", "b", "c", 0), 4),
            (("a", "b", "c", 1), 5),
            (("a", "b", "c", 1, "d"), 5),
            (("a", "b", "c", 1, "e.f"), 5),
            (("list", 0), 7),
            (("list", 0, "name"), 8),
            (("list", 0, "sub", "x"), 10),
            (("list", 1), 11),
            (("list", 1, "sub"), 12),
            (("list", 1, "sub", "x"), 13),
            (("list", 1, "sub", "y", "z", "w w"), 16),
            (("list", 1, "deep", 0, "q"), 18),
            (("a",), 19),
            (("a", "own"), 20),
        ]:
            self.assertEqual(found.get(path), line, path)
        self.assertNotIn(("fake",), found)

    def test_nearest(self) -> None:
        """What is not there (a missing key) is reported where its table is."""
        found = locate("\n[a]\nb = 1\n")
        self.assertEqual(lineOf(found, ("a", "c", "d")), 2)
        self.assertEqual(lineOf(found, ("a", "b")), 3)
        self.assertIdentical(lineOf(found, ("z",)), None)
        self.assertIdentical(lineOf(found, ()), None)

    @given(st.text("[]{}=\"'\\#,.\nab1 ", max_size=40))
    def test_garbage(self, text) -> None:
        """Even a text that is no TOML is read to an end."""
        locate(text)
