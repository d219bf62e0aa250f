"""
Tests of the service: embedded, twice, in somebody else's; reload; what keeps it from starting.
"""

from errno import ENOSPC
from os import strerror
from pathlib import Path

from attrs import evolve
from twisted.application.service import MultiService
from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.endpoints import clientFromString, serverFromString
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.protocol import Factory, Protocol
from twisted.plugin import IPlugin
from twisted.trial.unittest import TestCase
from twisted.web.client import Agent, readBody
from zope.interface.verify import verifyObject

from hoopx import wiring
from hoopx.api.control import IControl
from hoopx.config.loader import parse
from hoopx.config.settings import MetricsSettings
from hoopx.errors import HoopxError
from hoopx.frames import OPEN, unpack
from hoopx.interfaces import IProtocolRecorder
from hoopx.reading import readSegment
from hoopx.recording.originals import FIELD
from hoopx.registry import protocols
from hoopx.service import makeProxyService

AUDITOR = "age162pd8axdkzded2c5hgtr2tx9vt9p4megzu2wkjdvkmpvpsauzuvs4ae6y0"
CONFIGURATION = """
[gateway]
name = "{name}"
data = "data"
disk_reserve = "1MiB"
disk_refuse_below = "1MiB"
[[listeners]]
protocol = "raw"
endpoint = "tcp:0:interface=127.0.0.1"
target = "echo"
identity = "service:test"
[targets.echo]
protocol = "raw"
endpoint = "tcp:127.0.0.1:{port}"
tls = "off"
[[grants]]
name = "all"
users = ["{user}"]
targets = ["echo"]
permit = ["opaque"]
"""


class Echo(Protocol):
    def dataReceived(self, data):
        self.transport.write(data)


class Full:
    """A state store on a disk that is full."""

    def addAudit(self, rows, again=False):
        raise OSError(28, "No space left on device")


class Ask(Protocol):
    def __init__(self):
        self.answered = Deferred()
        self.lost = Deferred()

    def connectionMade(self):
        self.transport.write(b"hello")

    def dataReceived(self, data):
        self.answered.callback(data)

    def connectionLost(self, reason):
        if not self.answered.called:
            self.answered.errback(reason)
        self.lost.callback(None)


