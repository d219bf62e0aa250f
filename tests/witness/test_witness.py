"""A witness cosigns what has grown out of what it cosigned before, and nothing else."""

from __future__ import annotations

import errno
import os
from threading import Thread

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hoopx.ledger.note import Signer, makeNote, openNote, parseCheckpoint, split
from hoopx.witness.exchange import Request, decode, encode
from tests.ledger.rig import Grown, key
from tests.recording.rig import FaultyFiles, Killed
from tests.witness.rig import BIG, LEDGER, NOW, ORIGIN, Cosigner, Here, checkpoint, request

FORK = Grown(2000, {5: b"forged"})
"""Another ledger under the same name: its leaf 5 is another one."""


class Base(SynchronousTestCase):
    def setUp(self):
        self.directory = os.path.join(self.mktemp(), "witness")
        self.here = self.open()

    def open(self, **named):
        here = Here(self.directory, **named)
        self.addCleanup(here.close)
        return here

    def add(self, *arguments, **named):
        return self.here.witness.add(request(*arguments, **named))

    def assertCosigned(self, answer, size):
        self.assertEqual((answer.status, answer.type), (200, "text/plain; charset=utf-8"), answer.body)
        text, _ = split(checkpoint(size))
        _, (signature,) = openNote(text + b"\n" + answer.body, [self.here.verifier])
        self.assertEqual((signature.name, signature.timestamp), ("w.example", NOW))

    def assertConflict(self, answer, size):
        self.assertEqual(answer, (409, b"%d\n" % size, "text/x.tlog.size"))


class GrowingTests(Base):
    def test_grows(self):
        for old, size in ((0, 0), (0, 1), (1, 7), (7, 256), (256, 256), (256, 100_000)):
            self.assertCosigned(self.add(old, size), size)
        self.assertEqual(self.here.alarms, [])

    def test_remembers(self):
        self.add(0, 1000)
        self.here.close()
        self.here = self.open()
        self.assertConflict(self.add(0, 2000), 1000)
        self.assertCosigned(self.add(1000, 2000), 2000)

    def test_sizeNotKnown(self):
        """A ledger that does not know where the witness is, is told."""
        self.add(0, 1000)
        for old in (0, 1, 999, 1001, 2000):
            self.assertConflict(self.add(old, 2000), 1000)
        self.assertEqual(self.here.alarms, [])

    def test_eachItsOwn(self):
        other = Signer("gw2.00000000", key(7))
        self.here.close()
        self.here = self.open(ledgers=(LEDGER, other))
        self.add(0, 1000)
        answer = self.add(0, 5, signer=other, origin="gw2.00000000")
        self.assertEqual(answer.status, 200)
        self.assertCosigned(self.add(1000, 1001), 1001)

    def test_otherSignaturesStay(self):
        """A checkpoint may bring cosignatures of others."""
        text, lines = split(checkpoint(5))
        note = makeNote(text, [lines[0][3], Cosigner("x.example", key(8)).cosign(text, 1)])
        self.assertCosigned(self.here.witness.add(encode(Request(0, (), note))), 5)


