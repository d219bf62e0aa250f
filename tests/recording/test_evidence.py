"""A folder against its ledger: what goes on meanwhile is no alarm, what is not there is missed."""

from __future__ import annotations

import io
import os
import shutil
from hashlib import sha256

from twisted.trial.unittest import SynchronousTestCase

from hoopx.frames import CHECK, DATA, EVENT, OPEN, START, encode, segmentName, unpack
from hoopx.frames import pack as canonical
from hoopx.ledger.leaf import leaf
from hoopx.reading import readSegment
from hoopx.recording import stored
from hoopx.recording.book import Book
from hoopx.recording.evidence import GOOD, Evidence
from hoopx.recording.folder import sessionsBelow
from hoopx.recording.packing import pack
from hoopx.recording.register import verifyLedger
from hoopx.recording.segment import NEXT
from hoopx.recording.signing import sign
from hoopx.recording.stored import openSegment
from hoopx.recording.verify import STOPS, Problem, Verdict, verifySession
from hoopx.ulid import ulid
from tests.recording.world import BEGAN, build, close


class EvidenceBase(SynchronousTestCase):
    def setUp(self):
        self.folder = os.path.abspath(self.mktemp())
        self.data = os.path.join(self.folder, "data")
        self.world = build(self.data)
        self.addCleanup(close, self.world)
        self.names = {id: name for name, id in self.world.sessions.items()}

    def path(self, name):
        (found,) = [place for place, _, _ in os.walk(self.folder) if os.path.basename(place) == self.world.sessions[name]]
        return found

    def inquire(self):
        return verifyLedger(os.path.join(self.data, "ledger"))

    def look(self, path=None, inquire=None, opener=openSegment):
        found = list(Evidence(path or self.data, inquire or self.inquire, opener).run())
        self.assertEqual(len({verdict.session for verdict in found}), len(found))
        return {self.names.get(verdict.session, verdict.session): verdict for verdict in found}

    def assertWrong(self, found, **wanted):
        """Session by name: part of what is wrong with it; nothing else is."""
        wrong = {name: str(verdict.problems[0]) for name, verdict in found.items() if verdict.state not in GOOD}
        self.assertEqual(wrong.keys(), wanted.keys(), wrong)
        for name, part in wanted.items():
            self.assertIn(part, wrong[name])


class MeanwhileTests(EvidenceBase):
    """The gateway works on while we look."""

    def meanwhile(self, act, when=1):
        """An opener that lets something happen before it opens the n-th segment."""
        left = [when]

        def opener(path):
            left[0] -= 1
            if not left[0]:
                act()
            return openSegment(path)

        return opener

    def each(self, act):
        """Wherever in the reading of the live session it happens."""
        for when in range(1, 6):
            verdict = verifySession(self.path("live"), opener=self.meanwhile(act, when))
            self.assertEqual((verdict.problems, verdict.state in GOOD), ([], True), when)

    def test_sealed(self):
        self.each(lambda: (self.world.live.say(self.world.words, 3), self.world.live.roll()))

    def test_ended(self):
        for when in range(1, 4):
            session = self.world.begin(f"ends{when}")
            session.say(self.world.words, 3)
            session.roll()
            session.say(self.world.words, 3)
            verdict = verifySession(session.path, opener=self.meanwhile(session.finish, when))
            self.assertEqual(verdict.problems, [], when)
            self.assertIn(verdict.state, ("live", "complete"))

    def test_packed(self):
        for when in range(1, 4):
            session = self.world.record(f"packed{when}")

            def act(session=session):
                for number in range(3):
                    pack(os.path.join(session.path, segmentName(number)), True)

            self.assertEqual(verifySession(session.path, opener=self.meanwhile(act, when)).state, "complete")

    def test_torn(self):
        """The last frame is under way, or was when the power went."""
        name = os.path.join(self.path("live"), OPEN)
        for tail in (encode(0, 10**6, 0, 3, 1, 1, payload=b"half")[:-1], bytes(400)):
            size = os.path.getsize(name)
            with open(name, "ab") as file:
                file.write(tail)
            self.assertEqual(self.look()["live"].state, "live")
            os.truncate(name, size)
        with open(name, "ab") as file:
            file.write(bytes(400) + b"x")
        self.assertWrong(self.look(), live="checksum does not match")

    def test_begun(self):
        """Sessions that begin, and are told to the ledger, after it was read."""
        calls = []

        def inquire():
            register = self.inquire()
            if not calls:
                session = self.world.begin("new")
                session.say(self.world.words, 3)
                self.names[session.id] = "new"
                self.addCleanup(session.segment.shut)
            calls.append(register)
            return register

        found = self.look(inquire=inquire)
        self.assertEqual((found["new"].state, found["new"].logged), ("live", False))
        self.assertWrong(found)
        self.assertEqual(len(calls), 2)

    def test_erased(self):
        """Erased after the ledger was read: looked up again before it is missed."""
        calls = []

        def inquire():
            register = self.inquire()
            if not calls:
                self.world.leaf("erased", session=self.world.sessions["plain"], audit="00" * 32)
                shutil.rmtree(self.path("plain"))
                self.world.sign()
            calls.append(register)
            return register

        self.assertEqual(self.look(inquire=inquire)["plain"].state, "erased")

    def test_quietly(self):
        """Nothing doubtful: the ledger is read once."""
        calls = []
        self.look(inquire=lambda: calls.append(1) or self.inquire())
        self.assertEqual(calls, [1])


