"""
TLS at both ends of a real session: libpq's checks of the gateway, the gateway's checks of PostgreSQL.
"""

from __future__ import annotations

import functools
import socket
import ssl
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hoopx.protocols.postgres import messages
from tests.peers.harness.certificates import Authority
from tests.peers.harness.finding import requireModule
from tests.peers.harness.gateway import Gateway, account, target
from tests.peers.harness.postgres import debian
from tests.peers.harness.processes import folder
from tests.peers.harness.waiting import PATIENCE


@functools.cache
def foreign() -> Authority:
    """@return: an authority that has signed nothing here."""
    return Authority(folder("foreign"), "foreign")


@functools.cache
def gateway() -> Gateway:
    """@return: one that wants TLS of everybody, before targets that are right, of a foreign authority, and of another name."""
    server = debian()
    right = target("right", server, account("app"))
    return Gateway(
        [
            right,
            target("foreign", server, account("app")).replace(str(server.authority.path), str(foreign().path)),
            target("misnamed", server, account("app")).replace('server_name = "localhost"', 'server_name = "db.internal"'),
        ],
        listener="require_tls = true",
        name="tls",
    ).start()


def authority() -> str:
    return str(gateway().data / "tls" / "ca.pem")


def connect(database: str = "right", **options: Any) -> Any:
    """@return: a psycopg connection through the gateway."""
    psycopg = requireModule("psycopg")
    return psycopg.connect(
        host="127.0.0.1", port=gateway().port, user="app", password=gateway().token(), dbname=database, autocommit=True, **options
    )


class BothEndsTests(SynchronousTestCase):
    def refusal(self, database: str = "right", **options: Any) -> str:
        error = self.assertRaises(requireModule("psycopg").OperationalError, connect, database, **options)
        return str(error)

    def test_verified(self) -> None:
        """By address and by name, asked for and direct; the target's side is TLS too."""
        for options in ({}, {"sslnegotiation": "direct"}):
            with connect(sslmode="verify-full", sslrootcert=authority(), **options) as session:
                self.assertTrue(session.pgconn.ssl_in_use)
                [(encrypted,)] = session.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchall()
                self.assertTrue(encrypted)

    def test_clientDistrusts(self) -> None:
        self.assertIn("certificate verify failed", self.refusal(sslmode="verify-full", sslrootcert=str(foreign().path)))

    def test_plain(self) -> None:
        """Where TLS is wanted a client without it is told so, before it has said its password."""
        self.assertIn("TLS", self.refusal(sslmode="disable"))

    def test_targetOfOtherAuthority(self) -> None:
        text = self.refusal("foreign", sslmode="require")
        self.assertIn("signed by an authority", text)
        self.assertIn("targets.foreign.authorities", text)

    def test_targetOfOtherName(self) -> None:
        text = self.refusal("misnamed", sslmode="require")
        self.assertIn('does not bear the name "db.internal"; it bears localhost, 127.0.0.1', text)

    def test_bulk(self) -> None:
        """Much in both directions, whole."""
        with connect(sslmode="require") as session:
            [(size, digest)] = session.execute(
                "SELECT length(x), md5(x) FROM (SELECT %s::text AS x) AS y", ["abcdefg\u20ac" * 1_000_000]
            ).fetchall()
            self.assertEqual(size, 8_000_000)
            [(back,)] = session.execute("SELECT repeat('abcdefg\u20ac', 1000000)").fetchall()
            import hashlib

            self.assertEqual(hashlib.md5(back.encode()).hexdigest(), digest)

    def test_injected(self) -> None:
        """What follows a request for TLS in the clear is never taken for something said under TLS (CVE-2021-23214)."""
        with socket.create_connection(("127.0.0.1", gateway().port), PATIENCE) as plain:
            plain.sendall(messages.SSL_REQUEST_PACKET + messages.startup(196608, {"user": "app", "database": "right"}))
            answer = b""
            try:
                while piece := plain.recv(1000):
                    answer += piece
            except ConnectionResetError:
                pass
            self.assertNotIn(b"R\0\0\0", answer)

    def test_directWithoutProtocol(self) -> None:
        """Direct TLS has to agree on what is spoken (ALPACA): without ALPN there is no answer."""
        context = ssl.create_default_context(cafile=authority())
        for offered in (None, ["http/1.1"]):
            if offered:
                context.set_alpn_protocols(offered)
            with socket.create_connection(("127.0.0.1", gateway().port), PATIENCE) as plain:
                try:
                    with context.wrap_socket(plain, server_hostname="127.0.0.1") as tls:
                        tls.sendall(messages.startup(196608, {"user": "app", "database": "right"}))
                        self.assertEqual(tls.recv(1000), b"")
                except (ConnectionError, ssl.SSLError):
                    pass
