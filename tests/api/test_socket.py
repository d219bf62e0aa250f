"""
The control socket as a whole: a real socket, the real client in a thread.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from hoopx.api import app
from hoopx.api.client import Client, NoGateway, Refused
from hoopx.api.control import IControl
from hoopx.api.peer import Peer, myself
from hoopx.api.socket import ControlSocket
from hoopx.errors import ConfigurationError
from tests.api.doubles import FakeGateway, FakeTail

SESSION = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


class SocketCase(TestCase):
    def setUp(self) -> None:
        self.data = Path(tempfile.mkdtemp(dir="/tmp"))  # TMPDIR may be too long for a socket's address
        self.addCleanup(shutil.rmtree, self.data)
        self.gateway = FakeGateway()
        self.tails: dict[str, Any] = {}
        self.client = Client(self.data, "my.toml")

    def control(self, data: Path | None = None) -> ControlSocket:
        from twisted.internet import reactor

        made = ControlSocket(reactor, data or self.data, self.gateway, self.tails.get)
        self.addCleanup(made.stop)
        return made

    def ask(self, method: str, *args: Any, **more: Any) -> Deferred[Any]:
        return deferToThread(getattr(self.client, method), *args, **more)

    async def refused(self, method: str, *args: Any, **more: Any) -> Refused:
        try:
            got = await self.ask(method, *args, **more)
        except Refused as error:
            return error
        raise self.failureException(f"not refused: {got!r}")


class ListeningTests(SocketCase):
    def test_private(self) -> None:
        """From the moment it is there: nothing is mended afterwards."""
        self.addCleanup(os.umask, os.umask(0))
        self.patch(os, "chmod", lambda path, mode: None)
        control = self.control()
        control.start()
        found = control.path.lstat()
        self.assertTrue(stat.S_ISSOCK(found.st_mode))
        self.assertEqual(stat.S_IMODE(found.st_mode), 0o600)

    async def test_stop(self) -> None:
        control = self.control()
        control.start()
        await control.stop()
        self.assertFalse(os.path.lexists(control.path))
        control.start()

    def test_twoGateways(self) -> None:
        self.control().start()
        error = self.assertRaises(ConfigurationError, self.control().start)
        self.assertIn("another gateway runs", str(error))
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self.data / "control.sock"))

    async def test_deadGateway(self) -> None:
        """What a killed gateway left behind is in nobody's way."""
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(self.data / "control.sock"))
        self.control().start()
        self.assertEqual((await self.ask("status"))["version"], "1")

    def test_somethingElse(self) -> None:
        (self.data / "control.sock").write_text("precious")
        control = self.control()
        self.assertRaises(ConfigurationError, control.start)
        self.assertEqual((self.data / "control.sock").read_text(), "precious")
        os.unlink(self.data / "control.sock")
        control.start()

    async def test_deepFolder(self) -> None:
        """A path that does not fit into a socket's address."""
        deep = self.data / ("d" * 100) / ("e" * 100)
        deep.mkdir(parents=True)
        control = self.control(deep)
        control.start()
        self.client = Client(deep)
        self.assertEqual((await self.ask("status"))["version"], "1")
        await control.stop()
        self.assertEqual([one.name for one in deep.iterdir()], ["control.lock"])

    async def test_noGateway(self) -> None:
        async def check() -> None:
            with self.assertRaises(NoGateway) as caught:
                await self.ask("status")
            self.assertIn(str(self.data), str(caught.exception))
            self.assertEqual(caught.exception.hint, "Start it with: twistd -n hoopx --config my.toml")

        await check()
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(self.data / "control.sock"))
        await check()


