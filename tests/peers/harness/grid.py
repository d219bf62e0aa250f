# -*- test-case-name: tests.peers.test_grid -*-
"""
Faults and moments: a real gateway meets each fault at the beginning, in the middle and at the end of a session, and what came of it is put
into a few words.
"""

from __future__ import annotations

import errno
import json
import mmap
import os
import re
import shutil
import signal
import sys
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from tests.peers.harness.disks import MIB, BreakableDisk, Disk
from tests.peers.harness.faults import FaultProxy
from tests.peers.harness.gateway import Gateway, account, target
from tests.peers.harness.ports import freePort
from tests.peers.harness.postgres import debian
from tests.peers.harness.processes import child, folder
from tests.peers.harness.s3server import ACCESS, LOCKED, SECRET
from tests.peers.harness.seaweedfs import seaweedfs
from tests.peers.harness.waiting import PATIENCE, steady, until
from tests.peers.harness.wire import TERMINATE, ServerError, Wire, fields
from tests.peers.programs.sick import CONTROL

SICK = Path(__file__).parents[1] / "programs" / "sick.py"
MOMENTS = ("start", "end", "middle")
"""In this order: where one fault lasts for all three, the last of them adds to what is told."""
DAY = 86400.0
NOTHING = "nothing"
NONE = "none"
LONG = 70_000
"""Bytes of a statement: no page of a full disk has as much left, and a segment with them is sealed after a second."""
LITTLE = 64 * 1024
"""What a full disk has left: less than that, and more than a last word and the end of a recording."""
MEANWHILE = frozenset({"ledger", "checkpoint", "index", "audit"})
"""Alarms of the curator, whose files are on the same disk, and of the state store: they come when there happens to be something to write."""
RACING = frozenset({("curator killed", "start"), ("curator killed", "end"), ("clock a day back", "start")})
"""There the session begins, or is over, at about the time of the alarm: it is told of it or is not."""
GATEWAY = 'disk_reserve = "4MiB"\ndisk_refuse_below = "8MiB"\nlogin_timeout = "120s"'
RECORDING = 'segment = { size = "64KiB", age = "1s" }\n'


@frozen
class Cell:
    """
    @ivar client: what the client is told, or L{NOTHING} when nothing is noticed.
    @ivar recording: state, as C{hoopx verify} finds it in the end, and the reason of its end; or L{NONE}.
    @ivar alarms: kinds of the alarms that were told since the fault began, in the order of the alphabet.
    @ivar log: what the log says meanwhile.
    @ivar events: kinds of the alarms that its recording tells of, in the order of the alphabet.
    """

    client: str
    recording: str
    alarms: tuple[str, ...]
    log: str
    events: tuple[str, ...] = ()


class Sickness:
    """What L{tests.peers.programs.sick} does to a gateway and its curator."""

    def __init__(self) -> None:
        self.folder = folder("sick")
        shutil.copy(SICK, self.folder / "sitecustomize.py")
        (self.folder / "control").write_bytes(bytes(CONTROL.size))
        with (self.folder / "control").open("r+b") as file:
            self._control = mmap.mmap(file.fileno(), CONTROL.size)
        self.program = [sys.executable, str(SICK), str(self.folder)]

    def set(self, shift: float = 0.0, number: int = 0, delay: float = 0.0) -> None:
        CONTROL.pack_into(self._control, 0, shift, number, delay)


class Client:
    """
    One client and what it notices.

    @ivar said: the first error, as code and text, or L{NOTHING}.
    """

    def __init__(self, port: int, token: str) -> None:
        self._token = token
        self._port = port
        self.wire: Wire | None = None
        self.said = NOTHING
        self.over = False

    def begin(self) -> None:
        wire = self.wire = Wire(self._port)
        self._try(lambda: wire.login("app", self._token, "shop"))

    def work(self, size: int = LONG) -> None:
        self._try(lambda: self._wire().ask(f"SELECT length('{'x' * size}')"))

    def leave(self) -> None:
        """And read to the end: what comes then is noticed, too."""
        if not self.over:
            self._wire().send(TERMINATE)
            self._end()
        self._wire().socket.close()

    def _wire(self) -> Wire:
        assert self.wire is not None
        return self.wire

    def _try(self, work: Callable[[], Any]) -> None:
        if self.over:
            return
        try:
            work()
        except ServerError as error:
            self.said = f"{error.code} {error.fields.get('M', '')}"
            self._end()
        except (OSError, EOFError) as error:
            self.said = f"cut off: {type(error).__name__}"
            self.over = True

    def _end(self) -> None:
        self.over = True
        kind, raw = self._wire().receive()
        if kind == b"E" and self.said == NOTHING:
            self.said = "{C} {M}".format(**fields(raw))
            kind, raw = self._wire().receive()
        if kind:
            self.said += f" and then {kind!r}"


