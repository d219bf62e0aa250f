"""
A load balancer in front: HAProxy says who the client is, with both versions of its header, and nobody else can.
"""

from __future__ import annotations

import functools
import socket
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.peers.harness.finding import require, requireModule
from tests.peers.harness.gateway import Gateway, account, target
from tests.peers.harness.ports import answers, freePort
from tests.peers.harness.postgres import embedded
from tests.peers.harness.processes import Process, folder
from tests.peers.harness.waiting import PATIENCE
from tests.peers.harness.wire import ServerError, Wire, startup

_LISTENER = """
[[listeners]]
protocol = "postgres"
endpoint = "tcp:{port}:interface=127.0.0.1"
require_tls = false
proxy_protocol = ["127.0.0.0/8"]
"""
_CONFIGURATION = """
defaults
    mode tcp
    timeout connect 120s
    timeout client 120s
    timeout server 120s
    option clitcpka
frontend one
    bind 127.0.0.1:{one}
    default_backend one
frontend two
    bind 127.0.0.1:{two}
    default_backend two
frontend none
    bind 127.0.0.1:{none}
    default_backend none
backend one
    server gateway 127.0.0.1:{gateway} send-proxy
backend two
    server gateway 127.0.0.1:{gateway} send-proxy-v2
backend none
    server gateway 127.0.0.1:{gateway}
"""


@functools.cache
def house() -> tuple[Gateway, int, dict[str, int]]:
    """@return: a gateway, its port for balancers, and HAProxy's ports: version 1, 2, and without a header."""
    port = freePort()
    gateway = Gateway([target("shop", embedded(), account("app"))], more=_LISTENER.format(port=port), name="balanced").start()
    ports = {name: freePort() for name in ("one", "two", "none")}
    path = folder("haproxy") / "haproxy.cfg"
    path.write_text(_CONFIGURATION.format(gateway=port, **ports))
    balancer = Process([require("haproxy"), "-db", "-f", str(path)], path.with_name("log"))
    balancer.ready(lambda: all(answers(each) for each in ports.values()), "HAProxy")
    return gateway, port, ports


class BalancerTests(SynchronousTestCase):
    def test_address(self) -> None:
        """The session is the client's own, not the balancer's, and works."""
        gateway, _, ports = house()
        for version in ("one", "two"):
            with Wire(ports[version]) as wire:
                wire.login("app", gateway.token(), "shop")
                self.assertEqual(wire.value("SELECT 6 * 7"), "42")
                session = gateway.session(wire.address, None)
                self.assertEqual((session["client"], session["state"]), (wire.address, "live"))

    def test_encrypted(self) -> None:
        """TLS goes through, asked for and from the first byte."""
        gateway, _, ports = house()
        psycopg: Any = requireModule("psycopg")
        for version in ("one", "two"):
            for negotiation in ("postgres", "direct"):
                with psycopg.connect(
                    host="127.0.0.1", port=ports[version], user="app", password=gateway.token(), dbname="shop",
                    sslmode="verify-full", sslrootcert=str(gateway.data / "tls" / "ca.pem"), sslnegotiation=negotiation,
                ) as session:  # fmt: skip
                    self.assertEqual(session.execute("SELECT 6 * 7").fetchall(), [(42,)])

    def test_noHeader(self) -> None:
        """From the balancer's network nobody comes in without one."""
        gateway, port, ports = house()
        for each in (port, ports["none"]):
            with socket.create_connection(("127.0.0.1", each), PATIENCE) as plain:
                plain.sendall(startup({"user": "app", "database": "shop"}))
                try:
                    self.assertEqual(plain.recv(100), b"")
                except ConnectionResetError:
                    pass

    def test_split(self) -> None:
        """A header in single bytes is as good."""
        gateway, port, _ = house()
        with Wire(port) as wire:
            for byte in b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n":
                wire.send(bytes([byte]))
            wire.login("app", gateway.token(), "shop")
            self.assertEqual(gateway.session("192.0.2.7:56324", None)["state"], "live")

    def test_notBelieved(self) -> None:
        """On a listener without proxy_protocol the header is garbage."""
        gateway, *_ = house()
        with Wire(gateway.port) as wire:
            wire.send(b"PROXY TCP4 192.0.2.8 198.51.100.1 1 2\r\n")
            self.assertRaises((ServerError, EOFError, ConnectionError), wire.login, "app", gateway.token(), "shop")
        self.assertEqual([one for one in gateway.sessions() if one["client"].startswith("192.0.2.8")], [])
