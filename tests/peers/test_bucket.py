"""
A gateway that keeps its recordings in a real S3 server, and auditors who have that and nothing else.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from twisted.trial.unittest import SynchronousTestCase

from hoopx.index.store import address, openForReading
from hoopx.recording.catalogue import NotFound
from hoopx.recording.elsewhere import MARKER
from hoopx.state.engine import close
from tests.index.rig import contents
from tests.peers.harness.faults import TokenProxy
from tests.peers.harness.finding import requireModule
from tests.peers.harness.gateway import Gateway, account, target
from tests.peers.harness.ports import freePort
from tests.peers.harness.postgres import embedded
from tests.peers.harness.processes import folder
from tests.peers.harness.s3server import ACCESS, LOCKED, PLAIN, SECRET
from tests.peers.harness.seaweedfs import seaweedfs
from tests.peers.harness.waiting import PATIENCE, until
from tests.peers.harness.wire import Wire, query

_numbers = itertools.count(int(time.time()))


class BucketCase(SynchronousTestCase):
    """A gateway with a bucket, and what is done with both."""

    def begin(self, bucket: str, lock: str, port: int | None = None, access: str = ACCESS, token: str = "") -> None:
        """@param port: of a proxy before the server."""
        requireModule("boto3")
        self.server = seaweedfs()
        self.bucket, self.prefix = bucket, f"b{next(_numbers)}/"
        secrets = folder("s3")
        for name, secret in (("access", access), ("secret", SECRET), ("token", token)):
            (secrets / name).write_text(secret)
            (secrets / name).chmod(0o600)
        self.secrets = secrets
        more = (
            f'[recording]\nstore = "s3:{bucket}/{self.prefix[:-1]}"\nsegment = {{ size = "16KiB", age = "1s" }}\n[recording.s3]\n'
            f'endpoint = "http://127.0.0.1:{port or self.server.port}"\nobject_lock = "{lock}"\n'
            f'access_key = {{ file = "{secrets}/access" }}\nsecret_key = {{ file = "{secrets}/secret" }}\n'
            + (f'session_token = {{ file = "{secrets}/token" }}\n' if token else "") +
            '[[retention]]\nkeep = "400d"\n'
        )
        self.gateway = Gateway([target("shop", embedded(), account("app"))], more=more, name="bucket").start()
        self.addCleanup(self.gateway.stop)
        self.token = self.gateway.token()
        self.place = f"s3:{bucket}/{self.prefix[:-1]}"

    def sealed(self) -> int:
        """@return: segments in the gateway's folder that are sealed."""
        return len(list(Path(self.gateway.data).glob("recordings/*/*/*/*/[0-9]*.hxr")))

    def work(self, rounds: int = 3) -> str:
        """@return: a session of several segments that is over, and stored."""
        with Wire(self.gateway.port) as connection:
            connection.login("app", self.token, "shop")
            for number in range(rounds):
                before = self.sealed()
                connection.send(query(f"SELECT {number}, repeat('x', 20000)"))
                connection.untilReady()
                until(lambda before=before: self.sealed() > before, "the segment to be old enough")
            name = connection.address
        session: str = self.gateway.session(name)["session"]

        def stored() -> bool:
            local = [name for place, _, names in os.walk(self.gateway.data) if place.endswith(session) for name in names if name.endswith(".hxr")]
            s3 = self.server.client()
            found = s3.list_objects_v2(Bucket=self.bucket, Prefix=self.prefix).get("Contents", ())
            return 0 < len(local) == len([each for each in found if session in each["Key"]])

        until(stored, "the store to have it")
        return session

    def verify(self, status: int = 0) -> list[dict[str, Any]]:
        from click.testing import CliRunner

        from hoopx.cli.main import cli

        done = CliRunner().invoke(cli, ["--config", str(self.gateway.path), "verify", "--json", self.place], catch_exceptions=False)
        self.assertEqual(done.exit_code, status, done.output)
        return list(json.loads(done.stdout))

    def keys(self) -> dict[str, bytes]:
        """All objects below the prefix."""
        s3 = self.server.client()
        found = s3.list_objects_v2(Bucket=self.bucket, Prefix=self.prefix)["Contents"]
        return {each["Key"]: s3.get_object(Bucket=self.bucket, Key=each["Key"])["Body"].read() for each in found}