class AgainstTests(EvidenceBase):
    def test_smuggled(self):
        """A recording that the ledger never heard of, with all its seals right."""
        session = self.world.begin("smuggled", opened=False)
        self.names[session.id] = "smuggled"
        session.say(self.world.words)
        session.finish()
        self.assertWrong(self.look(), smuggled="the ledger does not know this session")

    def test_spokenOf(self):
        """That the ledger speaks of a session, of a hold on it, vouches for nothing that is in the recording."""
        session = self.world.begin("held", opened=False)
        self.names[session.id] = "held"
        session.say(self.world.words)
        session.finish()
        self.world.leaf("hold-set", session=session.id, audit="00" * 32)
        self.world.sign()
        self.assertWrong(self.look(), held="the ledger does not know this session")
        self.world.keep(session)
        self.world.sign()
        self.assertWrong(self.look())

    def test_sealMoved(self):
        """When and where the last seal stands is in no signature: the ledger has the whole file."""
        for name, more in (("plain", {"at": 10**18}), ("plain", {"sequence": 10**6}), ("compressed", {"at": 10**18})):
            path = os.path.join(self.path(name), segmentName(2))
            with openSegment(path) as file:
                frames = list(readSegment(file))
            with open(path, "rb") as file:
                kept = file.read()
            os.remove(path)
            with open(path, "wb") as file:
                file.write(START + b"".join(encode(*frame) for frame in [*frames[:-1], frames[-1]._replace(**more)]))
            self.assertWrong(self.look(), **{name: "000002.hxr: the stored file is not the one in the ledger"})
            os.remove(path)
            with open(path, "wb") as file:
                file.write(kept)
        self.assertWrong(self.look())

    def test_pipe(self):
        """A named pipe in a folder from elsewhere: nobody waits for what comes out of it."""
        path = os.path.join(self.path("plain"), segmentName(0))
        os.remove(path)
        os.mkfifo(path)
        self.assertWrong(self.look(), plain="not a regular file")

    def test_pipeForKey(self):
        shutil.rmtree(os.path.join(self.data, "ledger"))
        path = os.path.join(self.data, "keys", "ledger.pub")
        os.remove(path)
        os.mkfifo(path)
        (verdict, *_) = Evidence(self.data).run()
        self.assertEqual((verdict.state, verdict.problems[0].reason), ("unchecked", "can not be read: not a regular file"))

    def test_linkedFolders(self):
        """A data directory that is reached over links, with recordings and a ledger that are on another disk, is one like others."""
        away = os.path.join(self.folder, "away")
        os.mkdir(away)
        for name in ("recordings", "ledger"):
            os.rename(os.path.join(self.data, name), os.path.join(away, name))
            os.symlink(os.path.join(away, name), os.path.join(self.data, name))
        link = os.path.join(self.folder, "link")
        os.symlink(self.data, link)
        names = sorted(self.look())
        for path in (self.data, link, os.path.join(link, "recordings")):
            found = self.look(path)
            self.assertWrong(found)
            self.assertEqual(sorted(found), names)
        one = os.path.join(self.folder, self.world.sessions["plain"])
        os.symlink(self.path("plain"), one)
        self.assertEqual(self.look(one)["plain"].state, "complete")

    def test_strangeNames(self):
        """What is a digit elsewhere is no number of a segment, and no segment is called so; other files are nobody's business."""
        for name in ("00000\u00b2.hxr", "\u0661\u0662\u0663\u0664\u0665\u0666.hxr", "0000005.hxr", "evil.hxr"):
            path = os.path.join(self.path("plain"), name)
            with open(path, "wb"):
                pass
            found = self.look()
            self.assertWrong(found, plain="no segment has such a name")
            self.assertEqual(found["plain"].problems[0].segment, name)
            os.remove(path)
        for name in ("note.txt", "000001.hxr.new", ".000001.hxr.swp", NEXT):
            with open(os.path.join(self.path("plain"), name), "wb"):
                pass
        self.assertWrong(self.look())

    def test_plantedAbove(self):
        """A file in a folder above sessions hides none of them."""
        for name in ("000000.hxr", "stored.json"):
            path = os.path.join(os.path.dirname(self.path("plain")), name)
            with open(path, "wb"):
                pass
            found = self.look()
            self.assertEqual(set(self.names.values()) - set(found), set())
            self.assertEqual([other for other in found if other in self.world.sessions and found[other].state not in GOOD], [])
            self.assertEqual(found[os.path.basename(os.path.dirname(path))].state, "TAMPERED")
            os.remove(path)

    def test_plantedErased(self):
        """Something under the name of an erased session: its own segments may be on their way out, anything else is not its."""
        path = self.path("plain")
        session = self.world.sessions["plain"]
        self.world.leaf("erased", session=session, audit="ab" * 32)
        self.world.sign()
        found = self.look()
        self.assertWrong(found)
        self.assertEqual(found["plain"].state, "erased")
        with open(os.path.join(self.path("compressed"), segmentName(1)), "rb") as file:
            other = file.read()
        for name in (segmentName(1), segmentName(7), "open.hxr"):
            with open(os.path.join(path, "fresh"), "wb") as file:
                file.write(other)
            os.rename(os.path.join(path, "fresh"), os.path.join(path, name))
            found = self.look()
            self.assertWrong(found, plain="is erased, and this is none of its segments")
            self.assertEqual(found["plain"].problems[0].segment, name)
            os.remove(os.path.join(path, name))
        shutil.rmtree(path)
        self.assertEqual(self.look()["plain"].state, "erased")

    def test_older(self):
        """From before the ledger: by its own keys, and not said to be logged."""
        self.world.now = BEGAN - 1000
        session = self.world.begin("older", opened=False)
        self.names[session.id] = "older"
        session.say(self.world.words)
        session.finish()
        found = self.look()
        self.assertWrong(found)
        self.assertEqual((found["older"].state, found["older"].logged), ("complete", False))

    def test_neverConnected(self):
        """Killed before the target was called, and its leaf written: no leaf is missed."""
        self.world.opening.segment.shut()
        self.assertEqual(self.look()["opening"].state, "interrupted")

    def test_refused(self):
        """It has ended before the target was called, for the curator was away, and none of its leaves is written yet: no alarm, unless
        somebody speaks in it whom DONE does not count."""
        none = {"frames_from_client": 0, "frames_from_target": 0, "bytes_from_client": 0, "bytes_from_target": 0}
        for name in ("refused", "smuggled"):
            session = self.world.begin(name, opened=False)
            self.names[session.id] = name
            if name == "smuggled":
                session.say(self.world.words)
            else:
                session.frame(EVENT, payload=canonical({"event": "refused", "code": "unrecordable", "message": "no"}))
            session.finish("refused", **none)
        found = self.look()
        self.assertEqual((found["refused"].state, found["refused"].problems), ("complete", []))
        self.assertWrong(found, smuggled="the ledger does not know this session")

    def test_recoveredUnread(self):
        """A crash ended it, it is in one segment, and that is encrypted: the ledger says that its target may have been reached."""
        session = self.world.begin("cut")
        self.names[session.id] = "cut"
        session.say(self.world.words)
        self.world.recover(session)
        end = self.world.end(session)
        self.world.keep(session, compress=True, encrypt=True)
        self.world.done(session, "recovered", end)
        self.world.sign()
        for opener in (openSegment, stored.opener([self.world.identity])):
            verdict = self.look(opener=opener)["cut"]
            self.assertEqual((verdict.state, verdict.problems, verdict.connected), ("recovered", [], True))

    def test_cutShort(self):
        """A complete recording whose end is taken away, and what is left called live."""
        path = self.path("plain")
        os.rename(os.path.join(path, segmentName(2)), os.path.join(path, OPEN))
        self.assertWrong(self.look(), plain="the segment is missing, which the ledger has")

    def test_goesOn(self):
        """An ended one that has got another segment."""
        path = self.path("short")
        shutil.copy(os.path.join(self.path("live"), OPEN), os.path.join(path, OPEN))
        self.assertWrong(self.look(), short="behind the end of the session")

    def test_otherEnd(self):
        """Done or recovered, as the ledger says: not the one for the other."""
        self.world.live.finish()
        self.world.keep(self.world.live)
        self.world.leaf("recovered", session=self.world.live.id, segments=self.world.live.sealed, end="00" * 32)
        self.world.sign()
        self.assertWrong(self.look(), live="in the ledger in segment 1: recovered")

    def test_wrongEnd(self):
        self.world.live.finish()
        self.world.keep(self.world.live)
        self.world.leaf("done", session=self.world.live.id, segments=self.world.live.sealed, end="00" * 32)
        self.world.sign()
        self.assertWrong(self.look(), live="the end is not the one in the ledger")

    def test_sessionKey(self):
        """Whoever has the session's own key, too, and writes a whole recording anew: the ledger has another seal, and another end."""
        session = self.world.record("stolen")
        self.names[session.id] = "stolen"
        self.world.keep(session)
        self.world.done(session)
        self.world.sign()
        for number, at, reason in ((2, 3, "the seal is not the one"), (2, -2, "the end is not the one"), (0, 2, "the seal is not the one")):
            before, kept = None, {}
            for each in range(number, 3):
                name = os.path.join(session.path, segmentName(each))
                with open(name, "rb") as file:
                    kept[name] = file.read()
                frames = [frame for frame in readSegment(io.BytesIO(kept[name])) if frame.kind != CHECK]
                if before is not None:
                    frames[0] = frames[0]._replace(payload=canonical({**unpack(frames[0].payload), "sha256": before}))
                else:
                    frames[at] = frames[at]._replace(payload=frames[at].payload.replace(b"client-left", b"idle") or b"x")
                    if frames[at].kind == DATA:
                        frames[at] = frames[at]._replace(payload=b"changed")
                data = START + b"".join(encode(*frame) for frame in frames[:-1])
                seal = unpack(frames[-1].payload)
                del seal["signature"]
                seal.update(frames=len(frames) - 1, sha256=sha256(data).hexdigest())
                data += encode(*frames[-1]._replace(payload=sign(session.key, "seal", seal)))
                before = sha256(data).hexdigest()
                os.remove(name)
                with open(name, "wb") as file:
                    file.write(data)
            self.assertEqual(verifySession(session.path).state, "complete")
            found = self.look()
            self.assertWrong(found, stolen=reason)
            self.assertEqual(found["stolen"].problems[0].segment, segmentName(number))
            for name, data in kept.items():
                with open(name, "wb") as file:
                    file.write(data)
        self.assertWrong(self.look())

    def test_unsignedLeaves(self):
        """What no checkpoint covers excuses nothing: an erasure counts when it is signed."""
        shutil.rmtree(self.path("plain"))
        self.world.leaf("erased", session=self.world.sessions["plain"], audit="00" * 32)
        self.assertWrong(self.look(), plain="it is being erased, and no checkpoint says so yet")
        self.world.sign()
        self.assertWrong(self.look())

    def test_halfErased(self):
        """Looked at in the middle of it."""
        self.world.leaf("erased", session=self.world.sessions["plain"], audit="00" * 32)
        os.remove(os.path.join(self.path("plain"), segmentName(0)))
        self.assertWrong(self.look(), plain="it is being erased")
        self.world.sign()
        self.assertWrong(self.look())

    def test_justSealed(self):
        """Encrypted and told to the ledger, and no checkpoint since: by the digest that the ledger has."""
        session = self.world.record("young")
        self.names[session.id] = "young"
        end = self.world.end(session)
        self.world.keep(session, encrypt=True)
        self.world.done(session, end=end)
        found = self.look()
        self.assertEqual((found["young"].state, found["young"].logged), ("complete", False))
        name = os.path.join(session.path, segmentName(1))
        with open(name, "rb") as file:
            data = file.read()
        os.remove(name)
        with open(name, "wb") as file:
            file.write(data[:-1])
        self.assertWrong(self.look(), young="000001.hxr: the stored file is not the one in the ledger")
        shutil.rmtree(session.path)
        self.assertNotIn("young", self.look())

    def test_encryptedLive(self):
        """A session of which some is encrypted already: without an identity by the ledger; without a ledger not at all."""
        session = self.world.begin("mixed")
        self.names[session.id] = "mixed"
        session.say(self.world.words)
        session.roll()
        self.world.keep(session, encrypt=True)
        session.say(self.world.words)
        self.addCleanup(session.segment.shut)
        self.world.sign()
        self.assertEqual(self.look()["mixed"].state, "live")
        verdict = verifySession(session.path)
        self.assertEqual((verdict.state, len(verdict.problems)), ("unchecked", 2))

    def test_notLogged(self):
        """Packed, and its leaf not written yet: the frames say whether it is sound; encrypted, nothing does."""
        session = self.world.record("late")
        self.names[session.id] = "late"
        pack(os.path.join(session.path, segmentName(0)), True)
        self.assertEqual(self.look()["late"].state, "complete")
        pack(os.path.join(session.path, segmentName(1)), True, [str(self.world.identity.to_public())])
        self.assertEqual(self.look()["late"].state, "unchecked")

    def test_tamperedLedger(self):
        """A ledger that is not sound is believed nothing: sessions go by their own keys."""
        path = os.path.join(self.data, "ledger", "tile", "entries", "000.p", "31")
        with open(path, "r+b") as file:
            file.seek(200)
            byte = file.read(1)[0]
            file.seek(200)
            file.write(bytes((byte ^ 1,)))
        found = self.look()
        self.assertEqual(found["plain"].state, "complete")
        self.assertNotIn("erased", found)


