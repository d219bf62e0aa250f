"""A data folder that can not be written is found before the gateway starts."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hoopx.config import folder
from hoopx.config.folder import unwritable
from hoopx.config.loader import parse


class FolderTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.asked: list[tuple[str, int]] = []
        self.closed: set[str] = set()

    def access(self, path: str, mode: int, effective_ids: bool) -> bool:
        self.asked.append((path, mode))
        return path not in self.closed

    def found(self, data: Path) -> list[str]:
        settings = parse(f'[gateway]\ndata = "{data}"\n', str(self.folder / "hoopx.toml"))
        errors = unwritable(settings, self.access)
        self.assertTrue(all((error.key, error.line) == ("gateway.data", 2) for error in errors))
        return [error.message for error in errors]

    def test_new(self) -> None:
        """One that there is not yet is made: in a folder above it that must be writable."""
        data = self.folder / "a" / "b" / "data"
        self.assertEqual(self.found(data), [])
        self.assertEqual(self.asked, [(str(self.folder), os.R_OK | os.W_OK | os.X_OK)])
        self.closed.add(str(self.folder))
        (said,) = self.found(data)
        self.assertIn(f"{data} can not be made in {self.folder} by ", said)

    def test_there(self) -> None:
        data = self.folder / "data"
        (data / "recordings").mkdir(parents=True)
        (data / "state.sqlite").write_text("")
        self.assertEqual(self.found(data), [])
        for path in (data / "state.sqlite", data / "recordings", data):
            self.closed = {str(path)}
            (said,) = self.found(data)
            for fragment in (f"{path} can not be written by ", "'s, with mode 0", f"chown -R {folder._user(os.geteuid())} {path}"):
                self.assertIn(fragment, said)

    def test_readOnly(self) -> None:
        class Mounted:
            f_flag = os.ST_RDONLY

        self.patch(os, "statvfs", lambda path: Mounted)
        self.closed = {str(self.folder)}
        self.assertIn("mounted read-only", self.found(self.folder)[0])

    def test_files(self) -> None:
        """Where a folder should be, there is a file."""
        (self.folder / "file").write_text("")
        self.assertIn("is no folder", self.found(self.folder / "file")[0])
        self.assertIn("can not be made", self.found(self.folder / "file" / "data")[0])

    def test_really(self) -> None:
        """By what the system says."""
        settings = parse(f'[gateway]\ndata = "{self.folder}"\n', str(self.folder / "hoopx.toml"))
        self.assertEqual(unwritable(settings), [])
        if os.geteuid():
            self.folder.chmod(0o500)
            self.addCleanup(self.folder.chmod, 0o700)
            self.assertEqual(len(unwritable(settings)), 1)
