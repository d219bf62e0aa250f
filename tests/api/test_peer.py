"""Who somebody is who has become another user."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hoopx.api.peer import said, who
from hoopx.state.rows import personOf


class WhoTests(SynchronousTestCase):
    def who(self, uid: int, login: bytes | None) -> str:
        path = Path(self.mktemp())
        if login is not None:
            path.write_bytes(login)
        return who(uid, str(path))

    def test_became(self) -> None:
        """The kernel keeps who has logged in, through sudo and su."""
        self.assertEqual(self.who(0, b"4242"), f"uid 4242 as {said(0)}")
        self.assertEqual(personOf(self.who(0, b"4242")), "uid 4242")

    def test_asOneself(self) -> None:
        """Also where no login has led to the process, or the kernel does not say."""
        for login in (b"0", b"4294967295", None, b"", b"root"):
            self.assertEqual(self.who(0, login), said(0))
        self.assertEqual(personOf(said(0)), said(0))
