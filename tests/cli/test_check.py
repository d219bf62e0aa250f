"""
C{hoopx check}.
"""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from hoopx.cli.main import cli
from hoopx.config import limits
from tests.config.test_unsupported import ALLOWED
from tests.tls.certificates import TestAuthority


class CheckTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.path = self.folder / "hoopx.toml"

    def check(self, text: str, *arguments: str, **environ: str):
        self.path.write_text(text)
        return CliRunner().invoke(cli, ["--config", str(self.path), "check", *arguments], env=environ)

    def test_errors(self) -> None:
        """Every one, by line, and exit status 1."""
        result = self.check("[gateway]\nnam = 1\nidle_timeout = 3\n")
        self.assertEqual(result.exit_code, 1)
        self.assertEqual(
            result.stderr.splitlines(),
            [
                f'error: {self.path}:2: gateway.nam: unknown key; did you mean "name"?',
                f'error: {self.path}:3: gateway.idle_timeout: expected a duration, such as "10s", "30m", "8h" or "365d"; found 3',
            ],
        )
        self.assertEqual(result.stdout, f"{self.path}: 2 errors\n")

    def test_unsupportedAndMissing(self) -> None:
        result = self.check(ALLOWED + "[detect]\nlearn='1d'\n")
        self.assertEqual(result.exit_code, 1)
        for fragment in ("detect: this version", "tls.certificate: ", "HOOPX_TEST_APP is not set", "/b: No such"):
            self.assertIn(fragment, result.stderr)

    def test_right(self) -> None:
        certificate, key = TestAuthority(str(self.folder / "tls")).issue("gw1")
        (self.folder / "c.pem").write_bytes(Path(certificate).read_bytes() + Path(key).read_bytes())
        for name in ("ca.pem", "b"):
            (self.folder / name).write_text("x")
            (self.folder / name).chmod(0o600)
        text = (
            ALLOWED.replace("[gateway]", "[gateway]\nmax_sessions = 10")
            + "[[grants]]\nname='b'\nusers=['x']\ntargets=['legacy']\n"
        )
        result = self.check(text, HOOPX_TEST_APP="x")
        self.assertEqual((result.exit_code, result.stdout, result.stderr), (0, f"{self.path}: no errors\n", ""))

    def test_contents(self) -> None:
        """What is in the files, too: as the start would find it, and without it."""
        (self.folder / "key").write_text("no key")
        result = self.check("[recording]\nsigning_key = { file = 'key' }\n")
        self.assertEqual(result.exit_code, 1)
        self.assertIn(f"error: {self.path}:2: recording.signing_key: {self.folder / 'key'}: no private key in PEM", result.stderr)
        self.assertEqual(sorted(path.name for path in self.folder.iterdir()), ["hoopx.toml", "key"])

    def test_warnings(self) -> None:
        """What is hardly meant is told, and is no failure."""
        result = self.check("[gateway]\nmax_sessions = 10\n")
        self.assertEqual(result.exit_code, 0)
        self.assertIn("warning: ", result.stderr)
        self.assertIn("there is no target", result.stderr)
        self.assertEqual(result.stdout, f"{self.path}: no errors, 1 warning\n")

    def test_folder(self) -> None:
        """A data folder that can not be made or written is an error: what, why, and what to do."""
        (self.folder / "file").write_text("")
        result = self.check(f'[gateway]\nmax_sessions = 10\ndata = "{self.folder}/file/data"\n')
        self.assertEqual(result.exit_code, 1)
        self.assertIn("x.toml:3: gateway.data: ".replace("x.toml", str(self.path)), result.stderr)
        self.assertIn(f"{self.folder}/file is no folder", result.stderr)

    def test_hint(self) -> None:
        """What nobody has asked for is neither an error nor a warning."""
        self.patch(limits.resource, "getrlimit", lambda which: (1024, 1024))
        result = self.check("[gateway]\nname = 'gw'\n")
        self.assertEqual((result.exit_code, result.stdout), (0, f"{self.path}: no errors, 1 warning\n"))
        self.assertIn(f"hint: {self.path}: gateway.max_sessions: started from here", result.stderr)

    def test_json(self) -> None:
        result = self.check("[gateway]\nnam = 1\n", "--json")
        self.assertEqual(
            json.loads(result.stdout),
            [
                {
                    "severity": "error",
                    "file": str(self.path),
                    "line": 2,
                    "key": "gateway.nam",
                    "message": 'unknown key; did you mean "name"?',
                }
            ],
        )
        self.assertEqual(result.exit_code, 1)

    def test_absent(self) -> None:
        result = CliRunner().invoke(cli, ["--config", str(self.folder / "no.toml"), "check"])
        self.assertEqual(result.exit_code, 1)
        self.assertIn("No such file or directory; write one with: hoopx init", result.stderr)