@frozen
class Fault:
    """
    @ivar on: makes it so, and C{off} mends it.
    @ivar shared: one outage for all three moments: it can be had, or mended, once.
    """

    name: str
    on: Callable[[World], Any]
    off: Callable[[World], Any]
    shared: bool = False


class World:
    """
    A gateway and what it stands on, for some faults one after the other.

    @param faults: of them.
    @param restart: start the gateway again in the end: recordings that could not be closed are recovered.
    """

    def __init__(
        self, faults: Sequence[Fault], disk: Disk | None = None, more: str = "", recording: str = "", restart: bool = False
    ) -> None:
        self.faults = faults
        self.disk = disk
        self.sickness = Sickness()
        self.restart = restart
        self._metrics = freePort()
        self._clients: list[tuple[str, str, Client]] = []
        self.proxy: FaultProxy | None = None
        self.server: Any = None
        self._before: set[str] = set()
        self.gateway = Gateway(
            [target("shop", debian(), account("app"), tls=False)],
            gateway=GATEWAY,
            more=f'[metrics]\nendpoint = "tcp:{self._metrics}:interface=127.0.0.1"\n[recording]\n{RECORDING}{recording}\n{more}',
            data=disk.path / "data" if disk is not None else None,
            name="grid",
            program=self.sickness.program,
        )

    def run(self, expected: Mapping[tuple[str, str], Cell]) -> dict[tuple[str, str], Cell]:
        """
        @param expected: what is waited for, by name of the fault and moment.
        @return: what there is.
        """
        try:
            self.gateway.start()
            self.token = self.gateway.token()
            found: dict[tuple[str, str], Cell] = {}
            for fault in self.faults:
                self._meet(fault, expected, found)
            if self.restart:
                self._again()
            return self._verified(found)
        finally:
            self.sickness.set()
            self.gateway.stop()
            if self.disk is not None:
                self.disk.remove()
            if self.proxy is not None:
                self.proxy.stop()

    # -- one fault

    def _meet(self, fault: Fault, expected: Mapping[tuple[str, str], Cell], found: dict[tuple[str, str], Cell]) -> None:
        clients: dict[str, Client] = {}
        before: dict[str, float] | None = None
        mark = 0
        for moment in MOMENTS:
            key = fault.name, moment
            client = clients[moment] = clients.get(moment) or self._client(key)
            if before is None:
                before, mark = self.alarms(), len(self.gateway.log())
                for other in MOMENTS if fault.shared else (moment,):
                    clients[other] = clients.get(other) or self._client((fault.name, other))
                    if other != "start":
                        clients[other].begin()
                        clients[other].work(1)  # so little is not sealed for a while: nothing else goes on when the fault comes
                steady(self._settled, "the curator to be through")
                fault.on(self)
            self._act(moment, client)
            told = self._told(expected[key], before, mark)
            found[key] = evolve(told, client=client.said)
            if not fault.shared or moment == MOMENTS[-1]:
                fault.off(self)
                before = None
                for each in clients.values():
                    each.work()
                    each.leave()
                found[key] = evolve(found[key], client=client.said)
                clients.clear()

    def _client(self, key: tuple[str, str]) -> Client:
        client = Client(self.gateway.port, self.token)
        self._clients.append((*key, client))
        return client

    def _act(self, moment: str, client: Client) -> None:
        if moment == "start":
            client.begin()
            client.work()
        elif moment == "middle":
            client.work()
        else:
            client.leave()

    def _told(self, expected: Cell, before: Mapping[str, float], mark: int) -> Cell:
        """Wait for what is expected. @return: what there is, if only in vain."""

        def look() -> Cell | None:
            told = {kind for kind, count in self.alarms().items() if count > before.get(kind, 0.0)}
            alarms = tuple(sorted(told - (MEANWHILE - set(expected.alarms))))
            log = expected.log if expected.log in self.gateway.log()[mark:] else ""
            seen[:] = [Cell("", "", alarms, log)]
            return seen[0] if set(expected.alarms) <= set(alarms) and log == expected.log else None

        seen: list[Cell] = []
        try:
            until(look, "what is to be told")
        except AssertionError:
            pass
        return seen[0]

    def alarms(self) -> dict[str, float]:
        """@return: how many of each kind were told since the start."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._metrics}/metrics", timeout=PATIENCE) as page:
            found = re.findall(r'^hoopx_alarms_total\{alarm="([^"]*)"\} (\S+)$', page.read().decode(), re.MULTILINE)
        return {kind: float(count) for kind, count in found}

    def status(self) -> dict[str, Any]:
        from click.testing import CliRunner

        from hoopx.cli.main import cli

        def look() -> dict[str, Any] | None:
            # Its exit status says how the gateway is. Nothing at all: there was no answer in time.
            said = CliRunner().invoke(cli, ["--config", str(self.gateway.path), "status", "--json"]).stdout
            return json.loads(said) if said else None

        found = until(look, "the status")
        assert found is not None
        return found

    # -- afterwards

    def _kinds(self) -> set[str]:
        return {kind for kind, count in self.alarms().items() if count}

    def _again(self) -> None:
        self._before = self._kinds()
        self.gateway.stop()
        if isinstance(self.disk, BreakableDisk):
            self.disk.unmount()
            self.disk.again()
        self.gateway.start()

    def _settled(self) -> bool:
        curator = self.status()["curator"]
        ledger = curator.get("ledger")
        # It is ready a moment before it has said for the first time how it is.
        if curator["state"] != "ready" or ledger is None or curator["waiting"] or ledger["signed"] != ledger["size"]:
            return False
        return not curator["quarantined"]["count"] and not (curator["backlog"] or {}).get("segments")

    def _verified(self, found: dict[tuple[str, str], Cell]) -> dict[tuple[str, str], Cell]:
        """Add to each cell what has become of its recording."""
        until(lambda: self.status()["disk"] is None, "the disk to be well")
        until(lambda: not self.status()["sessions"], "the sessions to end")
        steady(self._settled, "everything to be in the ledger")
        told = self._kinds() - MEANWHILE
        self.gateway.stop()
        audited = self._audited() - MEANWHILE
        # What a disk that is broken for good could not take until the gateway ended is in the log alone.
        needed = told if isinstance(self.disk, BreakableDisk) else told | (self._before - MEANWHILE)
        assert needed <= audited <= told | self._before, f"told: {needed}, in the audit: {audited}"
        states = self.verify()
        assert states.pop(None) == "consistent"
        if self.proxy is not None:
            stored = self.verify("s3:" + LOCKED + "/" + self.prefix)
            stored.pop(None, None)
            assert stored == states, f"the store: {stored}, here: {states}"
        sessions = {one["client"]: one for one in self.gateway.sessions()}
        for fault, moment, client in self._clients:
            one = sessions.get(client.wire.address) if client.wire is not None else None
            said = ", ".join(dict.fromkeys((states[one["session"]], one["reason"]))) if one else NONE
            cell = evolve(found[fault, moment], recording=said, events=self._events(one["session"]) if one else ())
            racing = (fault, moment) in RACING and set(cell.events) <= set(cell.alarms)
            found[fault, moment] = evolve(cell, events=()) if racing else cell
        return found

    def _events(self, session: str) -> tuple[str, ...]:
        lines = [json.loads(line) for line in self.gateway.call("sessions", "show", "--json", session).splitlines()]
        return tuple(sorted({line["alarm"] for line in lines if line.get("event") == "alarm"} - MEANWHILE))

    def _audited(self) -> set[str]:
        """@return: kinds of the alarms that are in the audit."""
        from hoopx.cli.place import Place
        from hoopx.state.store import Store

        settings = Place(self.gateway.path).settings
        store = Store.open(settings.state.url, Path(settings.gateway.data))
        try:
            return {row["subject"] for row in store.auditRows(10_000) if row["action"] == "alarm"}
        finally:
            store.close()

    def verify(self, *arguments: str) -> dict[str | None, str]:
        """@return: state of each session, and of the ledger under C{None}. Fails when anything is tampered with or missing."""
        lines = json.loads(self.gateway.call("verify", "--json", *arguments))
        for line in lines:
            if line["session"] is None:  # a ledger, and the audit beside it: in a file, or at the server
                assert line["audit"]["state"] == ("unchecked" if arguments else "consistent"), line["audit"]
        return {line.get("session"): line["state"] for line in lines}

    # -- what faults are made with

    prefix = ""

    def troubled(self) -> None:
        until(lambda: self.status()["disk"], "the disk's trouble to be seen")

    def well(self) -> None:
        until(lambda: self.status()["disk"] is None, "service to come back")

    def kill(self) -> None:
        """The curator."""
        assert self.gateway.process is not None
        process = self.gateway.process.pid
        found = until(lambda: child(process, b"hoopx.curator"), "the curator")
        assert found is not None
        os.kill(found, signal.SIGKILL)

    def curated(self) -> None:
        until(lambda: self.status()["curator"]["state"] == "ready", "the curator to be back")

    def stores(self, mark: int) -> None:
        """@param mark: where the log stood when the store was mended."""
        until(lambda: "takes recordings" in self.gateway.log()[mark:], "the store to take recordings")
        steady(self._settled, "the store to have everything")


def disk() -> World:
    """On a small disk."""

    def full(world: World) -> None:
        assert world.disk is not None
        world.disk.fill(leave=LITTLE)
        world.troubled()

    def free(world: World) -> None:
        assert world.disk is not None
        world.disk.free()
        world.well()

    def mend(world: World) -> None:
        world.sickness.set()
        world.well()

    faults = [
        Fault("ENOSPC", full, free),
        Fault("slow disk", lambda world: world.sickness.set(delay=0.06), mend),
        Fault("EIO", lambda world: world.sickness.set(number=errno.EIO), mend),
    ]
    return World(faults, Disk(64 * MIB), restart=True)


def breaking() -> World:
    """On a disk that breaks for good."""

    def fail(world: World) -> None:
        assert isinstance(world.disk, BreakableDisk)
        world.disk.fail()

    return World([Fault("EROFS", fail, lambda world: None, shared=True)], BreakableDisk(96 * MIB), restart=True)


def store() -> World:
    """Recordings go to an S3 server."""

    def failing(name: str, what: Any) -> Fault:
        def on(world: World) -> None:
            assert world.proxy is not None
            world.proxy.always(what)

        def off(world: World) -> None:
            assert world.proxy is not None
            mark = len(world.gateway.log())
            world.proxy.always(None)
            world.stores(mark)

        return Fault(name, on, off, shared=True)

    secrets = folder("s3")
    for name, value in (("access", ACCESS), ("secret", SECRET)):
        (secrets / name).write_text(value)
        (secrets / name).chmod(0o600)
    proxy = FaultProxy(seaweedfs().port)
    prefix = f"grid{os.getpid()}"
    where = f"""store = "s3:{LOCKED}/{prefix}"