class FolderTests(EvidenceBase):
    def test_below(self):
        """Every session once; quarantine, too; and no other folder of a data directory."""
        os.makedirs(os.path.join(self.data, "quarantine", "Q"))
        shutil.copy(os.path.join(self.path("short"), segmentName(0)), os.path.join(self.data, "quarantine", "Q"))
        shutil.copytree(self.path("short"), os.path.join(self.data, "other", self.world.sessions["short"]))
        found = [os.path.basename(path) for path in sessionsBelow(self.data)]
        self.assertEqual(sorted(found), sorted([*(id for name, id in self.world.sessions.items() if name != "erased"), "Q"]))

    def test_missingOnlyOfWholes(self):
        """Of one session's directory nobody says what else should be there."""
        self.assertEqual(self.look(self.path("plain")).keys(), {"plain"})

    def test_unreadable(self):
        self.assertRaises(OSError, list, Evidence(os.path.join(self.data, "nowhere")).run())


class BookTests(SynchronousTestCase):
    def test_first(self):
        """The first leaf of a kind counts: one that comes later excuses no change."""
        id = ulid(BEGAN)
        lines = [leaf("sealed", BEGAN, session=id, segment=0, seal=each * 32, object=each * 32, size=1) for each in ("aa", "bb")]
        lines += [leaf("opened", BEGAN, session=id, key=each * 32, head=each * 32) for each in ("aa", "bb")]
        lines += [leaf(kind, BEGAN, session=id, segments=1, end="aa" * 32) for kind in ("done", "recovered")]
        said = Book(lines).attested(id)
        self.assertEqual((said.sealed, said.key, said.ended), ({0: ("aa" * 32, "aa" * 32)}, "aa" * 32, "done"))

    def test_missing(self):
        ids = [ulid(BEGAN + number) for number in range(3)]
        lines = [leaf("opened", BEGAN, session=id, key="aa" * 32, head="aa" * 32) for id in ids]
        lines.append(leaf("erased", BEGAN, session=ids[2], audit="aa" * 32))
        book = Book([*lines, leaf("hold-set", BEGAN, session="never-opened", audit="aa" * 32)])
        self.assertEqual([(v.session, v.state) for v in book.missing([ids[0]])], [(ids[1], "missing"), (ids[2], "erased")])

    def test_pending(self):
        """Only just told to the ledger: known, and not missed."""
        id = ulid(BEGAN)
        book = Book([], [leaf("opened", BEGAN, session=id, key="aa" * 32, head="aa" * 32)])
        self.assertEqual(list(book.missing([])), [])
        self.assertEqual(book.judged(Verdict(id, "live", connected=True)).state, "live")

    def following(self, *lines):
        """A copy of a ledger in a store."""
        return Book([*lines, leaf("audit", BEGAN + 100, audit="aa" * 32)], following=True)

    def test_younger(self):
        """What the copy can not know yet is told as that, and is neither good nor an alarm; what it should know is one."""
        for at, state in ((BEGAN + 101, "unchecked"), (BEGAN + 50, "unchecked"), (BEGAN + 10, "TAMPERED")):
            id = ulid(at)
            self.assertEqual(self.following(leaf("opened", BEGAN, session=ulid(BEGAN), key="aa" * 32, head="aa" * 32)).judged(Verdict(id, "complete", connected=True)).state, state)
        id = ulid(BEGAN + 101)
        self.assertEqual(Book([leaf("audit", BEGAN, audit="aa" * 32)]).judged(Verdict(id, "complete", connected=True)).state, "TAMPERED")

    def test_goesOn(self):
        """A session of which the store has a beginning, and the ledger no end."""
        id = ulid(BEGAN)
        opened = leaf("opened", BEGAN, session=id, key="aa" * 32, head="aa" * 32)
        sealed = leaf("sealed", BEGAN, session=id, segment=0, seal="aa" * 32, object="aa" * 32, size=1)
        done = leaf("done", BEGAN, session=id, segments=2, end="aa" * 32)

        def stops():
            return Verdict(id, "TAMPERED", [Problem(segmentName(0), 0, STOPS)], connected=True)

        self.assertEqual(self.following(opened, sealed).judged(stops()).state, "live")
        self.assertEqual(self.following(opened, sealed, done).judged(stops()).state, "TAMPERED")
        self.assertEqual(Book([opened, sealed]).judged(stops()).state, "TAMPERED")
        other = Verdict(id, "TAMPERED", [Problem(segmentName(0), 0, "another")], connected=True)
        self.assertEqual(self.following(opened, sealed).judged(other).state, "TAMPERED")
        self.assertEqual(list(self.following(opened).missing([])), [])
        self.assertEqual([each.state for each in self.following(opened, sealed).missing([])], ["missing"])
