"""
L{hoopx.tls.endpoint}.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.endpoints import clientFromString, quoteStringArgument
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from hoopx.tls.endpoint import hostOf


class HostTests(SynchronousTestCase):
    def test_examples(self) -> None:
        for description, host in [
            ("tcp:db.internal:5432", "db.internal"),
            ("tcp:host=db.internal:port=5432", "db.internal"),
            ("tcp:port=5432:host=db.internal:timeout=5", "db.internal"),
            ("tls:api.internal:443", "api.internal"),
            ("tcp:10.0.0.7:5432:timeout=5", "10.0.0.7"),
            (r"tcp:\:\:1:5432", "::1"),
            (r"tcp:host=fe80\:\:1:port=5432", "fe80::1"),
            ("unix:/run/postgresql/.s.PGSQL.5432", None),
            ("unix:path=/run/x", None),
            ("tcp:port=5432", None),
            ("tcp", None),
            ("", None),
            ("tcp:a\\", None),
        ]:
            self.assertEqual(hostOf(description), host, description)

    @given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1))
    def test_likeTwisted(self, host: str) -> None:
        """What Twisted would connect to is what is verified."""
        description = f"tcp:host={quoteStringArgument(host)}:port=1"
        self.assertEqual(hostOf(description), host)
        try:
            endpoint = clientFromString(MemoryReactorClock(), description)
        except Exception:
            return
        self.assertEqual(getattr(endpoint, "_hostText", None) or endpoint._host, host)

    @given(st.text())
    def test_anything(self, description: str) -> None:
        hostOf(description)