[recording.s3]
endpoint = "http://127.0.0.1:{proxy.port}"
access_key = {{ file = "{secrets}/access" }}
secret_key = {{ file = "{secrets}/secret" }}
"""
    faults = [
        failing("S3 500", (500, "InternalError")),
        failing("S3 timeout", "stall"),
        failing("S3 wrong credentials", "forge"),
    ]
    world = World(faults, recording=where)
    world.proxy, world.prefix = proxy, prefix
    return world


def others() -> World:
    """Its state is in a PostgreSQL of its own."""
    from tests.peers.test_stores import ownServer

    server = ownServer()
    name = f"grid_{os.getpid()}"
    from tests.peers.harness.postgres import ADMIN

    with server.connect(database="postgres") as control:
        control.execute(f"CREATE DATABASE {name}")
    url = folder("state") / "url"
    url.write_text(f"postgresql://postgres:{ADMIN}@127.0.0.1:{server.port}/{name}\n")
    url.chmod(0o600)

    def back(world: World) -> None:
        server._start()
        until(lambda: world.status()["state"] is None, "the state to be back")

    faults = [
        Fault("state database down", lambda world: server.stop(), back, shared=True),
        Fault("curator killed", World.kill, World.curated),
    ]
    return World(faults, more=f'[state]\nurl = {{ file = "{url}" }}\n')


def clock(name: str, shift: float) -> World:
    """The wall clock is set while the gateway runs."""
    fault = Fault(name, lambda world: world.sickness.set(shift=shift), lambda world: world.sickness.set(), shared=True)
    return World([fault])


WORLDS: Mapping[str, Callable[[], World]] = {
    "ENOSPC": disk,
    "slow disk": disk,
    "EIO": disk,
    "EROFS": breaking,
    "S3 500": store,
    "S3 timeout": store,
    "S3 wrong credentials": store,
    "state database down": others,
    "curator killed": others,
    "clock a day forward": lambda: clock("clock a day forward", DAY),
    "clock a day back": lambda: clock("clock a day back", -DAY),
}
"""Which of them meets which fault."""
