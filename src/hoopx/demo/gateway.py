# -*- test-case-name: tests.demo.test_gateway -*-
"""
A gateway for the demo: a folder with its configuration, and C{twistd} as a child.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from hoopx.api.client import Client
from hoopx.cli.children import finished, starting
from hoopx.demo.database import DemoFailed
from hoopx.errors import HoopxError

START: Final = 60.0
"""Seconds that the gateway has to listen: a slow machine with much else to do takes ten times as long as an idle one."""
STOP: Final = 30.0
"""Seconds that it has to end its sessions and close their recordings."""

CONFIGURATION: Final = """\
# Made by hoopx demo. The same shape serves real systems: see the README.

[gateway]
name = "demo"
data = "data"
disk_reserve = "8MiB"
disk_refuse_below = "64MiB"

[[listeners]]
protocol = "postgres"
endpoint = "tcp:{listen}:interface=127.0.0.1"

[targets.shop]
protocol = "postgres"
endpoint = "tcp:127.0.0.1:{port}"
database = "shop"
tls = "off"                         # the demo's PostgreSQL speaks no TLS
  [targets.shop.accounts.app]
  username = "app"
  password = {{ file = "secrets/shop-app" }}

[[grants]]
name = "analysts use the shop"
groups = ["analysts"]
targets = ["shop"]
"""

TWISTD: Final = "from twisted.scripts.twistd import run; run()"
HOOPX: Final = "from hoopx.cli.main import main; main()"


class DemoGateway:
    """
    One gateway.

    @param folder: where its configuration and data go.
    @ivar port: where it listens, on 127.0.0.1.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.configuration = folder / "hoopx.toml"
        self.client = Client(folder / "data", str(self.configuration))
        self.port = 0
        self._process: subprocess.Popen | None = None

    def configure(self, listen: int, port: int, password: str) -> None:
        """
        Write the folder.

        @param listen: the gateway's own port.
        @param port: PostgreSQL's.
        @param password: of the role C{app}.
        """
        self.configuration.write_text(CONFIGURATION.format(listen=listen, port=port))
        secrets = self.folder / "secrets"
        secrets.mkdir(mode=0o700)
        secret = secrets / "shop-app"
        secret.touch(0o600)
        secret.write_text(password)
        self.port = listen

    def start(self) -> None:
        """Start it, and wait until it listens. @raise DemoFailed: with the end of its log."""
        log = self.folder / "gateway.log"
        command = [sys.executable, "-c", TWISTD, "--nodaemon", "--pidfile=", "hoopx", "--config", str(self.configuration)]
        with open(log, "ab") as sink, starting():
            self._process = subprocess.Popen(
                command, stdin=-3, stdout=sink, stderr=sink, cwd=self.folder, start_new_session=True
            )
        until = time.monotonic() + START
        while time.monotonic() < until and self._process.poll() is None:
            try:
                if self.client.status()["listeners"]:
                    return
            except HoopxError:
                pass
            time.sleep(0.05)
        said = log.read_text(errors="replace").strip().splitlines() or ["nothing"]
        raise DemoFailed(f"the gateway does not start: {said[-1]}", f"All that it said is in {log}")

    def hoopx(self, *arguments: str) -> str:
        """
        Run a command of hoopx on this gateway.

        @return: its standard output.
        @raise DemoFailed: it failed.
        """
        command = [sys.executable, "-c", HOOPX, "--config", str(self.configuration), *arguments]
        environment = {**os.environ, "COLUMNS": "110"}
        done = finished(command, cwd=self.folder, env=environment)
        if done.returncode:
            why = (done.stderr.strip() or done.stdout.strip() or f"status {done.returncode}").splitlines()[-1]
            raise DemoFailed(f"hoopx {' '.join(arguments)} failed: {why}")
        return done.stdout

    def watch(self) -> None:
        """@raise DemoFailed: it has ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            raise DemoFailed(f"the gateway has ended: see {self.folder / 'gateway.log'}")

    def stop(self) -> None:
        """End it as an operator would: sessions are told, recordings are closed."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
