"""
docs/reference/errors.rst names every refusal, with the state that PostgreSQL clients see.
"""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hoopx.protocols.postgres.errors import REFUSALS

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "reference" / "errors.rst"


class PageTests(SynchronousTestCase):
    def test_refusals(self) -> None:
        rows = re.findall(r"^   \* - ``([a-z-]+)``\n     - (\w{5})\n", PAGE.read_text(), flags=re.MULTILINE)
        self.assertEqual(dict(rows), dict(REFUSALS))
