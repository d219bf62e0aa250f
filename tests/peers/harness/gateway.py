# -*- test-case-name: tests.peers.test_harness -*-
"""
The gateway in a process of its own, and its command line.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.peers.harness.finding import require
from tests.peers.harness.ports import answers, freePort
from tests.peers.harness.postgres import PASSWORDS, Postgres
from tests.peers.harness.processes import Process, folder
from tests.peers.harness.waiting import PATIENCE, until

EVERYTHING = """
[[grants]]
name = "testers do everything"
groups = ["testers"]
targets = ["*"]
accounts = ["*"]
databases = ["*"]
permit = ["opaque"]
"""
USER = "tester@example.com"
ENDED = ("complete", "recovered")
FILES = 8192


def account(name: str, username: str | None = None, password: str | None = None) -> str:
    """@return: an account's table below its target's; the password goes to a file."""
    return f"""
  [targets.@TARGET@.accounts.{name}]
  username = "{username or name}"
  password = {{ file = "{_secret(name, PASSWORDS.get(name, "") if password is None else password)}" }}
"""


def target(name: str, server: Postgres | None, *accounts: str, port: int | None = None, more: str = "", tls: bool | None = None) -> str:
    """
    @param server: verified by its own authority if it speaks TLS.
    @param port: instead of the server's own.
    @param tls: C{False} to speak to a TLS server without.
    @return: a target's table.
    """
    lines = [f"[targets.{name}]", 'protocol = "postgres"']
    lines.append(f'endpoint = "tcp:127.0.0.1:{port or (server.port if server else 0)}"')
    if server is not None:
        lines.append(f'database = "{server.database}"')
    if server is not None and server.authority is not None and tls is not False:
        lines.append(f'authorities = "{server.authority.path}"')
        lines.append('server_name = "localhost"')
    elif tls is not True:
        lines.append('tls = "off"')
    return "\n".join([*lines, more]) + "".join(one.replace("@TARGET@", name) for one in accounts)


def _secret(name: str, value: str) -> Path:
    path = folder("secret") / name
    path.write_text(value)
    path.chmod(0o600)
    return path


class Gateway:
    """
    @ivar port: of its PostgreSQL listener.
    @ivar folder: of its configuration.
    @ivar data: its data directory.
    @param targets: tables made by L{target}.
    @param more: further tables.
    @param gateway: further keys of C{[gateway]}.
    @param program: what runs twistd, instead of its own script.
    """

    def __init__(
        self,
        targets: Sequence[str],
        grants: str = EVERYTHING,
        more: str = "",
        gateway: str = "",
        listener: str = "",
        data: Path | None = None,
        name: str = "gateway",
        program: Sequence[str] = (),
    ) -> None:
        self.port = freePort()
        self.folder = folder(name)
        self.data = data or self.folder / "data"
        self.path = self.folder / "hoopx.toml"
        self.process: Process | None = None
        self._mark = 0
        self._program = list(program)
        self._tokens: dict[tuple, str] = {}
        self._texts = (list(targets), grants, more, gateway, listener)
        self.write()

    def write(self, grants: str | None = None) -> None:
        """Write the configuration; C{grants} replaces those from the start."""
        targets, usual, more, gateway, listener = self._texts
        if "login_timeout" not in gateway:
            gateway = f'login_timeout = "{PATIENCE:g}s"\n{gateway}'  # a machine may stop in the middle of a login
        self.path.write_text(
            f'[gateway]\nname = "peers"\ndata = "{self.data}"\n{gateway}\n'
            f'[[listeners]]\nprotocol = "postgres"\nendpoint = "tcp:{self.port}:interface=127.0.0.1"\n{listener}\n'
            + "\n".join(targets)
            + (usual if grants is None else grants)
            + more
        )

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "HOOPX_CONFIG": str(self.path), "NO_COLOR": "1", "COLUMNS": "200"}

    def launch(self) -> Process:
        """Start it without waiting for it."""
        self._mark = len(self.log()) if self.process is not None else 0
        self.process = Process(
            [*(self._program or [require("twistd")]), "-n", "--pidfile=", "hoopx", "--config", str(self.path)],
            self.folder / "log",
            environment=self.environment,
            cwd=self.folder,
            files=FILES,
        )
        return self.process

    def start(self) -> Gateway:
        # Said when all listeners are there, and what comes after them: the port alone may answer before the others do.
        self.launch().ready(lambda: answers(self.port) and "listening for" in self.log()[self._mark :], "the gateway")
        return self

    def stop(self) -> None:
        if self.process is not None:
            self.process.stop()

    def log(self) -> str:
        return (self.folder / "log").read_text("utf-8", "replace")

    # Its command line.

    def hoopx(self, *arguments: str, status: int = 0, input: str | None = None) -> str:
        """@return: standard output of one command, which must end with C{status}."""
        done = subprocess.run(
            [sys.executable, "-c", "from hoopx.cli.main import main; main()", *arguments],
            env=self.environment, cwd=self.folder, input=input, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        if done.returncode != status:
            raise AssertionError(f"hoopx {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def token(self, *arguments: str, user: str = USER, groups: Sequence[str] = ("testers",)) -> str:
        """@return: a token; the same one for the same wish."""
        key = (user, tuple(groups), arguments)
        if key not in self._tokens:
            named = [part for group in groups for part in ("--group", group)]
            self._tokens[key] = self.hoopx("tokens", "issue", "--user", user, *named, *arguments).strip()
        return self._tokens[key]

    def sessions(self, *arguments: str) -> list[dict[str, Any]]:
        """@return: newest first."""
        found: list[dict[str, Any]] = json.loads(self.call("sessions", "list", "--json", *arguments))
        return found

    def session(self, client: str, states: Sequence[str] | None = ENDED, seconds: float = PATIENCE) -> dict[str, Any]:
        """@return: the session of the client at C{"host:port"}, once it has one of the states (C{None}: any)."""

        def look() -> dict[str, Any] | None:
            found = [one for one in self.sessions() if one["client"] == client]
            return found[0] if found and (states is None or found[0]["state"] in states) else None

        found = until(look, f"the session of {client} to be {states}", seconds)
        assert found is not None
        return found

    def show(self, session: str, *arguments: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.call("sessions", "show", session, "--json", *arguments).splitlines()]

    def export(self, session: str, direction: str, side: str) -> bytes:
        """@param direction: C{"from"} or C{"to"}. @param side: C{"client"} or C{"target"}."""
        path = folder("export") / "bytes"
        self.call("sessions", "export", session, "--format", "raw", f"--{direction}", side, "-o", str(path))
        return path.read_bytes()

    def call(self, *arguments: str, good: tuple[int, ...] = (0,)) -> str:
        """Like L{hoopx}, within this process: for what is asked many times. @param good: exit statuses that are no failure."""
        from click.testing import CliRunner

        from hoopx.cli.main import cli

        done = CliRunner().invoke(cli, ["--config", str(self.path), *arguments], catch_exceptions=False)
        if done.exit_code not in good:
            raise AssertionError(f"hoopx {' '.join(arguments)} ended with {done.exit_code}:\n{done.output}")
        return done.stdout
