"""
SCRAM against PostgreSQL itself: with and without channel binding, and with passwords that are hard to spell.
"""

from __future__ import annotations

import socket
import ssl
import struct

from twisted.trial.unittest import SynchronousTestCase

from hoopx.errors import TargetFailed
from hoopx.protocols.postgres import messages
from hoopx.protocols.postgres.scram import PLAIN, PLUS, Known, ScramClient
from tests.peers.harness.postgres import Postgres, debian, embedded
from tests.peers.harness.waiting import PATIENCE

PASSWORDS = [
    "plain", "with 'quote\"", "\u00e4\u00f6\u00fc\u20ac", "a\u00a0b", "I\u00adX", "\u00aa\u2168", "\u0340x", "\u0627\u0031",
    "\u0627x\u0627", "\u0627\u0628", "\u0221", "\U0001f600", "\u2000x\u200b", "\ufb01", "\u1e9b\u0323", "e\u0301", "\u00e9",
    "\u2126", "\u212b", "\uff21", "\ue000",
]  # fmt: skip
"""Mapped, normalised, forbidden, right to left, unassigned in Unicode 3.2, of private use."""


class Refused(Exception):
    """The server's ErrorResponse."""


def receive(connection: socket.socket) -> tuple[bytes, bytes]:
    """@return: kind and whole message."""
    head = b""
    while len(head) < 5:
        head += connection.recv(5 - len(head)) or b"\0" * 5
    size = struct.unpack("!I", head[1:])[0] + 1
    while len(head) < size:
        more = connection.recv(size - len(head))
        if not more:
            raise EOFError("closed in the middle of a message")
        head += more
    return head[:1], head


def login(server: Postgres, user: str, password: str, *, tls: bool, mechanisms: list[str] | None = None) -> ScramClient:
    """@return: the client, when the server has let it in."""
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as plain:
        connection, certificate = plain, None
        if tls:
            plain.sendall(messages.SSL_REQUEST_PACKET)
            assert plain.recv(1) == b"S"
            context = ssl.create_default_context(cafile=str(server.authority.path))
            connection = context.wrap_socket(plain, server_hostname="127.0.0.1")
            certificate = connection.getpeercert(True)
        with connection:
            connection.sendall(messages.startup(196608, {"user": user, "database": "postgres"}))
            client: ScramClient | None = None
            while True:
                kind, raw = receive(connection)
                if kind == b"E":
                    raise Refused(messages.readFields(raw)["C"])
                code, rest = messages.readAuthentication(raw)
                if code == messages.SASL:
                    offered = [name.decode() for name in rest.split(b"\0") if name]
                    client = ScramClient(password.encode(), mechanisms or offered, certificate, known=Known())
                    connection.sendall(messages.saslInitial(client.mechanism, client.first()))
                elif code == messages.SASL_CONTINUE:
                    connection.sendall(messages.saslResponse(client.respond(rest)))
                elif code == messages.SASL_FINAL:
                    client.verify(rest)
                elif code == messages.OK:
                    return client


def drop(server: Postgres, user: str) -> None:
    with server.connect("postgres") as control:
        control.execute(f"DROP ROLE IF EXISTS {user}")


class LoginTests(SynchronousTestCase):
    def test_plain(self) -> None:
        for server in (debian(), embedded()):
            client = login(server, "app", "pw-app", tls=False)
            self.assertTrue(client.verified)
            self.assertEqual((client.mechanism, client.bound), (PLAIN, False))

    def test_bound(self) -> None:
        client = login(debian(), "app", "pw-app", tls=True)
        self.assertTrue(client.verified)
        self.assertEqual((client.mechanism, client.bound), (PLUS, True))

    def test_offerCut(self) -> None:
        """Somebody who takes the binding out of the offer is found out by the server."""
        self.assertRaises(Refused, login, debian(), "app", "pw-app", tls=True, mechanisms=[PLAIN])

    def test_wrong(self) -> None:
        for tls in (True, False):
            error = self.assertRaises(Refused, login, debian(), "app", "wrong", tls=tls)
            self.assertEqual(str(error), "28P01")

    def test_passwords(self) -> None:
        """Whatever the characters, the server's own verifier agrees with ours."""
        for server in (debian(), embedded()):
            with server.connect("postgres") as control:
                control.execute("CREATE ROLE speller LOGIN")
                self.addCleanup(drop, server, "speller")
                for password in PASSWORDS:
                    quoted = password.replace("'", "''")
                    control.execute(f"ALTER ROLE speller PASSWORD '{quoted}'")
                    try:
                        self.assertTrue(login(server, "speller", password, tls=False).verified)
                    except Refused as error:
                        self.fail(f"{server.name}, {password!r}: {error}")

    def test_iterations(self) -> None:
        """PostgreSQL 16 and later let the administrator choose how many."""
        server = embedded()
        self.addCleanup(drop, server, "counter")
        with server.connect("postgres") as control:
            control.execute("CREATE ROLE counter LOGIN")
            for count, fine in ((4096, True), (50_000, True), (1, False)):
                control.execute(f"SET scram_iterations = {count}")
                control.execute("ALTER ROLE counter PASSWORD 'pw'")
                if fine:
                    self.assertTrue(login(server, "counter", "pw", tls=False).verified)
                else:
                    self.assertRaises(TargetFailed, login, server, "counter", "pw", tls=False)
