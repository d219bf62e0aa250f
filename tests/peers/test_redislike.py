"""
The protocol of the how-to, installed as a stranger would, between stock redis-cli and a real Redis.
"""

from __future__ import annotations

import functools
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hoopx.recording.stored import openSegment
from tests.packaging import ROOT, copyOf, run
from tests.peers.harness.finding import require
from tests.peers.harness.gateway import Gateway
from tests.peers.harness.ports import answers, freePort
from tests.peers.harness.processes import Process, folder
from tests.peers.harness.waiting import PATIENCE, until

PASSWORD = "gull-of-the-target"

TABLES = """
[targets.cache]
protocol = "redislike"
endpoint = "tcp:127.0.0.1:{port}"
tls = "off"
  [targets.cache.accounts.app]
  username = "default"
  password = {{ file = "{secret}" }}

[[grants]]
name = "developers use the cache"
groups = ["developers"]
targets = ["cache"]

[[listeners]]
protocol = "redislike"
endpoint = "tcp:{listen}:interface=127.0.0.1"
"""


@functools.cache
def installed() -> Path:
    """@return: a folder with the distribution, installed by pip."""
    source = copyOf(ROOT / "docs/howto/listings/redislike", folder("redislike") / "source")
    place = folder("installed")
    run(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", place, source)
    return place


class RedisGateway(Gateway):
    """@ivar redis: the port of its Redis listener."""

    redis = 0

    @property
    def environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(installed()), *filter(None, [os.environ.get("PYTHONPATH")])])
        return {**super().environment, "PYTHONPATH": path}


@functools.cache
def gateway() -> RedisGateway:
    """@return: one in front of a Redis that asks for a password."""
    where, port, listen = folder("redis"), freePort(), freePort()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(where)]
    server = Process([require("redis-server"), *options, "--requirepass", PASSWORD], where / "log")
    server.ready(lambda: answers(port), "redis-server")
    secret = where / "secret"
    secret.write_text(PASSWORD)
    secret.chmod(0o600)
    made = RedisGateway([], grants=TABLES.format(port=port, listen=listen, secret=secret), name="redislike")
    made.start()
    assert made.process is not None
    made.process.ready(lambda: answers(listen), "its Redis listener")
    made.redis = listen
    return made


def token(group: str = "developers") -> str:
    return gateway().token(groups=(group,))


def cli(*arguments: str, user: str = "cache", secret: str | None = None, input: str | None = None) -> str:
    """@return: what redis-cli says."""
    command = [require("redis-cli"), "-p", str(gateway().redis), "--user", user, "--no-auth-warning", *arguments]
    environment = {**os.environ, "REDISCLI_AUTH": secret or token()}
    done = subprocess.run(command, input=input or "", stdout=-1, stderr=-2, text=True, env=environment, timeout=PATIENCE)
    return done.stdout


class Plain:
    """A client of few words, who knows exactly what it has said and heard."""

    def __init__(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", gateway().redis), PATIENCE)
        self.address = "{}:{}".format(*self.socket.getsockname())
        self.heard = b""

    def say(self, data: bytes, until: bytes) -> bytes:
        self.socket.sendall(data)
        heard = b""
        while not heard.endswith(until):
            read = self.socket.recv(65536)
            if not read:
                raise AssertionError(f"the connection ended after {heard!r}")
            heard += read
        self.heard += heard
        return heard


class RedisTests(SynchronousTestCase):
    def test_listed(self) -> None:
        self.assertIn("redislike", gateway().hoopx("protocols"))

    def test_commands(self) -> None:
        """Stock redis-cli notices nothing."""
        self.assertEqual(cli("SET", "greeting", "hello world"), "OK\n")
        self.assertEqual(cli("GET", "greeting"), "hello world\n")
        self.assertEqual(cli("GET", "greeting", user="app@cache"), "hello world\n")
        self.assertIn("ERR value is not an integer", cli("INCR", "greeting"))
        said = cli(input="RPUSH many 1 2 3\nLRANGE many 0 -1\nMULTI\nINCR n\nINCR n\nEXEC\n")
        self.assertEqual(said, "3\n1\n2\n3\nOK\nQUEUED\nQUEUED\n1\n2\n")

    def test_recorded(self) -> None:
        """List, show, replay and export, without a line of the stranger's but the view."""
        client = Plain()
        login = f"AUTH cache {token()}\r\n".encode()
        self.assertEqual(client.say(login, b"\r\n"), b"+OK\r\n")
        client.heard = b"+OK\r\n"
        big = b"x" * 300_000
        said = b"SET name ada\r\nGET name\r\nINCR name\r\n"
        said += b"*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$%d\r\n%s\r\nGET big\r\n" % (len(big), big)
        client.say(said, big + b"\r\n")
        client.say(f"AUTH cache {token()}\r\n".encode(), b"connection: a second token is neither recorded nor sent on\r\n")
        client.say(b"PING\r\n", b"+PONG\r\n")
        client.socket.close()

        def complete() -> list[dict]:
            listed = json.loads(gateway().hoopx("sessions", "list", "--json", "--protocol", "redislike"))
            return [one for one in listed if one["client"] == client.address and one["state"] == "complete"]

        (one,) = until(complete, "a complete session")
        told = [one[name] for name in ("user", "target", "account", "reason")]
        self.assertEqual(told, ["tester@example.com", "cache", "app", "client-left"])
        shown = [json.loads(line) for line in gateway().hoopx("sessions", "show", one["session"], "--json").splitlines()]
        commands = [item["text"] for item in shown if item["kind"] == "command"]
        self.assertEqual(commands, ["SET name ada", "GET name", "INCR name", f"SET big {big.decode()}", "GET big", "PING"])
        errors = [item["error"]["code"] for item in shown if item["kind"] == "result" and item["error"]]
        self.assertEqual(errors, ["ERR", "NOPERM"])
        self.assertIn("GET name", gateway().hoopx("sessions", "replay", one["session"]))

        def exported(direction: str, side: str) -> bytes:
            path = folder("export") / "bytes"
            arguments = ["--format", "raw", f"--{direction}", side, "-o", str(path)]
            gateway().hoopx("sessions", "export", one["session"], *arguments)
            return path.read_bytes()

        self.assertEqual(exported("from", "client"), said + b"PING\r\n")
        self.assertEqual(exported("to", "client"), client.heard)
        secrets, looked = [PASSWORD.encode(), token().encode()], set()
        for path in gateway().data.rglob("*"):
            try:
                # A secret does not show in what is packed.
                with openSegment(path) if path.suffix == ".hxr" else path.open("rb") as file:
                    content = file.read()
            except OSError:
                continue  # a folder, a socket, or gone
            looked.add(path.suffix)
            self.assertFalse([secret for secret in secrets if secret in content], path)
        self.assertLessEqual({".hxr", ".sqlite"}, looked)

    def test_refused(self) -> None:
        """A wrong token; a target that is not there, and one that is not granted, alike."""
        self.assertIn("WRONGPASS", cli("PING", secret="hx_wrong"))
        unknown, forbidden = cli("PING", user="nowhere"), cli("PING", secret=token("others"))
        self.assertIn("NOPERM", unknown)
        self.assertEqual(unknown.replace("nowhere", "cache"), forbidden)
        client = Plain()
        self.assertIn(b"NOAUTH", client.say(b"GET name\r\n", b"\r\n"))
        client.socket.close()
