"""Killed at any call, out of power at any call, full and broken disks: what was returned is there, at its place."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hoopx.ledger.errors import LedgerError, LedgerFailed
from hoopx.ledger.note import Cosigner, makeNote, parseCheckpoint, split
from hoopx.ledger.reader import LedgerReader
from hoopx.ledger.tree import verifyConsistency
from tests.ledger.rig import PowerLoss, key, open_, opened
from tests.recording.rig import FaultyFiles, Killed

LONG = os.environ.get("HOOPX_LONG") == "1"
KILLS = 200 if LONG else 6

steps = st.lists(st.sampled_from(["one", "few", "bundle", "many", "sign", "witness"]), min_size=1, max_size=8)
SIZES = {"one": 1, "few": 7, "bundle": 256, "many": 700}


class Promise:
    """What a ledger has promised, to be compared with what is found."""

    def __init__(self, case):
        self.case = case
        self.leaves = {}    # number of a session -> index
        self.notes = []

    def run(self, ledger, steps, start):
        """@raise Killed: as the disk says."""
        number = start
        for step in steps:
            if step in SIZES:
                numbers = range(number, number + SIZES[step])
                number += SIZES[step]
                indices = ledger.append([opened(one) for one in numbers])
                self.leaves.update(zip(numbers, indices))
            else:
                note = ledger.checkpoint()
                self.notes.append(note)
                if step == "witness":
                    text, lines = split(note)
                    cosigned = makeNote(text, [*[line[3] for line in lines], Cosigner("w", key(3)).cosign(text, 1)])
                    self.notes.append(ledger.publish(cosigned))

    def check(self, directory):
        """Open, look for everything, go on."""
        case = self.case
        ledger = open_(directory)
        try:
            entries = ledger.entries(0, ledger.size)
            case.assertEqual(len(entries), ledger.size)
            case.assertEqual(len(set(entries)), len(entries))
            for number, index in self.leaves.items():
                case.assertEqual(entries[index], opened(number))
            case.assertEqual(ledger.append([opened(number) for number in self.leaves][:4096]), list(self.leaves.values())[:4096])
            for note in self.notes:
                found = parseCheckpoint(split(note)[0])
                case.assertEqual(ledger.root(found.size), found.root)
            if self.notes:
                newest = parseCheckpoint(split(ledger.published)[0])
                case.assertGreaterEqual(newest.size, max(parseCheckpoint(split(note)[0]).size for note in self.notes))
            ledger.append([opened(10_000_000)])
            ledger.checkpoint()
        finally:
            ledger.close()
        for witnessed in (False, True):
            reader = LedgerReader(directory)
            try:
                signed = reader.checkpoint(witnessed=witnessed)
            except LedgerError:
                case.assertTrue(witnessed)
                continue
            case.assertEqual(reader.audit(signed), [])


def attempt(promise, directory, files, steps, start):
    """Open and run until it is through or dead."""
    ledger = None
    try:
        ledger = open_(directory, files=files)
        promise.run(ledger, steps, start)
    except Killed:
        pass
    finally:
        if ledger is not None:
            ledger.close()


class KilledTests(SynchronousTestCase):
    @settings(max_examples=300 if LONG else 60, deadline=None)
    @given(steps, st.integers(0, 150), steps, st.integers(0, 60))
    def test_killedAtAnyCall(self, first, life, second, again):
        """The process, and then the one that opens it again, killed at any call."""
        directory = os.path.join(self.mktemp(), "ledger")
        promise = Promise(self)
        for work, start, calls in ((first, 0, life), (second, 100_000, again)):
            files = FaultyFiles()
            files.life = calls
            attempt(promise, directory, files, work, start)
        promise.check(directory)

    def test_everyCall(self):
        """One life with everything in it, killed at each of its calls in turn."""
        work = ["few", "sign", "one", "witness", "bundle", "sign", "many", "witness", "one"]
        for life in range(0, 400, 1 if LONG else 3):
            directory = os.path.join(self.mktemp(), "ledger")
            promise = Promise(self)
            files = FaultyFiles()
            files.life = life
            attempt(promise, directory, files, work, 0)
            promise.check(directory)
            if files.life >= 0:
                break
        self.assertGreaterEqual(files.life, 0, "it was never lived through")
        self.assertGreater(life, 50)


class PowerTests(SynchronousTestCase):
    def cut(self, work, life):
        """Run, lose the power at a call, and check what the disk has kept."""
        data = self.mktemp()
        os.mkdir(data)
        directory = os.path.join(data, "ledger")

        class Disk(FaultyFiles, PowerLoss):
            def __init__(self):
                FaultyFiles.__init__(self)
                PowerLoss.__init__(self, data)
                self.life = life

        for name in ("fsync", "fdatasync", "unlink", "rmdir", "rename"):
            setattr(Disk, name, _both(name))
        files = Disk()
        promise = Promise(self)
        attempt(promise, directory, files, work, 0)
        lived = files.life >= 0
        files.lose(data + ".kept")
        os.makedirs(data + ".kept/ledger", exist_ok=True)
        promise.check(data + ".kept/ledger")
        return lived

    @settings(max_examples=200 if LONG else 50, deadline=None)
    @given(steps, st.integers(0, 150))
    def test_anyCall(self, work, life):
        self.cut(work, life)

    def test_everyCall(self):
        work = ["few", "sign", "bundle", "witness", "many", "one", "sign", "one"]
        for life in range(0, 400, 1 if LONG else 4):
            if self.cut(work, life):
                return
        self.fail("it was never lived through")


class FaultTests(SynchronousTestCase):
    @settings(max_examples=100 if LONG else 30, deadline=None)
    @given(steps, st.integers(0, 300_000))
    def test_full(self, work, room):
        """The disk is full at any byte: it says so, and nothing is lost; when there is room again, it goes on."""
        directory = os.path.join(self.mktemp(), "ledger")
        files = FaultyFiles()
        promise = Promise(self)
        ledger = open_(directory, files=files)
        try:
            files.room = room
            try:
                promise.run(ledger, work, 0)
            except LedgerFailed as error:
                self.assertIn("No space left", str(error))
            files.room = None
            promise.run(ledger, ["few", "sign"], 200_000)
        finally:
            ledger.close()
        promise.check(directory)

    def test_broken(self):
        """EIO at each kind of call: the ledger either goes on or wants to be opened again; what was promised is there."""
        for name in ("write", "create", "fsync", "fdatasync", "rename", "mkdir", "unlink", "rmdir"):
            for prepared in (["few"], ["few", "sign", "many"]):
                directory = os.path.join(self.mktemp(), "ledger")
                files = FaultyFiles()
                promise = Promise(self)
                ledger = open_(directory, files=files)
                promise.run(ledger, prepared, 0)
                files.faults[name] = errno.EIO
                try:
                    promise.run(ledger, ["one", "many", "sign"], 1000)
                except LedgerFailed:
                    pass
                else:
                    self.assertIn(name, ("unlink", "rmdir"))
                files.faults.clear()
                try:
                    promise.run(ledger, ["one", "sign"], 5000)
                except LedgerFailed as error:
                    self.assertIn("opened again", str(error))
                ledger.close()
                promise.check(directory)

    def test_fsyncIsFinal(self):
        """After an error of fdatasync nothing is believed, and nothing tried, until it is opened again."""
        directory = os.path.join(self.mktemp(), "ledger")
        files = FaultyFiles()
        ledger = open_(directory, files=files)
        files.faults["fdatasync"] = errno.EIO
        self.assertRaises(LedgerFailed, ledger.append, [opened(1)])
        files.faults.clear()
        files.calls.clear()
        self.assertRaises(LedgerFailed, ledger.append, [opened(2)])
        self.assertRaises(LedgerFailed, ledger.checkpoint)
        self.assertEqual(files.calls, [])
        ledger.close()
        again = open_(directory)
        self.addCleanup(again.close)
        again.append([opened(2)])

    def test_brokenBetweenTails(self):
        """The new tail has its name, and nobody knows whether that is safe: not a leaf goes to either before it is opened again."""
        directory = os.path.join(self.mktemp(), "ledger")

        class Torn(FaultyFiles):
            def rename(self, old, new):
                super().rename(old, new)
                if new.endswith("tail") and torn:
                    self.faults["fsync"] = errno.EIO

        torn = []
        files, promise = Torn(), Promise(self)
        ledger = open_(directory, files=files)
        promise.run(ledger, ["many"], 0)
        torn.append(True)
        self.assertRaises(LedgerFailed, ledger.checkpoint)
        files.faults.clear()
        self.assertRaises(LedgerFailed, ledger.append, [opened(5000)])
        ledger.close()
        promise.check(directory)

    def test_cannotOpen(self):
        for name in ("create", "fsync", "rename", "mkdir"):
            directory = os.path.join(self.mktemp(), "ledger")
            files = FaultyFiles()
            files.faults[name] = errno.EROFS
            self.assertRaises(LedgerFailed, open_, directory, files)
            open_(directory).close()


PROGRAM = """
import sys
from tests.ledger.rig import open_, opened
ledger = open_(sys.argv[1])
number = int(sys.argv[2])
while True:
    count = number % 7 * 13 + 1
    indices = ledger.append([opened(number + one) for one in range(count)])
    print("leaf", number, count, *indices, flush=True)
    number += count
    if number % 3 == 0:
        print("note", ledger.checkpoint().hex(), flush=True)
