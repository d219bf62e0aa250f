# -*- test-case-name: tests.peers.test_harness -*-
"""
Child processes: ended by their own id, logs kept, gone when the test process is gone.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import pwd
import resource
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.peers.harness.waiting import PATIENCE, until

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)
_home: list[Path] = []


def home() -> Path:
    """@return: the folder of everything of this run, which every user may enter; removed at the end of the run."""
    if not _home:
        folder = Path(tempfile.mkdtemp(prefix="hoopx-peers-", dir="/tmp"))
        folder.chmod(0o755)
        _home.append(folder)
        if not os.environ.get("HOOPX_PEERS_KEEP"):
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return _home[0]


def folder(name: str, user: str | None = None) -> Path:
    """@return: a new folder of this run, given to a user."""
    made = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=home()))
    if user is not None:
        shutil.chown(made, user, pwd.getpwnam(user).pw_gid)
    else:
        made.chmod(0o755)
    return made


def serverUser() -> str | None:
    """@return: who runs servers that refuse to run as root; C{None} for ourselves."""
    return "postgres" if os.geteuid() == 0 else None


class Process:
    """
    A program that runs until it is stopped.

    @ivar log: where its output goes.
    @param ending: the signal that ends it properly, also when we die.
    """

    def __init__(
        self,
        argv: Sequence[str],
        log: Path,
        user: str | None = None,
        environment: Mapping[str, str] | None = None,
        ending: int = signal.SIGTERM,
        cwd: str | Path | None = None,
        files: int | None = None,
    ) -> None:
        self.log = log
        self._ending = ending

        def prepare() -> None:
            _libc.prctl(_PR_SET_PDEATHSIG, ending)
            if files is not None:
                # Nobody but root gets more than there is.
                most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
                least = files if most == resource.RLIM_INFINITY else min(files, most)
                resource.setrlimit(resource.RLIMIT_NOFILE, (least, least))

        changed: dict = {}
        if user is not None:
            entry = pwd.getpwnam(user)
            changed = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        with log.open("ab") as output:
            self._child = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(os.environ if environment is None else environment),
                cwd=cwd,
                preexec_fn=prepare,
                **changed,
            )
        self.pid = self._child.pid
        atexit.register(self.stop)

    def running(self) -> bool:
        return self._child.poll() is None

    def ready(self, condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
        """Wait for a condition; a program that has ended meanwhile is a failure with its log."""

        def look() -> object:
            if not self.running():
                raise AssertionError(f"{what} ended with {self._child.returncode}:\n{self.tail()}")
            return condition()

        try:
            until(look, f"{what} to be ready", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.tail()}") from None

    def tail(self, size: int = 4000) -> str:
        return self.log.read_text("utf-8", "replace")[-size:]

    def signal(self, number: int) -> None:
        self._child.send_signal(number)

    def kill(self) -> None:
        """As a crash: nothing is finished."""
        self._child.kill()
        self._child.wait(PATIENCE)

    def wait(self, seconds: float = PATIENCE) -> int:
        """@return: the exit status."""
        return self._child.wait(seconds)

    def stop(self, seconds: float = PATIENCE) -> int:
        """
        End it properly, or kill it after a while, which is longer than a gateway gives its sessions, its recordings and its curator.

        @return: the exit status.
        """
        if self.running():
            self._child.send_signal(self._ending)
            try:
                self._child.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
        atexit.unregister(self.stop)
        return self._child.returncode

    def memory(self) -> int:
        """@return: bytes of resident memory."""
        return _status(self.pid, "VmRSS")

    def peak(self) -> int:
        """@return: bytes of resident memory at the most, since the start or the last L{resetPeak}."""
        return _status(self.pid, "VmHWM")

    def resetPeak(self) -> None:
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")


def child(parent: int, of: bytes) -> int | None:
    """@return: the process id of a child that has these bytes in its command line."""
    for each in Path("/proc").iterdir():
        try:
            if each.name.isdigit() and int((each / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                if of in (each / "cmdline").read_bytes():
                    return int(each.name)
        except OSError:
            continue
    return None


def _status(pid: int, key: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"no {key} in /proc/{pid}/status")
