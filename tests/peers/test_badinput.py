"""
What is wrong is said clearly, in PostgreSQL's own protocol, and disturbs nobody else.
"""

from __future__ import annotations

import functools
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from struct import pack

from twisted.trial.unittest import SynchronousTestCase

from tests.peers.harness import wire
from tests.peers.harness.certificates import Authority
from tests.peers.harness.finding import require
from tests.peers.harness.gateway import EVERYTHING, Gateway, account, target
from tests.peers.harness.ports import freePort
from tests.peers.harness.postgres import debian, embedded
from tests.peers.harness.processes import folder
from tests.peers.harness.waiting import PATIENCE, until
from tests.peers.harness.wire import ServerError, Wire

GRANTS = EVERYTHING.replace('targets = ["*"]', "targets = [{}]".format(", ".join(
    f'"{name}"' for name in ("good", "secured", "plain", "legacy", "weak", "open", "wrong", "down", "hangs", "strange", "untrusted", "elsewhere",
                             "naked", "talks", "noDatabase")
)))  # fmt: skip


class Stranger:
    """Accepts connections; says something that is not PostgreSQL, or nothing at all."""

    def __init__(self, says: bytes) -> None:
        self._says = says
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._kept: list[socket.socket] = []
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            one, _ = self._listening.accept()
            self._kept.append(one)
            try:
                one.sendall(self._says)
            except OSError:  # gone already: the next one may come
                pass


@functools.cache
def gateway() -> Gateway:
    """One gateway for all: each test also proves that the others' trouble did not hurt it."""
    secure, bare = debian(), embedded()
    other = Authority(folder("authority"), "other")
    return Gateway(
        [
            target("good", bare, account("app"), account("boss")),
            target("secured", secure, account("app")),
            target("plain", secure, account("plain")),
            target("legacy", secure, account("legacy"), more="allow_md5 = true"),
            target("weak", secure, account("legacy")),
            target("open", secure, account("open", password="not-asked-for")),
            target("wrong", secure, account("app", password="not-the-password")),
            target("down", None, account("app"), port=freePort()),
            target("strange", None, account("app"), port=Stranger(b"SSH-2.0-OpenSSH_9.2\r\n").port),
            target("talks", None, account("app"), port=Stranger(b"E" + pack(">I", 0x7FFFFFFF) + b"x" * 100).port),
            target("untrusted", secure, account("app")).replace(str(secure.authority.path if secure.authority else ""), str(other.path)),
            target("elsewhere", secure, account("app")).replace('"localhost"', '"db.example.com"'),
            target("naked", bare, account("app"), tls=True).replace('tls = "off"', ""),
            target("noDatabase", bare, account("app")).replace('database = "shop"', 'database = "missing"'),
            target("forbidden", bare, account("app")),
        ],
        GRANTS,
        name="badinput",
    ).start()


@functools.cache
def hasty() -> Gateway:
    """@return: a gateway whose logins may take a moment only."""
    silent = target("hangs", None, account("app"), port=Stranger(b"").port)
    return Gateway([target("good", embedded(), account("app")), silent], GRANTS, gateway='login_timeout = "10s"', name="hasty").start()


class BadInputTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.gateway = gateway()
        self.token = self.gateway.token()
        # Somebody else, whom nothing of all this may disturb.
        self.bystander = Wire(self.gateway.port).login("app", self.token, "good")
        self.addCleanup(self.bystander.socket.close)
        self.addCleanup(self.undisturbed)

    def undisturbed(self) -> None:
        self.assertEqual(self.bystander.value("SELECT 40 + 2"), "42")
        with Wire(self.gateway.port) as another:
            self.assertEqual(another.login("app", self.token, "good").value("SELECT 1"), "1")

    def refused(self, database: str, user: str = "app", password: str | None = None) -> dict[str, str]:
        """@return: the fields of the error that a login ends with."""
        with Wire(self.gateway.port) as connection:
            with self.assertRaises(ServerError) as caught:
                connection.login(user, self.token if password is None else password, database)
            self.assertEqual(connection.receive(), (b"", b""))
        fields = caught.exception.fields
        self.assertEqual((fields["S"], fields["V"]), ("FATAL", "FATAL"))
        text = " ".join(fields.values())
        for secret in (self.token, "pw-app", "not-the-password", "/tmp/", "Traceback"):
            self.assertNotIn(secret, text)
        return fields

    # Who.

    def test_wrong_token(self) -> None:
        texts = set()
        for wrong in ("", "x", "hx_" + "A" * 49, self.token[:-1], self.token + "x", "é" * 100, "a" * 60000):
            fields = self.refused("good", password=wrong)
            self.assertEqual(fields["C"], "28P01")
            self.assertIn("H", fields)
            texts.add(fields["M"])
        self.assertEqual(len(texts), 1, texts)

    def test_wrong_token_for_any_target(self) -> None:
        """Who has no token learns nothing about targets."""
        self.assertEqual(self.refused("good", password="hx_no"), self.refused("missing", password="hx_no"))

    def test_huge_password(self) -> None:
        with Wire(self.gateway.port) as connection:
            connection.send(wire.startup({"user": "app", "database": "good"}))
            connection.receive()
            connection.send(b"p" + pack(">I", 0x7FFFFFFF) + b"x" * 1000)
            self.assertEqual(connection.untilReady()[-1][0], b"")

    # Where.

    def test_unknown_and_forbidden(self) -> None:
        unknown, forbidden = self.refused("nowhere9"), self.refused("forbidden")
        self.assertEqual(unknown["C"], "3D000")
        same = {letter: text.replace("nowhere9", "forbidden") for letter, text in unknown.items() if letter != "D"}
        self.assertEqual(same, {letter: text for letter, text in forbidden.items() if letter != "D"})
        self.assertEqual("D" in unknown, "D" in forbidden)

    def test_account(self) -> None:
        fields = self.refused("good", "root")
        self.assertEqual(fields["C"], "28000")
        self.assertIn("app", fields["M"] + fields.get("H", ""))
        for user in ("tester", "tester@example.com"):
            with Wire(self.gateway.port) as connection:
                self.assertEqual(connection.login(user, self.token, "good").value("SELECT current_user"), "app")

    def test_database(self) -> None:
        with Wire(self.gateway.port) as connection:
            self.assertEqual(connection.login("app", self.token, "good/other").value("SELECT current_database()"), "other")
        fields = self.refused("noDatabase")
        self.assertEqual(fields["C"], "3D000")
        self.assertIn("missing", fields["M"])

    def test_psql_tells(self) -> None:
        """What a person sees."""
        route = {"PGPASSWORD": "hx_wrong", "PGSSLMODE": "disable", "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
        argv = [require("psql"), "-X", "-h", "127.0.0.1", "-p", str(self.gateway.port), "-U", "app", "-c", "SELECT 1", "good"]
        done = subprocess.run(argv, env=route, capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual(done.returncode, 2)
        self.assertIn("FATAL:  the access token is not valid", done.stderr)
        self.assertIn("HINT:  ", done.stderr)

    # What comes in.

    @contextmanager
    def ends(self) -> Iterator[Wire]:
        """The gateway ends this connection, with an error or without: after the time that a login has, at the latest."""
        with Wire(self.gateway.port) as connection:
            try:
                yield connection
                while connection.socket.recv(65536):
                    pass
            except (ConnectionResetError, BrokenPipeError):
                pass

    def test_garbage(self) -> None:
        random = Random(7)
        for _ in range(60):
            with self.ends() as connection:
                connection.send(random.randbytes(random.randrange(1, 3000)))
                connection.socket.shutdown(socket.SHUT_WR)
        for text in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"SSH-2.0-x\r\n", b"\x16\x03\x01\x02\x00\x01\x00" + b"\0" * 512, b"\0" * 8):
            with self.ends() as connection:
                connection.send(text)

    def test_huge_startup(self) -> None:
        process = self.gateway.process
        assert process is not None
        before = process.memory()
        for size in (0x7FFFFFFF, 0xFFFFFFFF, 10001, 7, 0):
            with self.ends() as connection:
                connection.send(pack(">II", size, wire.VERSION) + b"user\0app\0" + b"x" * 20000)
        self.assertLess(process.memory() - before, 4 << 20)

    def test_startup_packets(self) -> None:
        body = pack(">I", wire.VERSION)
        for rest in (b"user", b"user\0", b"user\0app\0", b"\0", b"user\0app\0user\0boss\0\0", b"user\0" + b"\xff\xfe\0\0", b"database\0good\0\0"):
            with self.ends() as connection:
                connection.send(pack(">I", len(body + rest) + 4) + body + rest)
                connection.socket.shutdown(socket.SHUT_WR)
        for version in (0x20000, 0x40000, 0xFFFFFFFF):
            with self.ends() as connection:
                connection.send(wire.startup({"user": "app", "database": "good"}, version))

    def test_undecodable(self) -> None:
        """Names that are no UTF-8 are refused in words, not by a fault; other values go to the target as they are."""
        body = pack(">I", wire.VERSION) + b"user\0app\0database\0good\0"
        for rest in (b"\xff\0001\0\0", b"_pq_.\xff\0001\0\0", b"\0001\0\0"):
            with Wire(self.gateway.port) as connection:
                connection.send(pack(">I", len(body + rest) + 4) + body + rest)
                kind, raw = connection.receive()
                self.assertEqual((kind, wire.fields(raw)["C"]), (b"E", "08P01"))
        for name in (b"user\0a\xff\0database\0good\0\0", b"user\0app\0database\0go\xffod\0\0"):
            with Wire(self.gateway.port) as connection:
                connection.send(pack(">II", len(name) + 8, wire.VERSION) + name)
                kind, raw = connection.receive()
                self.assertEqual((kind, wire.fields(raw)["C"]), (b"E", "08P01"))

    def test_newer_protocol(self) -> None:
        with Wire(self.gateway.port) as connection:
            connection.send(wire.startup({"user": "app", "database": "good", "_pq_.unheard_of": "1"}, 0x30009))
            kind, raw = connection.receive()
            self.assertEqual((kind, raw[5:13]), (b"v", pack(">II", 0x30002, 1)))

    def test_plaintext_before_tls(self) -> None:
        """CVE-2021-23214: what was sent before the handshake must not count."""
        with self.ends() as connection:
            connection.send(pack(">II", 8, 80877103) + wire.startup({"user": "app", "database": "good"}))

    def test_garbage_in_session(self) -> None:
        for raw in (b"\xff" * 100, b"Q\0\0\0\1", b"Q\xff\xff\xff\xff", b"Q\x7f\xff\xff\xff" + b"x" * 4096):
            with self.ends() as connection:
                connection.login("app", self.token, "good").send(raw)
                connection.socket.shutdown(socket.SHUT_WR)
                address = connection.address
            self.assertIn(self.gateway.session(address)["state"], ("complete",))

    def test_cancel_of_a_stranger(self) -> None:
        process, secret = self.bystander.key
        for key in ((process, b"\0\0\0\0"), (process + 1, secret), (0, b""), (process, secret + b"\0" * 300)):
            try:
                wire.cancel(self.gateway.port, key)
            except ConnectionResetError:
                pass

    def test_encrypted_garbage(self) -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection(("127.0.0.1", self.gateway.port), PATIENCE) as raw:
            raw.sendall(pack(">II", 8, 80877103))
            self.assertEqual(raw.recv(1), b"S")
            with context.wrap_socket(raw) as secured:
                secured.sendall(b"\xff" * 5000)
                try:
                    while secured.recv(4096):
                        pass
                except (ssl.SSLError, ConnectionResetError):
                    pass

    # Targets.

    def unavailable(self, name: str, *words: str, user: str = "app") -> None:
        fields = self.refused(name, user)
        self.assertEqual(fields["C"], "08001")
        for word in (name, *words):
            self.assertIn(word, fields["M"])
        self.assertTrue(fields.get("H"), fields)
        # The session that was opened for it is closed properly.
        session = fields["D"].removeprefix("Session ").removesuffix(".")
        found = until(
            lambda: [one for one in self.gateway.sessions() if one["session"] == session and one["state"] == "complete"], "its session to end"
        )
        self.assertEqual(found[0]["target"], name)

    def test_down(self) -> None:
        self.unavailable("down")

    def test_hangs(self) -> None:
        self.patch(self, "gateway", hasty())
        self.patch(self, "token", self.gateway.token())
        self.unavailable("hangs")

    def test_strange(self) -> None:
        self.unavailable("strange")

    def test_talks(self) -> None:
        self.unavailable("talks")

    def test_untrusted_certificate(self) -> None:
        self.unavailable("untrusted", "certificate")

    def test_certificate_of_another_host(self) -> None:
        self.unavailable("elsewhere", "certificate")

    def test_no_tls_there(self) -> None:
        self.unavailable("naked", "TLS")

    def test_wrong_password_there(self) -> None:
        self.unavailable("wrong")

    def test_weak_login_there(self) -> None:
        self.unavailable("weak", "MD5", user="legacy")
        self.unavailable("open", user="open")

    def test_good_logins(self) -> None:
        for name, user in (("secured", "app"), ("plain", "plain"), ("legacy", "legacy")):
            with Wire(self.gateway.port) as connection:
                self.assertEqual(connection.login(user, self.token, name).value("SELECT current_user"), user)

    def test_target_dies(self) -> None:
        """The server ends a session, or is gone in the middle of a result."""
        with Wire(self.gateway.port) as connection:
            connection.login("app", self.token, "good")
            embedded().look("SELECT pg_terminate_backend(%s)", connection.key[0])
            kinds = dict(connection.untilReady())
            self.assertEqual(wire.fields(kinds[b"E"])["C"], "57P01")
            address = connection.address
        self.assertEqual(self.gateway.session(address)["reason"], "target-left")