class ServiceTests(TestCase):
    timeout = 600  # curators are started and ended: a second of processor time each

    @inlineCallbacks
    def setUp(self):
        self.echo = yield serverFromString(reactor, "tcp:0:interface=127.0.0.1").listen(Factory.forProtocol(Echo))
        self.addCleanup(self.echo.stopListening)

    def settings(self, name="gw", user="service:test"):
        folder = Path(self.mktemp()).resolve() if not hasattr(self, name) else getattr(self, name)
        setattr(self, name, folder)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "hoopx.toml"
        path.write_text(CONFIGURATION.format(name=name, port=self.echo.getHost().port, user=user))
        return parse(path.read_text(), str(path))

    @inlineCallbacks
    def started(self, settings):
        """@return: Deferred[service], when it listens; stopped at the end of the test."""
        service = makeProxyService(reactor, settings)
        service.startService()
        self.addCleanup(service.stopService)
        yield service.ready
        return service

    def ask(self, service):
        port = service.ports[0].getHost().port
        return clientFromString(reactor, f"tcp:127.0.0.1:{port}").connect(Factory.forProtocol(Ask))

    @inlineCallbacks
    def test_twoInOne(self):
        """Two gateways in somebody else's service, without twistd."""
        parent = MultiService()
        services = [makeProxyService(reactor, self.settings(name)) for name in ("one", "two")]
        for service in services:
            service.setServiceParent(parent)
        parent.startService()
        self.addCleanup(parent.stopService)
        for service in services:
            yield service.ready
            verifyObject(IControl, service.gateway)
            client = yield self.ask(service)
            answer = yield client.answered
            self.assertEqual(answer, b"hello")
            self.assertEqual(service.gateway.status()["sessions"], 1)
            [line] = service.gateway.liveSessions()
            self.assertEqual((line["user"], line["target"]), ("service:test", "echo"))
            client.transport.loseConnection()
            yield client.lost

    @inlineCallbacks
    def test_metrics(self):
        """Figures and readiness of a gateway at work; gone with it."""
        settings = self.settings()
        service = yield self.started(evolve(settings, metrics=MetricsSettings("tcp:0:interface=127.0.0.1")))
        client = yield self.ask(service)
        yield client.answered
        port = service.metrics.getHost().port

        @inlineCallbacks
        def get(path):
            response = yield Agent(reactor).request(b"GET", f"http://127.0.0.1:{port}/{path}".encode())
            body = yield readBody(response)
            return response.code, body.decode()

        status, text = yield get("metrics")
        self.assertEqual(status, 200)
        for line in (
            'hoopx_bytes_total{side="client"} 5.0', "hoopx_sessions 1.0", "hoopx_sessions_admitted_total 1.0",
            "hoopx_recordings_open 1.0",
        ):  # fmt: skip
            self.assertIn(line + "\n", text)
        self.assertNotIn("hoopx_recording_append_seconds_count 0.0\n", text)
        [session] = service.broker.sessions
        self.assertTrue(service.gateway.kill(session, "", "a test"))
        yield client.lost
        status, text = yield get("metrics")
        for line in ('hoopx_bytes_total{side="target"} 5.0', "hoopx_sessions 0.0", 'hoopx_sessions_ended_total{reason="killed"} 1.0'):
            self.assertIn(line + "\n", text)
        found = yield get("readyz")
        self.assertEqual(found, (200, "ready\n"))
        audit, told = service.machine.audit, Deferred()
        self.patch(audit._lapse, "_alarm", lambda alarm, fields: told.callback(service.machine._alarm(alarm, fields)))
        store, audit._store = audit._store, Full()
        yield self.assertFailure(service.gateway.audit("uid 0", "status", "", {}), OSError)
        audit._store = store
        yield told
        self.assertEqual(service.gateway.status()["audit"], "the audit can not be written: [Errno 28] No space left on device")
        found = yield get("readyz")
        self.assertEqual(found, (503, f"what is done is not audited: {service.gateway.status()['audit']}\n"))
        status, text = yield get("metrics")
        for line in ('hoopx_alarms_total{alarm="audit"} 1.0', "hoopx_audit_possible 0.0"):
            self.assertIn(line + "\n", text)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        service.broker.draining = True
        service.machine.audit._lapse.trouble = None
        found = yield get("readyz")
        self.assertEqual(found, (503, "the gateway is stopping\n"))
        yield service.stopService()
        yield self.assertFailure(get("healthz"), ConnectionRefusedError)

    @inlineCallbacks
    def test_reload(self):
        """A bad file changes nothing; a good one ends sessions whose grant is gone."""
        service = yield self.started(self.settings())
        client = yield self.ask(service)
        yield client.answered
        (self.gw / "hoopx.toml").write_text("[gateway]\nnonsense = 1\n")
        yield self.assertFailure(service.gateway.reload(), HoopxError)
        self.assertEqual(service.gateway.status()["sessions"], 1)
        self.settings(user="somebody-else")
        said = yield service.gateway.reload()
        yield client.lost
        self.assertIn("1 sessions ended because their grant is gone", said)

    @inlineCallbacks
    def test_reloadOnAFullDisk(self):
        """Who loses a grant loses it, also when the rules can not be kept."""
        service = yield self.started(self.settings())
        client = yield self.ask(service)
        yield client.answered

        def full(settings, data):
            raise OSError(ENOSPC, strerror(ENOSPC))

        self.patch(wiring, "keepPolicy", full)
        before = service.broker.policyDigest
        self.settings(user="somebody-else")
        said = yield service.gateway.reload()
        yield client.lost
        self.assertIn("1 sessions ended because their grant is gone", said)
        self.assertIn("the rules could not be kept", said[0])
        self.assertNotEqual(service.broker.policyDigest, before)

    @inlineCallbacks
    def test_permissionLost(self):
        """A session does not keep what its grant permits no longer; what takes a restart is said."""
        service = yield self.started(self.settings())
        client = yield self.ask(service)
        yield client.answered
        path = self.gw / "hoopx.toml"
        path.write_text(path.read_text().replace('permit = ["opaque"]', "").replace('data = "data"', 'data = "elsewhere"'))
        for _ in range(2):
            said = yield service.gateway.reload()
        yield client.lost
        self.assertFalse((self.gw / "elsewhere").exists())
        path.write_text(path.read_text().replace('data = "elsewhere"', 'data = "data"'))
        said = yield service.gateway.reload()
        self.assertIn("[gateway] data has changed: that takes a restart", said)

    @inlineCallbacks
    def test_originals(self):
        """Sessions that begin after a reload keep unmasked bytes, or do so no longer; one that is under way goes on as it began."""
        self.settings()
        path = self.gw / "hoopx.toml"
        plain = path.read_text() + f"[recording]\nencrypt_to = ['{AUDITOR}']\n"
        sealed = plain + "original = 'sealed'\n"
        path.write_text(plain)
        service = yield self.started(parse(plain, str(path)))
        heads = []
        for text, said in ((None, None), (sealed, "kept sealed to 1 auditors"), (plain, "kept no longer"), (plain, None)):
            if text is not None:
                path.write_text(text)
                found = yield service.gateway.reload()
                self.assertEqual([each for each in found if "unmasked" in each], [f"unmasked bytes of new sessions are {said}"] if said else [])
                self.assertEqual([each for each in found if "restart" in each], [])
            recording = yield service.broker.recordings.open({})
            with open(Path(recording.path) / OPEN, "rb") as file:
                heads.append(FIELD in unpack(next(readSegment(file, torn=True)).payload))
        self.assertEqual(heads, [False, True, False, False])

    @inlineCallbacks
    def test_originalsFromTheStart(self):
        self.settings()
        path = self.gw / "hoopx.toml"
        service = yield self.started(parse(path.read_text() + f"[recording]\nencrypt_to = ['{AUDITOR}']\noriginal = 'sealed'\n", str(path)))
        client = yield self.ask(service)
        self.assertEqual((yield client.answered), b"hello")
        (session,) = service.broker.sessions.values()
        with open(Path(session.recording.path) / OPEN, "rb") as file:
            self.assertIn(FIELD, unpack(next(readSegment(file, torn=True)).payload))

    @inlineCallbacks
    def test_secondOwner(self):
        """Two gateways can not have one data directory."""
        yield self.started(self.settings())
        second = makeProxyService(reactor, self.settings())
        second.startService()
        self.addCleanup(second.stopService)
        yield self.assertFailure(second.ready, HoopxError)

    @inlineCallbacks
    def test_taken(self):
        """Who can not listen is told why, and what to do about it."""
        for endpoint, words in (
            (f"tcp:{self.echo.getHost().port}:interface=127.0.0.1", "Address already in use. Another program listens there"),
            ("tcp:0:interface=203.0.113.9", "does not have that address"),
        ):
            settings = self.settings()
            service = makeProxyService(reactor, evolve(settings, listeners=(evolve(settings.listeners[0], endpoint=endpoint),)))
            service.startService()
            self.addCleanup(service.stopService)
            error = yield self.assertFailure(service.ready, HoopxError)
            self.assertIn(words, str(error))
            self.assertEqual(error.key, "listeners.endpoint")

    def test_plugins(self):
        for recorder in protocols().values():
            verifyObject(IProtocolRecorder, recorder)
            verifyObject(IPlugin, recorder)
