"""Recordings by somebody else: right in form, with anything in them."""

from __future__ import annotations

from hypothesis import strategies as st

from hoopx.values import Command, FileTransfer, Notice, Result
from tests.export.recorded import HEADER

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20),
    st.sampled_from(["", "\ud800", "=1", "x" * 70_000, "\u0661", "-5", "1e999", 10**400, -(10**400), float("nan"), float("inf")]),
)  # fmt: skip
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3), max_leaves=6
)
TIMES = st.one_of(ANYTHING, st.sampled_from([1.7e9, -1.0, 253402300799.0, 253402300800.0, 1e18, 1e308, "1", True]))
ADDRESSES = st.one_of(
    ANYTHING,
    st.sampled_from(
        ["198.51.100.7:5", "[2001:db8::7]:5", "2001:db8::7:65535", "fe80::1%eth0:5", "::ffff:1.2.3.4:5", "1.2.3.4:70000", "1.2.3.4:-1"]
        + ["1.2.3.4:\u0661", "\u0661.2.3.4:5", "unix:0", ":", "a:b:c", "1.2.3.4:" + "9" * 5000]
    ),
)
IDENTITIES = ANYTHING | st.fixed_dictionaries({}, optional=dict.fromkeys(("name", "subject", "issuer", "kind", "groups"), ANYTHING))


def foreign():
    """What a HEAD frame may hold: JSON as Python reads it."""
    known = {name: ANYTHING for name in HEADER if name not in ("started", "client", "identity")}
    special = {"started": TIMES, "client": ADDRESSES, "identity": IDENTITIES}
    return st.fixed_dictionaries({}, optional={**known, **special})


def told():
    """What a view may yield."""
    at, sequence = st.floats(0, 1.9e10), st.integers(0, 1 << 64)
    word, fields = st.text(max_size=12), st.dictionaries(
        st.sampled_from(["number", "error", "reason", "message", "code", "verdict", "time", "text", "path", "bytes_from_client", "x"]), ANYTHING,
        max_size=4,
    )  # fmt: skip
    numbered = st.fixed_dictionaries({}, optional={"number": st.integers(0, 2)})
    return st.one_of(
        st.builds(
            Command, at, st.integers(0, 2), word, word | st.just("x" * 70_000), st.lists(st.none() | word, max_size=2),
            st.sampled_from(["allow", "block", "hold"]), st.none() | word, sequence, numbered,
        ),
        st.builds(
            Result, at, st.integers(0, 2), st.none(), st.integers(0, 1 << 70), st.none() | word,
            st.none() | st.dictionaries(st.sampled_from(["code", "message"]), word), st.floats(-1e10, 1e10), st.just(()), sequence, numbered,
        ),
        st.builds(FileTransfer, at, st.just(0), st.sampled_from(["copy in", "copy out"]) | word, word, st.integers(0, 1 << 70)),
        st.builds(
            Notice, at, st.just(0), st.sampled_from(["connected", "refused", "policy", "done", "recovered", "alarm"]), fields, sequence
        ),
    )  # fmt: skip


class Told:
    """A view that yields what it was given, all of it at the first frame."""

    def __init__(self, items):
        self._items = list(items)

    def feed(self, frame):
        items, self._items = self._items, []
        return items

    def finish(self):
        return []

