"""
Commands against a data directory with a gateway, or without one.
"""

from __future__ import annotations

import io
import shutil
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from hoopx.api.socket import ControlSocket
from hoopx.cli.place import Place
from hoopx.config.settings import GatewaySettings, Settings
from tests.api.doubles import FakeGateway


class GatewayCase(TestCase):
    """
    @ivar settings: what C{--config my.toml} would say.
    """

    timeout = 600  # a command takes a second, and much longer on a slow machine that has other things to do

    def setUp(self) -> None:
        self.data = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.data)
        self.settings = Settings(gateway=GatewaySettings(data=str(self.data)))  # type: ignore[arg-type]
        self.gateway = FakeGateway()
        self.tails: dict[str, Any] = {}

    def configure(self, **parts: Any) -> None:
        self.settings = evolve(self.settings, **parts)

    def begin(self) -> None:
        """The gateway runs."""
        from twisted.internet import reactor

        control = ControlSocket(reactor, self.data, self.gateway, self.tails.get)
        control.start()
        self.addCleanup(control.stop)

    def hoopx(self, command: Any, *arguments: str) -> Deferred[tuple[int, str, str]]:
        """@return: fires with (exit status, standard output, standard error)."""
        return deferToThread(self.runCommand, command, arguments)

    def runCommand(self, command: Any, arguments: tuple[str, ...]) -> tuple[int, str, str]:
        from hoopx.cli import main as front
        from hoopx.cli.text import checked

        place = Place("my.toml")
        place._settings = self.settings

        @front.click.pass_context
        def root(context: Any, config: str) -> None:
            context.obj = place

        group = front.click.Group("hoopx", callback=root, params=list(front.cli.params), commands={"it": checked(command)})
        original, front.cli = front.cli, group  # type: ignore[assignment]
        out, err = io.StringIO(), io.StringIO()
        try:
            with redirect_stdout(out), redirect_stderr(err):
                front.main(["it", *arguments])
        except SystemExit as end:
            return int(end.code or 0), out.getvalue(), err.getvalue()
        finally:
            front.cli = original
        raise AssertionError("a command always ends in an exit status")
