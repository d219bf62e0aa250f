"""What is in order and yet not proven."""

from __future__ import annotations

import os

from attrs import evolve

from hoopx.frames import DATA, EVENT
from hoopx.frames import pack as canonical
from hoopx.ledger.keys import keyring
from hoopx.ledger.log import Ledger
from hoopx.ledger.note import Cosigner, Verifier
from hoopx.ledger.reader import LedgerReader
from hoopx.ledger.renewal import renew
from hoopx.recording.evidence import Evidence
from hoopx.recording.files import Files
from hoopx.recording.register import verifyLedger
from hoopx.recording.stored import opener
from hoopx.recording.strict import Strict
from hoopx.values import CLIENT, PASSED
from tests.ledger.rig import key
from tests.recording.test_evidence import EvidenceBase


class StrictTests(EvidenceBase):
    def setUp(self):
        super().setUp()
        self.key = Verifier.parse(self.world.vkey)
        self.cosigners = [Verifier.parse(self.world.witness)]
        self.later = 60.0

    def judge(self, ledger=True, **changed):
        """@return: session name -> what it falls short of; and what the ledger does."""
        strict = Strict(self.key.name, self.cosigners, len(self.cosigners), self.world.now + self.later)
        strict = evolve(strict, **changed)
        key = self.key if strict.key else None
        inquire = (lambda: verifyLedger(os.path.join(self.data, "ledger"), key, None, strict.witnesses, strict.quorum)) if ledger else None
        registers = []
        names = {id: name for name, id in self.world.sessions.items()}
        found = {}
        for verdict in Evidence(self.data, inquire, opener([self.world.identity])).run(registers.append):
            said = strict.session(verdict, registers[-1])
            if said is not None:
                found[names[verdict.session]] = said
        return found, strict.ledger(registers[-1])

    def test_proven(self):
        """All that there should be; what is being written is too young to be there."""
        self.assertEqual(self.judge(), ({}, []))

    def test_notGiven(self):
        found, ledger = self.judge(key=None, witnesses=[], quorum=0)
        self.assertEqual(found, {})
        self.assertEqual([text.partition(":")[0] for text in ledger], ["no key of it was given", "no witness was given"])

    def test_noLedger(self):
        found, ledger = self.judge(ledger=False)
        self.assertEqual(ledger, ["there is no ledger"])
        self.assertEqual(set(found), set(self.world.sessions) - {"erased"})
        self.assertEqual(set(found.values()), {"no ledger that could be believed has it"})

    def test_old(self):
        """The grace is over: what was being written should have been sealed, and what was opening be logged."""
        self.later = 700.0
        found, ledger = self.judge()
        self.assertEqual(ledger, [])
        self.assertRegex(found.pop("live"), "^[0-9]+ frames at its end are not sealed$")
        self.assertEqual(found, {"opening": "it is in no ledger: checked by its own key alone"})
        self.later = -700.0  # what says that it comes from the future is not young, either
        self.assertEqual(set(self.judge()[0]), {"live", "opening"})

    def test_idle(self):
        """A session that says nothing for days: all of it is sealed."""
        self.world.live.roll()
        self.world.keep(self.world.live, compress=True)
        self.world.sign()
        self.later = 200_000.0
        self.assertEqual(set(self.judge()[0]), {"opening"})
        self.world.live.frame(DATA, CLIENT, PASSED, b"x")
        self.assertIn("live", self.judge()[0])

    def test_notWitnessed(self):
        """The ledger goes on, and the witness has not seen it since."""
        session = self.world.record("newer", 1)
        self.world.keep(session)
        self.world.done(session)
        self.world.sign(witnessed=False)
        self.assertEqual(self.judge(), ({}, []))
        self.later = 700.0
        found, ledger = self.judge()
        self.assertEqual(found["newer"], "no checkpoint that the quorum has signed has all of it")
        self.assertIn("3 leaves, from leaf 31 on, are under no checkpoint that the quorum has signed", ledger[0])
        found, ledger = self.judge(witnesses=[], quorum=0)
        self.assertNotIn("newer", found)

    def test_notSigned(self):
        """Leaves that no checkpoint covers, for longer than it takes to sign one."""
        session = self.world.record("newer", 1)
        self.world.keep(session)
        self.world.done(session)
        self.later = 700.0
        found, ledger = self.judge(witnesses=[], quorum=0)
        self.assertEqual(found["newer"], "no signed checkpoint has all of it")
        self.assertIn("3 leaves, from leaf 31 on, are under no checkpoint", ledger[-1])

    def test_notLogged(self):
        """Sealed, over, and the curator has not come to it."""
        session = self.world.record("newer", 2)
        self.world.sign()
        self.assertEqual(self.judge(), ({}, []))
        self.later = 700.0
        self.assertEqual(self.judge()[0]["newer"], "2 of its segments are not in the ledger")
        self.world.keep(session)
        self.world.sign()
        self.later = 1400.0
        self.assertEqual(self.judge()[0]["newer"], "its end is not in the ledger")

    def test_refused(self):
        """It ended before the target was called, while the curator was away: its leaves may take their time, and no longer."""
        session = self.world.begin("refused", opened=False)
        session.frame(EVENT, payload=canonical({"event": "refused", "code": "unrecordable", "message": "no"}))
        session.finish("refused", frames_from_client=0, frames_from_target=0)
        self.assertEqual(self.judge()[0], {})
        self.later = 700.0
        self.assertEqual(self.judge()[0].get("refused"), "it is in no ledger: checked by its own key alone")

    def test_older(self):
        """What was recorded before the ledger began."""
        self.world.now -= 10**6
        session = self.world.begin("older", opened=False)
        session.say(self.world.words)
        session.finish()
        self.world.now += 10**6
        self.assertEqual(self.judge()[0], {"older": "it is older than the ledger, which can not have it: checked by its own key alone"})

    def test_renewed(self):
        """A ledger in another one's place has nothing of the sessions before it, and says where that is: strictly they are not proven."""
        self.world.ledger.close()
        self.world.now += 10_000
        vkey = renew(self.data, "gw", wall=lambda: self.world.now)
        self.key, self.later = Verifier.parse(vkey), 60.0
        before = Verifier.parse(self.world.vkey).name
        place = f"the ledger, which was begun in place of {before} (its sessions are in that one: ledger.old-{before})"
        self.assertTrue(os.path.isdir(os.path.join(self.data, f"ledger.old-{before}")))
        found, _ = self.judge(witnesses=[], quorum=0)
        said = f"it is older than {place}, which can not have it: checked by its own key alone"
        self.assertEqual(found.pop("plain"), said)
        self.assertEqual(set(found.values()), {said})
        ledger = self.world.ledger = Ledger.open(os.path.join(self.data, "ledger"), keyring(os.path.join(self.data, "keys"), Files()), "gw")
        old = LedgerReader(os.path.join(self.data, f"ledger.old-{before}"))
        old.checkpoint()
        said = {each["segment"]: each for _, each in old.find(self.world.sessions["plain"]) if each["type"] == "sealed"}
        ledger.append([canonical(said[2])])  # what is done with it later is in the new one
        ledger.checkpoint()
        found, _ = self.judge(witnesses=[], quorum=0)
        self.assertEqual(found["plain"], f"2 of its segments are not in the ledger, for it is older than {place}")

    def test_quorum(self):
        """Of three witnesses two have to have signed; the second newest counts."""
        self.cosigners += [Cosigner(f"w{number}.example", key(number)).verifier for number in (2, 3)]
        self.later = 700.0
        self.assertEqual(self.judge(quorum=2)[1], [])  # the ledger is not sound: nothing more is said of it
        register = verifyLedger(os.path.join(self.data, "ledger"), self.key, None, self.cosigners, 1)
        second = self.cosigners[1]
        register.heard[second.name, second.keyId] = (20, int(self.world.now - 5000))
        strict = Strict(self.key.name, self.cosigners, 2, self.world.now + 700)
        self.assertEqual(strict.ledger(register), ["11 leaves, from leaf 20 on, are under no checkpoint that the quorum has signed"])
        self.assertEqual(evolve(strict, quorum=1).ledger(register), [])
        self.assertEqual(evolve(strict, fresh=3600.0).ledger(register)[1:], ["the quorum's newest signatures are not of the last 3600 seconds"])
        self.assertEqual(evolve(strict, fresh=3600.0, quorum=1).ledger(register), [])

    def test_fresh(self):
        self.assertEqual(self.judge(fresh=3600.0)[1], [])
        self.later = 7200.0
        self.assertIn("not of the last 3600 seconds", self.judge(fresh=3600.0)[1][-1])
        self.assertEqual(self.judge()[1], [])
