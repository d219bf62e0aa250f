from __future__ import annotations

import getpass
import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from twisted.internet.threads import deferToThread

from hoopx.cli import connect
from hoopx.cli.connect import OVERRIDING, command, conninfo
from hoopx.cli.route import Route
from hoopx.values import Account, Target
from tests.cli.gateway import GatewayCase

PATIENCE = 120
"""Seconds for a process to begin or to end: a machine may be slow, and have other things to do."""

PSQL = f"""#!{sys.executable}
import json, os, re, sys
passfile = re.search("passfile='([^']*)'", sys.argv[2]).group(1)
json.dump({{
    "arguments": sys.argv[1:],
    "environment": dict(os.environ),
    "passfile": passfile,
    "content": open(passfile).read(),
    "mode": os.stat(passfile).st_mode & 0o777,
    "pid": os.getpid(),
}}, open(os.environ["TOLD"] + ".new", "w"))
os.rename(os.environ["TOLD"] + ".new", os.environ["TOLD"])
sys.exit(int(os.environ.get("STATUS", "0")))
"""


class ConnectTests(GatewayCase):
    def setUp(self) -> None:
        super().setUp()
        self.patch(connect, "_orderly", connect.ExitStack)  # signals are the main thread's
        self.psql = self.data / "psql"
        self.psql.write_text(PSQL)
        self.psql.chmod(0o755)
        (self.data / "tls").mkdir()
        (self.data / "tls" / "ca.pem").touch()
        self.patch(os, "environ", os.environ.copy())
        os.environ["TOLD"] = str(self.data / "told")
        os.environ.pop("HOOPX_TOKEN_FILE", None)

    def told(self) -> Any:
        return json.loads((self.data / "told").read_text())

    async def connect(self, *arguments: str) -> tuple[int, str, str]:
        return await self.hoopx(command, "--client", str(self.psql), *arguments)

    def token(self, text: str = "hx_mine\n", name: str = "token") -> str:
        path = self.data / name
        path.write_text(text)
        return str(path)

    async def test_tokenFile(self) -> None:
        self.assertEqual(
            await self.connect("--token-file", self.token(), *"--account app --database d'b orders -- -c".split(), "SELECT 1"),
            (0, "", ""),
        )
        told = self.told()
        option, text, *rest = told["arguments"]
        self.assertEqual((option, rest), ("-d", ["-c", "SELECT 1"]))
        for part in (
            "host='127.0.0.1'", "port='15432'", "dbname='orders/d\\'b'", "user='app'", "sslmode='verify-full'",
            f"sslrootcert='{self.data}/tls/ca.pem'",
        ):  # fmt: skip
            self.assertIn(part, text)
        self.assertEqual((told["content"], told["mode"]), ("127.0.0.1:15432:*:*:hx_mine\n", 0o600))

    async def test_nothingRemains(self) -> None:
        """The token is in no argument, in no environment, and in no file afterwards."""
        os.environ["STATUS"] = "3"
        self.assertEqual((await self.connect("--token-file", self.token(), "orders"))[0], 3)
        told = self.told()
        self.assertNotIn("hx_mine", repr(told["arguments"]) + repr(told["environment"]))
        self.assertFalse(os.path.lexists(os.path.dirname(told["passfile"])))

    async def test_environment(self) -> None:
        """What libpq would believe more than our settings is not handed on; the rest is."""
        for name in (*OVERRIDING, "PGSSLMODE", "PGSSLROOTCERT"):
            os.environ[name] = "x"
        os.environ["PGOPTIONS"] = "-c work_mem=1MB"
        os.environ["HOOPX_TOKEN_FILE"] = self.token()
        self.assertEqual((await self.connect("orders"))[0], 0)
        found = self.told()["environment"]
        self.assertEqual([name for name in found if name in OVERRIDING or name.startswith("PGSSL")], [])
        self.assertEqual(found["PGOPTIONS"], "-c work_mem=1MB")

    async def test_fresh(self) -> None:
        """The operator's own connection: a token of its own, for this target alone, revoked at its end."""
        self.begin()
        os.environ["STATUS"] = "1"
        self.assertEqual((await self.connect("--group", "sre", "orders"))[0], 1)
        (_, issued), revoked = [call for call in self.gateway.calls if call != "status"]
        self.assertEqual((issued["user"], issued["groups"], issued["targets"]), (getpass.getuser(), ["sre"], ["orders"]))
        self.assertEqual(revoked, ("revoke", "id1", None))
        told = self.told()
        self.assertIn(f"user='{getpass.getuser()}'", told["arguments"][1])
        self.assertTrue(told["content"].endswith(":hx_secret\n"))

    async def test_realPort(self) -> None:
        endpoint = self.settings.listeners[0].endpoint
        address = {"protocol": "postgres", "endpoint": endpoint, "address": "127.0.0.1:40123"}
        self.gateway.status = lambda: {"listeners": [address]}  # type: ignore[method-assign]
        self.begin()
        await self.connect("--token-file", self.token(), "orders")
        self.assertIn("port='40123'", self.told()["arguments"][1])

    async def test_otherMachine(self) -> None:
        await self.connect("--token-file", self.token(), "--gateway", "[2001:db8::1]:5000", "orders")
        told = self.told()
        self.assertIn("host='2001:db8::1' port='5000'", told["arguments"][1])
        self.assertIn("sslmode='verify-full'", told["arguments"][1])
        self.assertEqual(told["content"], "2001\\:db8\\:\\:1:5000:*:*:hx_mine\n")

    async def test_defaultAccount(self) -> None:
        target = Target("orders", "postgres", "tcp:db:5432", accounts={"app": Account("app", "app")})
        self.configure(targets={"orders": target, "web": Target("web", "ssh", "tcp:web:22")})
        await self.connect("--token-file", self.token(), "orders")
        self.assertIn("user='app'", self.told()["arguments"][1])
        status, _, err = await self.connect("--token-file", self.token(), "web")
        self.assertEqual(status, 1)
        self.assertIn("speaks ssh", err)

    async def test_wrong(self) -> None:
        for arguments, status, words in (
            (["orders"], 1, "twistd -n hoopx"),
            (["--token-file", "/nosuch", "orders"], 1, "/nosuch"),
            (["--token-file", self.token("two words", "wrong"), "orders"], 1, "does not hold"),
            (["--gateway", "gw", "orders"], 2, "HOST:PORT"),
            (["--client", "nosuch-psql", "orders"], 1, "--client"),
        ):
            found, _, err = await self.connect(*arguments)
            self.assertEqual(found, status, arguments)
            self.assertIn(words, err)
        self.assertFalse((self.data / "told").exists())

    def test_hostAddress(self) -> None:
        """A certificate's own name is verified on a socket that is elsewhere."""
        text = conninfo(Route("gw.example.com", 1, "127.0.0.1", "/ca"), Path(tempfile.mkdtemp()), "t", None, "u", "hx_x")
        self.assertIn("host='gw.example.com' hostaddr='127.0.0.1'", text)

    def test_direct(self) -> None:
        """Where the listener speaks TLS from the first byte."""
        for direct in (False, True):
            text = conninfo(Route("gw", 1, None, "/ca", direct), Path(tempfile.mkdtemp()), "t", None, "u", "hx_x")
            self.assertEqual("sslnegotiation='direct'" in text, direct)

    def begun(self, before: str = "") -> subprocess.Popen:
        """@return: what has a client that stays."""
        self.psql.write_text(PSQL.replace("sys.exit(", "import time; time.sleep(600); sys.exit("))
        code = (
            "import sys\n"
            "from hoopx.cli import connect\n"
            "from contextlib import ExitStack\n"
            "from pathlib import Path\n"
            "from hoopx.cli.route import Route\n"
            "with ExitStack() as undone:\n"
            "    undone.enter_context(connect._orderly())\n"
            f"{before}"
            "    folder = Path(undone.enter_context(connect._folder()))\n"
            "    text = connect.conninfo(Route('h', 1, None, None), folder, 't', None, 'u', 'hx_x')\n"
            "    connect._run([sys.argv[1], '-d', text])\n"
        )
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
        (self.data / "temporary").mkdir()
        environment["TMPDIR"] = str(self.data / "temporary")
        child = subprocess.Popen([sys.executable, "-c", code, str(self.psql)], env=environment)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        return child

    def nothingLeft(self, number: int) -> None:
        """No process of this number, which it has waited for; no file."""
        left = os.path.exists(f"/proc/{number}")
        if left:
            os.kill(number, signal.SIGKILL)
        self.assertEqual((left, os.listdir(self.data / "temporary")), (False, []))

    async def test_terminated(self) -> None:
        """Told to end, it ends its client, and leaves no file behind."""
        child = self.begun()

        def wait() -> int:
            until = time.monotonic() + PATIENCE
            while not (self.data / "told").exists():
                if child.poll() is not None or time.monotonic() > until:
                    raise AssertionError("ended by itself, or never began")
                time.sleep(0.01)
            child.send_signal(signal.SIGTERM)
            return child.wait(PATIENCE)

        self.assertEqual(await deferToThread(wait), 128 + signal.SIGTERM)
        self.assertFalse(os.path.lexists(os.path.dirname(self.told()["passfile"])))
        self.nothingLeft(self.told()["pid"])

    async def test_terminatedAtOnce(self) -> None:
        """The same in the moment in which the client is started."""
        # Not where the client tells of itself, which it may do before it is ended.
        place = self.data / "started"
        child = self.begun(
            "    import os, signal, subprocess\n"
            "    class Popen(subprocess.Popen):\n"
            "        def __init__(self, *arguments, **more):\n"
            "            super().__init__(*arguments, **more)\n"
            f"            with open({str(place)!r}, 'w') as file: file.write(str(self.pid))\n"
            "            signal.raise_signal(signal.SIGTERM)\n"
            "    connect.subprocess.Popen = Popen\n"
        )
        self.assertEqual(await deferToThread(child.wait, PATIENCE), 128 + signal.SIGTERM)
        self.nothingLeft(int(place.read_text()))

    def test_private(self) -> None:
        self.addCleanup(os.umask, os.umask(0))
        with connect._folder() as folder:
            self.assertEqual(stat.S_IMODE(os.stat(folder).st_mode), 0o700)