class BucketTests(BucketCase):
    def test_alone(self) -> None:
        """A bucket without locks: what is there verifies, with the gateway's directory gone; and each change is found."""
        self.begin(PLAIN, "none")
        session, other = self.work(), self.work(1)
        self.gateway.stop()
        shutil.rmtree(self.gateway.data)
        found = self.verify()
        self.assertEqual({line["session"]: line["state"] for line in found}, {session: "complete", other: "complete", None: "consistent"})
        self.assertEqual({line["logged"] for line in found[:-1]}, {True})
        s3, objects = self.server.client(), self.keys()
        kinds = {"origin", "checkpoint", "tile/entries", "tile/0", f"{session}/000001.hxr"}
        self.assertEqual({kind for kind in kinds for key in objects if kind in key}, kinds)
        newest = max(key for key in objects if "/checkpoint/" in key)
        needed = int(newest.rpartition("/")[2])
        for key, data in objects.items():
            ledger = "/ledger/" in key
            if ledger and not (key == newest or key.endswith(("origin", f".p/{needed}"))):
                continue  # of an older checkpoint: no longer needed
            for change in (data[:-5] + bytes([data[-5] ^ 1]) + data[-4:], None):
                if change is None:
                    s3.delete_object(Bucket=self.bucket, Key=key)
                else:
                    s3.put_object(Bucket=self.bucket, Key=key, Body=change)
                states = {line["session"]: line["state"] for line in self.verify(status=1)}
                if not ledger:
                    self.assertNotEqual(states[session if session in key else other], "complete", key)
                    self.assertEqual(states[None], "consistent")
                elif key != newest or change is not None:
                    self.assertEqual(states[None], "TAMPERED", key)
                s3.put_object(Bucket=self.bucket, Key=key, Body=data)
        for key in [key for key in objects if session in key]:
            s3.delete_object(Bucket=self.bucket, Key=key)
        self.assertEqual({line["session"]: line["state"] for line in self.verify(status=1)}[session], "missing")

    def test_looked(self) -> None:
        """The data directory is lost: every look at a session reads the bucket, and shows what it showed before."""
        self.begin(PLAIN, "none")
        session = self.work()
        self.gateway.stop()
        asked = (["show", session, "--json"], ["replay", session], ["export", session, "--format", "csv"])
        before = [self.hoopx("sessions", *each) for each in asked]
        self.assertIn("repeat('x', 20000)", before[0])
        proof = folder("proof")
        self.hoopx("sessions", "export", session, "--proof", "-o", str(proof / "one.zip"))
        shutil.rmtree(self.gateway.data)
        self.assertEqual([self.hoopx("sessions", *each) for each in asked], before)
        self.hoopx("sessions", "show", session[:12].lower())
        self.hoopx("sessions", "export", session, "--proof", "-o", str(proof / "two.zip"))
        one, two = ({name: file.read(name) for name in file.namelist() if name.endswith(".hxr")} for file in map(ZipFile, sorted(proof.glob("*.zip"))))
        self.assertTrue(one)
        self.assertEqual(one, two)
        self.hoopx("verify", str(proof / "two.zip"))
        self.assertRaises(NotFound, self.hoopx, "sessions", "show", "01" + "0" * 24)

    def test_reindex(self) -> None:
        """The index is the same when it is made again from the bucket: with nothing here but markers, and with nothing at all."""
        self.begin(PLAIN, "none")
        session, other = self.work(), self.work(1)
        self.gateway.stop()
        before = self.contents()
        self.assertEqual([row[0] for row in before[0]], sorted((session, other)))
        self.assertGreater(len(before[2]), 3)
        for path, _, names in list(os.walk(self.gateway.data)):
            if os.path.basename(path) in (session, other):
                names = sorted(name for name in names if name.endswith(".hxr"))
                day = "/".join(path.split(os.sep)[-4:])
                with open(os.path.join(path, MARKER), "w") as file:
                    json.dump({"session": os.path.basename(path), "store": self.place, "objects": {name: f"peers/{day}/{name}" for name in names}}, file)
                for name in names:
                    os.remove(os.path.join(path, name))
        self.hoopx("reindex")
        self.assertEqual(self.contents(), before)
        self.hoopx("reindex", "--fresh")
        self.assertEqual(self.contents(), before)
        shutil.rmtree(self.gateway.data)
        self.gateway.data.mkdir(mode=0o700)
        self.assertIn("2 sessions are in the index", self.hoopx("reindex"))
        self.assertEqual(self.contents(), before)
        # The bucket can not be had: what the index knows stays, and it is said what to do.
        text = self.gateway.path.read_text()
        self.gateway.path.write_text(text.replace(f"http://127.0.0.1:{self.server.port}", f"http://127.0.0.1:{freePort()}"))
        self.assertIn("run hoopx reindex again", " ".join(self.hoopx("reindex", status=1).split()))
        self.assertEqual(self.contents(), before)

    def hoopx(self, *arguments: str, status: int = 0) -> str:
        from click.testing import CliRunner

        from hoopx.cli.main import cli

        done = CliRunner().invoke(cli, ["--config", str(self.gateway.path), *arguments], catch_exceptions=False)
        self.assertEqual(done.exit_code, status, done.output)
        return done.output

    def contents(self) -> Any:
        engine = openForReading(address("sqlite:", Path(self.gateway.data)))
        try:
            return contents(engine)
        finally:
            close(engine)


