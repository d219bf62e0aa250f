"""
Logins by certificate at both ends: of people at the gateway, of the gateway's accounts at PostgreSQL.
"""

from __future__ import annotations

import functools
import hashlib
import os
import socket
import ssl
import threading
import time
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hoopx.recording.stored import openSegment
from tests.peers.harness.certificates import Authority
from tests.peers.harness.finding import requireModule
from tests.peers.harness.gateway import Gateway, account, target
from tests.peers.harness.ports import freePort
from tests.peers.harness.postgres import Postgres, debian, embedded
from tests.peers.harness.processes import folder
from tests.peers.harness.waiting import PATIENCE, until

_LISTENERS = """
[[listeners]]
protocol = "postgres"
endpoint = "tcp:{direct}:interface=127.0.0.1"
tls = true
[[listeners]]
protocol = "raw"
endpoint = "tcp:{raw}:interface=127.0.0.1"
tls = true
target = "echo"
[targets.echo]
protocol = "raw"
endpoint = "tcp:127.0.0.1:{echo}"
tls = "off"
[tls]
certificate = "{certificate}"
private_key = "{key}"
client_authorities = "{authorities}"
"""
_GRANTS = """
[[grants]]
name = "alice does everything"
users = ["alice"]
groups = ["testers"]
targets = ["*"]
accounts = ["*"]
"""
ITERATIONS = 2_000_000
ROUNDS = 10


def shown(name: str, username: str, certificate: Path, key: Path) -> str:
    """@return: an account's table with a certificate."""
    return f"""
  [targets.@TARGET@.accounts.{name}]
  username = "{username}"
  certificate = {{ file = "{certificate}" }}
  private_key = {{ file = "{key}" }}
"""


@functools.cache
def people() -> Authority:
    """@return: the authority of the gateway's clients."""
    return Authority(folder("people"), "people")


@functools.cache
def alice() -> tuple[Path, Path]:
    return people().user("alice")


@functools.cache
def stranger() -> tuple[Path, Path]:
    """@return: a certificate for alice of an authority that nobody trusts."""
    return Authority(folder("strangers"), "strangers").user("alice")