class RoutesTests(SocketCase):
    def setUp(self) -> None:
        super().setUp()
        self.control().start()

    def test_interface(self) -> None:
        verifyObject(IControl, self.gateway)

    def assertAudited(self, action: str, subject: str = "", **details: Any) -> None:
        expected = (myself(), action, subject, {"pid": os.getpid(), **details})
        self.assertEqual(self.gateway.audited, [expected])

    async def test_status(self) -> None:
        self.assertEqual(await self.ask("status"), {"version": "1", "sessions": 1})
        self.assertAudited("status")

    async def test_sessions(self) -> None:
        self.assertEqual(await self.ask("sessions"), [{"session": SESSION}])
        self.assertAudited("sessions.live")

    async def test_kill(self) -> None:
        await self.ask("kill", SESSION, "enough")
        self.assertEqual(self.gateway.calls, [("kill", SESSION, "enough", myself())])
        self.assertAudited("session.kill", SESSION, reason="enough")

    async def test_killUnknown(self) -> None:
        error = await self.refused("kill", "nosuch/../session")
        self.assertEqual(error.status, 404)

    async def test_reload(self) -> None:
        self.assertEqual(await self.ask("reload"), ["1 grant added"])
        self.assertAudited("reload")

    async def test_reloadWrong(self) -> None:
        self.gateway.wrong = True
        error = await self.refused("reload")
        self.assertEqual((error.status, error.errors), (409, ["hoopx.toml:3: a.b: bad", "worse"]))

    async def test_issue(self) -> None:
        self.assertEqual(await self.ask("issue", user="alice", groups=["g"], ttl=60), ("hx_secret", "id1"))
        token = {"user": "alice", "groups": ["g"], "kind": "human", "actor": None, "targets": None, "ttl": 60, "note": ""}
        self.assertEqual(self.gateway.calls, [("issue", token)])
        del token["user"]
        self.assertAudited("token.issue", "alice", **token)
        self.assertNotIn("hx_", repr(self.gateway.audited))

    async def test_issueWrong(self) -> None:
        error = await self.refused("issue", user="alice", kind="god")
        self.assertEqual((error.status, str(error)), (400, "\"god\" is no kind"))
        for wrong in (
            {},
            {"user": 7},
            {"user": "a", "ttl": "8h"},
            {"user": "a", "ttl": True},
            {"user": "a", "groups": [1]},
            {"user": "a", "admin": True},
            {"user": "a", "note": "n" * app.MAX_BODY},
        ):
            self.assertIn((await self.refused("issue", **wrong)).status, (400, 413), wrong)

    async def test_issueForNothing(self) -> None:
        """No targets are not all targets."""
        error = await self.refused("_ask", "POST", "/tokens", {"user": "alice", "targets": []})
        self.assertEqual((error.status, self.gateway.calls), (400, []))

    async def test_list(self) -> None:
        self.assertEqual(await self.ask("tokens"), [{"id": "id1", "user": "alice", "groups": ["g"]}])
        self.assertAudited("token.list")

    async def test_revoke(self) -> None:
        self.assertEqual(await self.ask("revoke", user="alice"), ["id1"])
        self.assertEqual(self.gateway.calls, [("revoke", None, "alice")])
        self.assertAudited("token.revoke", "alice", id=None, user="alice")

    async def test_nothingWithoutAudit(self) -> None:
        self.gateway.auditFails = True
        tail, token = ("GET", "/sessions/x/tail"), ("POST", "/tokens", {"user": "alice"})
        for method, args in (("sessions", ()), ("revoke", ("id1",)), ("_ask", tail), ("_ask", token)):
            error = await self.refused(method, *args)
            self.assertEqual(error.status, 500)
            self.assertNotIn("space", str(error))
        self.assertEqual(self.gateway.calls, [])
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 4)
        self.assertEqual(self.gateway.unauditedActs, [])

    async def test_troubleIsSeenAndStopped(self) -> None:
        """With a full disk the operator still sees how it is, and can end sessions; the log says what the audit can not."""
        self.gateway.auditFails = True
        await self.ask("status")
        await self.ask("kill", SESSION, "enough")
        self.assertEqual(self.gateway.calls, ["status", ("kill", SESSION, "enough", myself())])
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 2)
        # What was done is put down when it can be.
        self.assertEqual([act[:3] for act in self.gateway.unauditedActs], [(myself(), "status", ""), (myself(), "session.kill", SESSION)])
        self.assertEqual(self.gateway.unauditedActs[1][3], {"pid": os.getpid(), "reason": "enough"})

    async def test_strangers(self) -> None:
        """The file's mode keeps them out; should it ever fail, they are refused by what the kernel says of them."""
        import hoopx.api.socket

        self.patch(hoopx.api.socket, "peerOf", lambda connection: Peer(1, os.geteuid() + 1, "stranger"))
        for method in ("status", "tokens", "reload"):
            self.assertEqual((await self.refused(method)).status, 403)
        self.assertEqual((self.gateway.calls, self.gateway.audited), ([], []))

    async def test_unknownRoutes(self) -> None:
        self.assertEqual((await self.refused("_ask", "GET", "/nosuch")).status, 404)
        self.assertEqual((await self.refused("_ask", "GET", "/reload")).status, 405)

    async def test_rubbish(self) -> None:
        def send(body: str) -> bytes:
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(self.data / "control.sock"))
                client.sendall(f"POST /tokens HTTP/1.0\r\nHost: gw\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
                with client.makefile("rb") as answer:
                    return answer.read()

        for body in ("{", "[" * 60_000, "[]", "\"a\"", "{\"user\": \"\\ud800\", \"groups\": {}}"):
            answer = await deferToThread(send, body)
            self.assertIn(b" 400 ", answer.splitlines()[0])
            self.assertIn("error", json.loads(answer.split(b"\r\n\r\n", 1)[1]))

    async def test_endless(self) -> None:
        """A body that is a little too long is answered; one that does not end is not kept on the disk, and its connection ends."""

        def send(pieces: int) -> bytes:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(60)
                client.connect(str(self.data / "control.sock"))
                length = 1 << 32 if pieces > 2 else pieces << 16
                client.sendall(f"POST /tokens HTTP/1.0\r\nHost: gw\r\nContent-Length: {length}\r\n\r\n".encode())
                try:
                    for _ in range(pieces):
                        client.sendall(bytes(1 << 16))
                    return client.recv(100) if pieces == 2 else b"taken"
                except (BrokenPipeError, ConnectionResetError):
                    return b"cut"

        self.assertIn(b" 413 ", await deferToThread(send, 2))
        self.assertEqual(await deferToThread(send, 1 << 12), b"cut")
        self.assertEqual(self.gateway.audited, [])


class TailTests(SocketCase):
    def setUp(self) -> None:
        super().setUp()
        self.control().start()

    async def test_lines(self) -> None:
        self.tails[SESSION] = source = FakeTail(['{"at": 1}'], [], ['{"at": 2}', '{"at": "é"}'], None)
        lines = await deferToThread(lambda: list(self.client.tail(SESSION)))
        self.assertEqual(lines, ['{"at": 1}', '{"at": 2}', '{"at": "é"}'])
        self.assertEqual(source.closed, 1)
        self.assertEqual([row[1:3] for row in self.gateway.audited], [("session.tail", SESSION)])

    async def test_unknown(self) -> None:
        with self.assertRaises(Refused) as caught:
            await deferToThread(lambda: list(self.client.tail("nosuch")))
        self.assertEqual(caught.exception.status, 404)

    async def test_breaksOff(self) -> None:
        """A stream that fails does not look like a session that ended."""
        self.tails[SESSION] = FakeTail(["a"], [], fail(OSError(5, "gone")))
        with self.assertRaises(Refused) as caught:
            await deferToThread(lambda: list(self.client.tail(SESSION)))
        self.assertIn("went away", str(caught.exception))
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)

    async def test_readerLeaves(self) -> None:
        gone: Deferred[None] = Deferred()
        self.tails[SESSION] = source = FakeTail(["a"])
        source.close = lambda: gone.callback(None)  # type: ignore[method-assign]

        def one() -> str:
            lines = self.client.tail(SESSION)
            first = next(lines)
            lines.close()  # type: ignore[attr-defined]
            return first

        self.assertEqual(await deferToThread(one), "a")
        await gone
