"""
Wireshark's own dissector reads an exported session as PostgreSQL.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.peers.harness.finding import require
from tests.peers.harness.processes import folder
from tests.peers.harness.routes import through
from tests.peers.harness.waiting import PATIENCE, until

QUERIES = ["select 'first' as one", "select n, repeat('x', 4000) from generate_series(1, 100) n", "select 1/0"]
WRONG = "tcp.checksum.status == 0 || ip.checksum.status == 0 || tcp.analysis.flags || _ws.malformed"
"""What Wireshark finds wrong, told to look at checksums."""


class TsharkTests(SynchronousTestCase):
    """A session of psql, exported and dissected."""

    def tshark(self, capture: Path, *arguments: str) -> list[str]:
        command = [require("tshark"), "-r", str(capture), "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"]
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.splitlines()

    def exported(self) -> tuple[Path, str]:
        route = through("embedded")
        assert route.gateway is not None
        mark = f"select 'pcapng {id(self)}'"
        command = [require("psql"), "-X", "-q", "-A", "-t", *(part for text in [mark, *QUERIES] for part in ("-c", text))]
        subprocess.run(command, env=route.environment(), capture_output=True, timeout=PATIENCE)
        capture = folder("tshark") / "session.pcapng"

        def look() -> bool:
            """Some of those that have ended by now hold our mark."""
            assert route.gateway is not None
            for line in route.gateway.sessions("--state", "complete", "--limit", "5"):
                route.gateway.call("sessions", "export", line["session"], "--format", "pcapng", "-o", str(capture))
                if mark.encode() in capture.read_bytes():
                    return True
            return False

        until(look, "the session to be complete")
        return capture, mark

    def test_dissected(self) -> None:
        capture, mark = self.exported()
        fields = ["-d", "tcp.port==5432,pgsql", "-Y", "pgsql.query", "-T", "fields", "-e", "pgsql.query"]
        self.assertEqual(self.tshark(capture, *fields), [mark, *QUERIES])
        answers = "\n".join(self.tshark(capture, "-Y", "pgsql.type", "-T", "fields", "-e", "pgsql.type"))
        self.assertEqual(answers.count("Data row"), 102)
        self.assertIn("Error", answers)
        self.assertEqual(self.tshark(capture, "-Y", WRONG), [])

    def test_canFail(self) -> None:
        """One wrong bit in a payload: the checksum is looked at."""
        capture, mark = self.exported()
        data = bytearray(capture.read_bytes())
        data[data.index(mark.encode())] ^= 1
        changed = capture.with_suffix(".changed.pcapng")
        changed.write_bytes(data)
        self.assertEqual(len(self.tshark(changed, "-Y", WRONG)), 1)
