# -*- test-case-name: tests.witness.test_service -*-
"""
The witness on the network: a small HTTP service.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.logger import Logger

from hoopx.site import BoundedSite, Bounds
from hoopx.witness.exchange import MAX_REQUEST
from hoopx.witness.witness import Answer, Witness

BOUNDS: Final = Bounds(connections=200, idle=60.0, life=120.0, body=MAX_REQUEST)
"""A ledger needs one connection, and makes another when that is closed."""

log = Logger()


def alarm(kind: str, fields: dict[str, Any]) -> None:
    """Tell the operator of the witness what a ledger has tried."""
    if kind == "fork":
        text = "ALARM: the ledger {origin} has forked: its {size} leaves with the root {root} do not fit the {known} that were cosigned"
        log.critical(text, **fields)
    elif kind == "rollback":
        log.error("ALARM: the ledger {origin} shows {size} leaves after {known} that were cosigned: late, or rolled back", **fields)
    else:
        log.critical("ALARM: what is known of the ledger {origin} can not be read: {why}", **fields)


def makeResource(witness: Witness, name: str, vkey: str, threads: Any) -> Any:
    """
    @param threads: L{hoopx.recording.threads.Threads}: the disk is waited for there.
    @return: an L{twisted.web.resource.IResource}: C{add-checkpoint}, and the witness's name and key at the root.
    """
    from klein import Klein  # imports the reactor

    app = Klein()

    def say(request: Any, answer: Answer) -> bytes:
        request.setResponseCode(answer.status)
        request.setHeader(b"content-type", answer.type.encode())
        request.setHeader(b"content-length", b"%d" % len(answer.body))
        return answer.body

    @app.route("/add-checkpoint", methods=["POST"])
    async def add(request: Any) -> bytes:
        body = request.content.read(MAX_REQUEST + 1)
        try:
            answer = await threads.call(witness.add, body)
        except CancelledError:
            raise  # who asked is gone; what was begun is ended all the same. Anybody can do that as often as he likes: no news
        except OSError as error:
            log.critical("ALARM: a checkpoint can not be kept, so it is not cosigned: {why}", why=str(error))
            answer = Answer(500, b"the witness can not keep what it cosigns\n")
        except Exception:
            log.failure("a checkpoint could not be witnessed")
            answer = Answer(500, b"the witness has a fault: its log says more\n")
        return say(request, answer)

    @app.route("/", methods=["GET"])
    def about(request: Any) -> bytes:
        return say(request, Answer(200, f"{name}\n{vkey}\n".encode()))

    return app.resource()


def makeSite(resource: Any, reactor: Any) -> Any:
    """@return: a factory whose requests and connections are bounded."""
    return BoundedSite(resource, BOUNDS, reactor)


class WitnessService(Service):
    """
    @param endpoint: L{twisted.internet.interfaces.IStreamServerEndpoint}
    @param factory: of L{makeSite}.
    @ivar listening: a Deferred that fires with the port.
    """

    def __init__(self, endpoint: Any, factory: Any) -> None:
        self._endpoint = endpoint
        self._factory = factory
        self._port: Any = None
        self.listening: Deferred[Any] = Deferred()

    def startService(self) -> None:
        super().startService()

        def listens(port: Any) -> None:
            self._port = port
            self.listening.callback(port)

        self._endpoint.listen(self._factory).addCallbacks(listens, self.listening.errback)

    def stopService(self) -> Deferred[Any]:
        super().stopService()
        port, self._port = self._port, None
        return maybeDeferred(lambda: port and port.stopListening())