class LockedTests(BucketCase):
    def test_locked(self) -> None:
        """All segments of a session are locked until its end and the time it is kept, a hold by filter reaches the store, and what is
        only there is read as if it were here."""
        self.begin(LOCKED, "COMPLIANCE")
        session = self.work()
        ended = next(line["ended"] for line in self.gateway.sessions() if line["session"] == session)
        s3 = self.server.client()

        def locks(what: str) -> list[Any]:
            keys = [key for key in self.keys() if session in key]
            return [getattr(s3, f"get_object_{what}")(Bucket=self.bucket, Key=key) for key in keys]

        def extended() -> bool:
            untils = {each["Retention"]["RetainUntilDate"].timestamp() for each in locks("retention")}
            return max(untils) - min(untils) <= 2.0 and min(untils) >= int(ended + 400 * 86400)

        until(extended, "the locks to reach as far as the session is kept", 2 * PATIENCE)
        self.gateway.hoopx("retention", "hold", "--target", "sh*", "--reason", "case 7")

        def held() -> bool:
            try:
                return {each["LegalHold"]["Status"] for each in locks("legal_hold")} == {"ON"}
            except Exception:
                return False

        until(held, "the hold to reach the store", 2 * PATIENCE)
        later = self.work(1)
        self.gateway.stop()
        self.assertEqual({line["state"] for line in self.verify()}, {"complete", "consistent"})

        shown = self.gateway.show(session)
        (path,) = [place for place, _, _ in os.walk(self.gateway.data) if os.path.basename(place) == session]
        names = sorted(name for name in os.listdir(path) if name.endswith(".hxr"))
        day = "/".join(path.split(os.sep)[-4:])
        with open(os.path.join(path, MARKER), "w") as file:
            json.dump({"session": session, "store": self.place, "objects": {name: f"peers/{day}/{name}" for name in names}}, file)
        for name in names:
            os.remove(os.path.join(path, name))
        self.assertEqual(self.gateway.show(session), shown)
        self.assertEqual({line["session"] for line in self.gateway.sessions()}, {session, later})
        self.proven(session, names)

    def proven(self, session: str, names: list[str]) -> None:
        """A bundle of what is only in the store is all that somebody needs who has nothing else; without the store there is none."""
        bundle = folder("proof") / "session.zip"
        self.gateway.hoopx("sessions", "export", session, "--proof", "-o", str(bundle))
        with ZipFile(bundle) as file:
            self.assertTrue(all(any(each.endswith(name) for each in file.namelist()) for name in names))
        vkey = self.gateway.hoopx("ledger", "show", "--vkey").strip()
        bare = folder("bare")
        done = subprocess.run(
            [sys.executable, "-c", "from hoopx.cli.main import main; main()", "verify", "--json", "--ledger-key", vkey, str(bundle)],
            cwd=bare, env={"PATH": os.environ["PATH"], "HOME": str(bare), "PYTHONPATH": os.pathsep.join(sys.path)}, capture_output=True,
            text=True,
        )  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        found = {line["session"]: line["state"] for line in json.loads(done.stdout)}
        self.assertEqual(found, {session: "complete", None: "consistent"})

        text = self.gateway.path.read_text()
        self.gateway.path.write_text(text.replace(f"127.0.0.1:{self.server.port}", "127.0.0.1:1"))
        again = bundle.with_name("again.zip")
        done = subprocess.run(
            [sys.executable, "-c", "from hoopx.cli.main import main; main()", "sessions", "export", session, "--proof", "-o", str(again)],
            env=self.gateway.environment, capture_output=True, text=True,
        )  # fmt: skip
        self.assertEqual((done.returncode, again.exists()), (1, False), done.stderr)
        self.assertIn(f"are in {self.place}, and can not be fetched", " ".join(done.stderr.split()))