class RefusalTests(Base):
    def test_noRequest(self):
        for body in (b"", b"old 0\n\n", b"old 0\n\nx\n", request(0, 5)[:-10], b"\xff" * 100):
            self.assertEqual(self.here.witness.add(body).status, 400)

    def test_unknownLedger(self):
        answer = self.add(0, 5, signer=Signer("gw9.00000000", key()), origin="gw9.00000000")
        self.assertEqual(answer.status, 404)

    def test_notSigned(self):
        self.assertEqual(self.add(0, 5, signer=Signer(ORIGIN, key(9))).status, 403)
        # signed for another name with the right key
        self.assertEqual(self.add(0, 5, signer=Signer("gw2.00000000", key())).status, 403)
        self.assertCosigned(self.add(0, 5), 5)

    def test_oldBigger(self):
        body = encode(Request(6, (), checkpoint(5)))
        self.assertEqual(self.here.witness.add(body).status, 400)

    def test_rollback(self):
        self.add(0, 1000)
        for old in (0, 500):
            self.assertConflict(self.add(old, 500), 1000)
        self.assertEqual([kind for kind, _ in self.here.alarms], ["rollback"] * 2)
        self.assertEqual(self.here.alarms[0][1]["known"], 1000)
        self.assertCosigned(self.add(1000, 1001), 1001)

    def test_forkOfTheSameSize(self):
        self.add(0, 1000)
        self.assertConflict(self.add(1000, 1000, tree=FORK), 1000)
        self.assertEqual([kind for kind, _ in self.here.alarms], ["fork"])
        self.assertCosigned(self.add(1000, 1000), 1000)

    def test_fork(self):
        """Its proof is right for its own tree, which is another."""
        self.add(0, 1000)
        self.assertEqual(self.add(1000, 2000, tree=FORK).status, 422)
        proof = decode(request(1000, 2000)).proof
        body = encode(Request(1000, proof, checkpoint(2000, FORK)))
        self.assertEqual(self.here.witness.add(body).status, 422)
        self.assertEqual([kind for kind, _ in self.here.alarms], ["fork"] * 2)
        self.assertCosigned(self.add(1000, 2000), 2000)

    def test_proofFromNothing(self):
        """The proof from size 0 is empty."""
        body = encode(Request(0, (bytes(32),), checkpoint(5)))
        self.assertEqual(self.here.witness.add(body).status, 422)

    @settings(max_examples=150, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300), st.booleans()), max_size=12))
    def test_onlyEverGrows(self, requests):
        """Whatever is asked in whatever order: what was cosigned is one line of trees."""
        here = Here(self.mktemp())
        cosigned = [(0, BIG)]
        for old, size, fork in requests:
            if old > size:
                continue
            tree = FORK if fork else BIG
            before, known = cosigned[-1]
            answer = here.witness.add(request(old, size, tree))
            self.assertEqual(answer.status == 200, old == before and known.roots[before] == tree.roots[before])
            if answer.status == 200:
                cosigned.append((size, tree))
            latest = here.state.latest(ORIGIN)
            self.assertEqual(latest.size if latest else 0, cosigned[-1][0])
        here.close()

    def test_anyBit(self):
        """A changed bit anywhere in a request: no cosignature, or one of what was signed."""
        self.add(0, 77)
        body = request(77, 1000)
        for at in range(0, len(body) * 8, 7):
            changed = bytearray(body)
            changed[at // 8] ^= 1 << at % 8
            answer = self.here.witness.add(bytes(changed))
            self.assertIn(answer.status, (200, 400, 403, 404, 409, 422))
            if answer.status == 200:
                self.assertCosigned(answer, 1000)
                break


class DiskTests(Base):
    def test_keptFirst(self):
        """What can not be kept is not cosigned, and is asked for again."""
        files = FaultyFiles()
        self.here.close()
        self.here = self.open(files=files)
        self.add(0, 10)
        for name in ("create", "write", "fsync", "rename"):
            files.faults[name] = errno.ENOSPC
            self.assertRaises(OSError, self.add, 10, 20)
            files.faults.clear()
        self.assertEqual(self.add(self.here.state.latest(ORIGIN).size, 20).status, 200)

    def test_killedAtAnyCall(self):
        for life in range(30):
            here = Here(self.mktemp())
            here.witness.add(request(0, 10))
            files = FaultyFiles()
            files.life = life
            here.state._disk._files = files
            try:
                answer = here.witness.add(request(10, 20))
            except Killed:
                answer = None
            size = here.state.latest(ORIGIN).size
            self.assertIn(size, (20,) if answer else (10, 20))
            here.close()
            if files.life >= 0:
                break
        self.assertGreater(life, 3)

    def test_damaged(self):
        self.add(0, 10)
        (name,) = [name for name in os.listdir(self.directory) if name.endswith(".checkpoint")]
        with open(os.path.join(self.directory, name), "wb"):
            pass
        self.assertEqual(self.add(0, 20).status, 500)
        self.assertEqual([kind for kind, _ in self.here.alarms], ["damaged"])

    def test_together(self):
        """Requests on many threads: one line of trees."""
        self.add(0, 10)
        answers = []
        threads = [Thread(target=lambda size=size: answers.append((size, self.add(10, size)))) for size in range(11, 31)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        good = [size for size, answer in answers if answer.status == 200]
        self.assertEqual(good, [self.here.state.latest(ORIGIN).size])


class KeptTests(Base):
    def test_signedNote(self):
        """What is kept is the ledger's own signed word: evidence, if it ever says otherwise."""
        self.add(0, 10)
        (name,) = [name for name in os.listdir(self.directory) if name.endswith(".checkpoint")]
        with open(os.path.join(self.directory, name), "rb") as file:
            text, _ = openNote(file.read(), [LEDGER.verifier])
        self.assertEqual(parseCheckpoint(text).size, 10)