class Echo:
    """A raw target that answers in capitals."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            try:
                with connection:
                    while data := connection.recv(1000):
                        connection.sendall(data.upper())
            except OSError:  # cut off: the next one may come
                pass


@functools.cache
def house() -> tuple[Gateway, dict[str, int]]:
    """@return: a gateway whose clients and accounts may have certificates; its further ports."""
    server = debian()
    assert server.authority is not None
    own = server.authority.user("alice-account")
    # The common name is what PostgreSQL compares with the user.
    right = server.authority._issue("alice", "alice", *_client())
    served = Authority(folder("gateway"), "gateway")
    certificate, key = served.server("served")
    ports = {"direct": freePort(), "raw": freePort(), "echo": Echo().port}
    gateway = Gateway(
        [
            target("right", server, shown("alice", "alice", *right)),
            target("other", server, shown("alice", "alice", *own)),
            target("foreign", server, shown("alice", "alice", *stranger())),
            target("mixed", server, shown("alice", "alice", right[0], own[1])),
            target("gone", server, shown("alice", "alice", Path("/nonexistent/alice.crt"), right[1])),
            target("bare", server, account("alice", password="pw-alice")),
            target("slow", embedded(), account("counter", password="pw-counter")),
            target("quick", embedded(), account("app")),
        ],
        _GRANTS,
        _LISTENERS.format(certificate=certificate, key=key, authorities=people().path, **ports),
        gateway='login_timeout = "120s"',
        listener="require_tls = true",
        name="certified",
    )
    gateway.authority = served.path  # type: ignore[attr-defined]
    return gateway.start(), ports


def _client() -> tuple:
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    return ExtendedKeyUsageOID.CLIENT_AUTH, [x509.RFC822Name("alice@example.com")]


def connect(database: str, certified: tuple[Path, Path] | None = None, port: int | None = None, **options: Any) -> Any:
    """@return: a psycopg connection through the gateway, verified; by certificate, or with a token."""
    psycopg = requireModule("psycopg")
    gateway, _ = house()
    proof: dict[str, Any] = {"password": gateway.token()}
    if certified:
        proof = {"sslcert": str(certified[0]), "sslkey": str(certified[1])}
    return psycopg.connect(
        host="127.0.0.1", port=port or gateway.port, user=options.pop("user", "alice"), dbname=database, autocommit=True,
        sslmode="verify-full", sslrootcert=str(gateway.authority), **proof, **options,
    )  # fmt: skip


class Refusals(SynchronousTestCase):
    def refusal(self, *arguments: Any, **options: Any) -> str:
        error = self.assertRaises(requireModule("psycopg").OperationalError, connect, *arguments, **options)
        return str(error)


class TargetTests(Refusals):
    """PostgreSQL's "cert": the account has no password at all."""

    def test_login(self) -> None:
        with connect("right") as session:
            self.assertEqual(session.execute("SELECT current_user, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchall(),
                             [("alice", True)])  # fmt: skip
            [(serial, name)] = session.execute(
                "SELECT client_serial, client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
            ).fetchall()
            self.assertIn("alice", name)

    def test_cancel(self) -> None:
        """A cancel request needs no certificate."""
        psycopg = requireModule("psycopg")
        with connect("right") as session:
            process = session.info.backend_pid

            def sleeps() -> Any:
                return debian().look("SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event = 'PgSleep'", process)

            def cancel() -> None:
                until(sleeps, "the query to be under way")
                session.cancel_safe()

            canceller = threading.Thread(target=cancel)
            canceller.start()
            self.assertRaises(psycopg.errors.QueryCanceled, session.execute, f"SELECT pg_sleep({2 * PATIENCE})")
            canceller.join()
            self.assertEqual(session.execute("SELECT 1").fetchall(), [(1,)])

    def test_wrong(self) -> None:
        """The client hears that its target has failed, and nothing of what the operator finds in the log."""
        gateway, _ = house()
        for name, said, logged in [
            ("other", "refused the login (SQLSTATE 28000)", "alice-account.crt"),
            ("foreign", "does not accept the certificate of its account", "alert"),
            ("mixed", "the certificate of its account can not be used", "belongs to another certificate"),
            ("gone", "its credential can not be had", "/nonexistent/alice.crt"),
            ("bare", "refused the login (SQLSTATE 28000)", "alice"),
        ]:
            text = self.refusal(name)
            self.assertIn(f'target "{name}"', text)
            self.assertIn(said, text)
            for secret in ("/", "BEGIN", "belongs", "alert"):
                self.assertNotIn(secret, text.partition("FATAL:")[2].replace("hoopx check", ""), text)

            def told(*words: str, name: str = name) -> bool:
                lines = [line for line in gateway.log().splitlines() if f'target "{name}"' in line or f"for {name}:" in line]
                return any(all(word in line for word in words) for line in lines)

            until(lambda told=told, logged=logged: told(logged), f"{logged!r} of {name} in the log")
            if name not in ("gone", "bare"):
                until(lambda told=told: told("certificate file:", "private_key file:"), f"the files of {name} in the log")
        for hidden in ("BEGIN CERT", "BEGIN PRIV"):
            self.assertNotIn(hidden, gateway.log())

    def test_recorded(self) -> None:
        """Neither certificate nor key are in the recording."""
        gateway, _ = house()
        with connect("right", application_name="certified") as session:
            session.execute("SELECT 1")
            with socket.socket(fileno=os.dup(session.fileno())) as own:
                client = "{}:{}".format(*own.getsockname())
        session = gateway.session(client)["session"]
        paths = list(gateway.data.glob(f"recordings/*/*/*/{session}/*.hxr"))
        said = b""
        for path in paths:
            with openSegment(str(path)) as file:
                said += file.read()
        self.assertIn(b"SELECT 1", said)
        self.assertNotIn(b"BEGIN ", said)


class ClientTests(Refusals):
    def test_noPassword(self) -> None:
        """A certificate is enough: the server asks for nothing else."""
        with connect("right", alice()) as session:
            self.assertFalse(session.pgconn.used_password)
            self.assertEqual(session.execute("SELECT 1").fetchall(), [(1,)])
        gateway, _ = house()
        self.assertIn("alice", [one["user"] for one in gateway.sessions()])

    def test_foreign(self) -> None:
        """One that does not hold is refused, although a token would do without it."""
        self.assertIn("unknown ca", self.refusal("right", stranger()))

    def test_noGrant(self) -> None:
        self.assertIn("there is no target", self.refusal("right", people().user("mallory")))

    def test_direct(self) -> None:
        """A listener with TLS from the first byte, and what it says to those who ask for TLS, or do not."""
        _, ports = house()
        for certified in (None, alice()):
            with connect("right", certified, ports["direct"], sslnegotiation="direct") as session:
                self.assertEqual(session.execute("SELECT 1").fetchall(), [(1,)])
        with socket.create_connection(("127.0.0.1", ports["direct"]), PATIENCE) as plain:
            plain.sendall(b"\0\0\0\x08\x04\xd2\x16\x2f")
            said = b""
            while piece := plain.recv(1000):
                said += piece
            self.assertIn(b"sslnegotiation=direct", said)

    def raw(self, pair: tuple[Path, Path] | None) -> bytes:
        gateway, ports = house()
        context = ssl.create_default_context(cafile=str(gateway.authority))  # type: ignore[attr-defined]
        if pair:
            context.load_cert_chain(*map(str, pair))
        with socket.create_connection(("127.0.0.1", ports["raw"]), PATIENCE) as plain:
            try:
                with context.wrap_socket(plain, server_hostname="127.0.0.1") as tls:
                    tls.sendall(b"hello")
                    return tls.recv(100)
            except (ssl.SSLError, ConnectionError):
                return b""

    def test_raw(self) -> None:
        """A protocol that nobody understands, and yet it is known who speaks."""
        self.assertEqual(self.raw(alice()), b"HELLO")
        self.assertEqual(self.raw(None), b"")
        self.assertEqual(self.raw(stranger()), b"")
        gateway, _ = house()
        self.assertEqual({one["user"] for one in gateway.sessions("--target", "echo")}, {"alice"})


def drop(server: Postgres) -> None:
    with server.connect("postgres") as control:
        control.execute("DROP ROLE counter")


class IterationTests(SynchronousTestCase):
    def test_many(self) -> None:
        """A password that is hashed two million times holds up nobody else, and is hashed once."""
        server = embedded()
        with server.connect("postgres") as control:
            control.execute("CREATE ROLE counter LOGIN")
            self.addCleanup(drop, server)
        began = time.thread_time()
        hashlib.pbkdf2_hmac("sha256", b"pw-counter", b"0123456789abcdef", ITERATIONS)
        cost = time.thread_time() - began
        # Who asks may get no processor himself while the hash is made, and then has seen nothing: it is made again.
        for _ in range(ROUNDS):
            with server.connect("postgres") as control:
                control.execute(f"SET scram_iterations = {ITERATIONS}")
                control.execute("ALTER ROLE counter PASSWORD 'pw-counter'")  # with another salt
            if self.hashed(cost) > 2:
                break
        else:
            self.fail("nobody else is answered while a password is hashed")

    def hashed(self, cost: float) -> int:
        """
        Logins whose password is hashed, which is not made a second time: told by the work that is done, for how long it takes is the
        machine's affair.

        @param cost: of the hash, in seconds of a processor.
        @return: queries of another session that were asked and answered while the one hash was under way.
        """
        gateway, _ = house()
        assert gateway.process is not None
        process = gateway.process.pid
        served: list[Any] = []

        def login() -> None:
            with connect("slow", user="counter") as session:
                served.append(session.execute("SELECT 1").fetchall())

        with connect("quick", user="app") as other:
            other.execute("SELECT 1")
            start = before = besideReactor(process)
            together = [threading.Thread(target=login) for _ in range(4)]
            for each in together:
                each.start()
            during = 0
            while any(each.is_alive() for each in together):
                other.execute("SELECT 1")
                after = besideReactor(process)
                during += start + cost * 0.1 < before and after < start + cost * 0.9
                before = after
            self.assertGreater(besideReactor(process) - start, cost / 2)
            before = besideReactor(process)
            login()
            again = besideReactor(process) - before
        self.assertEqual(served, [[(1,)]] * 5)
        self.assertLess(again, cost / 2)
        return during


def besideReactor(process: int) -> float:
    """@return: seconds of processor time of a process's threads, but for the first, which is the reactor's."""
    total = 0
    for each in Path(f"/proc/{process}/task").iterdir():
        if each.name != str(process):
            try:
                user, system = (each / "stat").read_text().rpartition(")")[2].split()[11:13]
            except OSError:  # it has ended
                continue
            total += int(user) + int(system)
    return total / os.sysconf("SC_CLK_TCK")