class TokenTests(BucketCase):
    def test_expired(self) -> None:
        """Temporary credentials end: an alarm in words, and nothing else waits; when the files hold others, all arrives by itself."""
        proxy = TokenProxy(seaweedfs().port, ACCESS, SECRET)
        self.addCleanup(proxy.stop)
        proxy.known = {("ASIA1", "token 1")}
        self.begin(PLAIN, "none", proxy.port, "ASIA1", "token 1")
        first = self.work(1)
        proxy.known = {("ASIA2", "token 2")}
        with Wire(self.gateway.port) as connection:
            connection.login("app", self.token, "shop")
            connection.send(query("SELECT 1"))
            connection.untilReady()
            name = connection.address
        second = self.gateway.session(name)["session"]
        until(lambda: "store-refused" in self.gateway.log(), "the alarm")
        self.assertIn("the credentials have expired (ExpiredToken)", self.gateway.log())
        self.assertFalse([key for key in self.keys() if second in key])
        for name, secret in (("access", "ASIA2"), ("secret", "anything"), ("token", "token 2")):
            (self.secrets / name).write_text(secret)
        until(lambda: [key for key in self.keys() if second in key], "what waited to arrive", 2 * PATIENCE)

        # In time, nobody hears of it.
        alarms, refused = self.gateway.log().count("store-refused"), proxy.expired
        # Until both files are written, whatever stands in them is good: nobody reads them in between, for nobody is refused.
        proxy.known = {(access, token) for access in ("ASIA2", "ASIA3") for token in ("token 2", "token 3")}
        for name, secret in (("access", "ASIA3"), ("token", "token 3")):
            (self.secrets / name).write_text(secret)
        proxy.known = {("ASIA3", "token 3")}
        third = self.work(1)
        self.assertGreater(proxy.expired, refused)
        self.assertEqual(self.gateway.log().count("store-refused"), alarms)
        for secret in ("token 1", "token 2", "token 3", SECRET):
            self.assertNotIn(secret, self.gateway.log())
        self.gateway.stop()
        self.assertEqual({line["session"] for line in self.verify()}, {first, second, third, None})