"""


class KillTests(SynchronousTestCase):
    def test_kill(self):
        """A process that appends and signs as fast as it can, killed again and again."""
        directory = os.path.join(self.mktemp(), "ledger")
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        promise, start = Promise(self), 0
        before = None
        for turn in range(KILLS):
            process = subprocess.Popen([sys.executable, "-c", PROGRAM, directory, str(start)], stdout=subprocess.PIPE, env=environment)
            try:
                lines = [process.stdout.readline() for _ in range(1 + turn % 3)]
                # Not a wait for anything: the moment of the kill is to be any.
                time.sleep(0.01 + turn % 10 * 0.013)
            finally:
                process.send_signal(signal.SIGKILL)
                lines += process.stdout.read().splitlines(keepends=True)
                process.stdout.close()
                process.wait()
            for line in lines:
                words = line.split()
                if not line.endswith(b"\n"):
                    break
                if words[0] == b"leaf":
                    numbers = range(int(words[1]), int(words[1]) + int(words[2]))
                    promise.leaves.update(zip(numbers, map(int, words[3:])))
                    start = numbers[-1] + 1
                else:
                    promise.notes.append(bytes.fromhex(words[1].decode()))
            start += 1_000
            ledger = open_(directory)
            if before is not None:
                verifyConsistency(*before, ledger.size, ledger.root(ledger.size), ledger.consistency(before[0], ledger.size))
            before = ledger.size, ledger.root(ledger.size)
            ledger.close()
        self.assertGreater(len(promise.leaves), KILLS)
        promise.check(directory)


def _both(name):
    """A call that can be the last, and that the disk remembers."""

    def call(self, *arguments):
        self.calls.append((name, arguments[0]))
        self._fault(name)
        return getattr(PowerLoss, name)(self, *arguments)

    return call
