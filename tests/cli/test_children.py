"""
Tests for L{hoopx.cli.children}: an interruption, whenever it comes, leaves no child.
"""

import signal
import subprocess
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hoopx.cli import children
from hoopx.cli.children import end, finished, interrupt, starting
from tests.peers.harness.waiting import until


class ChildrenTests(SynchronousTestCase):
    def setUp(self) -> None:
        before = signal.signal(signal.SIGUSR1, interrupt)
        self.addCleanup(signal.signal, signal.SIGUSR1, before)
        self.path = Path(self.mktemp()).absolute()

    def press(self) -> None:
        signal.raise_signal(signal.SIGUSR1)

    def gone(self, number: int) -> bool:
        """The process has ended; who is to take note of that, and when, is not the demo's."""
        try:
            with open(f"/proc/{number}/stat") as file:
                return file.read().rpartition(")")[2].split()[0] in "ZX"
        except (FileNotFoundError, ProcessLookupError):
            return True

    def test_atOnce(self) -> None:
        self.assertRaises(KeyboardInterrupt, self.press)

    def test_later(self) -> None:
        """Not before the child is put down, and then without delay; once."""
        seen = []

        def begin() -> None:
            with starting():
                self.press()
                seen.append("started")
            seen.append("went on")

        self.assertRaises(KeyboardInterrupt, begin)
        self.assertEqual(seen, ["started"])
        with starting():
            pass
        self.assertRaises(KeyboardInterrupt, self.press)

    def test_failed(self) -> None:
        """A child that can not be started leaves the way free for interruptions."""

        def begin() -> None:
            with starting():
                raise FileNotFoundError

        self.assertRaises(FileNotFoundError, begin)
        self.assertRaises(KeyboardInterrupt, self.press)

    def test_finished(self) -> None:
        done = finished(["sh", "-c", "cat; echo wrong >&2; exit 3"], "said")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (3, "said", "wrong\n"))
        done = finished(["sh", "-c", "cat; echo wrong >&2"], errors=subprocess.STDOUT)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "wrong\n", None))

    def test_interruptedWhileItStarts(self) -> None:
        """The signal comes between the fork and the return of C{Popen}."""
        made: list[subprocess.Popen] = []
        popen = subprocess.Popen

        def begun(*arguments: Any, **more: Any) -> subprocess.Popen:
            made.append(popen(*arguments, **more))
            self.press()
            return made[-1]

        self.patch(children.subprocess, "Popen", begun)
        self.addCleanup(lambda: [end(child) for child in made])
        self.assertRaises(KeyboardInterrupt, finished, ["sleep", "600"])
        self.assertEqual(made[0].returncode, -signal.SIGKILL)

    def test_interrupted(self) -> None:
        """While it runs: it goes with all that it has started."""
        script = f"sleep 600 & echo $! > {self.path}.new; mv {self.path}.new {self.path}; wait"
        communicate = subprocess.Popen.communicate

        def pressed(child: subprocess.Popen, *arguments: Any) -> Any:
            until(self.path.exists, "it to begin")
            self.press()
            return communicate(child, *arguments)

        self.patch(subprocess.Popen, "communicate", pressed)
        self.assertRaises(KeyboardInterrupt, finished, ["sh", "-c", script])
        grandchild = int(self.path.read_text())
        until(lambda: self.gone(grandchild), "what it started to be gone")

    def test_end(self) -> None:
        """Of one that has ended by itself, too."""
        child = subprocess.Popen(["true"], stdout=subprocess.PIPE, start_new_session=True)
        child.wait()
        end(child)
        self.assertEqual((child.returncode, child.stdout and child.stdout.closed), (0, True))
