"""
Unmasked bytes, kept for the auditors alone: a protocol that masks, from another distribution, before a real Redis, and an auditor with
stock tools and the documented format, who knows nothing of hoopx.
"""

from __future__ import annotations

import functools
import json
import os
import re
import socket
import struct
import subprocess
import sys
import threading
from base64 import b64decode
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from twisted.trial.unittest import SynchronousTestCase

from tests.packaging import ROOT, copyOf, run
from tests.peers.harness.finding import require
from tests.peers.harness.gateway import Gateway
from tests.peers.harness.ports import answers, freePort
from tests.peers.harness.processes import Process, folder
from tests.peers.harness.waiting import PATIENCE, until

CARD = b"4111 2222 3333 4444"
HIDDEN = b"*" * 15 + b"4444"
BIG = b"".join(b"customer %06d pays with 4111 2222 3333 %04d\n" % (number, number % 10_000) for number in range(50_000))
"""2.4 MB: more than a frame holds, and more than is written on the reactor's thread."""
SECRET = re.compile(rb"4111.?2222|2222.?3333")

TABLES = """
[targets.{name}]
protocol = "redismasked"
endpoint = "tcp:127.0.0.1:{port}"
tls = "off"
  [targets.{name}.accounts.app]
  username = "default"
  password = {{ file = "{secret}" }}
"""
# No segment is sealed, and then encrypted, for its age while a test looks at what is not yet.
MORE = """
[[grants]]
name = "everybody"
groups = ["testers"]
targets = ["*"]

[[listeners]]
protocol = "redismasked"
endpoint = "tcp:{listen}:interface=127.0.0.1"

[recording]
segment = {{ size = "256KiB", age = "1h" }}
index = "full"
durability = "{durability}"
encrypt_to = ["{auditor}"]
original = "{original}"
"""


@functools.cache
def installed() -> Path:
    """@return: a folder with both distributions, installed by pip."""
    place = folder("installed")
    sources = [copyOf(ROOT / "docs/howto/listings" / name, folder(name) / "source") for name in ("redislike", "redismasked")]
    run(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", place, *sources)
    return place


@functools.cache
def redis() -> int:
    """@return: the port of a Redis that holds payment cards, and the hash of a script that tells one."""
    where, port = folder("redis"), freePort()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(where)]
    Process([require("redis-server"), *options], where / "log").ready(lambda: answers(port), "redis-server")
    with Plain(port) as direct:
        direct.say(b"SET card '%s'\r\n" % CARD, 5)
        direct.say(b"*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$%d\r\n%s\r\n" % (len(BIG), BIG), 5)
    return port


class Keeper:
    """An auditor with a key from age-keygen."""

    def __init__(self) -> None:
        self.path = str(folder("auditor") / "key")
        subprocess.run([require("age-keygen"), "-o", self.path], check=True, capture_output=True)
        self.public = subprocess.run([require("age-keygen"), "-y", self.path], check=True, capture_output=True, text=True).stdout.strip()

    def open(self, data: bytes) -> bytes:
        return subprocess.run([require("age"), "-d", "-i", self.path], input=data, check=True, capture_output=True).stdout


