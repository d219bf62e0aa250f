# -*- test-case-name: tests.test_door -*-
"""
The factory that makes doors for one listener.
"""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import ip_address, ip_network
from typing import Any, Final

from twisted.internet.protocol import Factory
from twisted.logger import Logger

from hoopx.door import Door
from hoopx.offers import Offers
from hoopx.values import Listener

UNADMITTED_LIMIT: Final = 5000
"""Connections that have not logged in. Beyond it the oldest is dropped: silence keeps nobody out."""


class Mitm(Factory):
    """
    Makes a door for each connection.

    @param broker: the L{hoopx.broker.Broker}.
    @param listener: settings: C{requireTLS}, C{tls}, C{proxyProtocol}, C{target}, C{identity}.
    @param protocol: the L{hoopx.interfaces.IProtocolRecorder}.
    """

    noisy = False
    log = Logger()

    def __init__(self, broker: Any, listener: Any, protocol: Any) -> None:
        self.broker = broker
        self.listener = listener
        self.protocol = protocol
        self.identity = Listener(listener.identity) if listener.identity else None
        self.offers: Offers = broker.offersFor(protocol.name)
        self.proxies = tuple(ip_network(network) for network in listener.proxyProtocol)
        self._unadmitted: OrderedDict[Door, None] = OrderedDict()

    def buildProtocol(self, address: object) -> Any:
        door = Door(self, self.protocol.conversation())
        self._unadmitted[door] = None
        if len(self._unadmitted) > UNADMITTED_LIMIT:
            oldest, _ = self._unadmitted.popitem(last=False)
            oldest.abort()
        return door

    def admitted(self, door: Door) -> None:
        """The door has logged in, or is closed."""
        self._unadmitted.pop(door, None)

    def isProxy(self, address: Any) -> bool:
        """C{True} for a load balancer, whose PROXY header is believed and demanded."""
        host = _host(address) if self.proxies else None
        return host is not None and any(host in network for network in self.proxies)

    @staticmethod
    def isLoopback(address: Any) -> bool:
        """Unix sockets count as loopback: they do not leave the machine."""
        if getattr(address, "host", None) is None:
            return True
        host = _host(address)
        return host is not None and host.is_loopback


def _host(address: Any) -> Any:
    """A connection's end as an IP address, an IPv4 one where IPv6 only carries it; C{None} for what is none."""
    try:
        host = ip_address(str(getattr(address, "host", "")).partition("%")[0])
    except ValueError:
        return None
    return getattr(host, "ipv4_mapped", None) or host
