# -*- test-case-name: tests.demo.test_tour -*-
"""
The guided tour: stock psql through the gateway, then what the gateway knows about it. Each step looks whether it did what it
says.
"""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Final

from hoopx.cli.children import end, starting
from hoopx.demo.database import ORDERS, Database, DemoFailed, environment, quoted
from hoopx.demo.gateway import DemoGateway

PATIENCE: Final = 60.0
"""Seconds for what takes well under one, and on a slow machine with much else to do several."""

QUERY: Final = "SELECT city, count(*) AS customers FROM customers GROUP BY city ORDER BY city;"
PREPARED: Final = """SELECT p.name, sum(o.quantity) AS sold FROM orders o JOIN products p ON p.id = o.product
 JOIN customers c ON c.id = o.customer WHERE c.city = $1 GROUP BY p.name ORDER BY sold DESC, p.name LIMIT 3"""
CITY: Final = "Lisbon"
COPY: Final = "COPY orders TO STDOUT WITH (FORMAT csv)"
LONG: Final = "SELECT pg_sleep(600);"

RUNNING: Final = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep(600)%'"


class Tour:
    """
    @param database: L{Database}, started.
    @param gateway: L{DemoGateway}, started.
    @param say: L{hoopx.demo.teller.Teller}: C{heading(text)}, C{command(text)}, C{output(text)}, C{table(text)}.
    @ivar passfile: holds the token for psql.
    """

    def __init__(self, database: Database, gateway: DemoGateway, say: Any) -> None:
        self._database = database
        self._gateway = gateway
        self._say = say
        self._folder = gateway.folder
        self.passfile = gateway.folder / "token"
        self.user = "ada@shop.example"
        self._sessions: list[dict[str, Any]] = []

    def run(self) -> None:
        """@raise DemoFailed: a step did not do what it says."""
        steps: list[tuple[str, Callable[[], None]]] = [
            ("A token for Ada: it stands for her for an hour, only its hash is stored", self.token),
            ("A query, with stock psql: the database is the target's name, the password is the token", self.query),
            ("A prepared statement with a parameter", self.prepared),
            (f"COPY of {ORDERS} rows into a file", self.copy),
            ("A query of ten minutes, given up with Ctrl-C", self.cancel),
            ("What was recorded: every byte, before it was forwarded", self.list),
            ("The replay of the prepared statement", self.replay),
            ("The export: exactly what the client sent", self.export),
            ("The search: who has asked for Lisbon?", self.search),
            ("The proof: nothing was changed, and no session is missing", self.verify),
        ]
        for number, (title, step) in enumerate(steps, 1):
            self._say.heading(f"{number}. {title}")
            step()

    # psql through the gateway.

    def where(self) -> str:
        """Connection string for psql."""
        return f"host=127.0.0.1 port={self._gateway.port} dbname=shop user=app"

    def psql(self, *arguments: str, script: str | None = None) -> subprocess.Popen:
        """Start psql on the shop, through the gateway, as Ada."""
        command = [str(self._database.bin / "psql"), "-X", "-v", "ON_ERROR_STOP=1", "-P", "pager=off"]
        command += ["-d", f"{self.where()} passfile={quoted(self.passfile)} connect_timeout=60", *arguments]
        child = None
        try:
            with starting():
                child = subprocess.Popen(
                    command, stdin=-1, stdout=-1, stderr=-1, text=True, env=environment(), cwd=self._folder, start_new_session=True
                )
            if child.stdin is not None and script is not None:
                child.stdin.write(script)
        except BaseException:
            if child is not None:
                end(child)
            raise
        return child

    def finished(self, child: subprocess.Popen, status: int = 0) -> tuple[str, str]:
        """@return: output and errors. @raise DemoFailed: it takes too long, or ends otherwise."""
        try:
            said, complained = child.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            end(child)
            raise DemoFailed(f"psql has not ended after {PATIENCE:.0f} seconds") from None
        except BaseException:
            end(child)
            raise
        if child.returncode != status:
            raise DemoFailed(f"psql ended with status {child.returncode}: {complained.strip()}")
        return said, complained

    def token(self) -> None:
        self._say.command(f"hoopx tokens issue --user {self.user} --group analysts --ttl 1h > token")
        token = self._gateway.hoopx("tokens", "issue", "--user", self.user, "--group", "analysts", "--ttl", "1h").strip()
        _check(token.startswith("hx_"), "the token does not look like one")
        self.passfile.touch(0o600)
        self.passfile.write_text(f"*:*:*:*:{token}\n")
        self._say.output(f"{token[:7]}…")

    def query(self) -> None:
        self._say.command(f'psql "{self.where()}" -c "{QUERY}"')
        said, _ = self.finished(self.psql("-c", QUERY))
        _check("Lisbon" in said and "(5 rows)" in said, "the query has another result than expected")
        self._say.output(said)

    def prepared(self) -> None:
        script = f"{PREPARED} \\bind {CITY} \\g\n"
        self._say.command(f"shop=> {script}")
        said, _ = self.finished(self.psql("-q", "-f", "-", script=script))
        _check("(3 rows)" in said, "the prepared statement has another result than expected")
        self._say.output(said)

    def copy(self) -> None:
        file = self._folder / "orders.csv"
        self._say.command(f'psql "{self.where()}" -c "{COPY}" -o orders.csv')
        self.finished(self.psql("-c", COPY, "-o", str(file)))
        lines = len(file.read_text().splitlines())
        _check(lines == ORDERS, f"the file has {lines} lines instead of {ORDERS}")
        self._say.output(f"{lines} lines in {file.name}")

    def cancel(self) -> None:
        self._say.command(f'psql "{self.where()}" -c "{LONG}"      and then Ctrl-C')
        child = self.psql("-c", LONG)
        try:
            self._until(lambda: self._running() == 1, "the long query does not begin")
            before = time.monotonic()
            child.send_signal(signal.SIGINT)
            _, complained = self.finished(child, status=1)
        finally:
            child.kill()
        took = time.monotonic() - before
        _check("canceling statement due to user request" in complained, f"psql was told otherwise: {complained}")
        self._until(lambda: self._running() == 0, "the query still runs in the database")
        self._say.output(f"{complained.strip()}\nstopped in the database after {1000 * took:.0f} ms")

    def _running(self) -> int:
        return int(self._database.ask(RUNNING))

    # What the gateway knows.

    def list(self) -> None:
        self._until(self._complete, "not every session is complete")
        self._say.command("hoopx sessions list")
        self._say.table(self._gateway.hoopx("sessions", "list"))

    def _complete(self) -> bool:
        found = json.loads(self._gateway.hoopx("sessions", "list", "--json"))
        self._sessions = sorted(found, key=lambda one: one["session"])
        return len(found) == 4 and all(one["state"] == "complete" and one["user"] == self.user for one in found)

    def _shown(self, number: int) -> list[dict[str, Any]]:
        shown = self._gateway.hoopx("sessions", "show", self._sessions[number]["session"], "--json")
        return [json.loads(line) for line in shown.splitlines()]

    def replay(self) -> None:
        session = self._sessions[1]["session"]
        self._say.command(f"hoopx sessions replay {session}")
        self._say.output(self._gateway.hoopx("sessions", "replay", session))
        commands = [one for one in self._shown(1) if one["kind"] == "command"]
        _check(any(one["parameters"] == [CITY] for one in commands), "the recording lacks the parameter")
        tags = [one["tag"] for one in self._shown(2) if one["kind"] == "result"]
        _check(f"COPY {ORDERS}" in tags, f"the recording of the COPY says {tags}")
        errors = [one["error"]["code"] for one in self._shown(3) if one["kind"] == "result" and one["error"]]
        _check(errors == ["57014"], f"the recording of the cancelled query says {errors}")

    def export(self) -> None:
        session, file = self._sessions[0]["session"], self._folder / "client.bytes"
        arguments = ["sessions", "export", session, "--format", "raw", "--from", "client", "-o", str(file)]
        self._say.command(f"hoopx {' '.join(arguments[:-1])} {file.name}")
        self._gateway.hoopx(*arguments)
        exported = file.read_bytes()
        _check(b"Q" + (len(QUERY) + 5).to_bytes(4, "big") + QUERY.encode() + b"\0" in exported, "the export lacks the statement")
        secret = Path(self.passfile).read_text().strip().rpartition(":")[2].encode()
        _check(secret not in exported, "the export holds the token")
        self._say.output(f"{len(exported)} bytes in {file.name}, the statement among them, the token not")

    def search(self) -> None:
        found: list[dict[str, Any]] = []

        def there() -> bool:
            found[:] = json.loads(self._gateway.hoopx("search", CITY, "--json"))
            return any(one["kind"] == "command" and CITY in one["parameters"] for one in found)

        self._until(there, f"nobody is found to have asked for {CITY}")
        _check(all(one["user"] == self.user for one in found), "somebody else is found to have asked")
        self._say.command(f"hoopx search {CITY}")
        self._say.output(self._gateway.hoopx("search", CITY))

    def verify(self) -> None:
        wanted = {one["session"]: "complete" for one in self._sessions}
        ledger: dict[str, Any] = {}

        def there() -> bool:
            *sessions, last = json.loads(self._gateway.hoopx("verify", "--json"))
            ledger.update(last)
            return {one["session"]: one["state"] for one in sessions} == wanted and not last["pending"]

        self._until(there, "not every session verifies as complete under a signed ledger")
        _check(ledger["state"] == "consistent", f"the ledger is {ledger['state']}")
        self._say.command("hoopx verify")
        self._say.output(self._gateway.hoopx("verify"))
        self._say.output(f"ledger {ledger['ledger']}: {ledger['state']}, {ledger['size']} leaves")

    def _until(self, there: Callable[[], bool], otherwise: str) -> None:
        until = time.monotonic() + PATIENCE
        while not there():
            if time.monotonic() > until:
                raise DemoFailed(otherwise)
            time.sleep(0.05)


def _check(held: bool, otherwise: str) -> None:
    if not held:
        raise DemoFailed(otherwise)