class Plain:
    """A client that knows exactly what it has heard."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.address = "{}:{}".format(*self.socket.getsockname())
        self.heard = b""

    def __enter__(self) -> Plain:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def say(self, data: bytes, length: int) -> bytes:
        """@param length: bytes of the answer."""
        self.socket.sendall(data)
        heard = b""
        while len(heard) < length:
            read = self.socket.recv(1 << 20)
            if not read:
                raise AssertionError(f"the connection ended after {heard[:200]!r}")
            heard += read
        self.heard += heard
        return heard


class MaskingGateway(Gateway):
    """@ivar masked: the port of its listener."""

    def __init__(self, auditor: Keeper, ports: dict[str, int], original: str = "sealed", durability: str = "written") -> None:
        self.masked = freePort()
        secret = folder("secret") / "secret"
        secret.write_text("of-the-target")
        secret.chmod(0o600)
        targets = [TABLES.format(name=name, port=port, secret=secret) for name, port in ports.items()]
        more = MORE.format(listen=self.masked, auditor=auditor.public, original=original, durability=durability)
        super().__init__(targets, grants="", more=more, name="masking")

    @property
    def environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(installed()), *filter(None, [os.environ.get("PYTHONPATH")])])
        return {**super().environment, "PYTHONPATH": path}

    def call(self, *arguments: str) -> str:
        return self.hoopx(*arguments)  # the plugin is not installed in this process

    def start(self) -> MaskingGateway:
        super().start()
        assert self.process is not None
        self.process.ready(lambda: answers(self.masked), "its masked listener")
        return self

    def client(self, target: str = "cache") -> Plain:
        token = self.token()
        client = Plain(self.masked)
        assert client.say(f"AUTH {target} {token}\r\n".encode(), 5) == b"+OK\r\n"
        return client

    def places(self) -> dict[str, bytes]:
        """Everything that the gateway has written, by its name."""
        found = {}
        for path in self.folder.rglob("*"):
            try:
                found[str(path.relative_to(self.folder))] = path.read_bytes()
            except OSError:
                continue  # a folder, a socket, or gone
        return found


class Documented:
    """
    What docs/reference/format.rst tells, and nothing of hoopx: a session's segments, opened by the auditor.

    @ivar frames: (sequence, channel, kind, side, origin, payload).
    """

    def __init__(self, session: Path, auditor: Keeper) -> None:
        self.frames: list[tuple] = []
        for path in sorted(session.glob("*.hxr")):
            data = path.read_bytes()
            if data.startswith(b"age-encryption.org/"):
                data = auditor.open(data)
            if data.startswith(b"\x28\xb5\x2f\xfd"):
                data = subprocess.run([require("zstd"), "-dc"], input=data, check=True, capture_output=True).stdout
            assert data.startswith(b"\x89HXR\r\n\x1a\n\x00\x01")
            at = 10
            while at + 32 <= len(data):
                size, _, _, sequence, channel, kind, side, origin, _ = struct.unpack_from(">IIQQIBBBB", data, at)
                self.frames.append((sequence, channel, kind, side, origin, data[at + 32 : at + 32 + size]))
                at += 32 + size
        head = json.loads(self.frames[0][5])
        assert head["original"]["cipher"] == "AES-256-GCM"
        self._cipher = AESGCM(auditor.open(b64decode(head["original"]["key"])))
        self._session = head["session"].encode()

    def originals(self) -> list[bytes]:
        found = []
        for _, channel, kind, side, origin, payload in self.frames:
            if (kind, origin) == (3, 4):
                number = payload[:8]
                assert int.from_bytes(number, "big") == len(found)
                bound = b"hoopx-original-v1\0" + self._session + number + channel.to_bytes(4, "big") + bytes([side])
                found.append(self._cipher.decrypt(bytes(4) + number, payload[8:], bound))
        return found


class OriginalsTests(SynchronousTestCase):
    def setUp(self) -> None:
        for program in ("redis-server", "age", "age-keygen", "zstd"):
            require(program)
        self.auditor = Keeper()

    def made(self, **more: Any) -> MaskingGateway:
        gateway = MaskingGateway(self.auditor, {"cache": redis(), **more.pop("ports", {})}, **more)
        self.addCleanup(gateway.stop)
        return gateway.start()

    def assertHidden(self, gateway: MaskingGateway) -> dict[str, bytes]:
        """Nowhere, in nothing that the gateway has written."""
        places = gateway.places()
        for name, data in places.items():
            self.assertIdentical(SECRET.search(data), None, name)
        return places

    def path(self, gateway: MaskingGateway, session: str) -> Path:
        (found,) = [path for path in (gateway.data / "recordings").rglob(session) if path.is_dir()]
        return found

    def packed(self, gateway: MaskingGateway, session: str) -> Path:
        """@return: the session's directory, when all of it is encrypted."""
        path = self.path(gateway, session)
        until(lambda: all(one.read_bytes()[:4] == b"age-" for one in path.glob("*.hxr")), "the segments to be packed")
        return path

    def exported(self, gateway: MaskingGateway, session: str, *arguments: str) -> bytes:
        path = folder("export") / "bytes"
        call = ["sessions", "export", session, "--identity", self.auditor.path, "-o", str(path), *arguments]
        gateway.hoopx(*call)
        return path.read_bytes()

    def spoken(self, client: Plain) -> bytes:
        """@return: what Redis has said, unmasked."""
        told = b"$19\r\n%s\r\n" % CARD
        self.assertEqual(client.say(b"GET card\r\n", 25), told.replace(CARD, HIDDEN))
        said = b"EVAL \"return {err='CARD '..redis.call('GET','card')}\" 0\r\n"
        error = client.say(said, 26)
        self.assertEqual(error[:25], b"-CARD " + HIDDEN)
        whole = told + error.replace(HIDDEN, CARD)
        large = b"$%d\r\n%s\r\n" % (len(BIG), BIG)
        self.assertEqual(client.say(b"GET big\r\n", len(large)), re.sub(rb"4111 2222 3333 ", b"*" * 15, large))
        self.assertEqual(client.say(b"PING\r\n", 7), b"+PONG\r\n")
        return whole + large + b"+PONG\r\n"

    def test_whole(self) -> None:
        """
        From the first byte on never plain, anywhere, and byte for byte there for the auditor: with hoopx, and with stock tools and the
        documented format alone.
        """
        gateway = self.made()
        with gateway.client() as client:
            client.heard = b""
            whole = self.spoken(client)
            pongs = 1
            while not any(b"PONG" in data for name, data in self.assertHidden(gateway).items() if name.endswith("/open.hxr")):
                # What is not hidden is there, so the search can find something; unless that very answer has filled its segment.
                self.assertLess(pongs, 10)
                self.assertEqual(client.say(b"PING\r\n", 7), b"+PONG\r\n")
                whole += b"+PONG\r\n"
                pongs += 1
            session = gateway.sessions()[0]["session"]
            shown = gateway.hoopx("sessions", "show", session, "--original", "--identity", self.auditor.path)
            self.assertIn(CARD.decode(), shown)
            masked = gateway.hoopx("sessions", "show", session, "--identity", self.auditor.path)
            self.assertIn(HIDDEN.decode(), masked)
            self.assertNotIn(CARD.decode(), masked)
            self.assertHidden(gateway)
        gateway.session(client.address, seconds=PATIENCE)
        path = self.packed(gateway, session)
        until(lambda: "CARD" in gateway.hoopx("search", "CARD", "--json"), "the index")
        places = self.assertHidden(gateway)
        self.assertIn("data/state.sqlite", places)
        self.assertIn(HIDDEN, b"".join(data for name, data in places.items() if "index" in name))
        self.assertEqual(json.loads(gateway.hoopx("search", "4111", "--json")), [])

        raw = ("--format", "raw", "--to", "client")
        self.assertEqual(self.exported(gateway, session, *raw), b"+OK\r\n" + client.heard)
        self.assertEqual(self.exported(gateway, session, *raw, "--original"), b"+OK\r\n" + whole)
        self.assertEqual(self.exported(gateway, session, "--format", "raw", "--from", "target", "--original"), whole)
        self.assertNotIn(CARD, self.exported(gateway, session, "--format", "jsonl"))
        self.assertIn(CARD, self.exported(gateway, session, "--format", "jsonl", "--original"))

        documented = Documented(path, self.auditor)
        self.assertEqual(b"".join(documented.originals()) + b"+PONG\r\n" * pongs, whole)
        stranger = Keeper()
        self.assertRaises(subprocess.CalledProcessError, Documented, path, stranger)

        verdicts = json.loads(gateway.hoopx("verify", "--json", "--identity", self.auditor.path))
        self.assertEqual([one["state"] for one in verdicts if one.get("session") == session], ["complete"])
        self.assertHidden(gateway)

    def test_synced(self) -> None:
        """Not in the shared journal either."""
        gateway = self.made(durability="synced")
        with gateway.client() as client:
            whole = self.spoken(client)
            places = self.assertHidden(gateway)
            self.assertTrue([name for name, data in places.items() if "journal/" in name and data])
        session = gateway.session(client.address, seconds=PATIENCE)["session"]
        self.assertEqual(self.exported(gateway, session, "--format", "raw", "--from", "target", "--original"), whole)

    def test_killed(self) -> None:
        """kill -9 in the middle: what there is verifies as recovered, and opens."""
        gateway = self.made()
        client = gateway.client()
        whole = self.spoken(client)
        session = gateway.sessions()[0]["session"]
        assert gateway.process is not None
        gateway.process.kill()
        client.socket.close()
        self.assertHidden(gateway)
        gateway.start()
        self.assertEqual(gateway.session(client.address, seconds=PATIENCE)["state"], "recovered")
        path = self.packed(gateway, session)
        self.assertHidden(gateway)
        self.assertEqual(self.exported(gateway, session, "--format", "raw", "--from", "target", "--original"), whole)
        self.assertEqual(b"".join(Documented(path, self.auditor).originals()) + b"+PONG\r\n", whole)
        gateway.hoopx("verify", "--identity", self.auditor.path)

    def test_torn(self) -> None:
        """A target that dies in the middle of a reply: what came of it may be what is hidden."""
        server = socket.create_server(("127.0.0.1", 0))
        server.settimeout(PATIENCE)

        def answer() -> None:
            connection, _ = server.accept()
            connection.settimeout(PATIENCE)
            connection.recv(1000)
            connection.sendall(b"+OK\r\n")
            connection.recv(1000)
            connection.sendall(b"$40\r\n" + CARD)
            connection.close()

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        self.addCleanup(server.close)
        gateway = self.made(ports={"torn": server.getsockname()[1]})
        with gateway.client("torn") as client:
            client.socket.sendall(b"GET card\r\n")
            while client.socket.recv(1000):
                pass
        thread.join(PATIENCE)
        session = gateway.session(client.address, seconds=PATIENCE)["session"]
        self.assertHidden(gateway)
        raw = ("--format", "raw", "--from", "target")
        self.assertEqual(self.exported(gateway, session, *raw), b"")
        self.assertEqual(self.exported(gateway, session, *raw, "--original"), b"$40\r\n" + CARD)

    def test_settings(self) -> None:
        """Off, nothing of them is kept; a reload is for the sessions that begin from then on."""
        gateway = self.made(original="none")
        with gateway.client() as before:
            before.say(b"GET card\r\n", 25)
            gateway.path.write_text(gateway.path.read_text().replace('original = "none"', 'original = "sealed"'))
            gateway.hoopx("reload")
            before.say(b"GET card\r\n", 25)
            with gateway.client() as after:
                after.say(b"GET card\r\n", 25)
        self.assertHidden(gateway)
        old, new = (gateway.session(client.address, seconds=PATIENCE)["session"] for client in (before, after))
        self.assertEqual(self.exported(gateway, new, "--format", "raw", "--from", "target", "--original"), b"$19\r\n%s\r\n" % CARD)
        gateway.hoopx("sessions", "show", old, "--original", "--identity", self.auditor.path, status=1)
        self.assertEqual(self.exported(gateway, old, "--format", "raw", "--from", "target"), b"")
