"""
The ledger and the witness against transparency-log software that is not ours: Go's golang.org/x/mod/sumdb, filippo.io/torchwood and
github.com/transparency-dev/formats.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hoopx.ledger.note import Cosigner, Verifier, makeNote, openNote, split
from hoopx.ledger.proof import encode
from hoopx.ledger.reader import LedgerReader
from hoopx.witness.state import State
from hoopx.witness.witness import Witness
from tests.ledger.rig import key, open_, opened
from tests.peers.harness.finding import CACHE, missing, require

PROGRAM = Path(__file__).with_name("programs") / "tlog"


@functools.cache
def program() -> str:
    """@return: the path of the Go program, built once for each state of its sources."""
    sources = [PROGRAM / name for name in ("main.go", "go.mod", "go.sum")]
    made = CACHE / "tlog" / sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    if not made.exists():
        go = require("go")
        made.parent.mkdir(parents=True, exist_ok=True)
        fresh = made.with_name(f"{made.name}.{os.getpid()}")
        environment = {**os.environ, "GOFLAGS": "-buildvcs=false"}
        built = subprocess.run([go, "build", "-o", str(fresh), "."], cwd=PROGRAM, capture_output=True, text=True, timeout=900, env=environment)
        if built.returncode:
            raise missing("a Go of 1.25 or later that can fetch modules", f"go build in {PROGRAM.name}: {built.stderr[-300:]}")
        fresh.rename(made)
    return str(made)


class GoTests(SynchronousTestCase):
    def go(self, *arguments: str, given: bytes = b"") -> str:
        run = subprocess.run([program(), *arguments], input=given, capture_output=True, timeout=300)
        self.assertEqual(run.returncode, 0, run.stderr.decode())
        return run.stdout.decode()

    def refused(self, *arguments: str, given: bytes = b"") -> None:
        run = subprocess.run([program(), *arguments], input=given, capture_output=True, timeout=300)
        self.assertEqual(run.returncode, 1, run.stdout.decode())


class LogTests(GoTests):
    def ledger(self, count):
        program()
        ledger = open_(os.path.join(self.mktemp(), "ledger"))
        self.addCleanup(ledger.close)
        for start in range(0, count, 1000):
            ledger.append([opened(number) for number in range(start, min(count, start + 1000))])
        ledger.checkpoint()
        return ledger

    def asked(self, ledger):
        """Our own proofs of all kinds, to be confirmed."""

        def text(hashes):
            return [b64encode(one).decode() for one in hashes]

        size = ledger.size
        sizes = sorted({1, 2, 3, size // 3, 255, 256, 257, size // 2, size - 1, size} & set(range(1, size + 1)))
        inclusion = [
            {"Index": index, "Size": one, "Root": text([ledger.root(one)])[0], "Proof": text(ledger.inclusion(index, one))}
            for one in sizes
            for index in sorted({0, one // 2, one - 1})
        ]
        consistency = [
            {
                "Old": old,
                "New": new,
                "OldRoot": text([ledger.root(old)])[0],
                "NewRoot": text([ledger.root(new)])[0],
                "Proof": text(ledger.consistency(old, new)),
            }
            for new in sizes
            for old in sizes
            if old <= new
        ]
        return {"Inclusion": inclusion, "Consistency": consistency}

    def test_read(self):
        """Checkpoint, tiles, entries and proofs; ledgers that end in, at and behind a full bundle, and with a level more."""
        for count in (1, 255, 256, 257, 700, 66_000):
            ledger = self.ledger(count)
            asked = self.asked(ledger)
            said = self.go("log", ledger.directory, ledger.vkey, given=json.dumps(asked).encode())
            self.assertEqual(said.split(), [ledger.origin, str(count), str(len(asked["Inclusion"])), str(len(asked["Consistency"]))])

    def test_wrongIsRefused(self):
        """The other side does look: another key, a changed leaf, a changed tile, a wrong proof."""
        ledger = self.ledger(700)
        asked = self.asked(ledger)
        good = json.dumps(asked).encode()
        self.refused("log", ledger.directory, Verifier(ledger.origin, 1, bytes(32)).vkey, given=good)
        asked["Inclusion"][5]["Index"] += 1
        self.refused("log", ledger.directory, ledger.vkey, given=json.dumps(asked).encode())
        for name in ("tile/0/001", "tile/entries/001"):
            path = os.path.join(ledger.directory, name)
            with open(path, "r+b") as file:
                file.seek(100)
                file.write(b"?")
            self.refused("log", ledger.directory, ledger.vkey, given=good)

    def test_proof(self):
        ledger = self.ledger(700)
        reader = LedgerReader(ledger.directory)
        signed = reader.checkpoint()
        for index in (0, 300, 699):
            text = encode(reader.proof(index, signed))
            self.assertEqual(self.go("proof", ledger.vkey, given=text).split(), [str(index), "700"])
            self.refused("proof", ledger.vkey, given=text.replace(b"index ", b"index 1"))

    def test_cosigned(self):
        """Our cosignature, read there; theirs, read here."""
        ledger = self.ledger(5)
        text, lines = split(ledger.published)
        witness = Cosigner("w.example/one", key(5))
        note = makeNote(text, [lines[0][3], witness.cosign(text, 1790000000)])
        self.assertEqual(self.go("cosigned", witness.vkey, given=note).split(), ["1790000000"] * 2)
        self.refused("cosigned", Cosigner("w.example/one", key(6)).vkey, given=note)
        vkey, line = self.go("cosign", "w.example/two", given=note).splitlines(keepends=True)
        _, (found,) = openNote(makeNote(text, [line.encode()]), [Verifier.parse(vkey)])
        self.assertEqual(found.name, "w.example/two")
        kept = ledger.publish(makeNote(text, [lines[0][3], line.encode()]))
        self.assertIn(line.encode(), kept)


class WitnessTests(GoTests):
    def test_requests(self):
        """A log that is not ours is witnessed."""
        vkey = self.go("request", "0", "1").splitlines()[0]
        state = State(os.path.join(self.mktemp(), "witness"), "w.example")
        self.addCleanup(state.close)
        alarms = []
        witness = Witness(state, [Verifier.parse(vkey)], lambda: 1790000000.0, lambda *what: alarms.append(what))
        for old, size, status in ((0, 1, 200), (0, 300, 409), (1, 300, 200), (300, 300, 200), (300, 1000, 200), (1, 1000, 409)):
            body = self.go("request", str(old), str(size)).split("\n", 1)[1].encode()
            answer = witness.add(body)
            self.assertEqual(answer.status, status, answer.body)
            if status == 200:
                note = body[body.index(b"\n\n") + 2 :] + answer.body
                self.assertEqual(self.go("cosigned", state.cosigner.vkey, given=note).split(), ["1790000000"] * 2)
        self.assertEqual(alarms, [])
